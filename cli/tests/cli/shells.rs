//! `completions` and `man`.

use crate::{Here, commands};
use std::process::{Command, Stdio};

/// Whether a program is installed; says so when not.
fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
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
            let checked = Command::new(shell).args([check, "completions"]).current_dir(here.path()).output().unwrap();
            assert!(checked.status.success(), "{shell}: {}", String::from_utf8_lossy(&checked.stderr));
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
        let ended = Command::new("bash").args(["-c", &script]).current_dir(here.path()).output().unwrap();
        String::from_utf8(ended.stdout).unwrap()
    };
    assert_eq!(complete("parcacik down"), "download\n");
    assert_eq!(complete("parcacik create --web"), "--web-seed\n");
}

#[test]
fn there_is_a_page_for_each_command() {
    let here = Here::new();
    here.done(&["man", "--dir", "pages/man1"]);
    let main = String::from_utf8(here.read("pages/man1/parcacik.1")).unwrap();
    assert_eq!(here.done(&["man"]).out.trim_end(), main.trim_end());
    let commands = commands(&here);
    assert_eq!(std::fs::read_dir(here.path().join("pages/man1")).unwrap().count(), commands.len() + 1);
    for command in commands {
        let page = String::from_utf8(here.read(&format!("pages/man1/parcacik-{command}.1"))).unwrap();
        assert!(page.contains(".SH NAME") && page.contains(&format!("parcacik {command}")), "{command}: {page}");
        assert!(main.contains(&format!("parcacik\\-{command}(1)")), "{command}");
    }
    // What does not look like roff is told by `man` itself.
    if has("mandoc") {
        let checked = Command::new("mandoc")
            .args(["-Tlint", "-Werror", "pages/man1/parcacik-download.1"])
            .current_dir(here.path())
            .output()
            .unwrap();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    }
}
