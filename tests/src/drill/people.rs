//! Who comes to a drill without being a session.

use crate::Content;
use crate::hostile::{
    AlternateAllNone, Chatter, Corrupt, Excuse, Flood, HaveNothing, Havoc, Introduction, LeaveAfter, Me, Mute,
    NeverUnchoke, OneBlockEvery, Peer, RequestFlood, RequestThenCancel, SuperSeed, Trick, WrongBitfield,
};
use crate::second::{Range, Word};
use parcacik_core::rng::Rng;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Has everything, allows pieces fast that it does not say it has, and unchokes late.
#[derive(Clone, Copy, Debug)]
struct AllowsWhatItLacks;

impl Trick for AllowsWhatItLacks {
    fn first(&mut self, me: &mut Me<'_>, words: &mut Vec<Word>) {
        let pieces = me.content.pieces();
        *words = vec![Word::HaveNone];
        words.extend((0..pieces.min(6)).map(Word::AllowedFast));
        words.push(Word::Have(pieces - 1));
    }
}

/// One that always calls itself the same.
#[derive(Clone, Copy, Debug)]
struct SameId;

impl Trick for SameId {
    fn handshake(&mut self, _me: &mut Me<'_>, bytes: &mut Vec<u8>) {
        bytes.truncate(48);
        bytes.extend_from_slice(b"-XX0000-always_alike");
    }
}

/// Chokes and unchokes, and sends what was asked for while it chokes.
#[derive(Clone, Copy, Debug)]
struct Wavers(bool);

impl Trick for Wavers {
    fn every(&self) -> Option<Duration> {
        Some(Duration::from_millis(700))
    }
    fn tick(&mut self, me: &mut Me<'_>) {
        self.0 = !self.0;
        me.say(if self.0 { Word::Choke } else { Word::Unchoke });
    }
}

/// Sends blocks that nobody asked for.
#[derive(Clone, Copy, Debug)]
struct Unasked(Duration);

impl Trick for Unasked {
    fn every(&self) -> Option<Duration> {
        Some(self.0)
    }
    fn tick(&mut self, me: &mut Me<'_>) {
        let piece = me.rng.index(me.content.pieces() as usize) as u32;
        let length = 16_384.min(me.content.bytes.len() as u32 - piece * me.content.piece_length);
        let block = me.content.block(Range { piece, begin: 0, length });
        block.into_iter().for_each(|word| me.say(word));
    }
}

/// Somebody, and whether he waits to be dialled.
pub(super) fn draw(rng: &mut Rng, content: &Arc<Content>, victim: SocketAddr) -> (bool, Peer) {
    let seed = || Peer::seed(content);
    let leech = || Peer::leech(content);
    let pieces = content.pieces();
    let who = match rng.index(24) {
        0 => seed().with(Corrupt::EveryBlock),
        1 => seed().with(Corrupt::OneIn(1 + rng.index(6) as u32)),
        2 => seed().with(Corrupt::OneBit),
        3 => seed().with(Corrupt::WrongOffset),
        4 => seed().with(NeverUnchoke),
        5 => seed().with(OneBlockEvery(Duration::from_secs(1 + rng.index(90) as u64))),
        6 => seed().with(HaveNothing([Excuse::Silence, Excuse::Reject, Excuse::Choke][rng.index(3)])),
        7 => seed().with(WrongBitfield::SpareBits).slow(),
        8 => seed().with(WrongBitfield::Length([-1, 1, 2][rng.index(3)])).slow(),
        9 => seed().with(AllowsWhatItLacks),
        10 => seed().with(Mute),
        11 => seed().with(AlternateAllNone { every: Duration::from_secs(2), all: true }),
        12 => seed().with(Havoc::new(1 + rng.index(20))),
        13 => seed().with(Introduction([&b"de"[..], b"i1e", b"d4:reqqi3ee", b"d1:mdee"][rng.index(4)].to_vec())),
        14 => seed().with(Flood::of(vec![
            [Word::Have(pieces), Word::HaveAll, Word::Suggest(pieces + 3), Word::Have(0)][rng.index(4)].clone(),
        ])),
        15 => seed().with(Wavers(false)),
        16 => seed().with(Unasked(Duration::from_secs(1 + rng.index(4) as u64))),
        17 => seed().slow(),
        18 => leech().slow(),
        19 => leech().with(RequestThenCancel { every: Duration::from_millis(300), count: 6 }),
        20 => leech().with(RequestFlood(50 + rng.index(900))),
        21 => seed().with(SuperSeed::default()),
        22 => seed().with(LeaveAfter(Duration::from_secs(1 + rng.index(5) as u64))).comes_back(Duration::from_secs(2)),
        _ => leech().with(Chatter::pex(Duration::from_millis(100), 50)),
    };
    let dials = rng.index(2) == 0;
    let who = if rng.index(6) == 0 { who.with(SameId).dials(victim, 2) } else { who };
    let who = if rng.index(5) == 0 { who.slow() } else { who };
    if dials { (rng.index(2) == 0, who.dials(victim, 1)) } else { (true, who) }
}
