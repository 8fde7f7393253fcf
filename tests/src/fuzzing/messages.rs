//! Messages, each kind with any numbers: what the [second decoder](crate::second) writes, the core reads as the same, and writes back byte
//! for byte, however the stream is split.

use super::operations;
use crate::second::{Range, Word};
use arbitrary::Arbitrary;
use bytes::{Bytes, BytesMut};
use parcacik_core::wire::{BlockRange, Framer, Message};

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Op<'i> {
    Plain(u8),
    Have(u32),
    Bitfield(&'i [u8]),
    Request(u32, u32, u32),
    Piece(u32, u32, &'i [u8]),
    /// A block of the usual length.
    Block(u32, u32, u8),
    Cancel(u32, u32, u32),
    Reject(u32, u32, u32),
    Port(u16),
    Suggest(u32),
    AllowedFast(u32),
    Extended(u8, &'i [u8]),
    Other(u8, &'i [u8]),
}

impl Op<'_> {
    fn word(self) -> Word {
        match self {
            Op::Plain(kind) => match kind % 7 {
                0 => Word::KeepAlive,
                1 => Word::Choke,
                2 => Word::Unchoke,
                3 => Word::Interested,
                4 => Word::NotInterested,
                5 => Word::HaveAll,
                _ => Word::HaveNone,
            },
            Op::Have(piece) => Word::Have(piece),
            Op::Bitfield(bits) => Word::Bitfield(bits.to_vec()),
            Op::Request(piece, begin, length) => Word::Request(Range { piece, begin, length }),
            Op::Piece(piece, begin, data) => Word::Piece(piece, begin, data.to_vec()),
            Op::Block(piece, begin, byte) => Word::Piece(piece, begin, vec![byte; 16 * 1024]),
            Op::Cancel(piece, begin, length) => Word::Cancel(Range { piece, begin, length }),
            Op::Reject(piece, begin, length) => Word::Reject(Range { piece, begin, length }),
            Op::Port(port) => Word::Port(port),
            Op::Suggest(piece) => Word::Suggest(piece),
            Op::AllowedFast(piece) => Word::AllowedFast(piece),
            Op::Extended(id, payload) => Word::Extended(id, payload.to_vec()),
            // Numbers that the protocol has not given away.
            Op::Other(id, body) => Word::Other(100 + id % 100, body.to_vec()),
        }
    }
}

/// What a message of the core's is in the words of the second decoder.
pub(super) fn word_of(message: &Message) -> Word {
    let range = |range: &BlockRange| Range { piece: range.piece, begin: range.begin, length: range.length };
    match message {
        Message::KeepAlive => Word::KeepAlive,
        Message::Choke => Word::Choke,
        Message::Unchoke => Word::Unchoke,
        Message::Interested => Word::Interested,
        Message::NotInterested => Word::NotInterested,
        Message::Have(piece) => Word::Have(*piece),
        Message::Bitfield(bits) => Word::Bitfield(bits.to_vec()),
        Message::Request(block) => Word::Request(range(block)),
        Message::Piece { piece, begin, data } => Word::Piece(*piece, *begin, data.to_vec()),
        Message::Cancel(block) => Word::Cancel(range(block)),
        Message::Port(port) => Word::Port(*port),
        Message::Suggest(piece) => Word::Suggest(*piece),
        Message::HaveAll => Word::HaveAll,
        Message::HaveNone => Word::HaveNone,
        Message::Reject(block) => Word::Reject(range(block)),
        Message::AllowedFast(piece) => Word::AllowedFast(*piece),
        Message::Extended { id, payload } => Word::Extended(*id, payload.to_vec()),
        Message::Unknown { id, payload } => Word::Other(*id, payload.to_vec()),
        other => panic!("the second decoder does not know {other:?}"),
    }
}

/// One input.
pub fn run(input: &[u8]) {
    let Some((&step, input)) = input.split_first() else { return };
    let words: Vec<Word> = operations::<Op<'_>>(input, 24).map(Op::word).collect();
    let bytes: Vec<u8> = words.iter().flat_map(Word::bytes).collect();
    let mut framer = Framer::new(1 << 17);
    let (mut read, mut again) = (Vec::new(), BytesMut::new());
    // Small steps over blocks would cost too much.
    let step = (usize::from(step) + 1).max(bytes.len() / 1024);
    for part in bytes.chunks(step) {
        framer.feed(Bytes::copy_from_slice(part), 0);
        while let Some(message) = framer.next(&mut Vec::new()).expect("every message is good") {
            message.emit(&mut again);
            read.push(word_of(&message));
        }
    }
    assert_eq!(read, words);
    assert_eq!(again, bytes);
}
