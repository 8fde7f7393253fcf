//! The built program, driven as a user or a script drives it. All traffic stays on loopback.

#[path = "../common/mod.rs"]
mod common;
mod dht;
mod dissect;
mod examples;
mod files;
mod hook;
mod ip_filter;
mod magnet;
mod rates;
mod recorded;
mod recordings;
mod replay;
mod select;
mod shells;
mod sources;
mod stopping;
mod trackers;
mod transfers;
mod usage;
mod web;

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take. A loaded machine is slow; a program that hangs must still end the test.
const LIMIT: Duration = Duration::from_secs(60);

/// A folder of its own for a test, with the program in it.
struct Here {
    dir: TempDir,
}

impl Here {
    fn new() -> Here {
        Here { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file of `length` bytes of which no two places look alike.
    fn file(&self, path: &str, length: usize) -> Vec<u8> {
        let bytes: Vec<u8> = (0..length).map(|i| ((i + path.len()).wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        self.write(path, &bytes);
        bytes
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn read(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.path().join(path)).unwrap()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parcacik"));
        command.args(args);
        self.prepare(&mut command);
        command
    }

    /// Has a program run here, with its streams for us.
    fn prepare(&self, command: &mut Command) {
        command.current_dir(self.path());
        // Nothing of the machine that the test runs on may be seen or left there.
        command.env("PARCACIK_STATE_DIR", self.path().join("state")).env("HOME", self.path());
        // Nor may anybody on the internet hear of it: tests of the DHT have nodes of their own, and take this away.
        command.env("PARCACIK_NO_DHT", "true");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    }

    /// Runs the program to its end.
    fn run(&self, args: &[&str]) -> Ended {
        Running::start(self.command(args)).end()
    }

    /// Runs the program, which must do its job.
    fn done(&self, args: &[&str]) -> Ended {
        let ended = self.run(args);
        assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
        ended
    }
}

/// The names of all commands, as `--help` lists them.
fn commands(here: &Here) -> Vec<String> {
    let help = here.done(&["--help"]).out;
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // Two spaces, the name, and what it does; what goes on in a further line is indented further.
    let names = list.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).filter(|name| !name.is_empty());
    let names: Vec<String> = names.filter(|name| *name != "help").map(Into::into).collect();
    assert!(names.len() > 5, "{help}");
    names
}

#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    /// The last line of stdout as JSON.
    fn json(&self) -> Value {
        serde_json::from_str(self.out.lines().last().unwrap_or_default())
            .unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Ended {
        Ended {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A program that runs; killed when the test ends without it, or is killed itself.
struct Running {
    child: Child,
    out: mpsc::Receiver<String>,
    err: mpsc::Receiver<String>,
}

impl Running {
    fn start(mut command: Command) -> Running {
        common::ends_with_us(&mut command);
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Running { out: lines(stdout), err: lines(stderr), child }
    }

    /// The next line of stdout.
    fn line(&self) -> String {
        self.out.recv_timeout(LIMIT).expect("the program says nothing").trim_end().to_owned()
    }

    /// The next line of stderr.
    fn error_line(&self) -> String {
        self.err.recv_timeout(LIMIT).expect("the program says nothing").trim_end().to_owned()
    }

    fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end: both streams are closed by it.
    fn end(mut self) -> Ended {
        let until = Instant::now() + LIMIT;
        let rest = |lines: &mpsc::Receiver<String>| {
            let mut text = String::new();
            loop {
                match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                    Ok(line) => text.push_str(&line),
                    Err(RecvTimeoutError::Disconnected) => return text,
                    Err(RecvTimeoutError::Timeout) => panic!("the program does not end; so far: {text}"),
                }
            }
        };
        let (err, out) = (rest(&self.err), rest(&self.out));
        Ended { code: self.child.wait().unwrap().code(), out, err }
    }
}

/// The lines of a stream, which is read to its end, so that the program never waits for us.
fn lines(mut stream: impl BufRead + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let text = String::from_utf8(std::mem::take(&mut line)).expect("what is printed is UTF-8");
            let _ = sender.send(text);
        }
    });
    lines
}

/// What `wait` gives, which must come in time.
fn within<T: Send + 'static>(wait: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, done) = mpsc::channel();
    std::thread::spawn(move || sender.send(wait()));
    done.recv_timeout(LIMIT).expect("it takes too long")
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has mostly ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
