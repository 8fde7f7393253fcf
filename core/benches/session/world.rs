//! A whole session with many connected peers, and a world around it that answers at once.

use bytes::{Bytes, BytesMut};
use parcacik_core::bencode::encode_dict;
use parcacik_core::bitfield::Bitfield;
use parcacik_core::border::{
    Action, Actions, AddTorrent, Command, CommandId, Config, Event, FileState, InfoHash, IoFault, JobId, JobResult,
    PeerId, RootId, SeedGoal, SocketId, TcpId, TorrentId, Verdict, Work,
};
use parcacik_core::metainfo::BLOCK_LENGTH;
use parcacik_core::rng::{Rng, Seeds, Stream};
use parcacik_core::session::Session;
use parcacik_core::time::Time;
use parcacik_core::wire::{BlockRange, Framer, HANDSHAKE_LENGTH, Handshake, Message, Reserved};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Each torrent: 1 GiB. The first quarter is there at the start, so that there is something to serve and something to fetch.
pub const PIECES: u32 = 16_384;
pub const PIECE_LENGTH: u32 = 4 * BLOCK_LENGTH;
pub const HAD: u32 = PIECES / 4;
/// How many peers serve us, and how many we serve, over all torrents.
pub const ACTIVE: usize = 50;

const MICRO: Duration = Duration::from_micros(1);

/// A peer as the world sees it.
#[derive(Clone)]
pub struct Remote {
    pub tcp: TcpId,
    pub pieces: Bitfield,
    /// Reads what we send to it.
    framer: Framer,
    greeting: usize,
    /// Whether we serve it.
    pub served: bool,
    /// What we asked of it and have not had.
    pub asked: VecDeque<BlockRange>,
}

#[derive(Clone)]
pub struct World {
    pub session: Session,
    pub now: Time,
    pub actions: Actions,
    /// Work that nobody has done yet.
    pub jobs: VecDeque<(JobId, Work)>,
    /// What was sent and not looked at.
    pub sent: Vec<(TcpId, Bytes)>,
    /// By number of the stream, less one.
    pub peers: Vec<Remote>,
    pub hashes: Vec<InfoHash>,
}

pub fn rng(id: u64) -> Rng {
    Seeds::for_tests(2).decisions(Stream::Picker, id)
}

fn config() -> Config {
    let mut config = Config::default();
    config.session.max_peers = 100_000;
    config.session.max_peers_per_torrent = 100_000;
    config.choke.slots = ACTIVE as u32;
    // Enough under way for a peer of a few MB/s, and the same in all cases.
    config.peer.depth_max = 32;
    config
}

fn metainfo(number: usize) -> Bytes {
    let total = u64::from(PIECES) * u64::from(PIECE_LENGTH);
    let info = encode_dict(|info| {
        info.int("length", total as i64)
            .bytes("name", format!("torrent {number}"))
            .int("piece length", i64::from(PIECE_LENGTH))
            .bytes("pieces", vec![7; PIECES as usize * 20]);
    });
    encode_dict(|file| {
        file.list("announce-list", |tiers| {
            for tracker in 0..5 {
                tiers.list(|tier| _ = tier.bytes(format!("http://192.0.2.{tracker}/announce")));
            }
        });
        file.raw("info", &info);
    })
    .into()
}

pub fn message(message: &Message) -> Bytes {
    let mut bytes = BytesMut::new();
    message.emit(&mut bytes);
    bytes.freeze()
}

impl World {
    /// `peers` peers with random halves, dealt out over `torrents` torrents, all interested. [`ACTIVE`] of them serve us.
    pub fn new(peers: usize, torrents: usize) -> World {
        let session = Session::new(config(), Seeds::for_tests(1)).expect("a config that works");
        let mut world = World {
            session,
            now: Time::from_secs(1),
            actions: Actions::new(),
            jobs: VecDeque::new(),
            sent: Vec::new(),
            peers: Vec::new(),
            hashes: Vec::new(),
        };
        for number in 0..torrents {
            let mut add = AddTorrent::new(metainfo(number), RootId(0));
            add.goal = SeedGoal::Forever;
            world.tell(Event::Command { id: CommandId(number as u64), command: Command::Add(Box::new(add)) });
            world.work();
        }
        let ids: Vec<TorrentId> = world.session.torrents().collect();
        world.hashes = ids.iter().filter_map(|&id| world.session.torrent(id)).map(|t| t.info_hash()).collect();
        let mut rng = rng(1);
        for number in 0..peers {
            let mut pieces = Bitfield::none(PIECES);
            for piece in (0..PIECES).filter(|_| rng.below(2) == 0) {
                pieces.insert(piece);
            }
            world.connect(ids[number % torrents], pieces);
        }
        for number in 0..ACTIVE.min(peers) {
            world.say(number * (peers / ACTIVE).max(1), &Message::Unchoke);
        }
        world.read_sent();
        world.quiet();
        world
    }

    fn connect(&mut self, torrent: TorrentId, pieces: Bitfield) {
        let number = self.peers.len();
        let tcp = TcpId(number as u64 + 1);
        self.greet(tcp, torrent.0 as usize);
        self.peers.push(Remote {
            tcp,
            framer: Framer::new(1 << 20),
            greeting: HANDSHAKE_LENGTH,
            served: false,
            asked: VecDeque::new(),
            pieces,
        });
        let bits = Bytes::from(self.peers[number].pieces.to_wire());
        self.say(number, &Message::Bitfield(bits));
        self.say(number, &Message::Interested);
    }

    /// A peer comes in and says its handshake.
    pub fn greet(&mut self, tcp: TcpId, torrent: usize) {
        let number = tcp.0 as u32;
        let remote = SocketAddr::from((Ipv4Addr::from_bits(0x2d00_0000 + number), 6881));
        let local = SocketAddr::from(([192, 0, 2, 1], 6881));
        self.tell(Event::Accepted { sock: SocketId(1), tcp, local, remote });
        let mut peer_id = [b'-'; 20];
        peer_id[12..].copy_from_slice(&u64::from(number).to_be_bytes());
        let info_hash = self.hashes[torrent];
        let greeting = Handshake { reserved: Reserved::OURS, info_hash, peer_id: PeerId(peer_id) };
        self.tell(Event::Received { tcp, bytes: Bytes::copy_from_slice(&greeting.emit()) });
    }

    pub fn say(&mut self, peer: usize, what: &Message) {
        let tcp = self.peers[peer].tcp;
        self.tell(Event::Received { tcp, bytes: message(what) });
    }

    /// One event, with everything that a driver does around it but the work itself.
    pub fn tell(&mut self, event: Event) {
        self.now = self.now + MICRO;
        self.actions.clear();
        self.session.handle(self.now, event, &mut self.actions);
        for action in self.actions.list.drain(..) {
            match action {
                Action::Start { job, work } => self.jobs.push_back((job, work)),
                Action::Send { tcp, bytes } => self.sent.push((tcp, bytes)),
                _ => {}
            }
        }
        std::hint::black_box(self.session.deadline());
    }

    /// Does what the session wants done, until it wants nothing more.
    pub fn work(&mut self) {
        while let Some((job, work)) = self.jobs.pop_front() {
            self.tell(Event::JobDone { job, result: Self::result_of(&work) });
        }
    }

    pub fn result_of(work: &Work) -> Result<JobResult, IoFault> {
        let file = FileState { length: u64::from(PIECES) * u64::from(PIECE_LENGTH), modified: 0 };
        Ok(match work {
            Work::Load { .. } => JobResult::Loaded(vec![]),
            Work::Check { .. } | Work::Sync { .. } => {
                JobResult::Checked { files: vec![Some(file)], part: None, free: None }
            }
            // At the start, by the number; later everything that was fetched is right.
            Work::Verify { piece, expect: _, blocks: false, .. } => {
                JobResult::Verified(Verdict { matches: *piece < HAD, blocks: vec![] })
            }
            Work::Read { length, .. } => JobResult::Read(Bytes::from(vec![0; *length as usize])),
            Work::Resolve { .. } | Work::Http(_) => return Err(IoFault::Refused),
            _ => JobResult::Done,
        })
    }

    /// Reads what was sent to the peers: who is served, and what is asked of whom.
    pub fn read_sent(&mut self) {
        let mut opaque = Vec::new();
        for (tcp, mut bytes) in std::mem::take(&mut self.sent) {
            let Some(peer) = self.peers.get_mut(tcp.0 as usize - 1) else { continue };
            let greeting = peer.greeting.min(bytes.len());
            peer.greeting -= greeting;
            _ = bytes.split_to(greeting);
            peer.framer.feed(bytes, 0);
            while let Ok(Some(message)) = peer.framer.next(&mut opaque) {
                match message {
                    Message::Unchoke => peer.served = true,
                    Message::Choke => peer.served = false,
                    Message::Request(range) => peer.asked.push_back(range),
                    _ => {}
                }
            }
            opaque.clear();
        }
    }

    /// Everything has left, and what is due was done: the next round of choking is ten seconds away.
    fn quiet(&mut self) {
        let tcps: Vec<TcpId> = self.peers.iter().map(|peer| peer.tcp).collect();
        for tcp in tcps {
            self.tell(Event::Flushed { tcp, bytes: 1 << 20 });
        }
        self.now = self.now + Duration::from_secs(10);
        while self.session.deadline().is_some_and(|due| due <= self.now) || !self.jobs.is_empty() {
            self.tell(Event::Tick);
            self.work();
        }
        self.read_sent();
    }
}
