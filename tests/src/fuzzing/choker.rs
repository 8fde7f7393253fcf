//! The choker under any list of operations: never more served than there are slots, nobody served who is gone, only changes are said,
//! and nobody waits while a slot is free after a round.
//!
//! The input is a list of (operation, peer, number).

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use parcacik_core::border::{ChokeConfig, PeerKey};
use parcacik_core::rng::{Seeds, Stream};
use parcacik_core::time::Time;
use parcacik_core::torrent::choker::{ChokePeer, Choker};
use std::collections::BTreeMap;

/// One input.
pub fn run(input: &[u8]) {
    let Some((&first, input)) = input.split_first() else { return };
    let config = ChokeConfig { slots: 2 + u32::from(first % 6), ..ChokeConfig::default() };
    let mut choker = Choker::new(Seeds::for_tests(1).decisions(Stream::Choker, 0));
    let mut peers: BTreeMap<PeerKey, ChokePeer> = BTreeMap::new();
    let (mut now, mut seeding) = (Time::ZERO, false);
    for step in input.chunks_exact(3) {
        let [operation, number, value] = [step[0], step[1], step[2]];
        let key = PeerKey(u64::from(number % 32));
        match operation % 6 {
            0 => {
                let addr = IpAddr::V4(Ipv4Addr::new(10, 0, value % 4, number));
                peers.entry(key).or_insert(ChokePeer {
                    key,
                    addr,
                    interested: false,
                    choked: true,
                    download_rate: 0,
                    upload_rate: 0,
                    uploaded: 0,
                    snubbed: false,
                    connected_at: now,
                    upload_only: value > 250,
                });
            }
            1 => {
                let Some(peer) = peers.get_mut(&key) else { continue };
                peer.interested = value % 3 > 0;
                if choker.interest_changed(now, &config, peer) {
                    assert!(peer.choked && peer.interested && !peer.upload_only, "unchoked without need");
                    peer.choked = false;
                }
            }
            2 => {
                let uploaded = peers.remove(&key).map_or(0, |peer| peer.uploaded);
                choker.peer_gone(now, &config, key, uploaded);
                assert!(!choker.is_served(key));
            }
            3 => {
                let Some(peer) = peers.get_mut(&key) else { continue };
                peer.download_rate = u64::from(value) << 12;
                peer.upload_rate = u64::from(value.rotate_left(3)) << 12;
                peer.snubbed = value == 7;
                peer.uploaded += u64::from(value) << 16;
            }
            4 => seeding = value % 2 == 0,
            _ => now = now + Duration::from_secs(u64::from(value % 40)),
        }
        if choker.deadline().is_some_and(|due| due <= now) {
            round(&mut choker, &mut peers, now, &config, seeding);
        }
        assert!(peers.values().filter(|peer| !peer.choked).count() <= config.slots as usize);
    }
}

fn round(
    choker: &mut Choker,
    peers: &mut BTreeMap<PeerKey, ChokePeer>,
    now: Time,
    config: &ChokeConfig,
    seeding: bool,
) {
    let list: Vec<ChokePeer> = peers.values().copied().collect();
    for (key, unchoke) in choker.round(now, config, seeding, &list) {
        let peer = peers.get_mut(&key).expect("only those who are there");
        assert_eq!(peer.choked, unchoke, "only changes are said");
        peer.choked = !unchoke;
    }
    let served = peers.values().filter(|peer| !peer.choked).count();
    let waiting = peers.values().any(|peer| peer.choked && peer.interested && !peer.upload_only);
    assert_eq!(served, choker.served());
    assert!(!waiting || served == config.slots as usize, "somebody waits beside a free slot");
    assert!(choker.deadline().is_none_or(|due| due > now), "not due again at once");
}
