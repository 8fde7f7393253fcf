//! A peer that sends damaged data.

use crate::lab::{self, Content, Libtorrent, Need, Ours, Relay, make_torrent};
use parcacik_core::metainfo::Metainfo;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// A peer by sockets alone. Its threads live as long as the test's process.
pub struct Peer {
    pub addr: SocketAddr,
    pub connections: Arc<AtomicU32>,
}

impl Peer {
    /// Listens at `ip`, and does the same on each connection.
    pub fn start(ip: &str, does: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Peer {
        let listener = TcpListener::bind((ip, 0)).expect("a port is free");
        let addr = listener.local_addr().expect("it is bound");
        let connections = Arc::new(AtomicU32::new(0));
        let (does, counter) = (Arc::new(does), Arc::clone(&connections));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                counter.fetch_add(1, Ordering::Relaxed);
                let does = Arc::clone(&does);
                // It ends with an error when the other side closes.
                thread::spawn(move || does(stream));
            }
        });
        Peer { addr, connections }
    }

    /// One that says that it has everything and sends bytes of its own.
    fn liar(ip: &str, torrent: &Metainfo) -> Peer {
        let (hash, pieces) = facts(torrent);
        Peer::start(ip, move |stream| lie(stream, hash, pieces))
    }
}

/// The info-hash, and how many pieces there are.
pub fn facts(torrent: &Metainfo) -> ([u8; 20], u32) {
    (torrent.hashes().v1.expect("it is of version 1"), torrent.geometry().pieces())
}

/// A handshake without any extension. `who` makes the peer id: two of the same are one peer.
pub fn handshake(hash: [u8; 20], who: u8) -> Vec<u8> {
    [b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0", &hash[..], b"-XX0000-liar1234567", &[who]].concat()
}

/// What somebody says first who has everything and serves everybody.
pub fn greeting(hash: [u8; 20], pieces: u32, who: u8) -> Vec<u8> {
    let mut greeting = handshake(hash, who);
    let mut bitfield = vec![0xff; pieces.div_ceil(8) as usize];
    if let (Some(last), spare @ 1..) = (bitfield.last_mut(), bitfield_spare(pieces)) {
        *last <<= spare;
    }
    greeting.extend_from_slice(&(bitfield.len() as u32 + 1).to_be_bytes());
    greeting.push(5);
    greeting.extend_from_slice(&bitfield);
    // And unchoke.
    greeting.extend_from_slice(&[0, 0, 0, 1, 1]);
    greeting
}

/// The next message, without its length.
pub fn message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut message)?;
    Ok(message)
}

/// The next request: piece, begin, length. All else is passed over.
pub fn request(stream: &mut TcpStream) -> io::Result<[u32; 3]> {
    loop {
        if let [6, numbers @ ..] = &message(stream)?[..]
            && let [piece, begin, length] = numbers.as_chunks().0
        {
            return Ok([*piece, *begin, *length].map(u32::from_be_bytes));
        }
    }
}

/// The message that answers a request.
pub fn block(piece: u32, begin: u32, data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u32 + 9).to_be_bytes();
    [&length[..], &[7], &piece.to_be_bytes(), &begin.to_be_bytes(), data].concat()
}

fn lie(mut stream: TcpStream, hash: [u8; 20], pieces: u32) -> io::Result<()> {
    stream.read_exact(&mut [0; 68])?;
    stream.write_all(&greeting(hash, pieces, 0))?;
    loop {
        let [piece, begin, length] = request(&mut stream)?;
        stream.write_all(&block(piece, begin, &vec![0x5a; length as usize]))?;
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
        let liar = Peer::liar("127.0.0.66", &lab::metainfo(&torrent));
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
        let liar = Peer::liar("127.0.0.66", &lab::metainfo(&torrent));
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
