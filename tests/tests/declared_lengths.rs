//! What somebody declares takes no memory before its bytes are there (SECURITY.md, 2).
//!
//! An allocator of this binary's own notes the largest piece of memory that was asked for at once.

use parcacik_core::bencode::{Document, Limits, Mode};
use parcacik_core::border::{
    Actions, AddTorrent, Command, CommandId, Config, Event, FileState, JobResult, RootId, SocketId, TcpId, Work,
};
use parcacik_core::journal::canon::decode_event;
use parcacik_core::metainfo::{Metainfo, MetainfoLimits};
use parcacik_core::rng::Seeds;
use parcacik_core::session::Session;
use parcacik_core::time::Time;
use parcacik_core::tracker::http::{ResponseLimits, parse_response};
use parcacik_testkit::Content;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The most that anything of this may ask for at once. A table of a few hundred entries is less.
const BOUND: usize = 64 * 1024;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

struct Noting;

// SAFETY: all is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Noting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, and the memory came from the same allocator.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST.fetch_max(size, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Noting = Noting;

/// The largest piece of memory that a call asked for.
fn largest<R>(call: impl FnOnce() -> R) -> (usize, R) {
    LARGEST.store(0, Ordering::Relaxed);
    let result = call();
    (LARGEST.load(Ordering::Relaxed), result)
}

/// One test, so that nothing else allocates meanwhile.
#[test]
fn a_declared_length_takes_no_memory() {
    let (big, _) = largest(|| drop(std::hint::black_box(vec![1u8; 2 * BOUND])));
    assert!(big >= 2 * BOUND, "the allocator notes what is asked for");

    let (most, decoded) = largest(|| Document::decode(b"9999999999:x", Mode::Lenient, &Limits::default()).is_ok());
    assert!(!decoded && most < BOUND, "bencode: {most}");
    let torrent = b"d4:infod6:pieces9999999999:";
    let (most, parsed) = largest(|| Metainfo::parse(torrent, &MetainfoLimits::default()).is_ok());
    assert!(!parsed && most < BOUND, "metainfo: {most}");
    let limits = ResponseLimits { body: 1 << 20, peers: 200, id: 100, text: 200 };
    let (most, parsed) = largest(|| parse_response(b"d8:intervali9e5:peers6000000000:", &limits).is_ok());
    assert!(!parsed && most < BOUND, "tracker: {most}");
    // A buffer of 4 GiB, and 34 thousand million blocked ranges.
    for event in [&[8, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0][..], &[14, 1, 6, 0xff, 0xff, 0xff, 0xff, 0x7f]] {
        let (most, decoded) = largest(|| decode_event(event).is_ok());
        assert!(!decoded && most < BOUND, "journal: {most}");
    }
    let most = a_peer_that_announces_the_longest_message();
    assert!(most < BOUND, "peer: {most}");
}

/// A peer says that a message of the greatest length there may be is about to come, and sends nothing of it. The largest piece of
/// memory that this asked for.
fn a_peer_that_announces_the_longest_message() -> usize {
    let content = Content::with_files("one.bin", &[("one.bin", 20_000)], 16_384, 3, &[]);
    let config = Config::default();
    let longest = config.peer.max_message_length;
    let mut session = Session::new(config, Seeds::for_tests(1)).expect("the defaults are good");
    let mut out = Actions::new();
    let now = Time::from_secs(1);
    let add = Command::Add(Box::new(AddTorrent::new(content.metainfo.clone(), RootId(0))));
    let mut todo = vec![Event::Command { id: CommandId(1), command: add }];
    while let Some(event) = todo.pop() {
        out.clear();
        session.handle(now, event, &mut out);
        for action in &out.list {
            let parcacik_core::border::Action::Start { job, work } = action else { continue };
            let result = match work {
                Work::Load { .. } => JobResult::Loaded(vec![]),
                Work::Check { .. } => JobResult::Checked { files: vec![None::<FileState>], part: None, free: None },
                _ => JobResult::Done,
            };
            todo.push(Event::JobDone { job: *job, result: Ok(result) });
        }
    }
    let torrent = session.torrents().next().expect("it was added");
    let hash = session.torrent(torrent).expect("it is there").info_hash();
    let (local, remote) = (([10, 0, 0, 1], 1).into(), ([10, 0, 0, 2], 2).into());
    session.handle(now, Event::Accepted { sock: SocketId(1), tcp: TcpId(1), local, remote }, &mut out);
    let mut hello = b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0".to_vec();
    hello.extend_from_slice(&hash.0);
    hello.extend_from_slice(&[7; 20]);
    hello.extend_from_slice(&longest.to_be_bytes());
    hello.push(20);
    out.clear();
    assert!(longest as usize > BOUND, "else this would show nothing");
    let event = Event::Received { tcp: TcpId(1), bytes: hello.into() };
    let (most, ()) = largest(|| session.handle(now, event, &mut out));
    assert_eq!(session.shared().peers, 1, "it is waited for");
    most
}
