//! The parts below the client, each alone. The whole of it is tested against servers in `tests/http`.

use super::clock::Clock;
use super::pool::{Key, Pool};
use super::stream::{Meter, READ_SIZE, READ_TURNS, Stream, Transport};
use super::{decode, fault};
use async_io::{Async, block_on};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use futures_lite::future::{pending, yield_now};
use futures_lite::io::AsyncRead;
use parcacik_core::border::{HttpRequest, IoFault};
use proptest::prelude::*;
use rustix::io::Errno;
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// A metered stream whose other end has sent `bytes` zeros, all of them arrived.
fn stream_with(bytes: usize) -> (Stream, Arc<Meter>, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut there = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let here = listener.accept().unwrap().0;
    there.write_all(&vec![0; bytes]).unwrap();
    let mut peeked = vec![0; bytes];
    while here.peek(&mut peeked).unwrap() < bytes {}
    let meter = Arc::new(Meter::default());
    (Stream::new(Transport::Plain(Async::new(here).unwrap()), Arc::clone(&meter)), meter, there)
}

fn read(stream: &mut Stream, size: usize) -> Poll<io::Result<usize>> {
    Pin::new(stream).poll_read(&mut Context::from_waker(Waker::noop()), &mut vec![0; size])
}

#[test]
fn the_stream_gives_way_after_its_turns() {
    let (mut stream, meter, _there) = stream_with(1000);
    for round in 1..=3 {
        for _ in 0..READ_TURNS {
            assert!(matches!(read(&mut stream, 1), Poll::Ready(Ok(1))));
        }
        assert!(read(&mut stream, 1).is_pending());
        assert_eq!(meter.received(), round * u64::from(READ_TURNS));
    }
}

#[test]
fn giving_way_asks_for_another_turn() {
    struct Count(std::sync::atomic::AtomicU32);
    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }
    let (mut stream, _meter, _there) = stream_with(100);
    let count = Arc::new(Count(0.into()));
    let waker = Waker::from(Arc::clone(&count));
    for _ in 0..=READ_TURNS {
        let _ = Pin::new(&mut stream).poll_read(&mut Context::from_waker(&waker), &mut [0]);
    }
    assert_eq!(count.0.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[test]
fn a_read_is_no_larger_than_its_size() {
    let (mut stream, _meter, _there) = stream_with(READ_SIZE + 1000);
    assert!(matches!(read(&mut stream, 2 * READ_SIZE), Poll::Ready(Ok(READ_SIZE))));
    assert!(matches!(read(&mut stream, 2 * READ_SIZE), Poll::Ready(Ok(1000))));
}

#[test]
fn the_bytes_of_heads_are_counted_over_all_reads() {
    let (mut stream, meter, _there) = stream_with(100);
    meter.head_begins(50);
    assert!(matches!(read(&mut stream, 30), Poll::Ready(Ok(30))));
    assert!(matches!(read(&mut stream, 30), Poll::Ready(Ok(20))), "no byte beyond the limit is read");
    match read(&mut stream, 30) {
        Poll::Ready(Err(error)) => assert_eq!(fault::of(&error), IoFault::TooLarge),
        other => panic!("{other:?}"),
    }
    meter.head_done();
    assert!(matches!(read(&mut stream, 30), Poll::Ready(Ok(30))));
    meter.head_begins(50);
    assert!(matches!(read(&mut stream, 30), Poll::Ready(Ok(20))), "the next head counts anew");
    assert_eq!(meter.received(), 100);
}

#[test]
fn a_clock_can_be_set_to_an_earlier_time_and_a_later_one() {
    let short = Duration::from_millis(30);
    block_on(async {
        let mut clock = Clock::start(Duration::MAX);
        let waits_once = async {
            yield_now().await;
            Ok(7)
        };
        assert_eq!(clock.step(Duration::MAX, waits_once).await, Ok(7), "now the timer is set far ahead");
        let start = Instant::now();
        assert_eq!(clock.step::<()>(short, pending()).await, Err(IoFault::TimedOut));
        assert!(start.elapsed() >= short);
        // And the timer that fired serves again.
        let start = Instant::now();
        assert_eq!(clock.step::<()>(short * 2, pending()).await, Err(IoFault::TimedOut));
        assert!(start.elapsed() >= short * 2);
    });
}

#[test]
fn a_step_ends_with_the_whole() {
    block_on(async {
        let mut clock = Clock::start(Duration::from_millis(30));
        assert_eq!(clock.step::<()>(Duration::MAX, pending()).await, Err(IoFault::TimedOut));
        assert_eq!(clock.step(Duration::MAX, async { Ok(()) }).await, Ok(()), "what is done is done");
    });
}

#[test]
fn errors_of_the_system_have_their_names() {
    let cases = [
        (Errno::CONNREFUSED, IoFault::Refused),
        (Errno::CONNRESET, IoFault::Reset),
        (Errno::PIPE, IoFault::Reset),
        (Errno::TIMEDOUT, IoFault::TimedOut),
        (Errno::HOSTUNREACH, IoFault::Unreachable),
        (Errno::NETUNREACH, IoFault::Unreachable),
        (Errno::ADDRNOTAVAIL, IoFault::AddressUnavailable),
        (Errno::ACCESS, IoFault::Denied),
        (Errno::PERM, IoFault::Denied),
        (Errno::MFILE, IoFault::TooManyOpen),
        (Errno::NFILE, IoFault::TooManyOpen),
        (Errno::NOTTY, IoFault::Other),
    ];
    for (errno, expect) in cases {
        assert_eq!(fault::of(&io::Error::from(errno)), expect, "{errno:?}");
    }
}

#[test]
fn the_deepest_error_that_says_something_decides() {
    let expired = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
    assert_eq!(fault::of(&io::Error::new(io::ErrorKind::InvalidData, expired)), IoFault::Untrusted);
    let garbled = rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType);
    assert_eq!(fault::of(&io::Error::new(io::ErrorKind::InvalidData, garbled)), IoFault::Protocol);
    let wrapped = io::Error::new(io::ErrorKind::TimedOut, io::Error::from(Errno::CONNRESET));
    assert_eq!(fault::of(&wrapped), IoFault::Reset);
    assert_eq!(fault::of(&std::fmt::Error), IoFault::Other);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8], wrapped: bool) -> Vec<u8> {
    if wrapped {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    } else {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }
}

/// Bytes that compress well, not at all, or somewhat.
fn content() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (any::<u8>(), 0..200_000usize).prop_map(|(byte, length)| vec![byte; length]),
        prop::collection::vec(any::<u8>(), 0..3000),
        (prop::collection::vec(any::<u8>(), 1..20), 0..5000usize).prop_map(|(part, times)| part.repeat(times)),
    ]
}

proptest! {
    #[test]
    fn decoding_undoes_coding_within_the_exact_limit(plain in content(), coding in 0..3) {
        let (coded, label): (_, &[u8]) = match coding {
            0 => (gzip(&plain), b""),
            1 => (deflate(&plain, true), b"deflate"),
            _ => (deflate(&plain, false), b" DEFLATE "),
        };
        prop_assert!(decode::is_coded(&coded, label));
        prop_assert!(coded.len() <= decode::wire_limit(plain.len()), "coding made it longer than allowed for");
        let decoded = block_on(decode::decode(coded.clone(), label, plain.len()));
        prop_assert_eq!(decoded.as_deref(), Ok(&plain[..]));
        if let Some(less) = plain.len().checked_sub(1) {
            prop_assert_eq!(block_on(decode::decode(coded, label, less)), Err(IoFault::TooLarge));
        }
    }

    #[test]
    fn what_is_cut_is_never_taken_for_whole(plain in content(), coding in 0..3, keep in any::<prop::sample::Index>()) {
        let (coded, label): (_, &[u8]) = match coding {
            0 => (gzip(&plain), b"gzip"),
            1 => (deflate(&plain, true), b"deflate"),
            _ => (deflate(&plain, false), b"deflate"),
        };
        // At least the mark of gzip, or a byte: less is no coding.
        let cut = coded[..keep.index(coded.len()).max(2).min(coded.len() - 1)].to_vec();
        prop_assert_eq!(block_on(decode::decode(cut, label, plain.len())), Err(IoFault::Protocol));
    }

    #[test]
    fn no_bytes_make_it_panic_or_pass_the_limit(mut bytes in prop::collection::vec(any::<u8>(), 0..500), mark in 0..3usize, limit in 0..2000usize) {
        let mark: &[u8] = [&b""[..], &[0x1f, 0x8b], &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0]][mark];
        bytes.splice(..0, mark.iter().copied());
        for label in [&b""[..], b"gzip", b"deflate"] {
            if let Ok(decoded) = block_on(decode::decode(bytes.clone(), label, limit)) {
                prop_assert!(decoded.len() <= limit);
            }
        }
    }

    /// Against a list that is searched the slow way.
    #[test]
    fn the_pool_keeps_what_its_rules_say(ops in prop::collection::vec((0..3u16, any::<bool>(), 0..4u64), 0..60)) {
        const MOST: usize = 4;
        const MOST_PER_KEY: usize = 2;
        const KEEP: u64 = 10;
        let pool: Pool<u32> = Pool::new(MOST, MOST_PER_KEY, Duration::from_secs(KEEP));
        let start = Instant::now();
        let mut model: Vec<(u16, u32, u64)> = Vec::new();
        let mut now = 0;
        for (number, (port, take, pause)) in (0u32..).zip(ops) {
            now += pause;
            let at = start + Duration::from_secs(now);
            model.retain(|&(_, _, since)| now - since < KEEP);
            if take {
                let newest = model.iter().filter(|entry| entry.0 == port).map(|entry| entry.1).max();
                model.retain(|entry| Some(entry.1) != newest);
                prop_assert_eq!(pool.take(&key(port), at), newest);
            } else {
                model.push((port, number, now));
                let same: Vec<u32> = model.iter().filter(|entry| entry.0 == port).map(|entry| entry.1).collect();
                let surplus = (same.len() > MOST_PER_KEY).then(|| same[0]);
                model.retain(|entry| Some(entry.1) != surplus);
                let surplus = (model.len() > MOST).then(|| model[0].1);
                model.retain(|entry| Some(entry.1) != surplus);
                pool.give(key(port), number, at);
            }
        }
        pool.clear();
        for port in 0..3 {
            prop_assert_eq!(pool.take(&key(port), start), None);
        }
    }
}

fn key(port: u16) -> Key {
    Key::of(&HttpRequest {
        to: (Ipv4Addr::LOCALHOST, 1).into(),
        tls: false,
        host: "tracker.test".into(),
        port,
        path: "/".into(),
        user_agent: None,
        from: None,
        body_limit: 0,
        time_limit: Duration::ZERO,
    })
}
