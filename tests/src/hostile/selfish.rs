//! Peers that take and do not give.

use super::trick::{Me, Then, Trick};
use crate::second::{Range, Word};
use std::time::Duration;

/// Never unchokes anybody.
#[derive(Clone, Debug)]
pub struct NeverUnchoke;

impl Trick for NeverUnchoke {
    fn first(&mut self, _: &mut Me<'_>, words: &mut Vec<Word>) {
        words.retain(|word| *word != Word::Unchoke);
    }
}

/// Unchokes for one block, chokes, and waits so long before the next; what else is asked is not answered.
#[derive(Clone, Debug)]
pub struct OneBlockEvery(pub Duration);

impl Trick for OneBlockEvery {
    fn heard(&mut self, me: &mut Me<'_>, word: &Word) -> Then {
        match word {
            Word::Request(_) if me.talk.choking => Then::Nothing,
            _ => Then::Usual,
        }
    }

    fn block(&mut self, me: &mut Me<'_>, _: Range, answers: &mut Vec<Word>) {
        answers.push(Word::Choke);
        me.talk.choking = true;
    }

    fn every(&self) -> Option<Duration> {
        Some(self.0)
    }

    fn tick(&mut self, me: &mut Me<'_>) {
        me.say(Word::Unchoke);
    }
}

/// Shows one piece at a time, and the next only when the other side has got the last (what BEP 16 has a seed do).
#[derive(Clone, Debug, Default)]
pub struct SuperSeed {
    shown: u32,
}

impl Trick for SuperSeed {
    fn first(&mut self, _: &mut Me<'_>, words: &mut Vec<Word>) {
        words[0] = Word::HaveNone;
        words.push(Word::Have(0));
    }

    fn heard(&mut self, me: &mut Me<'_>, word: &Word) -> Then {
        if matches!(word, Word::Have(piece) if *piece == self.shown) && self.shown + 1 < me.content.pieces() {
            self.shown += 1;
            while me.talk.have.contains(&self.shown) && self.shown + 1 < me.content.pieces() {
                self.shown += 1;
            }
            me.say(Word::Have(self.shown));
        }
        Then::Usual
    }
}

/// Hangs up after so long. With [`Peer::comes_back`](super::Peer::comes_back) it washes itself white: it is somebody new then.
#[derive(Clone, Debug)]
pub struct LeaveAfter(pub Duration);

impl Trick for LeaveAfter {
    fn every(&self) -> Option<Duration> {
        Some(self.0)
    }

    fn tick(&mut self, me: &mut Me<'_>) {
        me.close();
    }
}

/// Asks for `count` blocks and takes each back at once, so often.
#[derive(Clone, Debug)]
pub struct RequestThenCancel {
    /// How often.
    pub every: Duration,
    /// How many blocks.
    pub count: usize,
}

impl Trick for RequestThenCancel {
    fn heard(&mut self, _: &mut Me<'_>, word: &Word) -> Then {
        if matches!(word, Word::Unchoke | Word::Piece(..)) { Then::Nothing } else { Then::Usual }
    }

    fn every(&self) -> Option<Duration> {
        Some(self.every)
    }

    fn tick(&mut self, me: &mut Me<'_>) {
        if me.talk.choked {
            return;
        }
        let ranges: Vec<Range> = me.blocks().take(self.count).collect();
        for range in ranges {
            me.say(Word::Request(range));
            me.say(Word::Cancel(range));
        }
    }
}
