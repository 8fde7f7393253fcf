//! Peers that misuse their connection: what only real sockets show.

use crate::hostile::{Peer, block, facts, greeting, handshake, message, request};
use crate::lab::{self, Content, Ours, PATIENCE, Relay, make_torrent, until};
use socket2::{Domain, SockRef, Socket, Type};
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// How many blocks the peer serves that sends byte by byte.
const TRICKLED: u64 = 16;

/// Reads until the other side closes.
fn read_out(mut stream: &TcpStream) -> io::Result<()> {
    io::copy(&mut stream, &mut io::sink()).map(drop)
}

/// Ours downloads from an honest seed, so slow that the others have their turn. Each of those is told by its address.
#[test]
fn whoever_misuses_a_connection_loses_it_and_the_download_ends_whole() {
    lab::run(&[], |lab| {
        let content = Content::file(&lab.folder("data"), "file.bin", 3_000_000);
        let torrent = make_torrent(lab, &content, "64K", &[]);
        let (hash, pieces) = facts(&lab::metainfo(&torrent));
        let (_seed, seed) = Ours::seed(lab, &torrent, &content, "127.0.0.2", &["--no-tracker"]);
        // Some 20 s, of which a handshake may take ten.
        let relay = Relay::start("127.0.1.2", seed, 150_000);

        // It takes the connection, and says nothing.
        let half_open = Peer::start("127.0.0.61", |stream| read_out(&stream));
        // It breaks off in the middle of a block. With a linger time of zero, closing is a reset.
        let resets = Peer::start("127.0.0.62", move |mut stream| {
            stream.read_exact(&mut [0; 68])?;
            stream.write_all(&greeting(hash, pieces, 1))?;
            let [piece, begin, length] = request(&mut stream)?;
            let answer = block(piece, begin, &vec![0x5a; length as usize]);
            stream.write_all(&answer[..answer.len() / 2])?;
            SockRef::from(&stream).set_linger(Some(Duration::ZERO))
        });
        // An honest peer, but each byte is a segment.
        let data = std::fs::read(content.path()).expect("it is there");
        let (written, counter) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (bytes, blocks) = (Arc::clone(&written), Arc::clone(&counter));
        let trickles = Peer::start("127.0.0.63", move |mut stream| {
            stream.set_nodelay(true)?;
            stream.read_exact(&mut [0; 68])?;
            let one_by_one = |stream: &mut TcpStream, message: &[u8]| {
                message.iter().try_for_each(|byte| {
                    bytes.fetch_add(1, Ordering::Relaxed);
                    stream.write_all(&[*byte])
                })
            };
            one_by_one(&mut stream, &greeting(hash, pieces, 2))?;
            // Then it chokes, so that the honest seed has something left to do.
            for _ in 0..TRICKLED {
                let [piece, begin, length] = request(&mut stream)?;
                let start = piece as usize * 65_536 + begin as usize;
                one_by_one(&mut stream, &block(piece, begin, &data[start..start + length as usize]))?;
                blocks.fetch_add(1, Ordering::Relaxed);
            }
            one_by_one(&mut stream, &[0, 0, 0, 1, 0])?;
            read_out(&stream)
        });
        // It says all that there is to say, then that it says nothing more, and goes on reading.
        let (ended, read_to_its_end) = mpsc::channel();
        let half_closes = Peer::start("127.0.0.64", move |mut stream| {
            stream.read_exact(&mut [0; 68])?;
            stream.write_all(&greeting(hash, pieces, 3))?;
            stream.shutdown(Shutdown::Write)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            let end = read_out(&stream);
            // Nobody listens any more when it is dialled again.
            let _ = ended.send(end.as_ref().map_err(io::Error::kind).copied());
            end
        });

        let mut command = Ours::download(lab, &torrent, "out").args(["--listen", "127.0.0.3:0", "--no-tracker"]);
        for addr in [relay.addr, half_open.addr, resets.addr, trickles.addr, half_closes.addr] {
            command = command.args(["--peer", &addr.to_string()]);
        }
        let mut download = command.start();
        for (peer, reason) in
            [(&half_open, "HandshakeTimeout"), (&resets, "Broken(Reset)"), (&half_closes, "ClosedByPeer")]
        {
            download.says(&format!("{} closed: {reason}", peer.addr));
        }
        download.succeeds();
        content.assert_same_in(&lab.path("out"));
        // Ours has closed its half too, in order or, with something unread, by a reset.
        let end = read_to_its_end.recv_timeout(PATIENCE).expect("the connection does not stay half open");
        assert!(matches!(end, Ok(()) | Err(io::ErrorKind::ConnectionReset)), "{end:?}");
        let (bytes, blocks) = (written.load(Ordering::Relaxed), counter.load(Ordering::Relaxed));
        assert!(
            blocks == TRICKLED && bytes > blocks * 16_384,
            "{blocks} blocks were taken byte by byte, {bytes} bytes"
        );
        let said = download.output();
        for words in ["is banned", "came damaged", &format!("{} closed: Fault", trickles.addr)] {
            assert!(!said.contains(words), "{words}");
        }
        assert!(!said.contains(&format!("{} closed: Broken", relay.addr)), "the honest one has been let alone");
    });
}

/// A peer that asks for as much as it may and reads nothing of it: it must not fill our memory, nor keep others from theirs.
#[test]
fn who_does_not_read_costs_a_bounded_amount_of_memory_and_is_closed() {
    lab::run(&[], |lab| {
        let content = Content::file(&lab.folder("data"), "file.bin", 8 << 20);
        let torrent = make_torrent(lab, &content, "1M", &[]);
        let (hash, _) = facts(&lab::metainfo(&torrent));
        let (mut seed, addr) = Ours::seed(lab, &torrent, &content, "127.0.0.2", &["--no-tracker"]);
        let before = seed.peak_memory();
        let deaf: Vec<TcpStream> = (0..3)
            .map(|number| {
                let from = SocketAddr::from(([127, 0, 0, 70 + number], 0));
                dial_and_ask(from, addr, &handshake(hash, number)).expect("it takes requests")
            })
            .collect();
        // Meanwhile somebody else is served.
        let download = Ours::download(lab, &torrent, "out").args(["--listen", "127.0.0.3:0", "--no-tracker", "--peer"]);
        download.arg(addr.to_string()).succeeds();
        content.assert_same_in(&lab.path("out"));
        // Nothing leaves for so long that they count as not reading.
        let patience = parcacik_core::border::Config::default().peer.send_timeout + PATIENCE;
        for stream in &deaf {
            let peer = stream.local_addr().expect("it is bound");
            let words = format!("{peer} closed: NotReading");
            until(&words, patience, || seed.output().contains(&words).then_some(()));
        }
        // They asked for 180 MB together. On its way to each may be what the watermark allows, twice over while it is read.
        let grown = seed.peak_memory() - before;
        println!("the seed's memory has grown by {} KiB", grown >> 10);
        assert!(grown < 24 << 20, "{grown} bytes");
        seed.terminate();
    });
}

/// A connection from `from` on which as much was asked for as may be queued (480 requests of 128 KiB), of which nothing will be read.
fn dial_and_ask(from: SocketAddr, to: SocketAddr, handshake: &[u8]) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    // So that the kernel takes little of it.
    socket.set_recv_buffer_size(4096)?;
    socket.bind(&from.into())?;
    socket.connect(&to.into())?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(handshake)?;
    // Interested.
    stream.write_all(&[0, 0, 0, 1, 2])?;
    stream.read_exact(&mut [0; 68])?;
    while message(&mut stream)? != [1] {}
    for number in 0..480u32 {
        let (piece, begin) = (number / 8 % 8, number % 8 * (128 << 10));
        let numbers = [13, piece, begin, 128 << 10].map(u32::to_be_bytes);
        stream.write_all(&[&numbers[0][..], &[6], &numbers[1], &numbers[2], &numbers[3]].concat())?;
    }
    Ok(stream)
}
