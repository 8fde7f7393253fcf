//! Peers that say what is not so.

use super::peer::bitfield;
use super::trick::{Me, Then, Trick};
use crate::second::{Range, Word};
use std::time::Duration;

/// Has everything, then nothing, then everything.
#[derive(Clone, Debug)]
pub struct AlternateAllNone {
    /// How often it changes.
    pub every: Duration,
    /// What it says next.
    pub all: bool,
}

impl Trick for AlternateAllNone {
    fn every(&self) -> Option<Duration> {
        Some(self.every)
    }

    fn tick(&mut self, me: &mut Me<'_>) {
        let pieces = me.content.pieces();
        me.say(match (me.talk.fast, self.all) {
            (true, true) => Word::HaveAll,
            (true, false) => Word::HaveNone,
            (false, all) => Word::Bitfield(bitfield(pieces, |_| all)),
        });
        self.all = !self.all;
    }
}

/// How a peer treats requests for what it lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excuse {
    /// It is silent.
    Silence,
    /// It rejects them.
    Reject,
    /// It chokes, and unchokes again.
    Choke,
}

/// Says by `have` that it has pieces, and has none of them.
#[derive(Clone, Debug)]
pub struct HaveNothing(pub Excuse);

impl Trick for HaveNothing {
    fn first(&mut self, me: &mut Me<'_>, words: &mut Vec<Word>) {
        words[0] = Word::Bitfield(bitfield(me.content.pieces(), |_| false));
        words.extend((0..me.content.pieces()).map(Word::Have));
    }

    fn heard(&mut self, me: &mut Me<'_>, word: &Word) -> Then {
        let Word::Request(range) = word else { return Then::Usual };
        match self.0 {
            Excuse::Silence => {}
            Excuse::Reject => me.say(Word::Reject(*range)),
            Excuse::Choke => {
                me.say(Word::Choke);
                me.say(Word::Unchoke);
            }
        }
        Then::Nothing
    }
}

/// What its bitfield is.
#[derive(Clone, Debug)]
pub enum WrongBitfield {
    /// All bits are set, those for no piece too.
    SpareBits,
    /// This many bytes longer than it should be, or shorter.
    Length(i32),
}

impl Trick for WrongBitfield {
    fn first(&mut self, me: &mut Me<'_>, words: &mut Vec<Word>) {
        let right = me.content.pieces().div_ceil(8) as i32;
        words[0] = Word::Bitfield(match self {
            WrongBitfield::SpareBits => vec![0xff; right as usize],
            WrongBitfield::Length(more) => vec![0; (right + *more) as usize],
        });
    }
}

/// Takes back what it said it has, piece by piece, by the extension `lt_donthave` (BEP 54), and then rejects it.
#[derive(Clone, Debug, Default)]
pub struct DontHave {
    next: u32,
}

impl Trick for DontHave {
    fn first(&mut self, _: &mut Me<'_>, words: &mut Vec<Word>) {
        words[1] = Word::Extended(0, b"d1:md11:lt_donthavei7eee".to_vec());
    }

    fn heard(&mut self, me: &mut Me<'_>, word: &Word) -> Then {
        match word {
            Word::Request(range) if range.piece < self.next => {
                me.say(Word::Reject(*range));
                Then::Nothing
            }
            _ => Then::Usual,
        }
    }

    fn every(&self) -> Option<Duration> {
        Some(Duration::from_millis(200))
    }

    fn tick(&mut self, me: &mut Me<'_>) {
        if self.next < me.content.pieces() {
            me.say(Word::Extended(4, self.next.to_be_bytes().to_vec()));
            self.next += 1;
        }
    }
}

/// Another extended handshake: the payload, bencoded.
#[derive(Clone, Debug)]
pub struct Introduction(pub Vec<u8>);

impl Trick for Introduction {
    fn first(&mut self, _: &mut Me<'_>, words: &mut Vec<Word>) {
        words[1] = Word::Extended(0, self.0.clone());
    }
}

/// Says so often what it was not asked for.
#[derive(Clone, Debug)]
pub struct Chatter {
    /// How often.
    pub every: Duration,
    /// What.
    pub words: Vec<Word>,
}

impl Chatter {
    /// Peer exchange (BEP 11): so many addresses of victims, all in 81.0.0.0/8 and each in a network of its own.
    pub fn pex(every: Duration, victims: u16) -> Chatter {
        let mut payload = format!("d5:added{}:", 6 * victims).into_bytes();
        payload.extend((1..=victims).flat_map(|host| [81, (host >> 8) as u8, host as u8, 1, 0x1a, 0xe1]));
        payload.extend_from_slice(b"e");
        Chatter { every, words: vec![Word::Extended(2, payload)] }
    }

    /// A part of the info dictionary (BEP 9) that is none, and a wrong size of the whole.
    pub fn metadata() -> Chatter {
        let mut payload = b"d8:msg_typei1e5:piecei0e10:total_sizei31457280ee".to_vec();
        payload.resize(payload.len() + 16_384, b'x');
        let request = b"d8:msg_typei0e5:piecei99999999ee".to_vec();
        Chatter {
            every: Duration::from_millis(100),
            words: vec![Word::Extended(1, payload), Word::Extended(1, request)],
        }
    }

    /// Hash request, hashes and hash reject of BEP 52, with hashes of nothing.
    pub fn hashes() -> Chatter {
        let head = vec![0xaa; 48];
        let hashes = [head.clone(), vec![0xbb; 64 * 32]].concat();
        let words = vec![Word::Other(21, head.clone()), Word::Other(22, hashes), Word::Other(23, head)];
        Chatter { every: Duration::from_millis(100), words }
    }
}

impl Trick for Chatter {
    fn every(&self) -> Option<Duration> {
        Some(self.every)
    }

    fn tick(&mut self, me: &mut Me<'_>) {
        if me.talk.greeted {
            self.words.clone().into_iter().for_each(|word| me.say(word));
        }
    }
}

/// Answers no request at all, though it unchokes.
#[derive(Clone, Debug)]
pub struct Mute;

impl Trick for Mute {
    fn heard(&mut self, _: &mut Me<'_>, word: &Word) -> Then {
        if matches!(word, Word::Request(Range { .. })) { Then::Nothing } else { Then::Usual }
    }
}
