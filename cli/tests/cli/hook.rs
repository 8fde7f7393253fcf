//! `--on-complete`.

use crate::transfers::{start_seed, start_seed_of};
use crate::{Here, Running, within};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// A program that writes down each of its arguments between brackets, then what it finds in its environment and which files are open in it.
const SCRIPT: &str = r#"#!/bin/sh
{
    for arg in "$@"; do printf '[%s]' "$arg"; done
    printf '\n%s\n%s\n%s\n' "$PARCACIK_PATH" "$PARCACIK_NAME" "$PARCACIK_INFO_HASH"
    if read -r line; then echo "stdin gives $line"; fi
} > "$SEEN.part"
echo printed
mv "$SEEN.part" "$SEEN"
"#;

fn script(here: &Here, path: &str, text: &str) -> String {
    here.write(path, text.as_bytes());
    let path = here.path().join(path);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A named pipe between a test and a program of its own. Nobody waits to open it, because its test holds both ends.
struct Pipe {
    path: PathBuf,
    file: File,
}

impl Pipe {
    fn new(here: &Here, name: &str) -> Pipe {
        let path = here.path().join(name);
        mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        Pipe { path, file }
    }

    /// What somebody writes, which is a line.
    fn line(&self) -> String {
        let file = self.file.try_clone().unwrap();
        within(move || {
            let mut line = String::new();
            BufReader::new(file).read_line(&mut line).unwrap();
            line
        })
    }

    fn write(&mut self) {
        self.file.write_all(b"go\n").unwrap();
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // Before the ends are closed: who comes later finds nothing, and does not wait for somebody at the other end.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A torrent called `name`, and a seed of it.
fn torrent(here: &Here, name: &str) -> (Running, String) {
    here.file(&format!("there/{name}"), 50_000);
    here.done(&["create", &format!("./there/{name}"), "-o", "t.torrent"]);
    start_seed(here, &[])
}

fn download<'a>(peer: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let start = ["download", "t.torrent", "-o", "here", "--listen", "127.0.0.1:0", "--no-tracker", "--peer", peer];
    [&start[..], &["--stop-after", "50s"], more].concat()
}

#[test]
fn a_program_is_run_once_with_its_arguments_as_they_are() {
    let here = Here::new();
    let (_seed, peer) = torrent(&here, "film");
    let program = script(&here, "program", SCRIPT);
    let args = [
        "--json",
        "--on-complete",
        &program,
        "-u",
        "{path}",
        "--title={name}",
        "a b",
        "$HOME",
        "{info_hash}",
        ";",
        "-v",
    ];
    let mut command = here.command(&download(&peer, &args));
    command.env("SEEN", here.path().join("seen"));
    let ended = Running::start(command).end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let hash = ended.json()["info_hash"].as_str().unwrap().to_owned();
    let path = here.path().join("here/film").to_str().unwrap().to_owned();
    let seen = String::from_utf8(here.read("seen")).unwrap();
    assert_eq!(seen, format!("[-u][{path}][--title=film][a b][$HOME][{hash}]\n{path}\nfilm\n{hash}\n"));
    // What it prints does not get among the results.
    assert!(ended.err.contains("printed") && !ended.out.contains("printed"), "{ended:?}");

    // What was there before is not finished again.
    std::fs::remove_file(here.path().join("seen")).unwrap();
    let again = here.done(&download(&peer, &["--on-complete", &program]));
    assert!(again.out.contains("already complete") && !here.path().join("seen").exists(), "{again:?}");
}

#[test]
fn the_name_of_a_torrent_gives_no_orders() {
    // A torrent's name must not reach a shell, and must not become an option.
    // (What file systems elsewhere do not take, such as | and ", is replaced when the torrent is read.)
    for name in ["$(touch x); touch x; `touch x` & touch x 'q' #", "-rf", "--exec=touch x", "{info_hash} ~ %s"] {
        let here = Here::new();
        let (_seed, peer) = torrent(&here, name);
        let program = script(&here, "program", SCRIPT);
        let args = ["--on-complete", &program, "{path}", "x={name}"];
        let mut command = here.command(&download(&peer, &args));
        command.env("SEEN", here.path().join("seen"));
        let ended = Running::start(command).end();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let seen = String::from_utf8(here.read("seen")).unwrap();
        let path = here.path().join("here").join(name).to_str().unwrap().to_owned();
        assert_eq!(seen.lines().next(), Some(format!("[{path}][x={name}]").as_str()), "{name}");
        assert!(path.starts_with('/') && !here.path().join("x").exists(), "{name}");
    }
}

#[test]
fn a_name_that_would_be_an_option_is_refused_with_a_warning() {
    let here = Here::new();
    let (_seed, peer) = torrent(&here, "-rf");
    let program = script(&here, "program", SCRIPT);
    let mut command = here.command(&download(&peer, &["--on-complete", &program, "{name}"]));
    command.env("SEEN", here.path().join("seen"));
    let ended = Running::start(command).end();
    // The download itself is as it should be.
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("warning: --on-complete: -rf: the program is not run"), "{ended:?}");
    assert!(!here.path().join("seen").exists());
}

#[test]
fn a_program_that_fails_is_a_warning() {
    let here = Here::new();
    here.file("there/a", 1000);
    here.done(&["create", "there/a", "-o", "t.torrent"]);
    let (_seed, peer) = start_seed_of(&here, &["t.torrent"], &[]);
    let program = script(&here, "program", "#!/bin/sh\nexit 7\n");
    let ended = here.done(&download(&peer, &["--on-complete", &program]));
    assert!(ended.err.contains("failed (exit status: 7)"), "{ended:?}");
    std::fs::remove_file(here.path().join("here/a")).unwrap();
    let ended = here.done(&download(&peer, &["--recheck", "--on-complete", "/no/such/program", "{path}"]));
    assert!(ended.err.contains("/no/such/program cannot be started"), "{ended:?}");
}

#[test]
fn an_option_of_ours_behind_the_program_is_pointed_out() {
    let here = Here::new();
    let (_seed, peer) = torrent(&here, "film");
    let ended = here.done(&download(&peer, &["--on-complete", "true", "{path}", "--seed", "--other"]));
    assert!(ended.err.contains("warning: --seed is passed to the program"), "{ended:?}");
    assert!(!ended.err.contains("--other is passed"), "{ended:?}");
}

#[test]
fn a_program_is_waited_for_and_a_signal_ends_the_waiting() {
    let here = Here::new();
    let (_seed, peer) = torrent(&here, "film");
    // It says that it runs, and goes on until the pipe is written to, or has no writer any more: it ends with the test, whatever becomes of that.
    let program = script(
        &here,
        "program",
        "#!/bin/sh\nexec < \"$GO\" > \"$SEEN\" 2> /dev/null\necho runs $$\nread line\necho ends\n",
    );
    let (seen, mut go) = (Pipe::new(&here, "seen"), Pipe::new(&here, "go"));
    for interrupted in [false, true] {
        let mut command = here.command(&download(&peer, &["--recheck", "--on-complete", &program]));
        command.env("SEEN", &seen.path).env("GO", &go.path);
        let running = Running::start(command);
        assert!(running.line().contains("finished"));
        let said = seen.line();
        let id = said.strip_prefix("runs ").and_then(|id| id.trim_end().parse().ok()).expect(&said);
        let id = rustix::process::Pid::from_raw(id).unwrap();
        if interrupted {
            running.signal(Signal::TERM);
        } else {
            go.write();
            assert_eq!(seen.line(), "ends\n");
        }
        let ended = running.end();
        assert_eq!(ended.code, Some(if interrupted { 130 } else { 0 }), "{ended:?}");
        assert_eq!(ended.err.contains("is left alone"), interrupted, "{ended:?}");
        if interrupted {
            // It is still there, and does as it would have done.
            rustix::process::test_kill_process(id).unwrap();
            go.write();
            assert_eq!(seen.line(), "ends\n");
        }
        std::fs::remove_file(here.path().join("here/film")).unwrap();
    }
}
