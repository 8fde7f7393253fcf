//! The order of system calls: what resume data claim was synced before they got their name.
//!
//! `kill -9` cannot show this, since the system keeps what a process wrote; a power cut would. So a download runs under `strace`, and the trace is read:
//! for each rename to `NAME.resume`, the resume data that were written before it are parsed, and of every file that holds a piece they claim, the last
//! write to that piece must have ended before the start of an `fsync` or `fdatasync` of the file which ended before the rename began.

use crate::lab::{self, Claims, Content, Need, Ours, PATIENCE, Relay, make_torrent, metainfo};
use parcacik_core::bitfield::Bitfield;
use parcacik_core::border::{InfoHashes, StorageLayout};
use parcacik_core::path::SafePath;
use parcacik_core::torrent::resume::ResumeData;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Everything that writes files, syncs or renames.
const CALLS: &str = "trace=write,writev,pwrite64,pwritev,pwritev2,copy_file_range,sendfile,splice,io_uring_setup,mmap,\
                     fsync,fdatasync,rename,renameat,renameat2";

#[test]
fn nothing_is_claimed_before_it_is_synced() {
    lab::run(&[Need::Strace], |lab| {
        let content = Content::folder(
            &lab.folder("data"),
            "folder",
            &[("a.bin", 1_000_001), ("b.bin", 2_000_000), ("c.bin", 5), ("d.bin", 700_000)],
        );
        let torrent = make_torrent(lab, &content, "64K", &[]);
        let (_seed, addr) = Ours::seed(lab, &torrent, &content, "127.0.0.2", &["--no-tracker"]);
        let relay = Relay::start("127.0.0.4", addr, 2 << 20);
        let traces = lab.folder("traces");
        let output = traces.join("thread").display().to_string();
        let mut process = Ours::download(lab, &torrent, "out")
            .args(["--listen", "127.0.0.3:0", "--no-tracker", "--sync-interval", "100ms"])
            .args(["--peer", &relay.addr.to_string()])
            // A file for each thread; each call on one line with its begin and its length; paths behind descriptors; bytes as hexadecimal numbers.
            .under("strace", ["-ff", "-ttt", "-T", "-y", "-xx", "-s", "4096", "-e", CALLS, "-o", &output])
            .start();
        assert!(process.wait_within(PATIENCE).success(), "{}", process.output());
        content.assert_same_in(&lab.path("out"));

        let calls = read(&traces);
        let checked = check(&calls, metainfo(&torrent).layout(), &lab.path("out"));
        assert!(checked.partial >= 2, "only {} saves claimed a part: this has shown nothing", checked.partial);
        assert!(checked.whole >= 1, "nothing claims everything in the end");
    });
}

/// A system call.
#[derive(Clone, Debug)]
struct Call {
    /// Microseconds.
    begin: u64,
    end: u64,
    name: String,
    args: String,
    result: i64,
}

impl Call {
    /// `1700000000.123456 name(args) = result <0.000012>`
    fn parse(line: &str) -> Option<Call> {
        let (begin, rest) = line.split_once(' ')?;
        let begin = micros(begin)?;
        let (rest, took) = rest.strip_suffix('>')?.rsplit_once(" <")?;
        let (call, result) = rest.rsplit_once(" = ")?;
        let (name, args) = call.trim_end().strip_suffix(')')?.split_once('(')?;
        let result = result.split([' ', '<']).next()?.parse().unwrap_or(-1);
        Some(Call { begin, end: begin + micros(took)?, name: name.to_owned(), args: args.to_owned(), result })
    }

    /// The path of its first descriptor: `5</tmp/file>, ...`.
    fn path(&self) -> Option<String> {
        let (_, rest) = self.args.split_once('<')?;
        Some(plain(rest.split_once('>')?.0))
    }

    /// The bytes of its only buffer; as many as were asked for.
    fn buffer(&self) -> Option<Vec<u8>> {
        Some(unhex(self.args.split('"').nth(1)?))
    }

    /// Where a positional write wrote: it ends with the offset, but for flags of `pwritev2`.
    fn range(&self) -> Option<(u64, u64)> {
        let mut args = self.args.rsplit(", ");
        if self.name == "pwritev2" {
            args.next()?;
        }
        let offset: u64 = args.next()?.parse().ok()?;
        Some((offset, offset + u64::try_from(self.result).ok()?))
    }

    fn is_sync(&self) -> bool {
        matches!(self.name.as_str(), "fsync" | "fdatasync") && self.result == 0
    }
}

/// All threads' calls, in the order in which they began.
fn read(traces: &Path) -> Vec<Call> {
    let mut calls = Vec::new();
    for entry in fs::read_dir(traces).expect("strace has written") {
        let trace = fs::read_to_string(entry.expect("a folder can be read").path()).expect("a trace is text");
        for line in trace.lines().filter(|line| !line.contains(" +++ ") && !line.contains(" --- ")) {
            // Calls that a thread's end cut off have no result; they wrote nothing that was waited for.
            let cut = line.contains("<unfinished ...>") || line.ends_with("= ?") || line.contains(" = ? ");
            match Call::parse(line) {
                Some(call) => calls.push(call),
                None => assert!(cut, "not understood: {line}"),
            }
        }
    }
    calls.sort_by_key(|call| call.begin);
    calls
}

/// How many saves were checked.
#[derive(Clone, Copy, Debug, Default)]
struct Checked {
    /// That claimed some pieces, not all.
    partial: usize,
    /// That claimed all.
    whole: usize,
}

fn check(calls: &[Call], layout: &StorageLayout, out: &Path) -> Checked {
    let of = |name: &'static str| calls.iter().filter(move |call| call.name == name);
    // Ways to write that are not looked at below.
    for other in ["copy_file_range", "sendfile", "splice", "io_uring_setup"] {
        assert_eq!(of(other).count(), 0, "{other} is used: this test has to learn it");
    }
    for call in of("write").chain(of("writev")).chain(of("mmap").filter(|call| call.args.contains("MAP_SHARED"))) {
        let path = call.path();
        assert!(path.is_none_or(|path| !Path::new(&path).starts_with(out)), "this test has to learn {call:?}");
    }
    let mut files: BTreeMap<String, Vec<&Call>> = BTreeMap::new();
    for call in calls {
        if let Some(path) = call.path() {
            files.entry(path).or_default().push(call);
        }
    }
    let mut checked = Checked::default();
    for rename in calls.iter().filter(|call| call.name.starts_with("rename") && call.result == 0) {
        let names: Vec<String> = rename.args.split('"').skip(1).step_by(2).map(plain).collect();
        let [from, to] = &names[..] else { panic!("a rename has two names: {rename:?}") };
        if !to.ends_with(".resume") || !from.ends_with(".resume.tmp") {
            continue;
        }
        let (_, temporary) =
            files.iter().find(|(path, _)| path.ends_with(from.as_str())).expect("what is renamed was written");
        let written = temporary.iter().rfind(|call| call.name == "write" && call.begin < rename.begin);
        let written = written.expect("what is renamed was written");
        let synced = |calls: &[&Call], from: u64| {
            calls.iter().any(|call| call.is_sync() && call.begin >= from && call.end <= rename.begin)
        };
        assert!(synced(temporary, written.end), "resume data got their name before they were synced");
        let bytes = written.buffer().expect("a write has a buffer");
        let claims = Claims::parse(&bytes).expect("one write holds the resume data");
        for &piece in &claims.pieces {
            for range in layout.ranges(piece, 0, layout.piece_length()) {
                let path = out.join(layout.files()[range.file].path.elements().join("/"));
                let calls = &files[&path.display().to_string()];
                let (from, to) = (range.offset, range.offset + range.length);
                let writes = calls.iter().filter(|call| call.begin < rename.begin && call.name.starts_with("pwrite"));
                let ends: Vec<u64> = writes
                    .filter_map(|call| Some((call.range()?, call.end)))
                    .filter(|((begin, end), _)| *begin < to && from < *end)
                    .map(|(_, end)| end)
                    .collect();
                let last =
                    *ends.iter().max().unwrap_or_else(|| panic!("piece {piece} is claimed, and was never written"));
                assert!(
                    synced(calls, last),
                    "piece {piece} is claimed, and {} was not synced after it",
                    path.display()
                );
            }
        }
        match claims.pieces.len() as u64 {
            0 => {}
            count if count * u64::from(layout.piece_length()) >= layout.total_length() => checked.whole += 1,
            _ => checked.partial += 1,
        }
    }
    checked
}

/// Seconds with a fraction of six digits, in microseconds.
fn micros(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.')?;
    Some(whole.parse::<u64>().ok()? * 1_000_000 + fraction.parse::<u64>().ok()?)
}

/// `\x61\x62` as bytes; what is not written so stands for itself.
fn unhex(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.bytes().next() {
        let hex = rest.strip_prefix("\\x").and_then(|hex| u8::from_str_radix(hex.get(..2)?, 16).ok());
        bytes.push(hex.unwrap_or(first));
        rest = rest.get(if hex.is_some() { 4 } else { 1 }..).unwrap_or_default();
    }
    bytes
}

fn plain(text: &str) -> String {
    String::from_utf8_lossy(&unhex(text)).into_owned()
}

/// A trace of one save that claims the second of two pieces, whose file is synced at `synced` (microseconds), before the rename at 50 or not.
fn small_trace(synced: u64) -> Vec<Call> {
    let mut pieces = Bitfield::none(2);
    pieces.insert(1);
    let hashes = InfoHashes { v1: Some([7; 20]), v2: None };
    let (generation, uploaded, downloaded) = (1, 0, 0);
    let (completed, examined, files) = (false, true, vec![None, None]);
    let (apart, priorities, sequential) = (Bitfield::none(1), vec![4], false);
    let (paused, active, seeding) = (false, Duration::ZERO, Duration::ZERO);
    let data = ResumeData {
        hashes,
        generation,
        uploaded,
        downloaded,
        paused,
        active,
        seeding,
        completed,
        examined,
        pieces,
        files,
        apart,
        priorities,
        sequential,
        info: None,
    };
    let hex: String = data.emit().iter().map(|byte| format!("\\x{byte:02x}")).collect();
    let length = data.emit().len();
    let lines = [
        r#"1.000010 pwritev(5</out/file>, [{iov_base="\x00"..., iov_len=16384}], 1, 16384) = 16384 <0.000005>"#
            .to_owned(),
        format!("1.{synced:06} fdatasync(5</out/file>) = 0 <0.000003>"),
        format!(r#"1.000030 write(6</state/t.resume.tmp>, "{hex}", {length}) = {length} <0.000002>"#),
        "1.000040 fsync(6</state/t.resume.tmp>) = 0 <0.000002>".to_owned(),
        r#"1.000050 renameat(7</state>, "t.resume.tmp", 7</state>, "t.resume") = 0 <0.000002>"#.to_owned(),
    ];
    lines.iter().map(|line| Call::parse(line).unwrap_or_else(|| panic!("not understood: {line}"))).collect()
}

fn small_layout() -> StorageLayout {
    StorageLayout::new([(SafePath::sanitize([&b"file"[..]]), 32_768, false, false)], 16_384)
}

#[test]
fn a_trace_in_order_is_accepted() {
    assert_eq!(check(&small_trace(20), &small_layout(), Path::new("/out")).partial, 1);
}

#[test]
#[should_panic(expected = "file was not synced after it")]
fn a_sync_behind_the_rename_is_refused() {
    check(&small_trace(60), &small_layout(), Path::new("/out"));
}

/// It may have missed what was written meanwhile.
#[test]
#[should_panic(expected = "file was not synced after it")]
fn a_sync_that_began_before_the_write_ended_is_refused() {
    check(&small_trace(12), &small_layout(), Path::new("/out"));
}
