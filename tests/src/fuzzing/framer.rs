//! Streams of messages: any split gives the same messages, the same content and the same end, and up to there the
//! [second decoder](crate::second) reads the same.
//!
//! The first byte says how the rest is split.

use super::messages::word_of;
use crate::second::{Decoder, Unit};
use bytes::Bytes;
use parcacik_core::border::{InfoHash, PeerId};
use parcacik_core::wire::{Framer, Handshake, Message, Reserved, WireError};

/// One input.
pub fn run(input: &[u8]) {
    let Some((&step, input)) = input.split_first() else { return };
    let whole = read(input, input.len().max(1));
    assert_eq!(read(input, usize::from(step) + 1), whole);

    let mut second = Decoder::default();
    let hello = Handshake { reserved: Reserved::OURS, info_hash: InfoHash([0; 20]), peer_id: PeerId([0; 20]) };
    second.feed(&hello.emit());
    assert!(matches!(second.take(), Ok(Some(Unit::Handshake { .. }))));
    second.feed(input);
    let (messages, _, error) = whole;
    for message in messages {
        assert_eq!(second.take(), Ok(Some(Unit::Word(word_of(&message)))));
    }
    match (error, second.take()) {
        (None, rest) => assert_eq!(rest, Ok(None), "the second decoder reads on"),
        (Some(WireError::TooLong { length }), rest) => assert!(length > 1 << 17, "{rest:?}"),
        (Some(WireError::WrongLength { id, length }), rest) => {
            // Its head is enough to refuse it; the second decoder waits for all of it.
            let is_such = |unit: &Unit| matches!(unit, Unit::Word(crate::second::Word::Other(other, body)) if *other == id && body.len() as u32 + 1 == length);
            assert!(rest.as_ref().is_ok_and(|rest| rest.as_ref().is_none_or(is_such)), "{rest:?}");
        }
        (Some(other), rest) => panic!("{other:?} where the second decoder has {rest:?}"),
    }
}

/// The messages, which bytes are content, and the error that ended it.
fn read(input: &[u8], step: usize) -> (Vec<Message>, Vec<bool>, Option<WireError>) {
    let mut framer = Framer::new(1 << 17);
    let (mut messages, mut content) = (Vec::new(), vec![false; input.len()]);
    for (index, part) in input.chunks(step).enumerate() {
        framer.feed(Bytes::copy_from_slice(part), 0);
        loop {
            let mut opaque = Vec::new();
            let next = framer.next(&mut opaque);
            for range in opaque {
                let place = index * step + range.start as usize..index * step + range.end as usize;
                content[place].fill(true);
            }
            match next {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, content, Some(error)),
            }
        }
    }
    (messages, content, None)
}
