//! The other end: somebody who has everything, and says no more than it must.

use crate::Content;
use crate::second::{Decoder, Unit, Word};
use std::collections::VecDeque;
use std::sync::Arc;

/// A seed at one stream.
#[derive(Clone, Debug)]
pub(super) struct Seed {
    content: Arc<Content>,
    decoder: Decoder,
    out: VecDeque<u8>,
    /// How much the session reads.
    pub credit: usize,
}

impl Seed {
    pub fn new(content: Arc<Content>) -> Seed {
        Seed { content, decoder: Decoder::default(), out: VecDeque::new(), credit: 0 }
    }

    /// The session says this.
    pub fn hears(&mut self, bytes: &[u8]) {
        self.decoder.feed(bytes);
        while let Ok(Some(unit)) = self.decoder.take() {
            match unit {
                Unit::Handshake { info_hash, .. } => {
                    self.out.extend(b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0");
                    self.out.extend(info_hash);
                    self.out.extend(b"-XX0001-who-has-all!");
                    let mut bits = vec![0xff; self.content.pieces().div_ceil(8) as usize];
                    if !self.content.pieces().is_multiple_of(8) {
                        bits.pop();
                        bits.push(0xff << (8 - self.content.pieces() % 8));
                    }
                    self.out.extend(Word::Bitfield(bits).bytes());
                    self.out.extend(Word::Unchoke.bytes());
                }
                Unit::Word(Word::Request(range)) => {
                    self.out.extend(self.content.block(range).expect("within the torrent").bytes());
                }
                Unit::Word(_) => {}
            }
        }
    }

    /// What it says now; empty when it has nothing to say, or is not read.
    pub fn says(&mut self) -> Vec<u8> {
        let part = self.out.len().min(self.credit);
        self.credit -= part;
        self.out.drain(..part).collect()
    }
}
