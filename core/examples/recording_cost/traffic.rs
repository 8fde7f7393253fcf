//! Makes recordings to measure with: a session that downloads a torrent, and peers that answer at once.
//!
//! Everything is a function of the [`Kind`], so a recording is the same whenever the core decides the same. How the streams are cut is what
//! sets the kinds apart: an event is a read, and what one costs depends on how much is in it.

use bytes::{Bytes, BytesMut};
use parcacik_core::bencode::encode_dict;
use parcacik_core::bitfield::Bitfield;
use parcacik_core::border::{
    Action, Actions, AddTorrent, Command, CommandId, Config, Event, FileState, InfoHash, JobId, JobResult, Notice,
    PeerId, RootId, SeedGoal, SocketId, TcpId, Verdict, Work,
};
use parcacik_core::journal::{Recorder, Secret};
use parcacik_core::metainfo::BLOCK_LENGTH;
use parcacik_core::rng::{Rng, Seeds, Stream};
use parcacik_core::session::Session;
use parcacik_core::time::Time;
use parcacik_core::wire::{BlockRange, Framer, HANDSHAKE_LENGTH, Handshake, Message, Reserved, emit_piece_head};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

/// What a TCP segment holds on a link with packets of 1,500 bytes.
const SEGMENT: usize = 1_448;

/// How much is under way to the disk before it answers.
const DISK_QUEUE: usize = 32;

/// A kind of traffic.
#[derive(Debug)]
pub struct Kind {
    pub name: &'static str,
    pub is: &'static str,
    pieces: u32,
    blocks: u32,
    peers: u32,
    /// How many of them serve us; they are seeds. The others have half of it, and get a piece now and then.
    seeds: u32,
    /// How much is read at once, in `unit`s.
    read: RangeInclusive<u64>,
    unit: usize,
    /// Bytes a second, over all peers.
    rate: u64,
    /// How many `have`s come with each block, over all peers, in sixteenths.
    haves: u32,
}

/// All kinds. Each fetches 1 GiB.
pub const KINDS: [Kind; 4] = [
    Kind {
        name: "large",
        is: "50 seeds, reads of up to 64 KiB: G4's 410,000 events for 4 GiB",
        pieces: 1024,
        blocks: 64,
        peers: 50,
        seeds: 50,
        read: 1..=1,
        unit: 64 << 10,
        rate: 100_000_000,
        haves: 0,
    },
    Kind {
        name: "small",
        is: "50 seeds, reads of 1 to 4 segments: G4's 1,620,000 events for 4 GiB",
        pieces: 1024,
        blocks: 64,
        peers: 50,
        seeds: 50,
        read: 1..=4,
        unit: SEGMENT,
        rate: 100_000_000,
        haves: 0,
    },
    Kind {
        name: "loopback",
        is: "one seed, reads of up to 256 KiB",
        pieces: 1024,
        blocks: 64,
        peers: 1,
        seeds: 1,
        read: 1..=1,
        unit: 256 << 10,
        rate: 400_000_000,
        haves: 0,
    },
    Kind {
        name: "swarm",
        is: "200 peers, 50 of them seeds, reads of up to 64 KiB, and 12 haves a block",
        pieces: 4096,
        blocks: 16,
        peers: 200,
        seeds: 50,
        read: 1..=1,
        unit: 64 << 10,
        rate: 100_000_000,
        haves: 12 * 16,
    },
];

/// A peer.
struct Remote {
    tcp: TcpId,
    pieces: Bitfield,
    framer: Framer,
    greeting: usize,
    asked: VecDeque<BlockRange>,
    /// What is on its way to us.
    coming: BytesMut,
    credit: usize,
    /// What was sent to it and has not been told to have left.
    sent: u64,
}

struct World {
    session: Session,
    recorder: Recorder,
    file: Vec<u8>,
    now: Time,
    rng: Rng,
    jobs: VecDeque<(JobId, Work)>,
    peers: Vec<Remote>,
    size: u64,
    opaque: Vec<std::ops::Range<u32>>,
    is_whole: bool,
}

/// Makes a recording of this kind.
pub fn make(kind: &Kind) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let seeds = Seeds::for_tests(1);
    let config = Config::default();
    let mut file = Vec::new();
    let recorder = Recorder::new(&config, &seeds, Secret::Keep, &mut file);
    let mut world = World {
        session: Session::new(config, seeds)?,
        recorder,
        file,
        now: Time::from_secs(1),
        rng: Seeds::for_tests(2).decisions(Stream::Picker, 1),
        jobs: VecDeque::new(),
        peers: Vec::new(),
        size: u64::from(kind.pieces) * u64::from(kind.blocks * BLOCK_LENGTH),
        opaque: Vec::new(),
        is_whole: false,
    };
    world.begin(kind)?;
    world.run(kind);
    let World { recorder, mut file, .. } = world;
    recorder.finish(&mut file);
    Ok(file)
}

impl World {
    fn begin(&mut self, kind: &Kind) -> Result<(), Box<dyn std::error::Error>> {
        let info = encode_dict(|info| {
            info.int("length", self.size as i64)
                .bytes("name", "traffic")
                .int("piece length", i64::from(kind.blocks * BLOCK_LENGTH))
                .bytes("pieces", vec![7; kind.pieces as usize * 20]);
        });
        let metainfo = encode_dict(|file| _ = file.raw("info", &info));
        let mut add = AddTorrent::new(metainfo, RootId(0));
        add.goal = SeedGoal::Forever;
        self.tell(Event::Command { id: CommandId(1), command: Command::Add(Box::new(add)) });
        self.work(0);
        let id = self.session.torrents().next().ok_or("the torrent was not added")?;
        let info_hash = self.session.torrent(id).ok_or("the torrent is gone")?.info_hash();
        for number in 0..kind.peers {
            self.connect(kind, number, info_hash);
        }
        Ok(())
    }

    fn connect(&mut self, kind: &Kind, number: u32, info_hash: InfoHash) {
        let tcp = TcpId(u64::from(number) + 1);
        let seed = number < kind.seeds;
        let mut pieces = if seed { Bitfield::all(kind.pieces) } else { Bitfield::none(kind.pieces) };
        for piece in (0..kind.pieces).filter(|_| !seed) {
            if self.rng.below(2) == 0 {
                pieces.insert(piece);
            }
        }
        let bits = Bytes::from(pieces.to_wire());
        self.peers.push(Remote {
            tcp,
            pieces,
            framer: Framer::new(1 << 20),
            greeting: HANDSHAKE_LENGTH,
            asked: VecDeque::new(),
            coming: BytesMut::new(),
            credit: 0,
            sent: 0,
        });
        let remote = SocketAddr::from((Ipv4Addr::from_bits(0x2d00_0000 + (number << 8)), 6881));
        let local = SocketAddr::from(([192, 0, 2, 1], 6881));
        self.tell(Event::Accepted { sock: SocketId(1), tcp, local, remote });
        let mut peer_id = [b'-'; 20];
        peer_id[12..].copy_from_slice(&u64::from(number).to_be_bytes());
        let greeting = Handshake { reserved: Reserved::OURS, info_hash, peer_id: PeerId(peer_id) };
        let coming = &mut self.peers[number as usize].coming;
        coming.extend_from_slice(&greeting.emit());
        Message::Bitfield(bits).emit(coming);
        if seed {
            Message::Unchoke.emit(coming);
        }
    }

    /// Until everything is there.
    fn run(&mut self, kind: &Kind) {
        let mut haves = 0;
        while !self.is_whole {
            let mut idle = true;
            for at in 0..self.peers.len() {
                if let Some(bytes) = self.read(kind, at) {
                    idle = false;
                    let blocks = bytes.len() as u64 * u64::from(kind.haves) / u64::from(BLOCK_LENGTH);
                    haves += blocks;
                    self.now = self.now + Duration::from_nanos(bytes.len() as u64 * 1_000_000_000 / kind.rate);
                    let tcp = self.peers[at].tcp;
                    self.tell(Event::Received { tcp, bytes });
                    self.work(DISK_QUEUE);
                }
            }
            for _ in 0..haves / 16 {
                self.have(kind);
            }
            haves %= 16;
            if self.session.deadline().is_some_and(|due| due <= self.now) {
                self.tell(Event::Tick);
            }
            if idle && self.jobs.is_empty() {
                // Nothing is under way: time has to pass.
                self.now = self.session.deadline().unwrap_or(self.now).max(self.now + Duration::from_millis(1));
            } else if idle {
                self.work(0);
            }
        }
        self.work(0);
    }

    /// A peer that is no seed gets a piece.
    fn have(&mut self, kind: &Kind) {
        let leeches = (kind.peers - kind.seeds) as usize;
        let at = kind.seeds as usize + self.rng.index(leeches);
        let piece = self.rng.below(u64::from(kind.pieces)) as u32;
        if self.peers[at].pieces.insert(piece) {
            Message::Have(piece).emit(&mut self.peers[at].coming);
        }
    }

    /// What comes of a peer's stream next.
    fn read(&mut self, kind: &Kind, at: usize) -> Option<Bytes> {
        let span = kind.read.end() - kind.read.start() + 1;
        let most = kind.unit * (kind.read.start() + self.rng.below(span)) as usize;
        let peer = &mut self.peers[at];
        while peer.coming.len() < most
            && let Some(range) = peer.asked.pop_front()
        {
            emit_piece_head(&mut peer.coming, range);
            let end = peer.coming.len() + range.length as usize;
            peer.coming.resize(end, 0);
        }
        let length = most.min(peer.coming.len()).min(peer.credit);
        peer.credit -= length;
        (length > 0).then(|| peer.coming.split_to(length).freeze())
    }

    /// One event, and what a driver does about it.
    fn tell(&mut self, event: Event) {
        let mut actions = Actions::new();
        let copy = event.clone();
        self.session.handle(self.now, event, &mut actions);
        self.recorder.record(self.now, &copy, &actions, &mut self.file);
        for action in actions.list.drain(..) {
            match action {
                Action::Start { job, work } => self.jobs.push_back((job, work)),
                Action::Send { tcp, bytes } => self.hear(tcp, bytes),
                Action::Grant { tcp, bytes } => {
                    if let Some(peer) = self.peers.get_mut(tcp.0 as usize - 1) {
                        peer.credit += bytes as usize;
                    }
                }
                _ => {}
            }
        }
        self.is_whole |= actions.notices.iter().any(|notice| matches!(notice, Notice::Finished { .. }));
        let left: Vec<(TcpId, u64)> = self
            .peers
            .iter_mut()
            .filter(|peer| peer.sent > 0)
            .map(|peer| (peer.tcp, std::mem::take(&mut peer.sent)))
            .collect();
        for (tcp, bytes) in left {
            self.tell(Event::Flushed { tcp, bytes });
        }
    }

    /// A peer reads what we send.
    fn hear(&mut self, tcp: TcpId, mut bytes: Bytes) {
        let Some(peer) = self.peers.get_mut(tcp.0 as usize - 1) else { return };
        peer.sent += bytes.len() as u64;
        let greeting = peer.greeting.min(bytes.len());
        peer.greeting -= greeting;
        _ = bytes.split_to(greeting);
        peer.framer.feed(bytes, 0);
        while let Ok(Some(message)) = peer.framer.next(&mut self.opaque) {
            if let Message::Request(range) = message {
                peer.asked.push_back(range);
            }
        }
        self.opaque.clear();
    }

    /// The disk answers, until so many jobs are left.
    fn work(&mut self, left: usize) {
        while self.jobs.len() > left
            && let Some((job, work)) = self.jobs.pop_front()
        {
            let file = FileState { length: self.size, modified: 0 };
            let result = match work {
                Work::Load { .. } => JobResult::Loaded(vec![]),
                Work::Check { .. } => JobResult::Checked { files: vec![None], part: None, free: None },
                Work::Sync { .. } => JobResult::Checked { files: vec![Some(file)], part: None, free: None },
                Work::Verify { .. } => JobResult::Verified(Verdict { matches: true, blocks: vec![] }),
                _ => JobResult::Done,
            };
            self.tell(Event::JobDone { job, result: Ok(result) });
        }
    }
}
