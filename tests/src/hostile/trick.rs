//! What a trick is, and what it can do.

use super::peer::{BLOCK, Talk};
use crate::content::Content;
use crate::second::{Range, Word};
use crate::world::LinkId;
use parcacik_core::rng::Rng;
use parcacik_core::time::Time;
use std::fmt::Debug;
use std::time::Duration;

/// One thing that a [`Peer`](super::Peer) does otherwise than an honest one. All that is not overridden is honest.
pub trait Trick: Debug {
    /// The handshake that is about to be sent.
    fn handshake(&mut self, me: &mut Me<'_>, bytes: &mut Vec<u8>) {
        _ = (me, bytes);
    }
    /// What is about to be said once the other side's handshake has come: the pieces, the extended handshake, and `unchoke`
    /// (a seed) or `interested` (a leech).
    fn first(&mut self, me: &mut Me<'_>, words: &mut Vec<Word>) {
        _ = (me, words);
    }
    /// A message came. Whether what an honest peer does follows.
    fn heard(&mut self, me: &mut Me<'_>, word: &Word) -> Then {
        _ = (me, word);
        Then::Usual
    }
    /// What is about to be answered to a request: the right block, at first.
    fn block(&mut self, me: &mut Me<'_>, asked: Range, answers: &mut Vec<Word>) {
        _ = (me, asked, answers);
    }
    /// A message that is about to be sent, as bytes.
    fn sending(&mut self, me: &mut Me<'_>, bytes: &mut Vec<u8>) {
        _ = (me, bytes);
    }
    /// How often [`Trick::tick`] is called on each link.
    fn every(&self) -> Option<Duration> {
        None
    }
    /// Time has passed.
    fn tick(&mut self, me: &mut Me<'_>) {
        _ = me;
    }
}

/// What follows a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// What an honest peer does.
    Usual,
    /// Nothing, and no other trick hears of it.
    Nothing,
}

/// What a trick sees and can order, on one link.
#[derive(Debug)]
pub struct Me<'a> {
    /// The time it is.
    pub now: Time,
    /// Chance, by the world's seed.
    pub rng: &'a mut Rng,
    /// The torrent that it is about.
    pub content: &'a Content,
    /// Which link.
    pub link: LinkId,
    /// Where the conversation stands.
    pub talk: &'a mut Talk,
    pub(super) steps: Vec<Step>,
}

#[derive(Debug)]
pub(super) enum Step {
    Word(Word),
    Raw(Vec<u8>),
    Read(bool),
    Close(bool),
}

impl Me<'_> {
    /// Says a message; other tricks may change it on its way.
    pub fn say(&mut self, word: Word) {
        self.steps.push(Step::Word(word));
    }

    /// Sends bytes as they are.
    pub fn raw(&mut self, bytes: Vec<u8>) {
        self.steps.push(Step::Raw(bytes));
    }

    /// Stops reading, or goes on.
    pub fn read(&mut self, reading: bool) {
        self.steps.push(Step::Read(reading));
    }

    /// Ends the connection.
    pub fn close(&mut self) {
        self.steps.push(Step::Close(true));
    }

    /// Breaks the connection.
    pub fn reset(&mut self) {
        self.steps.push(Step::Close(false));
    }

    /// All blocks of the torrent, in order.
    pub fn blocks(&self) -> impl Iterator<Item = Range> + Clone + use<> {
        let (total, length) = (self.content.bytes.len() as u64, self.content.piece_length);
        (0..self.content.pieces()).flat_map(move |piece| {
            let size = (total - u64::from(piece) * u64::from(length)).min(length.into()) as u32;
            (0..size.div_ceil(BLOCK)).map(move |number| {
                let begin = number * BLOCK;
                Range { piece, begin, length: (size - begin).min(BLOCK) }
            })
        })
    }

    /// Asks for what the other side has and this one lacks, as an honest leech does: 16 at a time.
    pub fn ask_on(&mut self) {
        if self.talk.choked {
            return;
        }
        let talk = &*self.talk;
        let lacks = |range: &Range| {
            talk.have.contains(&range.piece) && !talk.got.contains(range) && !talk.asked.contains(range)
        };
        let wanted: Vec<Range> = self.blocks().filter(lacks).take(16usize.saturating_sub(talk.asked.len())).collect();
        for range in wanted {
            self.talk.asked.insert(range);
            self.say(Word::Request(range));
        }
    }
}
