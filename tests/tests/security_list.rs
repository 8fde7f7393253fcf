//! SECURITY.md says the truth: every item has a test that exists, or a waiver; and what can be seen in the sources is so.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Files that may hold unsafe code, each with the reason in it.
const UNSAFE: &[&str] =
    &["driver-smol/src/sha1_lanes/", "driver-smol/src/storage/pool.rs", "tests/tests/declared_lengths.rs"];

/// Where the core has a `debug_assert!`, and how many.
const OWN_BOOKS: &[(&str, usize)] = &[
    ("core/src/journal/digest.rs", 1),
    ("core/src/rate/fair.rs", 1),
    ("core/src/torrent/choker/mod.rs", 1),
    ("core/src/torrent/picker/table.rs", 1),
    ("core/src/torrent/selection.rs", 1),
];

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(top().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All Rust files under a folder, by their path from the top.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut todo = vec![top().join(folder)];
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(&at).unwrap_or_else(|error| panic!("{}: {error}", at.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(top()).unwrap().to_str().unwrap().to_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has sources");
    found
}

/// The lines of code of a text, comments left out.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(|line| line.split("//").next().unwrap_or_default())
}

/// What is wrong with a page. `exists` says whether a file has a test of a name.
fn faults(page: &str, exists: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let numbers = (1..=68).map(|number| number.to_string());
    let findings = ["F1", "F2", "F3", "F4", "F5", "F6", "F7", "I1", "I2", "I3"].map(str::to_owned);
    let mut faults = Vec::new();
    for item in numbers.chain(findings) {
        let start = format!("| {item} |");
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with(&start)).collect();
        let [row] = rows[..] else {
            faults.push(format!("{item}: {} rows", rows.len()));
            continue;
        };
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let [_, rule, proof] = cells[..] else {
            faults.push(format!("{item}: not three cells"));
            continue;
        };
        let tests: Vec<(&str, &str)> = proof.split('`').filter_map(|part| part.split_once("::")).collect();
        let waiver = proof.split_once("**Waived:**").map(|(_, reason)| reason.trim());
        if rule.trim().is_empty() || (tests.is_empty() && waiver.is_none_or(|reason| reason.len() < 15)) {
            faults.push(format!("{item}: neither test nor waiver"));
        }
        for (file, name) in tests {
            if !exists(file, name) {
                faults.push(format!("{item}: no test {name} in {file}"));
            }
        }
    }
    faults
}

#[test]
fn every_item_has_a_test_or_a_waiver() {
    let exists = |file: &str, name: &str| {
        let text = fs::read_to_string(top().join(file)).unwrap_or_default();
        // A test, not a helper: the attribute stands in the lines before, also in a `proptest!` block.
        let lines: Vec<&str> = text.lines().collect();
        let at = lines.iter().position(|line| line.trim_start().starts_with(&format!("fn {name}(")));
        at.is_some_and(|at| lines[at.saturating_sub(6)..at].iter().any(|line| line.trim() == "#[test]"))
    };
    let faults = faults(&read("SECURITY.md"), exists);
    assert!(faults.is_empty(), "{faults:#?}");
}

/// The check itself finds what is wrong.
#[test]
fn a_page_with_faults_is_found_out() {
    let mut page = String::new();
    for number in (1..=68).filter(|number| *number != 7) {
        page.push_str(&format!("| {number} | a rule | `a/file.rs::good` |\n"));
    }
    page.push_str("| 8 | twice | `a/file.rs::good` |\n");
    for finding in ["F1", "F2", "F3", "F4", "F5", "F6", "I1", "I2"] {
        page.push_str(&format!("| {finding} | x | **Waived:** there is nothing of the kind. |\n"));
    }
    page.push_str("| F7 | x | **Waived:** |\n| I3 | x | `a/file.rs::bad` |\n");
    let faults = faults(&page, |file, name| (file, name) == ("a/file.rs", "good"));
    assert_eq!(
        faults,
        ["7: 0 rows", "8: 2 rows", "F7: neither test nor waiver", "I3: no test bad in a/file.rs"].map(str::to_owned)
    );
}

/// `debug_assert!` is gone in a release build: no rule may hang on it. Those that there are speak of our own books, which no input
/// decides.
#[test]
fn no_check_is_for_debug_builds_only() {
    for (file, text) in sources("core/src") {
        let asserts = code(&text).filter(|line| line.contains("debug_assert")).count();
        let known = OWN_BOOKS.iter().find(|(known, _)| *known == file).map_or(0, |(_, count)| *count);
        assert!(asserts <= known, "{file} has {asserts} debug_assert");
        assert!(!code(&text).any(|line| line.contains("cfg(debug_assertions)")), "{file} differs in debug builds");
    }
}

#[test]
fn unsafe_code_is_where_it_is_known_to_be() {
    assert!(read("core/src/lib.rs").contains("#![forbid(unsafe_code)]"));
    for folder in ["core/src", "driver-smol/src", "cli/src", "tests/src", "tests/tests"] {
        for (file, text) in sources(folder) {
            let holds =
                code(&text).any(|line| ["unsafe {", "unsafe fn", "unsafe impl"].iter().any(|word| line.contains(word)));
            let known = UNSAFE.iter().any(|known| file.starts_with(known)) || file.ends_with("security_list.rs");
            assert!(!holds || known, "{file} holds unsafe code");
        }
    }
}

/// Everything that reads what strangers wrote.
#[test]
fn every_parser_has_a_fuzz_target() {
    let manifest = read("fuzz/Cargo.toml");
    for target in [
        "bencode",
        "metainfo",
        "path",
        "handshake",
        "framer",
        "extended",
        "ut_pex",
        "lsd",
        "peer",
        "session",
        "tracker_http",
        "tracker_udp",
        "tracker_url",
        "tracker_server",
        "resume",
        "journal",
        "krpc",
    ] {
        assert!(manifest.contains(&format!("name = \"{target}\"")), "{target} is not fuzzed");
        assert!(read(&format!("fuzz/fuzz_targets/{target}.rs")).contains("fuzz_target!"), "{target} is empty");
    }
}

/// `SafePath` can be made in one file only: its field is private there, and nothing turns other things into one.
#[test]
fn only_the_sanitiser_makes_paths() {
    let text = read("core/src/path.rs");
    let place = text.find("pub struct SafePath").expect("there is one");
    let declared = &text[place..place + text[place..].find(['}', ';']).expect("it ends")];
    assert_eq!(declared.matches("pub ").count(), 1, "no field is public: {declared}");
    for (file, text) in sources("core/src") {
        let makes = code(&text).any(|line| line.contains("for SafePath") && line.contains("From<"));
        assert!(!makes || file == "core/src/path.rs", "{file} makes paths");
    }
}

#[test]
fn nothing_switches_verification_off() {
    for folder in ["driver-smol/src", "cli/src"] {
        for (file, text) in sources(folder) {
            for word in ["dangerous()", "ServerCertVerifier", "danger_accept", "accept_invalid"] {
                assert!(!code(&text).any(|line| line.contains(word)), "{file}: {word}");
            }
        }
    }
}

#[test]
fn no_shell_is_started() {
    for folder in ["core/src", "driver-smol/src", "cli/src"] {
        for (file, text) in sources(folder) {
            let shells = ["\"sh\"", "\"/bin/sh\"", "\"bash\"", "\"cmd\"", "\"-c\"", "\"powershell\""];
            // Up to its unit tests, which may run what they like.
            let program = text.split("#[cfg(test)]").next().unwrap_or_default();
            if file.ends_with("tests.rs") {
                continue;
            }
            let starts =
                code(program).any(|line| shells.iter().any(|shell| line.contains(&format!("Command::new({shell}"))));
            let argument = code(program).any(|line| line.contains("arg(\"-c\")"));
            assert!(!starts && !argument, "{file} starts a shell");
        }
    }
}

#[test]
fn the_core_has_no_build_script_and_versions_are_pinned() {
    assert!(!top().join("core/build.rs").exists());
    assert!(!read("core/Cargo.toml").contains("build ="));
    assert!(read("Cargo.lock").contains("checksum = "), "versions are locked");
    let deny = read("deny.toml");
    for section in ["[bans]", "[licenses]", "[sources]", "[advisories]"] {
        assert!(deny.contains(section), "{section}");
    }
    let parts: BTreeSet<&str> = deny.lines().filter(|line| line.starts_with("unknown-")).collect();
    assert_eq!(parts, BTreeSet::from(["unknown-git = \"deny\"", "unknown-registry = \"deny\""]));
}
