//! Local discovery: what was read is written and read as the same; a machine that hears anything believes nobody from afar.

use parcacik_core::border::{InfoHash, LsdConfig};
use parcacik_core::lsd::{Lsd, LsdMessage, group};
use parcacik_core::net_policy::AddrClass;
use parcacik_core::time::Time;
use std::net::SocketAddr;

/// One input: an address, and a datagram from it.
pub fn run(input: &[u8]) {
    if let Ok(message) = LsdMessage::parse(input) {
        assert!(message.port > 0 && !message.hashes.is_empty());
        for v6 in [false, true] {
            assert_eq!(LsdMessage::parse(&message.emit((group(v6), 6771).into())).as_ref(), Ok(&message));
        }
    }
    let Some((&[a, b, c, d, n], datagram)) = input.split_first_chunk::<5>() else { return };
    let (config, mut lsd) = (LsdConfig { max_heard: 3, max_sources: 2, ..LsdConfig::default() }, Lsd::new());
    let from: SocketAddr = if n % 2 == 0 {
        ([a, b, c, d], 6771).into()
    } else {
        ([u16::from_be_bytes([a, b]), 0, 0, 0, 0, 0, 0, u16::from(c)], 6771).into()
    };
    for turn in 0..5 {
        if let Some(heard) = lsd.heard(Time::from_secs(1), &config, from, datagram) {
            assert!(turn < 3, "one address is heard so often in a minute");
            assert!(AddrClass::of(from.ip()).is_local(), "{from} is no neighbour");
            assert_eq!(heard.peer.ip().to_canonical(), from.ip().to_canonical());
            let hashes: Vec<InfoHash> = LsdMessage::parse(datagram).expect("it was read").hashes;
            assert_eq!(heard.hashes, hashes);
        }
    }
}
