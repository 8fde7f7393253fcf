//! A hostile peer by chance.

use super::{
    AlternateAllNone, Chatter, Corrupt, DontHave, Drip, Excuse, Flood, HaveNothing, Havoc, Introduction, LeaveAfter,
    Mute, NeverRead, NeverUnchoke, OneBlockEvery, Peer, Promise, RandomHandshake, RequestFlood, RequestThenCancel,
    SuperSeed, WrongBitfield,
};
use crate::content::Content;
use crate::second::Word;
use parcacik_core::rng::Rng;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// One of all there are; some that seem to have everything, some that take.
pub fn any_peer(rng: &mut Rng, content: &Arc<Content>) -> Peer {
    let millis = Duration::from_millis;
    let seed = Peer::seed(content);
    let leech = Peer::leech(content);
    let peer = match rng.index(25) {
        0 => seed.with(NeverUnchoke),
        1 => seed.with(OneBlockEvery(Duration::from_secs(600))),
        2 => seed.with(SuperSeed::default()),
        3 => leech.with(LeaveAfter(Duration::from_secs(20))).comes_back(millis(500)),
        4 => leech.with(RequestThenCancel { every: millis(200), count: 8 }),
        5 => seed.with(AlternateAllNone { every: millis(700), all: rng.index(2) == 0 }),
        6 => seed.with(HaveNothing([Excuse::Silence, Excuse::Reject, Excuse::Choke][rng.index(3)])),
        7 => seed.with(WrongBitfield::SpareBits),
        8 => seed.with(WrongBitfield::Length(rng.index(5) as i32 + 1)),
        9 => seed.with(DontHave::default()),
        10 => seed.with(Introduction(b"d1:mde4:reqqi1ee".to_vec())),
        11 => seed.with(Chatter::pex(Duration::from_millis(100), 50)),
        12 => seed.with(Chatter::metadata()),
        13 => seed.with(Chatter::hashes()),
        14 => seed.with(Mute),
        15 => seed.with(Corrupt::EveryBlock),
        16 => seed.with(Corrupt::OneIn(1 + rng.index(10) as u32)),
        17 => seed.with(Corrupt::OneBit),
        18 => seed.with(Corrupt::WhenShared(BTreeMap::new())),
        19 => seed.with(Drip::stream()),
        20 => seed.with(Flood { words: vec![Word::Have(0)], times: 100, every: millis(100), rounds: 100 }),
        21 => leech.with(RequestFlood(2_000)),
        22 => leech.with(NeverRead(200)),
        23 => seed.with(Promise { length: 1 << 31, id: 7 }),
        _ => leech.with(RandomHandshake { right: rng.index(68), length: 1 + rng.index(200) }),
    };
    let peer = if rng.index(3) == 0 { peer.with(Havoc::new(1 + rng.index(20))) } else { peer };
    if rng.index(3) == 0 { peer.slow() } else { peer }
}
