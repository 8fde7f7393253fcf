//! However a stream is cut, the same messages come of it (26): the core's framer is given each chunk in two parts, cut where
//! the chunk's number says, and has to find what the second decoder finds.

use super::{Oracle, Tally};
use crate::Breach;
use crate::second::{Range, Unit, Word};
use bytes::Bytes;
use parcacik_core::wire::{BlockRange, Framer, Message};

/// Both decoders on one direction of a stream.
#[derive(Debug)]
pub(super) struct Framing {
    framer: Framer,
    /// Bytes of the handshake that are still to come.
    greeting: usize,
    /// It has met what is no message.
    ended: bool,
}

impl Framing {
    pub fn new(longest: u32) -> Framing {
        // A bitfield may be longer than other messages; what is too long is judged elsewhere.
        Framing { framer: Framer::new(longest.max(1 << 24)), greeting: 68, ended: false }
    }

    /// A chunk has come, and the second decoder found `units` in it.
    pub fn look(
        &mut self,
        bytes: &Bytes,
        number: u64,
        units: &[(Unit, bool)],
        lost: bool,
        tally: &mut Tally,
    ) -> Result<(), Breach> {
        self.ended |= lost;
        if self.ended {
            return Ok(());
        }
        let mut rest = bytes.clone();
        let skipped = self.greeting.min(rest.len());
        self.greeting -= skipped;
        _ = rest.split_to(skipped);
        let mut expected = units.iter().filter_map(|(unit, _)| match unit {
            Unit::Word(word) => Some(word),
            Unit::Handshake { .. } => None,
        });
        let cut = (number.wrapping_mul(7_919) % (rest.len() as u64 + 1)) as usize;
        let (first, second) = (rest.slice(..cut), rest.slice(cut..));
        let mut opaque = Vec::new();
        for part in [first, second] {
            self.framer.feed(part, 0);
            loop {
                match self.framer.next(&mut opaque) {
                    Ok(Some(message)) => {
                        let word = expected.next();
                        let same = word.is_some_and(|word| is_same(word, &message));
                        tally.judge(Oracle::SplitSame, same, || format!("cut at {cut}: {message:?} and {word:?}"))?;
                    }
                    Ok(None) => break,
                    Err(error) => {
                        self.ended = true;
                        let word = expected.next();
                        let bad = matches!(word, Some(Word::Other(..)) | None);
                        return tally.judge(Oracle::SplitSame, bad, || format!("cut at {cut}: {error} and {word:?}"));
                    }
                }
            }
        }
        let left = expected.next();
        tally.judge(Oracle::SplitSame, left.is_none(), || format!("cut at {cut}: nothing, and {left:?}"))
    }
}

fn is_same(word: &Word, message: &Message) -> bool {
    let range = |range: &Range| BlockRange { piece: range.piece, begin: range.begin, length: range.length };
    match (word, message) {
        (Word::KeepAlive, Message::KeepAlive)
        | (Word::Choke, Message::Choke)
        | (Word::Unchoke, Message::Unchoke)
        | (Word::Interested, Message::Interested)
        | (Word::NotInterested, Message::NotInterested)
        | (Word::HaveAll, Message::HaveAll)
        | (Word::HaveNone, Message::HaveNone) => true,
        (Word::Have(a), Message::Have(b))
        | (Word::Suggest(a), Message::Suggest(b))
        | (Word::AllowedFast(a), Message::AllowedFast(b)) => a == b,
        (Word::Bitfield(a), Message::Bitfield(b)) => a[..] == b[..],
        (Word::Request(a), Message::Request(b))
        | (Word::Cancel(a), Message::Cancel(b))
        | (Word::Reject(a), Message::Reject(b)) => range(a) == *b,
        (Word::Piece(a, b, c), Message::Piece { piece, begin, data }) => a == piece && b == begin && c[..] == data[..],
        (Word::Port(a), Message::Port(b)) => a == b,
        (Word::Extended(a, b), Message::Extended { id, payload }) => a == id && b[..] == payload[..],
        (Word::Other(a, b), Message::Unknown { id, payload }) => a == id && b[..] == payload[..],
        _ => false,
    }
}
