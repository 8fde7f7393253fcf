//! `completions` and `man`.

use crate::{Ended, Here, Running, commands};
use std::process::Command;

/// Whether a program is installed; says so when not.
fn has(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).any(|folder| folder.join(program).is_file());
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

/// Runs another program in the folder, to its end.
fn run(here: &Here, program: &str, args: &[&str]) -> Ended {
    let mut command = Command::new(program);
    command.args(args);
    here.prepare(&mut command);
    Running::start(command).end()
}

#[test]
fn shells_take_their_completions() {
    let here = Here::new();
    for (shell, check) in
        [("bash", "-n"), ("zsh", "-n"), ("fish", "-n"), ("elvish", "-compileonly"), ("powershell", "")]
    {
        let text = here.done(&["completions", shell]).out;
        for command in commands(&here) {
            assert!(text.contains(&command), "{shell}: {command}");
        }
        assert!(text.contains("on-complete"), "{shell}");
        if !check.is_empty() && has(shell) {
            here.write("completions", text.as_bytes());
            let checked = run(&here, shell, &[check, "completions"]);
            assert_eq!(checked.code, Some(0), "{shell}: {checked:?}");
        }
    }
    assert_eq!(here.run(&["completions", "dos"]).code, Some(2));
}

#[test]
fn bash_completes_commands_and_options() {
    let here = Here::new();
    if !has("bash") {
        return;
    }
    here.write("completions", here.done(&["completions", "bash"]).out.as_bytes());
    let complete = |words: &str| {
        // As bash does it: the words, which of them the cursor is in, and then what the function has found.
        let script = format!(
            "source ./completions; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _parcacik parcacik \"${{COMP_WORDS[COMP_CWORD]}}\" x; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        run(&here, "bash", &["-c", &script]).out
    };
    assert_eq!(complete("parcacik down"), "download\n");
    assert_eq!(complete("parcacik create --web"), "--web-seed\n");
    assert_eq!(complete("parcacik dht get-p"), "get-peers\n");
}

#[test]
fn there_is_a_page_for_each_command() {
    let here = Here::new();
    here.done(&["man", "--dir", "pages/man1"]);
    let main = String::from_utf8(here.read("pages/man1/parcacik.1")).unwrap();
    assert_eq!(here.done(&["man"]).out.trim_end(), main.trim_end());
    let commands = commands(&here);
    // Those of a command that has commands of its own have pages as well.
    let below = here.done(&["dht", "--help"]).out;
    let below = below.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let below: Vec<&str> = below.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    let below: Vec<&str> = below.into_iter().filter(|name| !name.is_empty() && *name != "help").collect();
    assert!(below.len() >= 7, "{below:?}");
    assert_eq!(std::fs::read_dir(here.path().join("pages/man1")).unwrap().count(), commands.len() + below.len() + 1);
    for name in below {
        let page = String::from_utf8(here.read(&format!("pages/man1/parcacik-dht-{name}.1"))).unwrap();
        // A hyphen is written so in roff.
        assert!(page.contains(&format!("parcacik dht {}", name.replace('-', "\\-"))), "{name}: {page}");
    }
    for command in commands {
        let page = String::from_utf8(here.read(&format!("pages/man1/parcacik-{command}.1"))).unwrap();
        assert!(page.contains(".SH NAME") && page.contains(&format!("parcacik {command}")), "{command}: {page}");
        assert!(main.contains(&format!("parcacik\\-{command}(1)")), "{command}");
    }
    // What does not look like roff is told by `man` itself.
    if has("mandoc") {
        let checked = run(&here, "mandoc", &["-Tlint", "-Werror", "pages/man1/parcacik-download.1"]);
        assert_eq!(checked.code, Some(0), "{checked:?}");
    }
}
