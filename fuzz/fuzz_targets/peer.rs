//! A peer that has shaken hands and then says anything, in any split, to a session that downloads and seeds.
//!
//! The first byte says how the stream is split. The disk answers at once.
#![no_main]

use bytes::Bytes;
use core::net::{Ipv4Addr, SocketAddr};
use libfuzzer_sys::fuzz_target;
use parcacik_core::bencode::encode_dict;
use parcacik_core::border::{
    Action, Actions, AddTorrent, Command, CommandId, Config, Event, FileState, InfoHash, IoFault, JobResult, Notice,
    PeerId, RootId, SeedGoal, SocketId, TcpId, Verdict, Work,
};
use parcacik_core::rng::Seeds;
use parcacik_core::session::Session;
use parcacik_core::time::Time;
use parcacik_core::wire::{Handshake, Reserved};
use std::collections::VecDeque;

const PIECE: usize = 32_768;
const PIECES: usize = 4;

fuzz_target!(|input: &[u8]| {
    let Some((&step, stream)) = input.split_first() else { return };
    let mut world = World::new();
    let mut add = AddTorrent::new(metainfo(), RootId(0));
    add.use_trackers = false;
    add.goal = SeedGoal::Forever;
    add.overwrite = true;
    world.tell(Event::Command { id: CommandId(1), command: Command::Add(Box::new(add)) });
    let info_hash = world.info_hash.expect("the torrent is good");
    let (local, remote) = (address(1), address(2));
    world.tell(Event::Accepted { sock: SocketId(1), tcp: TcpId(1), local, remote });
    let hello = Handshake { reserved: Reserved::OURS, info_hash, peer_id: PeerId([7; 20]) };
    world.tell(Event::Received { tcp: TcpId(1), bytes: Bytes::copy_from_slice(&hello.emit()) });
    for part in stream.chunks(usize::from(step) * 16 + 1) {
        if world.closed {
            return;
        }
        world.tell(Event::Received { tcp: TcpId(1), bytes: Bytes::copy_from_slice(part) });
        world.now = Time(world.now.0 + 250_000);
        world.tell(Event::Tick);
    }
});

fn address(last: u8) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(192, 0, 2, last), 6881))
}

/// A torrent of one file. Its hashes are of no meaning: the disk says that every piece is right.
fn metainfo() -> Bytes {
    let bytes = encode_dict(|torrent| {
        torrent.dict("info", |info| {
            info.int("length", (PIECE * PIECES) as i64);
            info.bytes("name", "fuzz");
            info.int("piece length", PIECE as i64);
            info.bytes("pieces", [0x55; 20 * PIECES]);
        });
    });
    Bytes::from(bytes)
}

struct World {
    session: Session,
    now: Time,
    info_hash: Option<InfoHash>,
    closed: bool,
}

impl World {
    fn new() -> World {
        let session = Session::new(Config::default(), Seeds::for_tests(1)).expect("the defaults are good");
        World { session, now: Time::ZERO, info_hash: None, closed: false }
    }

    /// Tells the session, does what it wants, and tells it what came of that, until there is nothing more.
    fn tell(&mut self, event: Event) {
        let mut queue = VecDeque::from([event]);
        while let Some(event) = queue.pop_front() {
            let mut out = Actions::new();
            let length = match &event {
                Event::Received { bytes, .. } | Event::JobDone { result: Ok(JobResult::Read(bytes)), .. } => {
                    bytes.len()
                }
                _ => 0,
            };
            self.session.handle(self.now, event, &mut out);
            let mut end = 0;
            for range in &out.opaque {
                assert!(end <= range.start && range.start <= range.end, "content is told in order");
                end = range.end;
            }
            assert!(end as usize <= length, "content lies in the event");
            assert!(self.session.deadline().is_none_or(|due| due > self.now), "a deadline that has passed");
            for notice in out.notices {
                if let Notice::Added { hashes, .. } = notice {
                    self.info_hash = Some(hashes.best());
                }
            }
            queue.extend(out.list.into_iter().filter_map(|action| self.act(action)));
        }
    }

    fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Send { tcp, bytes } | Action::SendContent { tcp, bytes, .. } => {
                assert!(!self.closed && !bytes.is_empty());
                Some(Event::Flushed { tcp, bytes: bytes.len() as u64 })
            }
            Action::Close { .. } => {
                self.closed = true;
                None
            }
            Action::Start { job, work } => Some(Event::JobDone { job, result: disk(work) }),
            Action::Dial { dial, .. } => Some(Event::DialFailed { dial, fault: IoFault::Refused }),
            _ => None,
        }
    }
}

fn disk(work: Work) -> Result<JobResult, IoFault> {
    match work {
        Work::Open { .. }
        | Work::Release { .. }
        | Work::CreateEmpty { .. }
        | Work::Place { .. }
        | Work::Write { .. }
        | Work::Save { .. } => Ok(JobResult::Done),
        Work::Check { .. } => Ok(JobResult::Checked { files: vec![None], part: None, free: None }),
        Work::Sync { .. } => {
            let file = FileState { length: (PIECE * PIECES) as u64, modified: 1 };
            Ok(JobResult::Checked { files: vec![Some(file)], part: None, free: None })
        }
        Work::Read { length, .. } => Ok(JobResult::Read(vec![0; length as usize].into())),
        Work::Verify { .. } => Ok(JobResult::Verified(Verdict { matches: true, blocks: Vec::new() })),
        Work::Load { .. } => Ok(JobResult::Loaded(Vec::new())),
        _ => Err(IoFault::Unsupported),
    }
}
