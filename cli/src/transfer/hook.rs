//! `--on-complete`: a program of the user's for each torrent that is finished.
//!
//! It is started without a shell: what stands in an ARG is one argument of the program, whatever characters a torrent's name has. `{path}`, `{name}` and `{info_hash}` in an
//! ARG are replaced, once and in one pass, so that a name with `{path}` in it stays what it is. The name is a stranger's word, so an ARG that *begins* with it would let the
//! torrent choose an option of the program (`-rf`): such a run is refused. The path is absolute and cannot do that. The same three are in the environment.
//!
//! Programs run one after the other on a thread of their own, so that a hundred torrents do not start a hundred. Their output goes to stderr: stdout holds results.

use anyhow::Context as _;
use async_channel::{Receiver, Sender};
use async_io::Timer;
use futures_lite::FutureExt as _;
use std::ffi::{OsStr, OsString};
use std::future::Future;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a program may go on when the user stops us, until it is left alone.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a program is told of a torrent.
#[derive(Clone, Debug)]
pub(super) struct Finished {
    /// Where the data lie; absolute.
    pub path: PathBuf,
    /// The torrent's own name.
    pub name: String,
    /// In hexadecimal.
    pub info_hash: String,
}

/// How a run went wrong, in words.
pub(super) type Fault = String;

/// Runs programs. Dropped, what was not started is not run; what runs goes on alone.
#[derive(Debug)]
pub(super) struct Hook {
    torrents: Sender<Finished>,
    faults: Receiver<Fault>,
    waiting: usize,
}

impl Hook {
    /// `command`: the program, and its ARGs.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(command: Vec<OsString>) -> anyhow::Result<Hook> {
        // One for each torrent at most, and these are in memory anyhow.
        let (torrents, todo) = async_channel::unbounded::<Finished>();
        let (told, faults) = async_channel::unbounded();
        let work = move || {
            while let Ok(torrent) = todo.recv_blocking() {
                let result = run(&command, &torrent);
                if told.send_blocking(result.err().unwrap_or_default()).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("on-complete".into()).spawn(work).context("cannot start a thread")?;
        Ok(Hook { torrents, faults, waiting: 0 })
    }

    /// A torrent is finished.
    pub fn finished(&mut self, torrent: Finished) {
        if self.torrents.try_send(torrent).is_ok() {
            self.waiting += 1;
        }
    }

    /// How many runs have not ended.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// The next run that has ended; `Some` when it went wrong. Waits for ever when none is under way.
    pub async fn ended(&mut self) -> Option<Fault> {
        let fault = match self.faults.recv().await {
            Ok(fault) => fault,
            Err(_) => std::future::pending().await,
        };
        self.waiting = self.waiting.saturating_sub(1);
        Some(fault).filter(|fault| !fault.is_empty())
    }

    /// Waits for what is under way: until all has ended, or `stop` says so and then for [`PATIENCE`] at most. Gives what went wrong, and what `stop` said when
    /// something is left behind.
    pub async fn finish<T>(mut self, stop: impl Future<Output = T>) -> (Vec<Fault>, Option<T>) {
        let mut faults = Vec::new();
        let out_of_patience = async {
            let why = stop.await;
            Timer::after(PATIENCE).await;
            why
        };
        futures_lite::pin!(out_of_patience);
        while self.waiting > 0 {
            let ended = async { Ok(self.ended().await) };
            let given_up = async { Err((&mut out_of_patience).await) };
            match ended.or(given_up).await {
                Ok(fault) => faults.extend(fault),
                Err(why) => {
                    let rest = self.waiting - 1;
                    faults
                        .push(format!("the program is still running, and is left alone; {rest} more runs are dropped"));
                    return (faults, Some(why));
                }
            }
        }
        (faults, None)
    }
}

fn run(command: &[OsString], torrent: &Finished) -> Result<(), Fault> {
    let Some((program, args)) = command.split_first() else { return Ok(()) };
    let shown = program.display();
    let args = args.iter().map(|arg| fill(arg, torrent)).collect::<Result<Vec<_>, _>>()?;
    let about = |what: &dyn std::fmt::Display| format!("{}: {shown} {what}", torrent.name);
    // A program that prints must not mix with our results.
    let stdout = std::io::stderr().as_fd().try_clone_to_owned().map_or_else(|_| Stdio::null(), Stdio::from);
    let status = Command::new(program)
        .args(args)
        .env("PARCACIK_PATH", &torrent.path)
        .env("PARCACIK_NAME", &torrent.name)
        .env("PARCACIK_INFO_HASH", &torrent.info_hash)
        .stdin(Stdio::null())
        .stdout(stdout)
        .status()
        .map_err(|error| about(&format_args!("cannot be started: {error}")))?;
    if status.success() { Ok(()) } else { Err(about(&format_args!("failed ({status})"))) }
}

/// An ARG with its placeholders replaced.
fn fill(arg: &OsStr, torrent: &Finished) -> Result<OsString, Fault> {
    let places: [(&[u8], &[u8]); 3] = [
        (b"{path}", torrent.path.as_os_str().as_bytes()),
        (b"{name}", torrent.name.as_bytes()),
        (b"{info_hash}", torrent.info_hash.as_bytes()),
    ];
    let (mut rest, mut filled) = (arg.as_bytes(), Vec::new());
    while let Some((&first, behind)) = rest.split_first() {
        match places.iter().find(|(place, _)| rest.starts_with(place)) {
            Some((place, text)) => {
                if filled.is_empty() && text.starts_with(b"-") {
                    return Err(format!(
                        "{}: the program is not run: the name would be taken for an option; use {{path}}, or put a word in front: --title={{name}}",
                        torrent.name
                    ));
                }
                filled.extend_from_slice(text);
                rest = rest.get(place.len()..).unwrap_or_default();
            }
            None => {
                filled.push(first);
                rest = behind;
            }
        }
    }
    Ok(OsString::from_vec(filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn torrent(name: &str) -> Finished {
        Finished { path: PathBuf::from("/there").join(name), name: name.into(), info_hash: "00ff".into() }
    }

    #[test]
    fn an_argument_stays_one_argument() {
        for name in ["a b", "$(touch x); `y` | z > w & \"'\\", "*", "ü\n", "{path}{name}"] {
            let torrent = torrent(name);
            assert_eq!(fill(OsStr::new("{name}"), &torrent), Ok(name.into()), "{name}");
            assert_eq!(fill(OsStr::new("{path}"), &torrent), Ok(format!("/there/{name}").into()), "{name}");
            assert_eq!(fill(OsStr::new("x={name}/{info_hash}!"), &torrent), Ok(format!("x={name}/00ff!").into()));
        }
    }

    #[test]
    fn what_is_no_placeholder_stays() {
        for arg in ["", "{}", "{path", "{Name}", "{ name }", "-u", "$PARCACIK_NAME"] {
            assert_eq!(fill(OsStr::new(arg), &torrent("a")), Ok(arg.into()));
        }
        let bytes = OsStr::from_bytes(b"\xff{info_hash}\xfe");
        assert_eq!(fill(bytes, &torrent("a")), Ok(OsString::from_vec(b"\xff00ff\xfe".to_vec())));
    }

    #[test]
    fn a_name_does_not_become_an_option() {
        let torrent = torrent("-rf");
        assert!(fill(OsStr::new("{name}"), &torrent).is_err());
        assert!(fill(OsStr::new("{name}.done"), &torrent).is_err());
        assert_eq!(fill(OsStr::new("--title={name}"), &torrent), Ok("--title=-rf".into()));
        assert_eq!(fill(OsStr::new("{path}"), &torrent), Ok("/there/-rf".into()));
    }
}
