//! A process that ends with its owner.

use super::{PATIENCE, until};
use crate::common::ends_with_us;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A running process. Its output, both streams, is kept line by line; it is killed and waited for when dropped, killed when the test is, and what it said is printed when the test has failed.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts it, with nothing on its standard input.
    pub fn start(name: &str, command: &mut Command) -> Process {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        ends_with_us(command);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        let lines = Arc::new(Mutex::new(Vec::new()));
        let mut readers = Vec::new();
        readers.extend(child.stdout.take().map(|stream| keep(stream, &lines)));
        readers.extend(child.stderr.take().map(|stream| keep(stream, &lines)));
        Process { name: name.to_owned(), child, lines, readers }
    }

    /// Everything it has said.
    pub fn output(&self) -> String {
        self.lines.lock().expect("no reader panics").join("\n")
    }

    /// Waits for a line that something can be made of. It must be there already or come before the process ends.
    pub fn line<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let what = format!("{} to say {what}", self.name);
        let mut ended = false;
        until(&what, PATIENCE, || {
            let found = self.lines.lock().expect("no reader panics").iter().find_map(|line| find(line));
            // What was said last is looked at once more after the end.
            assert!(found.is_some() || !ended, "waited for {what}, and it ended; output:\n{}", self.output());
            if found.is_none() && self.child.try_wait().expect("a child can be waited for").is_some() {
                self.join();
                ended = true;
            }
            found
        })
    }

    /// Waits for a line with these words in it.
    pub fn says(&mut self, words: &str) -> String {
        self.line(words, |line| line.contains(words).then(|| line.to_owned()))
    }

    /// The most memory that it has had so far (`VmHWM`), in bytes.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it has memory");
        let kibibytes = line.trim().trim_end_matches(" kB").parse::<u64>().expect("it is a number");
        kibibytes * 1024
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }

    /// Waits for its end.
    pub fn wait_within(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("{} to end", self.name);
        let status = until(&what, limit, || self.child.try_wait().expect("a child can be waited for"));
        self.join();
        status
    }

    /// Waits for its end with exit code 0.
    pub fn succeeds(&mut self) {
        let status = self.wait_within(PATIENCE);
        assert!(status.success(), "{} ended with {status}; output:\n{}", self.name, self.output());
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        // An error says that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, and waits for the end.
    pub fn terminate(&mut self) -> ExitStatus {
        // The child has not been waited for, so the id is still its own.
        if self.runs() {
            kill_process(Pid::from_child(&self.child), Signal::TERM).expect("a child can be signalled");
        }
        self.wait_within(PATIENCE)
    }

    /// Waits until the output is complete.
    fn join(&mut self) {
        for reader in self.readers.drain(..) {
            reader.join().expect("no reader panics");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("---- {} said:\n{}", self.name, self.output());
        }
    }
}

fn keep(stream: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    let lines = Arc::clone(lines);
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            lines.lock().expect("no other reader panics").push(String::from_utf8_lossy(&line).into_owned());
        }
    })
}
