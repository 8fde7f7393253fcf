//! A peer that sends damaged data.

use crate::lab::{self, Content, Libtorrent, Need, Ours, Relay, make_torrent};
use parcacik_core::metainfo::Metainfo;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// A peer, by sockets alone, that says that it has everything and sends bytes of its own. Its threads live as long as the test's process.
struct Liar {
    addr: SocketAddr,
    connections: Arc<AtomicU32>,
}

impl Liar {
    fn start(ip: &str, torrent: &Metainfo) -> Liar {
        let listener = TcpListener::bind((ip, 0)).expect("a port is free");
        let addr = listener.local_addr().expect("it is bound");
        let connections = Arc::new(AtomicU32::new(0));
        let (hash, pieces, counter) = (torrent.hashes(), torrent.geometry().pieces(), Arc::clone(&connections));
        thread::spawn(move || {
            let hash = hash.v1.expect("it is of version 1");
            for stream in listener.incoming().map_while(Result::ok) {
                counter.fetch_add(1, Ordering::Relaxed);
                // It ends with an error when the other side closes.
                thread::spawn(move || lie(stream, hash, pieces));
            }
        });
        Liar { addr, connections }
    }
}

fn lie(mut stream: TcpStream, hash: [u8; 20], pieces: u32) -> io::Result<()> {
    let mut handshake = [0; 68];
    stream.read_exact(&mut handshake)?;
    let mut greeting = b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0".to_vec();
    greeting.extend_from_slice(&hash);
    greeting.extend_from_slice(b"-XX0000-liar12345678");
    let mut bitfield = vec![0xff; pieces.div_ceil(8) as usize];
    if let (Some(last), spare @ 1..) = (bitfield.last_mut(), bitfield_spare(pieces)) {
        *last <<= spare;
    }
    greeting.extend_from_slice(&(bitfield.len() as u32 + 1).to_be_bytes());
    greeting.push(5);
    greeting.extend_from_slice(&bitfield);
    // And unchoke.
    greeting.extend_from_slice(&[0, 0, 0, 1, 1]);
    stream.write_all(&greeting)?;
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut message = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut message)?;
        // A request: piece, begin, length.
        if let [6, head @ .., a, b, c, d] = &message[..] {
            let block = vec![0x5a; u32::from_be_bytes([*a, *b, *c, *d]) as usize];
            let mut answer = (block.len() as u32 + 9).to_be_bytes().to_vec();
            answer.push(7);
            answer.extend_from_slice(head);
            answer.extend_from_slice(&block);
            stream.write_all(&answer)?;
        }
    }
}

/// Bits of a bitfield's last byte that stand for no piece.
fn bitfield_spare(pieces: u32) -> u32 {
    (8 - pieces % 8) % 8
}

/// At first there is nobody else: it is found out at its first piece.
#[test]
fn a_liar_alone_is_banned_and_an_honest_seed_ends_the_download() {
    lab::run(&[Need::Libtorrent], |lab| {
        let content = Content::file(&lab.folder("data"), "file.bin", 2_000_000);
        let torrent = make_torrent(lab, &content, "64K", &[]);
        let liar = Liar::start("127.0.0.66", &lab::metainfo(&torrent));
        // Where ours listens: libtorrent dials it later.
        let mut download = Ours::download(lab, &torrent, "out")
            .args(["--listen", "127.0.0.3:0", "--no-tracker", "--peer", &liar.addr.to_string()])
            .start();
        let ours: SocketAddr = download
            .line("where it listens", |line| line.strip_prefix("listening on ").and_then(|addr| addr.parse().ok()));
        download.says("127.0.0.66 is banned");
        let _seed = Libtorrent::start(&torrent, &content.dir, "127.0.0.2", &[ours], &[]);
        download.succeeds();
        content.assert_same_in(&lab.path("out"));
        assert_eq!(liar.connections.load(Ordering::Relaxed), 1, "who is banned is not dialled again");
    });
}

/// Pieces are put together of blocks from both: the liar is found out, and nobody else is banned.
#[test]
fn a_liar_among_honest_peers_is_the_only_one_banned() {
    lab::run(&[Need::Libtorrent], |lab| {
        let content = Content::file(&lab.folder("data"), "file.bin", 4_000_000);
        let torrent = make_torrent(lab, &content, "256K", &[]);
        let liar = Liar::start("127.0.0.66", &lab::metainfo(&torrent));
        let seeds = ["127.0.0.2", "127.0.0.4"].map(|ip| {
            let seed = Libtorrent::seed(&torrent, &content, ip, &[]);
            // So slow that the liar has its turn.
            let relay = Relay::start(&ip.replace("127.0.0", "127.0.1"), seed.addr, 1 << 20);
            (seed, relay)
        });
        let mut command = Ours::download(lab, &torrent, "out").args(["--listen", "127.0.0.3:0", "--no-tracker"]);
        for addr in seeds.iter().map(|(_, relay)| relay.addr).chain([liar.addr]) {
            command = command.args(["--peer", &addr.to_string()]);
        }
        let said = command.succeeds();
        content.assert_same_in(&lab.path("out"));
        let banned: Vec<&str> = said.lines().filter(|line| line.contains("is banned")).collect();
        assert!(banned.len() == 1 && banned[0].contains("127.0.0.66"), "banned: {banned:?}\n{said}");
    });
}
