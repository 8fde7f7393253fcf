//! The judge itself has to find what is wrong.

use super::{AllTerms, Audit, Tally, Terms};
use crate::Breach;
use crate::second::{Range, Word};
use parcacik_core::time::Time;
use std::sync::Arc;

const HASH: [u8; 20] = [9; 20];
const ID: [u8; 20] = *b"-XX0000-000000000000";

fn greeting(fast: bool) -> Vec<u8> {
    let mut bytes = b"\x13BitTorrent protocol".to_vec();
    bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0x10, 0, if fast { 4 } else { 0 }]);
    bytes.extend_from_slice(&HASH);
    bytes.extend_from_slice(&ID);
    bytes
}

fn terms() -> AllTerms {
    let bytes = Arc::new((0..65_546u32).map(|at| at as u8).collect::<Vec<u8>>());
    AllTerms::from([(HASH, Terms { bytes, piece_length: 32_768 })])
}

/// Three pieces of 32 KiB, the last of 10 bytes. Both have greeted.
fn audit(fast: bool) -> Audit {
    let mut audit = Audit::new(Time::ZERO, 512, 160 << 10);
    say(&mut audit, 1, &greeting(true)).unwrap();
    audit.heard(Time::ZERO, 1, &greeting(fast), &terms());
    audit
}

fn say(audit: &mut Audit, event: u64, bytes: &[u8]) -> Result<(), Breach> {
    audit.said((Time::ZERO, Time::ZERO, event), bytes, &terms(), &mut Tally::default()).map(|_| ())
}

fn says(audit: &mut Audit, words: &[Word]) -> Result<(), Breach> {
    words.iter().try_for_each(|word| say(audit, 1, &word.bytes()))
}

fn hears(audit: &mut Audit, words: &[Word]) {
    audit.heard(Time::ZERO, 1, &words.iter().flat_map(Word::bytes).collect::<Vec<u8>>(), &terms());
}

fn block(piece: u32, number: u32) -> Range {
    Range { piece, begin: number * 16_384, length: if piece == 2 { 10 } else { 16_384 } }
}

fn data(range: Range) -> Word {
    let at = range.piece * 32_768 + range.begin;
    Word::Piece(range.piece, range.begin, (at..at + range.length).map(|at| at as u8).collect())
}

#[test]
fn requests_in_the_event_that_brings_a_choke_are_right_and_later_ones_are_not() {
    let mut audit = audit(true);
    hears(&mut audit, &[Word::HaveAll, Word::Unchoke, Word::Choke]);
    says(&mut audit, &[Word::HaveNone, Word::Request(block(0, 0))]).unwrap();
    let found = say(&mut audit, 2, &Word::Request(block(0, 1)).bytes()).unwrap_err();
    assert!(found.oracle == 13 && found.what.contains("chokes us"), "{found}");
}

#[test]
fn a_proper_exchange_passes() {
    let mut audit = audit(true);
    says(&mut audit, &[Word::Bitfield(vec![0b1000_0000]), Word::Interested, Word::Unchoke]).unwrap();
    hears(&mut audit, &[Word::HaveAll, Word::Unchoke, Word::Request(block(0, 1))]);
    says(&mut audit, &[Word::Request(block(2, 0)), data(block(0, 1))]).unwrap();
    hears(&mut audit, &[data(block(2, 0))]);
    says(&mut audit, &[Word::Have(2), Word::Request(block(1, 0)), Word::Cancel(block(1, 0))]).unwrap();
    assert_eq!(audit.sent, 16_384);
}

#[test]
fn each_breach_is_found() {
    let all = [Word::HaveAll, Word::Unchoke];
    let breaches: &[(u8, &str, &[Word], &[Word])] = &[
        (15, "not as the first", &[], &[Word::HaveNone, Word::Bitfield(vec![0])]),
        (15, "pieces first", &[], &[Word::Interested]),
        (15, "wrong length", &[], &[Word::Bitfield(vec![0, 0])]),
        (15, "spare", &[], &[Word::Bitfield(vec![0b0001_0000])]),
        (15, "no such piece", &[], &[Word::HaveNone, Word::Have(3)]),
        (17, "said already", &[], &[Word::HaveNone, Word::NotInterested]),
        (11, "outside", &all, &[Word::HaveNone, Word::Request(block(3, 0))]),
        (11, "not a block", &all, &[Word::HaveNone, Word::Request(Range { length: 1, ..block(0, 0) })]),
        (11, "does not have", &[Word::HaveNone, Word::Unchoke], &[Word::HaveNone, Word::Request(block(0, 0))]),
        (13, "chokes us", &[Word::HaveAll], &[Word::HaveNone, Word::Request(block(0, 0))]),
        (13, "chokes us", &[Word::HaveAll, Word::AllowedFast(1)], &[Word::HaveNone, Word::Request(block(0, 0))]),
        (14, "twice", &all, &[Word::HaveNone, Word::Request(block(0, 0)), Word::Request(block(0, 0))]),
        (11, "never requested", &all, &[Word::HaveNone, Word::Cancel(block(0, 0))]),
        (15, "not asked for", &all, &[Word::HaveAll, Word::Unchoke, data(block(0, 0))]),
        (16, "we choke it", &[Word::Request(block(0, 0))], &[Word::HaveAll, data(block(0, 0))]),
        (
            15,
            "answered before",
            &[Word::Request(block(0, 0))],
            &[Word::HaveAll, Word::Unchoke, data(block(0, 0)), Word::Reject(block(0, 0))],
        ),
        (
            7,
            "other bytes",
            &[Word::Request(block(0, 0))],
            &[Word::HaveAll, Word::Unchoke, Word::Piece(0, 0, vec![1; 16_384])],
        ),
        (7, "not claim", &[Word::Request(block(0, 0))], &[Word::HaveNone, Word::Unchoke, data(block(0, 0))]),
        (19, "twice in a minute", &[], &[Word::HaveNone, Word::KeepAlive, Word::KeepAlive]),
        (18, "before the extended", &[], &[Word::HaveNone, Word::Extended(1, vec![])]),
        (21, "out of order", &[], &[Word::HaveNone, Word::Extended(0, b"d1:bi1e1:ai1ee".to_vec())]),
        (18, "no such number", &[], &[Word::HaveNone, Word::Extended(0, b"de".to_vec()), Word::Extended(1, vec![])]),
        (21, "not a message", &[], &[Word::HaveNone, Word::Other(99, vec![])]),
        (21, "not a message", &[], &[Word::HaveNone, Word::Other(4, vec![0; 3])]),
    ];
    for (oracle, wrong, heard, said) in breaches {
        let mut audit = audit(true);
        hears(&mut audit, heard);
        let found = says(&mut audit, said).expect_err(wrong);
        assert!(found.oracle == *oracle && found.what.contains(wrong), "{wrong}: {found}");
    }
    let found = says(&mut audit(false), &[Word::HaveNone]).unwrap_err();
    assert!(found.what.contains("not agreed"), "{found}");
    let late = Time::from_secs(121);
    let mut tally = Tally::default();
    let found = audit(true).said((late, late, 2), &Word::HaveAll.bytes(), &terms(), &mut tally).unwrap_err();
    assert!(found.what.contains("silent"), "{found}");
    let mut small = audit(true);
    hears(&mut small, &[Word::HaveAll, Word::Unchoke, Word::Extended(0, b"d4:reqqi1ee".to_vec())]);
    let found =
        says(&mut small, &[Word::HaveNone, Word::Request(block(0, 0)), Word::Request(block(0, 1))]).unwrap_err();
    assert!(found.what.contains("of 1"), "{found}");
}
