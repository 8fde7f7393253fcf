//! What is written is read, by the second decoder.

use super::{Decoder, Range, Unit, Value, Word};

const HASH: [u8; 20] = [9; 20];
const ID: [u8; 20] = *b"-XX0000-000000000000";

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
    let mut bytes = b"\x13BitTorrent protocol".to_vec();
    bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0x10, 0, 4]);
    bytes.extend_from_slice(&HASH);
    bytes.extend_from_slice(&ID);
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
