//! Peers that give an info dictionary (BEP 9), the right one or not.

use super::trick::{Me, Then, Trick};
use crate::second::Word;
use bytes::Bytes;
use parcacik_core::bencode::{Document, Limits, Mode};
use std::collections::BTreeMap;

/// The number under which such a peer takes messages of the extension.
const OURS: u8 = 11;
/// A block of the dictionary.
const BLOCK: usize = 16 * 1024;

/// What a peer does that is asked for the info dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// What it should.
    Right,
    /// Bytes that are wrong, of the right length.
    WrongBytes,
    /// One block of it is wrong, the second.
    OneWrongBlock,
    /// It claims so many bytes, and gives zeros.
    OtherSize(u32),
    /// Blocks that are a byte too short.
    ShortBlocks,
    /// A `total_size` that is not what it claimed.
    OtherTotal,
    /// It rejects every request.
    Rejects,
    /// It never answers.
    Nothing,
    /// It names no size, and answers all the same.
    RightWithoutSize,
    /// It sends blocks that nobody asked for, again and again, and no others.
    Unasked,
    /// It claims a size of 0, and a negative one later; then it says nothing more.
    NoSize,
}

/// Takes part in the exchange of the info dictionary.
#[derive(Clone, Debug)]
pub struct Metadata {
    gives: Gives,
    info: Bytes,
    /// What the other side takes messages under, by link.
    theirs: BTreeMap<crate::world::LinkId, u8>,
    /// Requests that it heard.
    pub asked: u64,
}

impl Metadata {
    /// A peer that has the dictionary `info`, and gives it like this.
    pub fn new(info: Bytes, gives: Gives) -> Metadata {
        Metadata { gives, info, theirs: BTreeMap::new(), asked: 0 }
    }

    fn claims(&self) -> Option<i64> {
        match self.gives {
            Gives::OtherSize(size) => Some(size.into()),
            Gives::RightWithoutSize => None,
            Gives::NoSize => Some(0),
            _ => Some(self.info.len() as i64),
        }
    }

    fn answer(&self, piece: usize) -> Option<Vec<u8>> {
        let size = match self.gives {
            Gives::OtherSize(size) => size as usize,
            _ => self.info.len(),
        };
        let begin = piece * BLOCK;
        let end = size.min(begin + BLOCK);
        let mut block = match self.gives {
            Gives::OtherSize(_) => vec![0; end.saturating_sub(begin)],
            _ => self.info.get(begin..end).unwrap_or_default().to_vec(),
        };
        let mut total = size;
        match self.gives {
            Gives::Nothing | Gives::NoSize | Gives::Unasked => return None,
            Gives::Rejects => return Some(format!("d8:msg_typei2e5:piecei{piece}ee").into_bytes()),
            Gives::WrongBytes => block.iter_mut().for_each(|byte| *byte ^= 1),
            Gives::OneWrongBlock if piece == 1 => block.iter_mut().for_each(|byte| *byte ^= 1),
            Gives::ShortBlocks => _ = block.pop(),
            Gives::OtherTotal => total += 1,
            _ => {}
        }
        let head = format!("d8:msg_typei1e5:piecei{piece}e10:total_sizei{total}ee");
        Some([head.as_bytes(), &block].concat())
    }
}

/// A number out of a bencoded dictionary at the start of `payload`.
fn number(payload: &[u8], path: &[&str]) -> Option<i64> {
    let document = Document::decode_prefix(payload, Mode::Tolerant, &Limits::default()).ok()?;
    let (last, folders) = path.split_last()?;
    let mut dict = document.root().dict()?;
    for folder in folders {
        dict = dict.get(folder)?.dict()?;
    }
    dict.get(last)?.int()
}

impl Trick for Metadata {
    fn first(&mut self, _: &mut Me<'_>, words: &mut Vec<Word>) {
        let size = self.claims().map(|size| format!("13:metadata_sizei{size}e")).unwrap_or_default();
        words[1] = Word::Extended(0, format!("d1:md11:ut_metadatai{OURS}ee{size}4:reqqi250ee").into_bytes());
    }

    fn heard(&mut self, me: &mut Me<'_>, word: &Word) -> Then {
        match word {
            Word::Extended(0, payload) => {
                if let Some(id) = number(payload, &["m", "ut_metadata"]).and_then(|id| u8::try_from(id).ok()) {
                    self.theirs.insert(me.link, id);
                    if self.gives == Gives::NoSize {
                        me.say(Word::Extended(0, b"d13:metadata_sizei-5ee".to_vec()));
                    }
                    if self.gives == Gives::Unasked {
                        let block = b"d8:msg_typei1e5:piecei7e10:total_sizei200000eex".to_vec();
                        (0..50).for_each(|_| me.say(Word::Extended(id, block.clone())));
                    }
                }
                Then::Usual
            }
            Word::Extended(OURS, payload) if number(payload, &["msg_type"]) == Some(0) => {
                self.asked += 1;
                let piece = number(payload, &["piece"]).and_then(|piece| usize::try_from(piece).ok()).unwrap_or(0);
                if let (Some(answer), Some(&id)) = (self.answer(piece), self.theirs.get(&me.link)) {
                    me.say(Word::Extended(id, answer));
                }
                Then::Nothing
            }
            _ => Then::Usual,
        }
    }
}
