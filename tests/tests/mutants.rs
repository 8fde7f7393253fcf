//! Every mutant still applies, and names an oracle that drills judge. That they are found is shown by `tests/mutants/run`.

use parcacik_testkit::oracles::{Judged, Oracle};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn patches() -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = fs::read_dir(root().join("tests/mutants"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "patch"))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap()))
        .collect();
    all.sort();
    all
}

/// What a hunk finds, and what it makes of it.
struct Hunk {
    file: String,
    before: String,
    after: String,
}

fn hunks(patch: &str) -> Vec<Hunk> {
    let mut hunks: Vec<Hunk> = Vec::new();
    let mut file = String::new();
    for line in patch.lines() {
        if let Some(path) = line.strip_prefix("+++ b/") {
            file = path.to_owned();
        } else if line.starts_with("@@") {
            hunks.push(Hunk { file: file.clone(), before: String::new(), after: String::new() });
        } else if let Some(hunk) = hunks.last_mut().filter(|_| !line.starts_with("---")) {
            let (mark, text) = line.split_at_checked(1).unwrap_or((" ", ""));
            if mark != "+" {
                hunk.before += &format!("{text}\n");
            }
            if mark != "-" {
                hunk.after += &format!("{text}\n");
            }
        }
    }
    hunks
}

#[test]
fn every_mutant_applies_and_names_an_oracle() {
    let patches = patches();
    assert!(patches.len() >= 30, "{} mutants", patches.len());
    let mut numbers = BTreeSet::new();
    for (name, patch) in &patches {
        let (number, _) = name.split_once('-').expect("NN-name.patch");
        assert!(numbers.insert(number.to_owned()), "{name}: its number is taken");
        let header = patch.split("\n--- ").next().unwrap_or_default();
        let named = header
            .lines()
            .find_map(|line| line.strip_prefix("Oracle: "))
            .unwrap_or_else(|| panic!("{name}: no oracle"));
        let oracle = named.split(' ').next().and_then(|number| number.parse().ok()).and_then(Oracle::of);
        let oracle = oracle.unwrap_or_else(|| panic!("{name}: there is no oracle {named}"));
        assert_eq!(oracle.to_string(), named, "{name}");
        assert!(matches!(oracle.judged(), Judged::EveryCall | Judged::Healed), "{name}: drills do not judge {oracle}");
        if let Some(seed) = header.lines().find_map(|line| line.strip_prefix("Seed: ")) {
            assert!(seed.parse::<u64>().is_ok(), "{name}: the seed {seed}");
        }
        let hunks = hunks(patch);
        assert!(!hunks.is_empty(), "{name}: nothing is changed");
        for hunk in hunks {
            let text = fs::read_to_string(root().join(&hunk.file)).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_ne!(hunk.before, hunk.after, "{name}");
            assert!(hunk.file.starts_with("core/src/"), "{name}: {} is not the core's", hunk.file);
            assert!(text.contains(&hunk.before), "{name}: {} has changed:\n{}", hunk.file, hunk.before);
        }
    }
}
