//! Peers that want our memory, our places, our time.

use super::trick::{Me, Then, Trick};
use crate::second::{Range, Word};
use std::collections::VecDeque;
use std::time::Duration;

/// Sends what it has to say one byte at a time: the handshake too, or only what comes after.
#[derive(Clone, Debug)]
pub struct Drip {
    /// The time between two bytes.
    pub every: Duration,
    /// Whether the handshake drips as well.
    pub handshake: bool,
    waiting: VecDeque<u8>,
}

impl Drip {
    /// A slowloris: a byte every nine seconds, from the first on.
    pub fn handshake() -> Drip {
        Drip { every: Duration::from_secs(9), handshake: true, waiting: VecDeque::new() }
    }

    /// A whole handshake, then a byte a second.
    pub fn stream() -> Drip {
        Drip { every: Duration::from_secs(1), handshake: false, waiting: VecDeque::new() }
    }
}

impl Trick for Drip {
    fn handshake(&mut self, _: &mut Me<'_>, bytes: &mut Vec<u8>) {
        self.waiting.clear();
        if self.handshake {
            self.waiting.extend(bytes.drain(..));
        }
    }

    fn sending(&mut self, _: &mut Me<'_>, bytes: &mut Vec<u8>) {
        self.waiting.extend(bytes.drain(..));
    }

    fn every(&self) -> Option<Duration> {
        Some(self.every)
    }

    fn tick(&mut self, me: &mut Me<'_>) {
        if let Some(byte) = self.waiting.pop_front() {
            me.raw(vec![byte]);
        }
    }
}

/// Says the same again and again.
#[derive(Clone, Debug)]
pub struct Flood {
    /// What.
    pub words: Vec<Word>,
    /// How often all of it, each time.
    pub times: usize,
    /// How often it does that.
    pub every: Duration,
    /// How often it has still to do that.
    pub rounds: usize,
}

impl Flood {
    /// `words`, a thousand times every tenth of a second, a thousand times: a million.
    pub fn of(words: Vec<Word>) -> Flood {
        Flood { words, times: 1_000, every: Duration::from_millis(100), rounds: 1_000 }
    }
}

impl Trick for Flood {
    fn every(&self) -> Option<Duration> {
        Some(self.every)
    }

    fn tick(&mut self, me: &mut Me<'_>) {
        if self.rounds == 0 || !me.talk.greeted {
            return;
        }
        self.rounds -= 1;
        let once: Vec<u8> = self.words.iter().flat_map(Word::bytes).collect();
        me.raw(once.repeat(self.times));
    }
}

/// Asks for every block so many times over once it is served, and takes none back.
#[derive(Clone, Debug)]
pub struct RequestFlood(pub usize);

impl Trick for RequestFlood {
    fn heard(&mut self, me: &mut Me<'_>, word: &Word) -> Then {
        if *word == Word::Unchoke {
            let ranges: Vec<Range> = me.blocks().cycle().take(self.0).collect();
            me.raw(ranges.into_iter().flat_map(|range| Word::Request(range).bytes()).collect());
        }
        if matches!(word, Word::Unchoke | Word::Piece(..)) { Then::Nothing } else { Then::Usual }
    }
}

/// Asks for this many blocks once it is served, and reads nothing from then on.
#[derive(Clone, Debug)]
pub struct NeverRead(pub usize);

impl Trick for NeverRead {
    fn heard(&mut self, me: &mut Me<'_>, word: &Word) -> Then {
        if *word == Word::Unchoke {
            let ranges: Vec<Range> = me.blocks().cycle().take(self.0).collect();
            ranges.into_iter().for_each(|range| me.say(Word::Request(range)));
            me.read(false);
        }
        Then::Nothing
    }

    fn every(&self) -> Option<Duration> {
        Some(Duration::from_secs(50))
    }

    fn tick(&mut self, me: &mut Me<'_>) {
        // It is not to be found out for its silence.
        me.say(Word::KeepAlive);
    }
}

/// Sends a head that promises more than anybody sends, and a few bytes.
#[derive(Clone, Debug)]
pub struct Promise {
    /// The length that it declares.
    pub length: u32,
    /// The number of the message.
    pub id: u8,
}

impl Trick for Promise {
    fn first(&mut self, me: &mut Me<'_>, _: &mut Vec<Word>) {
        let mut bytes = self.length.to_be_bytes().to_vec();
        bytes.push(self.id);
        bytes.extend_from_slice(&[0; 32]);
        // As it would be behind a bitfield, which goes first.
        me.raw(Word::Bitfield(vec![0; me.content.pieces().div_ceil(8) as usize]).bytes());
        me.raw(bytes);
    }
}
