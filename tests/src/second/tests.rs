//! The judge itself has to find what is wrong.

use super::{Audit, Decoder, Range, Terms, Unit, Value, Word};
use parcacik_core::time::Time;
use std::collections::BTreeMap;
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

/// Three pieces of 32 KiB, the last of 10 bytes. Both have greeted.
fn audit(fast: bool) -> Audit {
    let bytes = Arc::new((0..65_546u32).map(|at| at as u8).collect::<Vec<u8>>());
    let terms = BTreeMap::from([(HASH, Terms { bytes, piece_length: 32_768 })]);
    let mut audit = Audit::new(Time::ZERO, Arc::new(terms));
    audit.said(Time::ZERO, 1, &greeting(true)).unwrap();
    audit.heard(Time::ZERO, 1, &greeting(fast));
    audit
}

fn says(audit: &mut Audit, words: &[Word]) -> Result<(), String> {
    words.iter().try_for_each(|word| audit.said(Time::ZERO, 1, &word.bytes()))
}

fn hears(audit: &mut Audit, words: &[Word]) {
    audit.heard(Time::ZERO, 1, &words.iter().flat_map(Word::bytes).collect::<Vec<u8>>());
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
    let found = audit.said(Time::ZERO, 2, &Word::Request(block(0, 1)).bytes()).unwrap_err();
    assert!(found.contains("chokes us"), "{found}");
}

#[test]
fn a_request_that_a_choke_of_the_same_event_may_have_ended_is_said_again() {
    let mut audit = audit(false);
    hears(&mut audit, &[Word::HaveAll, Word::Bitfield(vec![0b1110_0000]), Word::Unchoke, Word::Choke]);
    says(&mut audit, &[Word::Request(block(0, 0))]).unwrap();
    audit.heard(Time::ZERO, 2, &Word::Unchoke.bytes());
    let again = Word::Request(block(0, 0)).bytes();
    audit.said(Time::ZERO, 2, &again).unwrap();
    let found = audit.said(Time::ZERO, 2, &again).unwrap_err();
    assert!(found.contains("twice"), "{found}");
}

#[test]
fn all_requests_to_a_silent_peer_may_end_with_the_oldest() {
    let second = Time::from_secs;
    let request = |number: u32| Word::Request(block(0, number)).bytes();
    let mut audit = audit(true);
    hears(&mut audit, &[Word::HaveAll, Word::Unchoke]);
    says(&mut audit, &[Word::HaveNone, Word::Request(block(0, 0))]).unwrap();
    audit.said(second(50), 2, &request(1)).unwrap();
    let mut served = audit.clone();
    // The first one is a minute old, and the second one was given up with it.
    audit.said(second(61), 3, &request(1)).unwrap();
    // Nothing but the first one, where something came meanwhile.
    served.heard(second(55), 3, &data(block(2, 0)).bytes());
    served.said(second(61), 4, &request(0)).unwrap();
    let found = served.said(second(61), 4, &request(1)).unwrap_err();
    assert!(found.contains("twice"), "{found}");
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
    let breaches: &[(&str, &[Word], &[Word])] = &[
        ("not as the first", &[], &[Word::HaveNone, Word::Bitfield(vec![0])]),
        ("pieces first", &[], &[Word::Interested]),
        ("wrong length", &[], &[Word::Bitfield(vec![0, 0])]),
        ("spare", &[], &[Word::Bitfield(vec![0b0001_0000])]),
        ("no such piece", &[], &[Word::HaveNone, Word::Have(3)]),
        ("said already", &[], &[Word::HaveNone, Word::NotInterested]),
        ("outside", &all, &[Word::HaveNone, Word::Request(block(3, 0))]),
        ("not a block", &all, &[Word::HaveNone, Word::Request(Range { length: 1, ..block(0, 0) })]),
        ("does not have", &[Word::HaveNone, Word::Unchoke], &[Word::HaveNone, Word::Request(block(0, 0))]),
        ("chokes us", &[Word::HaveAll], &[Word::HaveNone, Word::Request(block(0, 0))]),
        ("chokes us", &[Word::HaveAll, Word::AllowedFast(1)], &[Word::HaveNone, Word::Request(block(0, 0))]),
        ("twice", &all, &[Word::HaveNone, Word::Request(block(0, 0)), Word::Request(block(0, 0))]),
        ("never requested", &all, &[Word::HaveNone, Word::Cancel(block(0, 0))]),
        ("not asked for", &all, &[Word::HaveAll, Word::Unchoke, data(block(0, 0))]),
        ("we choke it", &[Word::Request(block(0, 0))], &[Word::HaveAll, data(block(0, 0))]),
        (
            "answered before",
            &[Word::Request(block(0, 0))],
            &[Word::HaveAll, Word::Unchoke, data(block(0, 0)), Word::Reject(block(0, 0))],
        ),
        (
            "other bytes",
            &[Word::Request(block(0, 0))],
            &[Word::HaveAll, Word::Unchoke, Word::Piece(0, 0, vec![1; 16_384])],
        ),
        ("not claim", &[Word::Request(block(0, 0))], &[Word::HaveNone, Word::Unchoke, data(block(0, 0))]),
        ("twice in a minute", &[], &[Word::HaveNone, Word::KeepAlive, Word::KeepAlive]),
        ("before the extended", &[], &[Word::HaveNone, Word::Extended(1, vec![])]),
        ("out of order", &[], &[Word::HaveNone, Word::Extended(0, b"d1:bi1e1:ai1ee".to_vec())]),
        ("no such number", &[], &[Word::HaveNone, Word::Extended(0, b"de".to_vec()), Word::Extended(1, vec![])]),
        ("not a message", &[], &[Word::HaveNone, Word::Other(99, vec![])]),
        ("not a message", &[], &[Word::HaveNone, Word::Other(4, vec![0; 3])]),
    ];
    for (wrong, heard, said) in breaches {
        let mut audit = audit(true);
        hears(&mut audit, heard);
        let found = says(&mut audit, said).expect_err(wrong);
        assert!(found.contains(wrong), "{wrong}: {found}");
    }
    let found = says(&mut audit(false), &[Word::HaveNone]).unwrap_err();
    assert!(found.contains("not agreed"), "{found}");
    let found = audit(true).said(Time::from_secs(121), 2, &Word::HaveAll.bytes()).unwrap_err();
    assert!(found.contains("silent"), "{found}");
    let mut small = audit(true);
    hears(&mut small, &[Word::HaveAll, Word::Unchoke, Word::Extended(0, b"d4:reqqi1ee".to_vec())]);
    let found =
        says(&mut small, &[Word::HaveNone, Word::Request(block(0, 0)), Word::Request(block(0, 1))]).unwrap_err();
    assert!(found.contains("queues"), "{found}");
}

#[test]
fn what_is_written_is_read_again() {
    let range = Range { piece: 1, begin: 2, length: 3 };
    let words = [
        Word::KeepAlive,
        Word::Choke,
        Word::Unchoke,
        Word::Interested,
        Word::NotInterested,
        Word::Have(7),
        Word::Bitfield(vec![1, 2]),
        Word::Request(range),
        Word::Piece(1, 2, vec![3]),
        Word::Cancel(range),
        Word::Port(6881),
        Word::Suggest(4),
        Word::HaveAll,
        Word::HaveNone,
        Word::Reject(range),
        Word::AllowedFast(5),
        Word::Extended(3, vec![9]),
        Word::Other(21, vec![1]),
    ];
    let mut decoder = Decoder::default();
    let mut bytes = greeting(true);
    bytes.extend(words.iter().flat_map(Word::bytes));
    let mut read = Vec::new();
    for byte in bytes {
        decoder.feed(&[byte]);
        read.extend(decoder.take().unwrap());
    }
    assert_eq!(decoder.unfinished(), 0);
    assert!(matches!(read.remove(0), Unit::Handshake { info_hash: HASH, peer_id: ID, .. }));
    assert_eq!(read, words.map(Unit::Word));
}

#[test]
fn bencode_is_read_as_bep_3_writes_it() {
    let value = Value::read(b"d1:ai-3e1:bl1:x1:yee").unwrap();
    assert_eq!(value.get("a").and_then(Value::int), Some(-3));
    assert_eq!(value.get("b"), Some(&Value::List(vec![Value::Bytes(b"x".into()), Value::Bytes(b"y".into())])));
    for wrong in [&b"i03e"[..], b"i-0e", b"i3", b"5:abc", b"d1:bi1e1:ai1ee", b"d1:ae", b"lei1e", b"", b"x"] {
        assert!(Value::read(wrong).is_err(), "{}", String::from_utf8_lossy(wrong));
    }
}
