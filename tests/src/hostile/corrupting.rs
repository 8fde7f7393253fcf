//! Peers that send wrong data.

use super::trick::{Me, Trick};
use crate::second::{Range, Word};
use std::collections::BTreeMap;

/// Which blocks are wrong, and how.
#[derive(Clone, Debug)]
pub enum Corrupt {
    /// Every block, in every byte.
    EveryBlock,
    /// One block of so many.
    OneIn(u32),
    /// One bit of every block.
    OneBit,
    /// The right bytes, said to be those of the next block of the piece.
    WrongOffset,
    /// The bytes of another torrent.
    OtherTorrent(Vec<u8>),
    /// Only blocks of pieces that it was not asked for from the start: of those that it has to share with others. Begins with
    /// an empty map.
    WhenShared(BTreeMap<u32, bool>),
}

impl Trick for Corrupt {
    fn block(&mut self, me: &mut Me<'_>, asked: Range, answers: &mut Vec<Word>) {
        let start = asked.piece as usize * me.content.piece_length as usize + asked.begin as usize;
        for answer in answers {
            let Word::Piece(_, begin, data) = answer else { continue };
            match self {
                Corrupt::EveryBlock => data.iter_mut().for_each(|byte| *byte = !*byte),
                Corrupt::OneIn(many) => {
                    if me.rng.index(*many as usize) == 0 {
                        data.iter_mut().for_each(|byte| *byte = !*byte);
                    }
                }
                Corrupt::OneBit => {
                    let at = me.rng.index(data.len());
                    data[at] ^= 1 << me.rng.index(8);
                }
                Corrupt::WrongOffset => *begin ^= 16 * 1024,
                Corrupt::OtherTorrent(other) => {
                    let length = data.len();
                    data.clear();
                    data.extend(other.iter().cycle().skip(start % other.len().max(1)).take(length));
                }
                Corrupt::WhenShared(alone) => {
                    let alone = *alone.entry(asked.piece).or_insert(asked.begin == 0);
                    if !alone {
                        data[0] ^= 1;
                    }
                }
            }
        }
    }
}
