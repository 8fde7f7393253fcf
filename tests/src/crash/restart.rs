//! A session that finds an image.

use super::disk::CrashDisk;
use super::image::Image;
use super::seed::Seed;
use crate::Content;
use bytes::Bytes;
use parcacik_core::bitfield::Bitfield;
use parcacik_core::border::{
    Action, Actions, AddTorrent, Command, CommandId, Config, Event, IoFault, Notice, PieceHash, RootId, SeedGoal,
    Target, TcpId, TorrentId, TorrentState,
};
use parcacik_core::rng::{Seeds, Stream};
use parcacik_core::session::Session;
use parcacik_core::time::Time;
use sha1::{Digest, Sha1};
use std::collections::VecDeque;
use std::sync::Arc;

const TORRENT: TorrentId = TorrentId(0);

/// A session that has looked at an image, and whose disk does everything at once.
#[derive(Debug)]
pub struct Restart {
    session: Session,
    disk: CrashDisk,
    content: Arc<Content>,
    now: Time,
    queue: VecDeque<Event>,
    peer: Option<(TcpId, Seed)>,
    looked: bool,
    foreign: bool,
    finished: bool,
}

/// The torrent as it is added, at the first start as at the next.
pub(super) fn order(content: &Content, wanted: &[u8]) -> Command {
    let mut add = AddTorrent::new(content.metainfo.clone(), RootId(0));
    add.goal = SeedGoal::Forever;
    add.use_trackers = false;
    add.peers = vec![Target::Addr(([192, 0, 2, 1], 6881).into())];
    // A file that nobody wants: what belongs to it comes into the part file, where it shares pieces.
    add.priorities = (!wanted.is_empty()).then(|| wanted.to_vec());
    Command::Add(Box::new(add))
}

/// The hash of a piece as it should be.
pub(super) fn expected(content: &Content, piece: u32) -> (u32, PieceHash) {
    let start = piece as usize * content.piece_length as usize;
    let bytes = &content.bytes[start..content.bytes.len().min(start + content.piece_length as usize)];
    (bytes.len() as u32, PieceHash::Sha1(Sha1::digest(bytes).into()))
}

impl Restart {
    /// Starts on an image, with the same order as before, and looks at all that is there. `None`: it takes what is there for a
    /// stranger's, and touches nothing.
    ///
    /// # Panics
    /// When it does not come to an end, or fails.
    pub fn new(image: &Image, content: &Arc<Content>, wanted: &[u8], config: &Config) -> Option<Restart> {
        let seeds = Seeds::for_tests(2);
        let disk = CrashDisk::new(image.file_system(), seeds.decisions(Stream::Session, 1));
        let session = Session::new(config.clone(), seeds).expect("a good configuration");
        let queue = VecDeque::from([Event::Command { id: CommandId(1), command: order(content, wanted) }]);
        let mut this = Restart {
            session,
            disk,
            content: content.clone(),
            now: Time::from_secs(1),
            queue,
            peer: None,
            looked: false,
            foreign: false,
            finished: false,
        };
        while !this.looked && !this.foreign {
            let event = this.queue.pop_front().expect("it looks at what is there, without waiting for anything");
            this.tell(event);
        }
        (!this.foreign).then_some(this)
    }

    /// The pieces that it claims to have.
    pub fn claims(&self) -> Bitfield {
        self.session.view(TORRENT).expect("it is there").pieces.clone()
    }

    /// Whether a piece is there, byte for byte, where it would be read.
    pub fn is_whole(&self, piece: u32) -> bool {
        let (length, hash) = expected(&self.content, piece);
        self.disk.verify(piece, length, &hash, false).matches
    }

    /// Downloads what is missing. The content files, then.
    ///
    /// # Panics
    /// When it does not end.
    pub fn finish(mut self) -> CrashDisk {
        let by = Time(self.now.0 + 3_600_000_000);
        while !self.finished {
            assert!(self.now < by, "the download does not end");
            let event = self.queue.pop_front().unwrap_or_else(|| {
                let said =
                    self.peer.as_mut().map(|(tcp, seed)| (*tcp, seed.says())).filter(|(_, said)| !said.is_empty());
                match said {
                    Some((tcp, said)) => Event::Received { tcp, bytes: Bytes::from(said) },
                    None => {
                        self.now = self.session.deadline().expect("it waits for something").max(self.now);
                        Event::Tick
                    }
                }
            });
            self.tell(event);
        }
        self.disk
    }

    fn tell(&mut self, event: Event) {
        let mut out = Actions::new();
        self.session.handle(self.now, event, &mut out);
        for notice in out.notices {
            match notice {
                Notice::State { state: TorrentState::Downloading | TorrentState::Seeding, .. } => self.looked = true,
                Notice::State { state: TorrentState::Failed(fault), .. } if !self.foreign => {
                    panic!("the torrent fails: {fault}");
                }
                Notice::Finished { .. } => self.finished = true,
                Notice::ForeignFile { .. } => self.foreign = true,
                _ => {}
            }
        }
        for action in out.list {
            match action {
                Action::Start { job, work } => {
                    let result = self.disk.work(work);
                    self.queue.push_back(Event::JobDone { job, result });
                }
                Action::Dial { dial, .. } if self.peer.is_some() => {
                    self.queue.push_back(Event::DialFailed { dial, fault: IoFault::Refused });
                }
                Action::Dial { dial, .. } => {
                    self.peer = Some((TcpId(1), Seed::new(self.content.clone())));
                    let (local, remote) = (([10, 0, 0, 1], 40_000).into(), ([192, 0, 2, 1], 6881).into());
                    self.queue.push_back(Event::Connected { dial, tcp: TcpId(1), local, remote });
                }
                Action::Send { tcp, bytes } => {
                    if let Some((_, seed)) = &mut self.peer {
                        seed.hears(&bytes);
                    }
                    self.queue.push_back(Event::Flushed { tcp, bytes: bytes.len() as u64 });
                }
                Action::Grant { bytes, .. } => {
                    if let Some((_, seed)) = &mut self.peer {
                        seed.credit += bytes as usize;
                    }
                }
                Action::Close { .. } => self.peer = None,
                _ => {}
            }
        }
    }
}
