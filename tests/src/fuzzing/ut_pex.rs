//! Peer exchange: what was read is written and read as the same; and a machine that hears anything names nobody twice, keeps its limits, and
//! says no more than it may.

use super::operations;
use arbitrary::Arbitrary;
use parcacik_core::border::{PeerFault, PeerKey, PexConfig};
use parcacik_core::time::Time;
use parcacik_core::torrent::pex::Pex;
use parcacik_core::wire::{PexFlags, PexMessage, PexPeer};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

#[derive(Arbitrary, Debug)]
enum Op<'i> {
    Hear {
        key: u8,
        payload: &'i [u8],
    },
    /// A message that can be read.
    Named {
        key: u8,
        added: Vec<(u8, u8)>,
        dropped: Vec<(u8, u8)>,
    },
    Connected {
        key: u8,
        host: u8,
        port: u8,
        flags: u8,
    },
    Closed {
        key: u8,
        by_us: bool,
    },
    Listens {
        key: u8,
    },
    Wait {
        seconds: u8,
    },
    Send,
}

/// Addresses of a few classes.
fn address(host: u8, port: u8) -> SocketAddr {
    let ip: std::net::IpAddr = match host % 8 {
        0 => [127, 0, 0, host].into(),
        1 => [192, 168, 0, host].into(),
        2 => [0x2a00, 0, 0, 0, 0, 0, 0, u16::from(host)].into(),
        _ => [80, 4, host, 1].into(),
    };
    SocketAddr::new(ip, 6881 + u16::from(port % 4))
}

/// One input.
pub fn run(input: &[u8]) {
    if let Ok(message) = PexMessage::parse(input) {
        let again = PexMessage::parse(&message.emit()).expect("what we write is good");
        assert_eq!(PexMessage::parse(&again.emit()), Ok(again));
    }
    let config = PexConfig { max_taken: 10, max_named: 20, max_in_message: 50, ..PexConfig::default() };
    let (mut pex, mut now) = (Pex::new(), Time::from_secs(1));
    let mut named: BTreeMap<u8, BTreeSet<SocketAddr>> = BTreeMap::new();
    // Whom each listener takes to be connected, and when it was told last.
    let mut believes: BTreeMap<u8, (BTreeSet<SocketAddr>, Option<Time>)> = BTreeMap::new();
    let mut contacts: BTreeMap<u8, SocketAddr> = BTreeMap::new();
    for op in operations(input, 200) {
        match op {
            Op::Hear { key, payload } => hear(&mut pex, now, &config, key, payload, &mut named),
            Op::Named { key, added, dropped } => {
                let added =
                    added.iter().map(|&(host, port)| PexPeer { addr: address(host, port), flags: PexFlags(host) });
                let dropped = dropped.iter().map(|&(host, port)| address(host, port));
                let message = PexMessage { added: added.collect(), dropped: dropped.collect() };
                hear(&mut pex, now, &config, key, &message.emit(), &mut named);
            }
            Op::Connected { key, host, port, flags } => {
                let addr = address(host, port);
                pex.connected(now, PeerKey(key.into()), PexPeer { addr, flags: PexFlags(flags) });
                contacts.insert(key, addr);
            }
            Op::Closed { key, by_us } => {
                pex.closed(now, &config, PeerKey(key.into()), by_us);
                named.remove(&key);
                believes.remove(&key);
                contacts.remove(&key);
            }
            Op::Listens { key } => {
                pex.listens(now, &config, PeerKey(key.into()), address(key, 0));
                believes.entry(key).or_default();
            }
            Op::Wait { seconds } => now = now + Duration::from_secs(seconds.into()),
            Op::Send => send(&mut pex, now, &config, &mut believes),
        }
    }
    // When nothing changes any more, everybody comes to know the truth.
    for _ in 0..10 {
        now = now + config.interval;
        send(&mut pex, now, &config, &mut believes);
    }
    assert_eq!(pex.deadline(), None);
    for (key, (believed, _)) in believes {
        let live: BTreeSet<SocketAddr> =
            contacts.iter().filter(|(other, _)| **other != key).map(|(_, &addr)| addr).collect();
        assert!(believed.is_subset(&live), "{key} takes {believed:?} to be connected, of {live:?}");
    }
}

fn hear(
    pex: &mut Pex,
    now: Time,
    config: &PexConfig,
    key: u8,
    payload: &[u8],
    named: &mut BTreeMap<u8, BTreeSet<SocketAddr>>,
) {
    match pex.heard(now, config, PeerKey(key.into()), payload) {
        Ok(news) => {
            let known = named.entry(key).or_default();
            let canonical = |addr: SocketAddr| SocketAddr::new(addr.ip().to_canonical(), addr.port());
            for addr in news.dropped {
                assert!(known.remove(&canonical(addr)), "it had not named {addr}");
            }
            assert!(news.added.len() <= config.max_taken as usize);
            for peer in news.added {
                assert!(known.insert(canonical(peer.addr)), "{} twice", peer.addr);
            }
            assert!(known.len() <= config.max_named as usize);
        }
        Err(fault) => assert!(matches!(fault, PeerFault::BadPex | PeerFault::PexFlood)),
    }
}

fn send(
    pex: &mut Pex,
    now: Time,
    config: &PexConfig,
    believes: &mut BTreeMap<u8, (BTreeSet<SocketAddr>, Option<Time>)>,
) {
    let due = pex.deadline().is_some_and(|due| due <= now);
    let mut any = false;
    while let Some((PeerKey(key), message)) = pex.next(now, config) {
        any = true;
        let key = u8::try_from(key).expect("one of ours");
        let (believed, last) = believes.get_mut(&key).expect("somebody who listens");
        assert!(!message.is_empty());
        let first = last.replace(now);
        assert!(first.is_none_or(|last| now.since(last) >= config.interval), "twice within a minute");
        let most = if first.is_none() { config.max_first } else { config.max_contacts };
        assert!(message.added.len() <= most as usize && message.dropped.len() <= config.max_contacts as usize);
        for addr in &message.dropped {
            assert!(believed.remove(addr), "{addr} is dropped, and was not added");
        }
        for peer in &message.added {
            assert_ne!(peer.addr, address(key, 0), "it is told of itself");
            assert!(!message.dropped.contains(&peer.addr) && believed.insert(peer.addr), "{} twice", peer.addr);
        }
    }
    assert!(due || !any, "it says when, and keeps to it");
}
