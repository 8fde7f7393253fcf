//! The committed inputs of the fuzz targets, run as ordinary tests, and a few hundred changed ones of each target besides.

use parcacik_core::rng::{Rng, Seeds, Stream};
use parcacik_testkit::fuzzing::TARGETS;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// The inputs of a target by name, in order.
fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = fuzz().join("corpus").join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut inputs: Vec<(String, Vec<u8>)> = files
        .map(|file| {
            let file = file.expect("a file");
            (file.file_name().to_string_lossy().into_owned(), fs::read(file.path()).expect("it can be read"))
        })
        .collect();
    inputs.sort();
    inputs
}

#[test]
fn every_target_has_a_program_inputs_and_a_line_in_the_manual() {
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).expect("a manifest");
    let manual = fs::read_to_string(fuzz().join("README.md")).expect("a manual");
    let names: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    for name in &names {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} has no program");
        assert!(manual.contains(&format!("`{name}`")), "{name} is not in the manual");
        assert!(inputs(name).len() >= 3, "{name} has too few inputs");
    }
    let list = |folder: &str| -> BTreeSet<String> {
        let files = fs::read_dir(fuzz().join(folder)).expect("a folder");
        files.map(|file| file.unwrap().file_name().to_string_lossy().trim_end_matches(".rs").to_owned()).collect()
    };
    assert_eq!(list("fuzz_targets"), names, "programs of no target");
    assert_eq!(list("corpus"), names, "inputs of no target");
}

/// Each input as it is: what once broke something stays mended.
#[test]
fn committed_inputs_break_nothing() {
    let mut count = 0;
    for target in TARGETS {
        for (name, input) in inputs(target.name) {
            count += 1;
            // A panic in it does not say which input it was.
            let run = std::panic::catch_unwind(|| (target.run)(&input));
            assert!(run.is_ok(), "{}/{name}", target.name);
        }
    }
    println!("{count} inputs of {} targets", TARGETS.len());
    assert!(count >= 200, "{count} inputs");
}

/// Inputs that nobody has chosen: cut, joined, with bytes changed. The same ones each time.
#[test]
fn changed_inputs_break_nothing() {
    let mut rng = Seeds::for_tests(9).decisions(Stream::Session, 0);
    for target in TARGETS {
        let inputs = inputs(target.name);
        for round in 0..150 {
            let input = changed(&mut rng, &inputs);
            let run = std::panic::catch_unwind(|| (target.run)(&input));
            assert!(run.is_ok(), "{} in round {round}: {input:02x?}", target.name);
        }
    }
}

fn changed(rng: &mut Rng, inputs: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut input = inputs[rng.index(inputs.len())].1.clone();
    input.truncate(4_096);
    if rng.index(3) == 0 {
        let other = &inputs[rng.index(inputs.len())].1;
        let at = rng.index(input.len() + 1);
        input.splice(at.., other[rng.index(other.len() + 1)..].iter().copied().take(4_096));
    }
    for _ in 0..1 + rng.index(6) {
        let at = rng.index(input.len() + 1);
        match rng.index(4) {
            0 => input.insert(at, rng.next_u32() as u8),
            1 => input.truncate(at.max(input.len() / 2)),
            _ if at < input.len() => input[at] = rng.next_u32() as u8,
            _ => input.push(rng.next_u32() as u8),
        }
    }
    input
}
