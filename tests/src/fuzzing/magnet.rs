//! Magnet links: what is taken keeps its limits, and written down and read again it is the same.

use parcacik_core::metainfo::magnet::{Magnet, MagnetLimits};

/// One input.
pub fn run(input: &[u8]) {
    let limits = MagnetLimits::default();
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok((magnet, warnings)) = Magnet::parse(text, &limits) else { return };
    assert!(warnings.len() <= limits.warnings);
    assert!(magnet.trackers.len() <= limits.trackers && magnet.web_seeds.len() <= limits.web_seeds);
    assert!(magnet.peers.len() <= limits.peers && magnet.nodes.len() <= limits.peers);
    assert!(magnet.sources.len() <= limits.sources && magnet.alternatives.len() <= limits.sources);
    assert!(magnet.hashes.v1.is_some() || magnet.hashes.v2.is_some());
    let written = magnet.to_string();
    // Escapes may make it longer than a link may be; within the limit nothing is lost.
    if written.len() <= limits.bytes {
        assert_eq!(Magnet::parse(&written, &limits).map(|(again, _)| again), Ok(magnet));
    }
}
