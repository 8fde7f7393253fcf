//! A peer that has shaken hands and then says anything, in any split, to a session that downloads or seeds. The disk answers at once.
//!
//! The first byte says how the stream is split, and whether the session has the torrent already.

use super::host::Host;
use crate::Content;
use parcacik_core::border::{AddTorrent, Command, Config, InfoHash, PeerId, RootId, SeedGoal, SocketId};
use parcacik_core::time::Time;
use parcacik_core::wire::{Handshake, Reserved};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

static CONTENT: LazyLock<Arc<Content>> = LazyLock::new(|| Arc::new(Content::new("fuzz", 4 * 32_768, 32_768, 1)));

/// One input.
pub fn run(input: &[u8]) {
    let Some((&first, stream)) = input.split_first() else { return };
    let mut host = Host::new(Config::default(), vec![CONTENT.clone()]);
    host.prompt = true;
    if first & 1 == 0 {
        host.disk.put("fuzz", CONTENT.bytes.clone());
    }
    let addr = SocketAddr::from(([10, 0, 0, 1], 6881));
    host.command(Command::Listen { tcp: SocketId(1), udp: None, lsd: None, dht: false, addr, device: None });
    let mut add = AddTorrent::new(CONTENT.metainfo.clone(), RootId(0));
    add.use_trackers = false;
    add.goal = SeedGoal::Forever;
    host.command(Command::Add(Box::new(add)));
    let tcp = host.accept(([192, 0, 2, 2], 6881).into(), 0).expect("it listens");
    let hello =
        Handshake { reserved: Reserved::OURS, info_hash: InfoHash(CONTENT.info_hash), peer_id: PeerId([7; 20]) };
    host.hear(tcp, &hello.emit(), usize::MAX);
    for part in stream.chunks(usize::from(first >> 1) * 32 + 1) {
        host.hear(tcp, part, usize::MAX);
        if !host.streams.contains_key(&tcp) {
            return;
        }
        host.wait(Time(host.now.0 + 250_000));
    }
}
