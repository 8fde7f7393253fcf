//! Two connections joined in memory.

use super::*;
use std::collections::BTreeMap;

/// A seed and a leech, and what the leech has got.
struct Pair {
    seed: Held,
    leech: Held,
    got: BTreeMap<Block, u8>,
}

impl Pair {
    fn new(leech_dials: bool) -> Pair {
        let head = Handshake48 { reserved: Reserved::OURS, info_hash: HASH };
        let (seed, leech) = (World::seed(1), World::new(2));
        let (mut seed, mut leech) = if leech_dials {
            (Held::accept(seed, &head), Held::dial(leech))
        } else {
            (Held::dial(seed), Held::accept(leech, &head))
        };
        // The acceptor has read the first 48 bytes already.
        let (dialler, acceptor) = if leech_dials { (&mut leech, &mut seed) } else { (&mut seed, &mut leech) };
        let hello = dialler.sent_bytes();
        acceptor.bytes(&hello[48..]);
        Pair { seed, leech, got: BTreeMap::new() }
    }

    /// Passes bytes to and fro until nobody has anything to say.
    fn talk(&mut self) -> (Vec<PeerSaid>, Vec<PeerSaid>) {
        let (mut by_seed, mut by_leech) = (Vec::new(), Vec::new());
        loop {
            self.leech.now = Time(self.leech.now.0 + 500);
            self.seed.now = self.leech.now;
            let to_seed = self.leech.sent_bytes();
            let heard = if to_seed.is_empty() { Vec::new() } else { self.seed.bytes(&to_seed) };
            for said in &heard {
                if *said == PeerSaid::Interested {
                    self.seed.order(PeerOrder::Unchoke);
                }
            }
            self.seed.serve(9);
            by_seed.extend(heard);
            let to_leech = self.seed.sent_bytes();
            if to_seed.is_empty() && to_leech.is_empty() {
                return (by_seed, by_leech);
            }
            let heard = if to_leech.is_empty() { Vec::new() } else { self.leech.bytes(&to_leech) };
            for said in &heard {
                match said {
                    PeerSaid::Pieces => self.leech.order(PeerOrder::Interested(true)),
                    PeerSaid::Block { block, bytes } => {
                        assert_eq!(bytes.len(), block.length() as usize);
                        assert_eq!(self.got.insert(*block, bytes[0]), None, "{block:?} came twice");
                    }
                    _ => {}
                }
            }
            by_leech.extend(heard);
            self.ask();
        }
    }

    fn ask(&mut self) {
        let mut room = self.leech.conn.room(self.leech.now);
        let geometry = self.leech.world.geometry;
        for block in geometry.iter().flat_map(|piece| geometry.blocks_of(piece).collect::<Vec<_>>()) {
            if room > 0 && !self.got.contains_key(&block) && !self.leech.conn.outstanding().any(|other| other == block)
            {
                self.leech.order(PeerOrder::Request(block));
                room -= 1;
            }
        }
    }
}

#[test]
fn a_leech_gets_everything_from_a_seed_whoever_dials() {
    for leech_dials in [true, false] {
        let mut pair = Pair::new(leech_dials);
        let (by_seed, by_leech) = pair.talk();
        assert_eq!(pair.got.len(), 39 * 2 + 1);
        assert!(pair.got.values().all(|&byte| byte == 9));
        assert!(by_seed.contains(&PeerSaid::Interested));
        assert_eq!(by_leech.iter().filter(|said| **said == PeerSaid::Pieces).count(), 1);
        assert_eq!(by_leech.iter().filter(|said| **said == PeerSaid::Unchoked).count(), 1);
        assert!(pair.leech.conn.is_seed(), "the seed said so");
        assert_eq!(pair.leech.conn.download_rate().total(), pair.leech.world.geometry.total_length());
        assert_eq!(pair.seed.conn.upload_rate().total(), pair.leech.world.geometry.total_length());
        assert_eq!((pair.leech.conn.requests_out(), pair.seed.conn.requests_in()), (0, 0));
        assert_eq!(pair.seed.conn.queued_bytes(), 0);
        assert_eq!(pair.leech.conn.client(), Some(concat!("Parcacik ", env!("CARGO_PKG_VERSION"))));
        assert_eq!(pair.leech.conn.introduction().port, Some(6881));
        assert_eq!(pair.leech.conn.introduction().your_ip, Some("80.4.4.200".parse().unwrap()));
    }
}

#[test]
fn both_ends_are_told_who_the_other_is() {
    let mut pair = Pair::new(true);
    pair.talk();
    assert_eq!(pair.seed.conn.peer_id(), Some(PeerId([2; 20])));
    assert_eq!(pair.leech.conn.peer_id(), Some(PeerId([1; 20])));
    assert!(pair.seed.conn.incoming() && !pair.leech.conn.incoming());
    assert!(pair.seed.conn.fast() && pair.leech.conn.fast());
}

#[test]
fn a_torrent_that_stops_says_so_and_lets_its_last_words_out() {
    let mut pair = Pair::new(true);
    pair.talk();
    pair.seed.call(|conn, cx, facts| conn.order(cx, facts, PeerOrder::Have(facts.geometry.unwrap().piece(0).unwrap())));
    pair.seed.order(PeerOrder::Close(CloseReason::Stopped));
    assert_eq!(pair.seed.steps(), [PeerSaid::Closing(CloseReason::Stopped)]);
    assert!(matches!(&pair.seed.out.list[..], [.., Action::Send { .. }, Action::Close { flush: true, .. }]));
    pair.leech.conn.lost(None);
    assert_eq!(pair.leech.steps(), [PeerSaid::Closing(CloseReason::ClosedByPeer)]);
    assert!(!pair.leech.out.list.iter().any(|action| matches!(action, Action::Close { .. })), "it is closed already");
}
