//! The dialogues of `dialogues/`: conversations of one of ours with scripted peers, each for a rule, as text.
//!
//! `PARCACIK_REWRITE=1 cargo test -p parcacik-testkit --test dialogues` writes what we do now into the files; the difference is what
//! there is to review. The language of the files is described at [`parcacik_testkit::dialogue`].

use parcacik_testkit::dialogue::{Delivery, run};
use std::fs;
use std::path::{Path, PathBuf};

fn files() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dialogues");
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "txt"));
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(&path).expect("it is text"))).collect()
}

/// The first lines where two texts differ.
fn difference(file: &str, played: &str) -> String {
    let (mut one, mut other) = (file.lines(), played.lines());
    for number in 1.. {
        match (one.next(), other.next()) {
            (None, None) => break,
            (a, b) if a == b => {}
            (a, b) => {
                let line = |line: Option<&str>| line.unwrap_or("(nothing)").to_owned();
                return format!("line {number}:\n  in the file: {}\n  as it is:    {}", line(a), line(b));
            }
        }
    }
    "only in line ends".to_owned()
}

#[test]
fn every_dialogue_goes_as_it_is_written() {
    let rewrite = std::env::var_os("PARCACIK_REWRITE").is_some_and(|value| value == "1");
    let mut wrong = Vec::new();
    for (path, file) in files() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match run(&file, Delivery::Lines) {
            Err(error) => wrong.push(format!("{name}: {error}")),
            Ok(played) if played == file => {}
            Ok(played) if rewrite => fs::write(&path, played).expect("it can be written"),
            Ok(played) => wrong.push(format!("{name}, {}", difference(&file, &played))),
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn how_streams_are_cut_makes_no_difference_to_a_dialogue() {
    for (path, file) in files() {
        let whole = run(&file, Delivery::Messages);
        for most in [1, 13, 1000] {
            let cut = run(&file, Delivery::Parts(most));
            if cut != whole {
                let told = match (whole, cut) {
                    (Ok(whole), Ok(cut)) => difference(&whole, &cut),
                    (whole, cut) => format!("{:?} and {:?}", whole.err(), cut.err()),
                };
                panic!("{}, parts of {most} bytes, {told}", path.display());
            }
        }
    }
}

#[test]
fn every_dialogue_names_its_rule() {
    let files = files();
    assert!(files.len() >= 60, "there are {} dialogues", files.len());
    for (path, file) in files {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let number = name.strip_prefix("bep").and_then(|rest| rest.split_once('-')).map(|(number, _)| number);
        let number = number.unwrap_or_else(|| panic!("{name} is not called bepN-RULE"));
        let head: String = file.lines().take_while(|line| line.starts_with('#')).collect();
        assert!(head.contains(&format!("BEP {number}")), "{name} does not name BEP {number} at its top");
        assert!(head.contains('"'), "{name} quotes no clause at its top");
        assert!(file.lines().any(|line| line.starts_with("    ")), "in {name} we do nothing");
        assert!(file.ends_with('\n') && !file.ends_with("\n\n"), "the end of {name}");
    }
}

#[test]
fn a_script_that_says_nothing_is_refused_with_its_line() {
    for (script, line) in [
        ("A dances\n", 1),
        ("torrent 4 pieces of 32768\n\nA dials\nA: hello\n", 4),
        ("A: unchoke\n", 1),
        ("A dials\nA: answers\n", 2),
        ("we have 9\nA dials\n", 2),
        ("wait long\n", 1),
        ("the tracker answers interval 5\n", 1),
        ("the disk sings\n", 1),
        ("we dance\n", 1),
        ("config no.such 1\n", 1),
        ("a dials\n", 1),
    ] {
        let error = run(script, Delivery::Lines).expect_err(script);
        assert_eq!(error.line, line, "{script}: {error}");
    }
}
