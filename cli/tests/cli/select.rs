//! `download --select` and `--sequential`.

use crate::transfers::{download, start_seed};
use crate::{Here, Running};

/// A torrent of three files, and a seed of it.
fn seed(here: &Here) -> (Running, String) {
    here.file("there/thing/a.txt", 50_000);
    here.file("there/thing/film/b.mkv", 300_003);
    here.file("there/thing/c.txt", 70_000);
    here.done(&["create", "there/thing", "-o", "t.torrent"]);
    start_seed(here, &[])
}

fn number_of(here: &Here, path: &str) -> String {
    let text = here.done(&["inspect", "t.torrent"]).out;
    let line = text.lines().find(|line| line.ends_with(path)).unwrap_or_else(|| panic!("no {path} in {text}"));
    line.split_whitespace().next().unwrap().to_owned()
}

fn names(here: &Here) -> Vec<String> {
    let entries = std::fs::read_dir(here.path().join("here/thing")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|n| !n.ends_with(".parts"))
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_selected_is_downloaded_and_nothing_else_is_created() {
    let here = Here::new();
    let (_seed, addr) = seed(&here);
    let ended = here.done(&download(&addr, &["--json", "--no-tracker", "--select", "*.mkv", "--sequential"]));
    let last = ended.json();
    assert_eq!((last["event"].as_str(), last["bytes"].as_u64()), (Some("finished"), Some(300_003)), "{ended:?}");
    assert!(here.read("here/thing/film/b.mkv") == here.read("there/thing/film/b.mkv"));
    assert_eq!(names(&here), ["film"]);
    // By number as well; what was selected before is there already.
    let number = number_of(&here, "a.txt");
    here.done(&download(&addr, &["--no-tracker", "--select", "film/b.mkv", "--select", &number]));
    assert!(here.read("here/thing/a.txt") == here.read("there/thing/a.txt"));
    assert_eq!(names(&here), ["a.txt", "film"]);
    // Without a choice it is everything, whatever was chosen before, and what lay in the part file is of no use any more.
    here.done(&download(&addr, &["--no-tracker"]));
    here.done(&["verify", "t.torrent", "--data", "here"]);
    let left = std::fs::read_dir(here.path().join("here/thing")).unwrap();
    assert!(!left.flatten().any(|entry| entry.file_name().to_string_lossy().ends_with(".parts")));
}

#[test]
fn a_choice_that_means_no_file_is_an_error_that_names_it() {
    let here = Here::new();
    let (_seed, addr) = seed(&here);
    let ended = here.run(&download(&addr, &["--no-tracker", "--select", "*.txt", "--select", "*.avi"]));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("--select *.avi"), "{ended:?}");
    assert!(!here.path().join("here/thing").exists(), "nothing was begun");
    let ended = here.run(&download(&addr, &["--select", "7-3"]));
    assert_eq!(ended.code, Some(2), "{ended:?}");
}
