//! What the tests stand on: a namespace, processes that end with their owner, contents, and the clients.
//!
//! [`run`] starts the test's own binary again, for this one test, under `unshare`: in new network, process and mount namespaces. There, ports are nobody
//! else's, no packet can leave the machine whatever a client tries, and when the first process ends the kernel ends all the others.
//! Everybody gets an address of his own in 127.0.0.0/8, since clients keep apart (and ban) peers by address.

mod clients;
mod content;
mod dht;
mod process;
mod relay;
mod resume;
mod transmission;

pub use clients::{Libtorrent, Ours, aria2, https_tracker, make_torrent, opentracker, ours, tracker, tracker_knows};
pub use content::Content;
pub use dht::LibtorrentDht;
pub use process::Process;
pub use relay::Relay;
pub use resume::{Claims, metainfo};
pub use transmission::Transmission;

use std::any::type_name_of_val;
use std::env;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Set in the namespace, to the test's name.
const MARK: &str = "PARCACIK_TEST_NAMESPACE";
/// How long one thing may take that a test waits for: a start, an announce, a small download. It takes a second or so; a busy machine gets a minute.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long a whole test may take.
const TEST_LIMIT: Duration = Duration::from_secs(240);
/// The pause between two looks at a condition that cannot wake anybody.
const LOOK: Duration = Duration::from_millis(10);

/// What a test needs besides the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A Python 3.
    Python,
    /// That Python has libtorrent.
    Libtorrent,
    /// `aria2c`.
    Aria2,
    /// `opentracker`.
    Opentracker,
    /// `strace`.
    Strace,
    /// `transmission-daemon`.
    Transmission,
    /// `tshark`.
    Tshark,
}

/// A test's own place.
#[derive(Debug)]
pub struct Lab {
    dir: tempfile::TempDir,
}

impl Lab {
    /// A path in the test's own folder, which is removed at the end.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A folder there, made if it is not there yet.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(&path).expect("a folder can be made");
        path
    }
}

/// Runs a test's body in namespaces of its own. It must be called with a closure by the test function itself: the closure's type tells the test's name.
pub fn run<F: FnOnce(&Lab)>(needs: &[Need], body: F) {
    // "interop::module::test::{{closure}}"
    let name = type_name_of_val(&body).trim_end_matches("::{{closure}}");
    let (_, name) = name.split_once("::").expect("a test is in a crate");
    if env::var_os(MARK).is_some_and(|mark| mark == name) {
        let status = Command::new("ip").args(["link", "set", "lo", "up"]).status().expect("ip can be run");
        assert!(status.success(), "the loopback device cannot be brought up");
        return body(&Lab { dir: tempfile::tempdir().expect("a folder can be made") });
    }
    if let Some(missing) = missing(needs) {
        assert!(env::var_os("PARCACIK_REQUIRE_INTEROP").is_none_or(|value| value != "1"), "{missing} is required here");
        // Not by a macro: those are captured, and nobody would see it.
        let _ = writeln!(io::stderr(), "skipped: {name}: {missing}");
        return;
    }
    let mut command = namespaces();
    command.arg(env::current_exe().expect("a process knows its binary")).args(["--exact", name, "--nocapture"]);
    command.env(MARK, name);
    let mut process = Process::start(name, &mut command);
    let status = process.wait_within(TEST_LIMIT);
    let output = process.output();
    // Set in, so that nobody who counts results takes the inner ones for others.
    let inset = format!("  {}", output.replace('\n', "\n  "));
    assert!(status.success() && output.contains("1 passed"), "{name} failed in its namespace ({status}):\n{inset}");
}

/// Waits until something is so.
pub fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited {limit:?} for {what}");
        thread::sleep(LOOK);
    }
}

/// The Python to use.
fn python() -> OsString {
    env::var_os("PARCACIK_PYTHON").unwrap_or_else(|| "python3".into())
}

/// A script that lies beside these tests.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/peers").join(name)
}

fn namespaces() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
    command
}

/// What of a test's needs is not there, in words.
fn missing(needs: &[Need]) -> Option<&'static str> {
    let works = |command: &mut Command| {
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    if !works(namespaces().args(["ip", "link", "set", "lo", "up"])) {
        return Some("a network namespace (root, util-linux and iproute2)");
    }
    needs.iter().find_map(|need| {
        let (there, words) = match need {
            Need::Python => (works(Command::new(python()).args(["-c", "import ssl"])), "python3 (PARCACIK_PYTHON)"),
            Need::Libtorrent => (
                works(Command::new(python()).args(["-c", "import libtorrent"])),
                "a Python with libtorrent (PARCACIK_PYTHON)",
            ),
            Need::Aria2 => (works(Command::new("aria2c").arg("--version")), "aria2c"),
            // It knows no option that only says that it is there; this one prints the others.
            Need::Opentracker => (works(Command::new("opentracker").arg("-h")), "opentracker"),
            Need::Strace => (works(Command::new("strace").arg("-V")), "strace"),
            Need::Transmission => (works(Command::new("transmission-daemon").arg("--version")), "transmission-daemon"),
            Need::Tshark => (works(Command::new("tshark").arg("--version")), "tshark"),
        };
        (!there).then_some(words)
    })
}
