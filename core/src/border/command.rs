//! What an application asks of the session.

use super::{AnnounceOnce, InfoHash, IpFilter, RateLimits, RootId, SocketId, Target, TorrentId};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;

/// Something that the application wants. Each is answered by a notice: [`CommandFailed`](super::Notice::CommandFailed) with
/// the command's id when it cannot be done, else the one that is named here, and
/// [`CommandDone`](super::Notice::CommandDone) with its id where none is.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Listen for peers on TCP, and open UDP on the same port; answered by [`Notice::Listening`](super::Notice::Listening) for
    /// each of these two. A socket for local discovery is no condition: where it cannot be had,
    /// [`Notice::DiscoveryFailed`](super::Notice::DiscoveryFailed) tells.
    Listen {
        /// Name for the TCP socket.
        tcp: SocketId,
        /// Name for the UDP socket, bound to the port that TCP got; `None`: no UDP.
        udp: Option<SocketId>,
        /// Name for the socket of local discovery (BEP 14) in the address's family, on its interface; `None`: none. Without effect when
        /// that is [off](super::LsdConfig::enabled).
        lsd: Option<SocketId>,
        /// Whether a node of the distributed hash table (BEP 5) runs on the UDP socket, for torrents that are not private. Without effect when
        /// there is none. What it was in an earlier run is fetched first ([`Work::LoadDht`](super::Work::LoadDht));
        /// [`Notice::DhtReady`](super::Notice::DhtReady) tells when it has found its way in.
        dht: bool,
        /// Where; port 0 lets the system choose.
        addr: SocketAddr,
        /// The network device to bind to; `None`: any.
        device: Option<String>,
    },
    /// Add a torrent and start it; answered by [`Notice::Added`](super::Notice::Added). Of one that is added by a magnet link,
    /// [`Notice::Metadata`](super::Notice::Metadata) tells when its info dictionary has been had from peers.
    Add(Box<AddTorrent>),
    /// Tell a torrent of peers.
    AddPeers {
        /// The torrent.
        torrent: TorrentId,
        /// Their addresses; names are resolved.
        peers: Vec<Target>,
    },
    /// Announce a torrent again before its time. A tracker's `min interval` and a failing tracker's delay are kept, unless
    /// it is forced; a tracker that never wants to be asked again is left out in either case.
    Reannounce {
        /// The torrent.
        torrent: TorrentId,
        /// Whether to ask now, whatever trackers said.
        force: bool,
    },
    /// Give a torrent more trackers: tiers behind those that it has. URLs that it has already are left out; those that are
    /// refused are told by [`Notice::TrackerFailed`](super::Notice::TrackerFailed).
    AddTrackers {
        /// The torrent.
        torrent: TorrentId,
        /// The tiers.
        tiers: Vec<Vec<String>>,
    },
    /// Give a torrent other trackers. Those that are in both lists know it as before; those that are gone are told `stopped`
    /// if they know it. Refused URLs as with `AddTrackers`.
    ReplaceTrackers {
        /// The torrent.
        torrent: TorrentId,
        /// The tiers.
        tiers: Vec<Vec<String>>,
    },
    /// Ask all trackers of a torrent how it does (of a private one: the one in use). Answered by
    /// [`Notice::Scraped`](super::Notice::Scraped) for each of them, then `CommandDone`; the torrent's own counts are brought
    /// up to date.
    ScrapeTorrent {
        /// The torrent.
        torrent: TorrentId,
    },
    /// Ask trackers how torrents do, which need not be in the session. Answered by
    /// [`Notice::Scraped`](super::Notice::Scraped) for each tracker, then `CommandDone`.
    Scrape {
        /// The trackers' announce URLs.
        trackers: Vec<String>,
        /// The torrents; as many requests as they take.
        torrents: Vec<InfoHash>,
    },
    /// Announce once, without a torrent in the session. Answered by [`Notice::Announced`](super::Notice::Announced) for each
    /// tracker (for each family of addresses that it was asked by), then `CommandDone`.
    Announce(Box<AnnounceOnce>),
    /// Stop a torrent and forget it. Answered by [`Notice::Removed`](super::Notice::Removed), which names the torrent.
    Remove {
        /// The torrent.
        torrent: TorrentId,
        /// What happens to its files.
        files: RemoveFiles,
    },
    /// Pause a torrent: its connections end, none are made or let in, and trackers are told `stopped`. It is still
    /// [told](Command::AddPeers) of peers, and what it has is made durable. Resume data keep that it is paused.
    Pause {
        /// The torrent.
        torrent: TorrentId,
        /// Whether what has been asked for may come first, for
        /// [`SessionConfig::pause_limit`](super::SessionConfig::pause_limit) at most.
        graceful: bool,
    },
    /// Let a paused torrent go on; a [managed](AddTorrent::managed) one, as soon as it has a place.
    Resume {
        /// The torrent.
        torrent: TorrentId,
    },
    /// Close a torrent's connections, hash all of it that is on the disk, and go on. What was counted stays. Also starts one
    /// anew that has [failed](super::TorrentState::Failed), and makes one whose files are all gone begin with nothing.
    Recheck {
        /// The torrent.
        torrent: TorrentId,
    },
    /// Move a torrent's files to another folder; its connections end meanwhile. Answered when that is done. When it fails,
    /// everything is as it was: nothing that is there already is ever replaced.
    Move {
        /// The torrent.
        torrent: TorrentId,
        /// The folder.
        root: RootId,
    },
    /// Change when a torrent is done.
    SetGoal {
        /// The torrent.
        torrent: TorrentId,
        /// When it is done from now on. One that is reached already stops the torrent at once.
        goal: SeedGoal,
    },
    /// Change whether the queue decides when a torrent runs.
    SetManaged {
        /// The torrent.
        torrent: TorrentId,
        /// As [`AddTorrent::managed`].
        managed: bool,
    },
    /// Change a torrent's place in the queue. Torrents that are not managed have a place too, for when they are.
    SetPlace {
        /// The torrent.
        torrent: TorrentId,
        /// Where to.
        place: QueuePlace,
    },
    /// Say how much files are wanted. Takes effect at once, also on what is done already: a torrent that had all that was
    /// wanted may download again, and one that is downloading may be finished by it.
    SetPriorities {
        /// The torrent.
        torrent: TorrentId,
        /// Files by their place in the layout, and for each 0 (not wanted) to 7 (first); 4 is usual. Of a file that is
        /// named twice the last counts. One that is out of range has the whole command refused.
        files: Vec<(u32, u8)>,
    },
    /// Ask for pieces in order, or for the rarest first.
    SetSequential {
        /// The torrent.
        torrent: TorrentId,
        /// Whether in order.
        on: bool,
    },
    /// Use this list of blocked addresses in place of the one before; at the start it is empty. Peers that it blocks are
    /// closed ([`CloseReason::Filtered`](super::CloseReason::Filtered)) and forgotten, and nobody whom it blocks is dialled or let
    /// in, whoever named them; trackers are not asked there (as [`NetPolicy::filter_trackers`](super::NetPolicy::filter_trackers)
    /// says; a request that is under way goes on). Looks at every peer of every torrent once.
    SetIpFilter {
        /// The list. It is shared, not copied.
        filter: Arc<IpFilter>,
    },
    /// Limit how fast bytes go, from now on: over all torrents, or (within that) of one. What was saved or owed under the
    /// limit before is forgotten. A limit of 0 is refused with [`CommandError::ZeroLimit`](super::CommandError::ZeroLimit).
    ///
    /// Torrents share alike what all may have, and peers what their torrent may have; what one does not use goes to the others.
    SetLimits {
        /// The torrent; `None`: the session.
        torrent: Option<TorrentId>,
        /// The limit from peers to us, in bytes a second; `None`: no limit.
        download: Option<u64>,
        /// The limit from us to peers, in bytes a second; `None`: no limit.
        upload: Option<u64>,
    },
    /// Begin or end super seeding (BEP 16) of a torrent. It is in force while the torrent is whole and sees no other seed, for
    /// connections that begin from now on; when it ends, everybody is told of every piece.
    SetSuperSeed {
        /// The torrent.
        torrent: TorrentId,
        /// Whether to.
        on: bool,
    },
    /// Tell the nodes of the DHT of others to begin with: routers, or any node. They are kept for nodes that begin later, 64 at the
    /// most; those that were named first give way.
    AddDhtNodes {
        /// Where they are; names are looked up each time.
        nodes: Vec<Target>,
    },
    /// Stop everything in order: tell trackers, save resume data, close; answered by
    /// [`Notice::Stopped`](super::Notice::Stopped) within
    /// [`SessionConfig::shutdown_limit`](super::SessionConfig::shutdown_limit).
    Shutdown,
}

/// A torrent to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddTorrent {
    /// What says which torrent it is.
    pub source: TorrentSource,
    /// The folder it is stored under.
    pub root: RootId,
    /// Trackers to use besides the torrent's own, a tier each.
    pub extra_trackers: Vec<String>,
    /// Whether to use trackers at all, the torrent's or extra ones.
    pub use_trackers: bool,
    /// Peers that are known from elsewhere (`--peer`). They are dialled for as long as the torrent runs.
    pub peers: Vec<Target>,
    /// When to stop once everything is there.
    pub goal: SeedGoal,
    /// Whether files that were there before and hold nothing of the torrent may be overwritten.
    pub overwrite: bool,
    /// Whether to distrust the resume data and check every piece.
    pub recheck: bool,
    /// Whether nothing may be downloaded: the data are there, and are seeded as far as they are right.
    pub seed_only: bool,
    /// How much each file is wanted, in the layout's order: 0 (not wanted) to 7 (first). Files behind the end of the list
    /// are wanted as usual (4). `None`: as the resume data say, and without them every file as usual, or those that a magnet link
    /// selects (BEP 53). Of a magnet link the number of files is not known yet: what is over is left out.
    pub priorities: Option<Vec<u8>>,
    /// Whether pieces are asked for in order. `None`: as the resume data say, and without them the rarest first.
    pub sequential: Option<bool>,
    /// How fast it may go, within what the session may.
    pub limits: RateLimits,
    /// Whether to super-seed (BEP 16) while it is whole and no other seed is seen: for the first seed of a new torrent, to get it
    /// out with as little upload as possible.
    pub super_seed: bool,
    /// Whether it waits for [`Command::Resume`] before it meets peers or trackers. What is on the disk is looked at all the
    /// same. Resume data that say so pause it too.
    pub paused: bool,
    /// Whether the session's queue ([`QueueConfig`](super::QueueConfig)) decides when it runs.
    pub managed: bool,
    /// Of a magnet link: whether it waits when its info dictionary has come ([`Notice::Metadata`](super::Notice::Metadata)), before
    /// anything is looked for or made on the disk. [`Command::SetPriorities`] may choose files then; [`Command::Resume`] lets it go on.
    pub hold_at_metadata: bool,
}

impl AddTorrent {
    /// A download under `root` that uses the torrent's trackers, and is done when everything is there.
    pub fn new(metainfo: impl Into<Bytes>, root: RootId) -> AddTorrent {
        AddTorrent::of(TorrentSource::Metainfo(metainfo.into()), root)
    }

    /// The same, of a magnet link or an info-hash.
    pub fn magnet(link: impl Into<String>, root: RootId) -> AddTorrent {
        AddTorrent::of(TorrentSource::Magnet(link.into()), root)
    }

    /// The same, of either.
    pub fn of(source: TorrentSource, root: RootId) -> AddTorrent {
        AddTorrent {
            source,
            root,
            extra_trackers: Vec::new(),
            use_trackers: true,
            peers: Vec::new(),
            goal: SeedGoal::None,
            overwrite: false,
            recheck: false,
            seed_only: false,
            priorities: None,
            sequential: None,
            limits: RateLimits::default(),
            super_seed: false,
            paused: false,
            managed: true,
            hold_at_metadata: false,
        }
    }
}

/// What says which torrent is added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TorrentSource {
    /// The bytes of a `.torrent` file.
    Metainfo(Bytes),
    /// A magnet link, or an info-hash alone (BEP 9). The torrent is had from peers: those of the link, of its trackers, and those
    /// that are [named](AddTorrent::peers).
    Magnet(String),
}

/// When a torrent that has everything is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeedGoal {
    /// At once.
    None,
    /// When uploaded / size has reached this, in thousandths; uploads of earlier runs count.
    Ratio(u32),
    /// After seeding for this long; earlier runs count, time spent paused does not.
    Time(Duration),
    /// Never.
    Forever,
    /// Whichever comes first.
    Either {
        /// As in [`SeedGoal::Ratio`].
        thousandths: u32,
        /// As in [`SeedGoal::Time`].
        time: Duration,
    },
}

/// What happens to the files of a torrent that is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoveFiles {
    /// They stay, and so do its resume data: added again it need not be checked.
    Keep,
    /// They are deleted, its resume data too, and the folders that become empty by that. A file that was there before and
    /// holds nothing of the torrent is not its own; nor is anything while it is not known to be.
    Delete,
}

/// A place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueuePlace {
    /// Before all others.
    Top,
    /// One further to the front.
    Up,
    /// One further to the end.
    Down,
    /// Behind all others.
    Bottom,
    /// So many before it; behind all others when there are not so many.
    At(u32),
}
