//! `kill -9` twenty times in one download.

use crate::lab::{self, Claims, Content, Ours, PATIENCE, Relay, make_torrent, ours};
use std::collections::BTreeSet;
use std::path::Path;

const KILLS: u64 = 20;
const PIECE: usize = 64 << 10;
/// So many pieces that something is missing after twenty kills. A kill loses what was not claimed yet, so more than twenty times the longest step is not needed.
const PIECES: usize = 320;
/// Bytes a second: slow enough that there is a middle to be killed in.
const RATE: u64 = 4 << 20;

/// What is killed comes back, claims what is there and nothing else, and forgets nothing that was claimed.
#[test]
fn twenty_kills_in_one_download() {
    lab::run(&[], |lab| {
        let content =
            Content::folder(&lab.folder("data"), "folder", &[("a", 5 * PIECE + 1), ("b", PIECES * PIECE), ("c", 77)]);
        let torrent = make_torrent(lab, &content, "64K", &[]);
        let pieces = lab::metainfo(&torrent).geometry().pieces();
        let (_seed, addr) = Ours::seed(lab, &torrent, &content, "127.0.0.2", &["--no-tracker"]);
        let relay = Relay::start("127.0.0.4", addr, RATE);
        let download = || {
            Ours::download(lab, &torrent, "out").args(["--listen", "127.0.0.3:0", "--no-tracker"]).args([
                "--sync-interval",
                "50ms",
                "--peer",
                &relay.addr.to_string(),
            ])
        };

        let mut before = BTreeSet::new();
        let mut grown = 0;
        for kill in 0..KILLS {
            let start = relay.passed();
            let mut process = download().start();
            // From "just connected" to most of a megabyte later, in an order without a pattern.
            let step = 1 + (kill * 7 % KILLS) * (40 << 10);
            lab::until("the download to get on", PATIENCE, || {
                assert!(process.runs(), "it ended before kill {kill}:\n{}", process.output());
                (relay.passed() >= start + step).then_some(())
            });
            process.kill();

            let claims = Claims::newest(&lab.path("out.state"));
            claims.assert_true(&torrent, &lab.path("out"));
            let bad = bad_pieces(&torrent, &lab.path("out"));
            let now: BTreeSet<u32> = claims.pieces.iter().copied().collect();
            assert!(now.is_disjoint(&bad), "`verify` finds what is claimed to be bad after kill {kill}");
            let forgotten: Vec<&u32> = before.difference(&now).collect();
            assert!(
                forgotten.is_empty(),
                "claimed before kill {kill}, and no more: {forgotten:?}\n{}",
                process.output()
            );
            assert!(now.len() < pieces as usize, "all was there before kill {kill}");
            grown += u32::from(now.len() > before.len());
            before = now;
        }
        assert!(grown >= 5, "only {grown} of {KILLS} runs came to claim something new: this has shown nothing");

        let missing = u64::from(pieces) - before.len() as u64;
        let start = relay.passed();
        download().succeeds();
        content.assert_same_in(&lab.path("out"));
        let fetched = relay.passed() - start;
        assert!(
            fetched < (missing + 8) * PIECE as u64 * 11 / 10,
            "{missing} pieces were missing; {fetched} bytes came"
        );
        assert!(bad_pieces(&torrent, &lab.path("out")).is_empty());
        assert_eq!(Claims::newest(&lab.path("out.state")).pieces.len(), pieces as usize);
    });
}

/// What `verify` finds to be bad or missing.
fn bad_pieces(torrent: &Path, dir: &Path) -> BTreeSet<u32> {
    let mut process = ours(["verify", "--json", "-q"]).arg(torrent).arg("--data").arg(dir).start();
    let status = process.wait_within(PATIENCE);
    let said = process.line("a JSON object", |line| serde_json::from_str::<serde_json::Value>(line).ok());
    let bad: BTreeSet<u32> = said["bad_pieces"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|piece| piece.as_u64().expect("a number") as u32)
        .collect();
    assert_eq!(status.success(), bad.is_empty(), "the exit code says whether all is right");
    bad
}
