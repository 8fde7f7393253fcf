//! A peer that says what an input tells it to, and judges what it hears.

use crate::Content;
use crate::second::{Audit, Decoder, Range, Terms, Unit, Word};
use arbitrary::Arbitrary;
use parcacik_core::time::Time;
use std::collections::BTreeMap;
use std::sync::Arc;

const BLOCK: u32 = 16 * 1024;

/// What a peer may say. Numbers are taken within the torrent, mostly.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(super) enum Saying<'i> {
    /// Keep-alive, choke, unchoke, (not) interested, have all, have none.
    Plain(u8),
    Have(u8),
    Bitfield(u32),
    Request {
        piece: u8,
        block: u8,
    },
    /// A request that no honest peer makes.
    OddRequest(u32, u32, u32),
    /// The cancel of a request that would be such.
    Cancel {
        piece: u8,
        block: u8,
    },
    /// The answer to one of our requests.
    Answer {
        which: u8,
        good: bool,
    },
    /// A block, whether we asked for it or not.
    Block {
        piece: u8,
        block: u8,
    },
    Reject {
        which: u8,
    },
    Suggest(u8),
    AllowedFast(u8),
    Port(u16),
    Introduce {
        reqq: u8,
        ids: u8,
        upload_only: bool,
    },
    Extended(u8, &'i [u8]),
    Other(u8, &'i [u8]),
    /// No message at all.
    Bytes(&'i [u8]),
}

/// The far end of a stream.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    content: Arc<Content>,
    audit: Audit,
    decoder: Decoder,
    /// What we have asked it for and it has not answered.
    asked: Vec<Range>,
}

impl Remote {
    /// At a stream that begins now. It is about this torrent.
    pub fn new(now: Time, content: Arc<Content>) -> Remote {
        let terms = Terms { bytes: Arc::new(content.bytes.clone()), piece_length: content.piece_length };
        let terms = BTreeMap::from([(content.info_hash, terms)]);
        Remote { audit: Audit::new(now, Arc::new(terms)), decoder: Decoder::default(), asked: Vec::new(), content }
    }

    /// Our side says this, in answer to its `event`-th event.
    pub fn hears(&mut self, now: Time, event: u64, bytes: &[u8]) {
        if let Err(wrong) = self.audit.said(now, event, bytes) {
            panic!("{now:?}, event {event}: said what may not be said: {wrong}");
        }
        self.decoder.feed(bytes);
        while let Ok(Some(unit)) = self.decoder.take() {
            match unit {
                Unit::Word(Word::Request(range)) => self.asked.push(range),
                Unit::Word(Word::Cancel(range)) => self.asked.retain(|asked| *asked != range),
                _ => {}
            }
        }
    }

    /// Our side is told, as its `event`-th event, that these bytes came.
    pub fn told(&mut self, now: Time, event: u64, bytes: &[u8]) {
        self.audit.heard(now, event, bytes);
    }

    /// The bytes for what it is to say. Empty when there is nothing to be said.
    pub fn bytes(&mut self, saying: Saying<'_>) -> Vec<u8> {
        let pieces = self.content.pieces();
        let place = |piece: u8, block: u8| {
            let piece = u32::from(piece) % pieces;
            let begin = u32::from(block % 2) * BLOCK;
            let start = piece * self.content.piece_length + begin;
            let length = (self.content.bytes.len() as u32).saturating_sub(start).min(BLOCK);
            Range { piece, begin, length }
        };
        let word = match saying {
            Saying::Plain(kind) => match kind % 7 {
                0 => Word::KeepAlive,
                1 => Word::Choke,
                2 => Word::Unchoke,
                3 => Word::Interested,
                4 => Word::NotInterested,
                5 => Word::HaveAll,
                _ => Word::HaveNone,
            },
            // One above the last is possible, too.
            Saying::Have(piece) => Word::Have(u32::from(piece) % (pieces + 1)),
            Saying::Bitfield(bits) => {
                let mut bytes = bits.to_be_bytes().to_vec();
                bytes.resize(pieces.div_ceil(8) as usize, 0);
                if let Some(last) = bytes.last_mut().filter(|_| !pieces.is_multiple_of(8)) {
                    *last &= 0xff << (8 - pieces % 8);
                }
                Word::Bitfield(bytes)
            }
            Saying::Request { piece, block } => Word::Request(place(piece, block)),
            Saying::OddRequest(piece, begin, length) => Word::Request(Range { piece, begin, length }),
            Saying::Cancel { piece, block } => Word::Cancel(place(piece, block)),
            Saying::Answer { which, good } => {
                let Some(range) = self.take(which) else { return Vec::new() };
                let Some(Word::Piece(piece, begin, mut data)) = self.content.block(range) else { return Vec::new() };
                if !good {
                    data[0] ^= 1;
                }
                Word::Piece(piece, begin, data)
            }
            Saying::Block { piece, block } => {
                let Some(word) = self.content.block(place(piece, block)) else { return Vec::new() };
                word
            }
            Saying::Reject { which } => {
                let Some(range) = self.take(which) else { return Vec::new() };
                Word::Reject(range)
            }
            Saying::Suggest(piece) => Word::Suggest(u32::from(piece) % (pieces + 1)),
            Saying::AllowedFast(piece) => Word::AllowedFast(u32::from(piece) % (pieces + 1)),
            Saying::Port(port) => Word::Port(port),
            Saying::Introduce { reqq, ids, upload_only } => {
                let (a, b, c) = (ids % 4, ids / 4 % 4, ids / 16 % 4);
                let upload_only = u8::from(upload_only);
                let text = format!(
                    "d1:md11:upload_onlyi{a}e11:ut_metadatai{b}e6:ut_pexi{c}ee4:reqqi{reqq}e11:upload_onlyi{upload_only}ee"
                );
                Word::Extended(0, text.into_bytes())
            }
            Saying::Extended(id, payload) => Word::Extended(id % 5, payload.to_vec()),
            Saying::Other(id, body) => Word::Other(id, body.to_vec()),
            Saying::Bytes(bytes) => return bytes.to_vec(),
        };
        word.bytes()
    }

    fn take(&mut self, which: u8) -> Option<Range> {
        let at = usize::from(which).checked_rem(self.asked.len())?;
        Some(self.asked.remove(at))
    }
}
