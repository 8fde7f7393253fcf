//! The built program, driven as a user or a script drives it. All traffic stays on loopback.

mod files;
mod rates;
mod transfers;
mod usage;

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
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
        command.args(args).current_dir(self.path());
        // Nothing of the machine that the test runs on may be seen or left there.
        command.env("PARCACIK_STATE_DIR", self.path().join("state")).env("HOME", self.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
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

/// A program that runs; killed when the test ends without it.
struct Running {
    child: Child,
    out: mpsc::Receiver<String>,
    err: mpsc::Receiver<String>,
}

impl Running {
    fn start(mut command: Command) -> Running {
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = child.stderr.take().unwrap();
        let (out_lines, out) = mpsc::channel();
        let (err_text, err) = mpsc::channel();
        // Both are read to the end, so that the program never waits for us.
        std::thread::spawn(move || {
            let mut line = String::new();
            while stdout.read_line(&mut line).is_ok_and(|length| length > 0) {
                let _ = out_lines.send(std::mem::take(&mut line));
            }
        });
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            let _ = err_text.send(text);
        });
        Running { child, out, err }
    }

    /// The next line of stdout.
    fn line(&self) -> String {
        self.out.recv_timeout(LIMIT).expect("the program says nothing").trim_end().to_owned()
    }

    fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end: both streams are closed by it.
    fn end(mut self) -> Ended {
        let until = Instant::now() + LIMIT;
        let err = self.err.recv_timeout(LIMIT).expect("the program does not end");
        let mut out = String::new();
        while let Ok(line) = self.out.recv_timeout(until.saturating_duration_since(Instant::now())) {
            out.push_str(&line);
        }
        Ended { code: self.child.wait().unwrap().code(), out, err }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has mostly ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
