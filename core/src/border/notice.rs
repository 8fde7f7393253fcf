//! What the core tells the application: not to be done, only to be known.

use super::{
    AnnounceResponse, CloseReason, CommandId, InfoHash, InfoHashes, IoFault, PeerId, PeerKey, ScrapeCounts, SocketId,
    Sources, TorrentId,
};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// Something the application may want to know. Made by the session and its torrents only.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A command could not be done.
    CommandFailed {
        /// The command.
        command: CommandId,
        /// Why.
        error: CommandError,
    },
    /// Answers every command that has no answer of its own: it is done, or will be without fail.
    CommandDone {
        /// The command.
        command: CommandId,
    },
    /// Answers `Listen`, once for each socket.
    Listening {
        /// The command.
        command: CommandId,
        /// The socket.
        sock: SocketId,
        /// The address it has.
        local: SocketAddr,
    },
    /// There is no local discovery on a socket that was to be for it: no interface can do multicast, or it is forbidden. It is tried again when
    /// [interfaces change](super::Event::InterfacesChanged).
    DiscoveryFailed {
        /// The socket.
        sock: SocketId,
        /// Why.
        fault: IoFault,
    },
    /// A node of the DHT knows enough others to find anything. Told once of each node.
    DhtReady {
        /// The UDP socket that it is on.
        sock: SocketId,
        /// Its family.
        v6: bool,
        /// How many others it knows.
        nodes: u32,
    },
    /// A node of the DHT has not reached anybody that it could begin with. It goes on trying, after longer and longer waits.
    DhtUnreachable {
        /// The UDP socket that it is on.
        sock: SocketId,
        /// Its family.
        v6: bool,
        /// How long until it is tried again.
        retry: Duration,
    },
    /// Answers `Add`: the first notice of a torrent.
    Added {
        /// The command.
        command: CommandId,
        /// The torrent's name in this session.
        torrent: TorrentId,
        /// The torrent's hashes.
        hashes: InfoHashes,
        /// Its name, safe as a file name.
        name: String,
    },
    /// A torrent has gone on to another state.
    State {
        /// The torrent.
        torrent: TorrentId,
        /// The state it is in now.
        state: TorrentState,
    },
    /// More of the info dictionary has come from peers ([`TorrentState::Metadata`]). Nothing of it is checked before it is whole, so
    /// both numbers may turn out to be a lie, and begin anew.
    MetadataProgress {
        /// The torrent.
        torrent: TorrentId,
        /// Bytes that are here.
        have: u32,
        /// Bytes that there are to be.
        size: u32,
    },
    /// The info dictionary of a torrent that was added by a magnet link is here: from peers, or from resume data. It has the right
    /// hash and was checked as a `.torrent` file is. What `Added` said of the torrent is replaced.
    Metadata {
        /// The torrent.
        torrent: TorrentId,
        /// The torrent's hashes: a hybrid has both now.
        hashes: InfoHashes,
        /// Its name, safe as a file name.
        name: String,
        /// The info dictionary, as its hash is over it: what a `.torrent` file has under `info`.
        info: Bytes,
    },
    /// The info dictionary has the right hash and is not usable. The torrent stops with [`IoFault::Unsupported`].
    MetadataFailed {
        /// The torrent.
        torrent: TorrentId,
        /// Why, in words.
        why: String,
    },
    /// A piece has been checked and is there.
    PieceDone {
        /// The torrent.
        torrent: TorrentId,
        /// The piece.
        piece: u32,
    },
    /// A piece that was downloaded failed its hash; it is fetched again.
    PieceFailed {
        /// The torrent.
        torrent: TorrentId,
        /// The piece.
        piece: u32,
    },
    /// Everything that was wanted is there, checked and written.
    Finished {
        /// The torrent.
        torrent: TorrentId,
    },
    /// The seed goal has been reached (at once, where there is none) and all that is claimed is on the disk.
    Done {
        /// The torrent.
        torrent: TorrentId,
    },
    /// Answers `Remove`, and ends what is told about the torrent.
    Removed {
        /// The torrent.
        torrent: TorrentId,
    },
    /// A peer connection is ready for messages.
    PeerConnected {
        /// The torrent.
        torrent: TorrentId,
        /// The connection.
        peer: PeerKey,
        /// Its address.
        addr: SocketAddr,
        /// What it calls itself. Never trusted.
        id: PeerId,
        /// Whether the peer dialled us.
        incoming: bool,
    },
    /// A peer connection has ended; also told of one that never became ready.
    PeerClosed {
        /// The torrent.
        torrent: TorrentId,
        /// Its address.
        addr: SocketAddr,
        /// Why.
        reason: CloseReason,
    },
    /// Somebody named peers that may not be dialled. Told once for each list of peers.
    PeersRefused {
        /// The torrent.
        torrent: TorrentId,
        /// How many are on the list of blocked addresses.
        filtered: u32,
        /// How many the policy leaves out ([`NetPolicy`](super::NetPolicy)): named from the internet and in a private network, or at
        /// the port of another service.
        refused: u32,
    },
    /// An address is banned: it sent corrupt data.
    PeerBanned {
        /// The torrent.
        torrent: TorrentId,
        /// The address.
        addr: SocketAddr,
    },
    /// A tracker answered.
    TrackerAnswered {
        /// The torrent.
        torrent: TorrentId,
        /// The tracker's URL.
        url: String,
        /// How many peers it named.
        peers: u32,
        /// How long until it is asked again.
        interval: Duration,
        /// What it wants to say, cut and cleaned. Untrusted text.
        warning: Option<String>,
    },
    /// A tracker failed.
    TrackerFailed {
        /// The torrent.
        torrent: TorrentId,
        /// The tracker's URL.
        url: String,
        /// Why, in words. Holds untrusted text, cut and cleaned.
        why: String,
        /// How long until it is tried again; `None`: not in this session.
        retry: Option<Duration>,
    },
    /// Answers `Scrape` and `ScrapeTorrent`, once for each tracker.
    Scraped {
        /// The command.
        command: CommandId,
        /// The tracker's announce URL, as far as it can be shown.
        url: String,
        /// What it knows, by torrent; those that it does not know are missing. What it said before it failed is there too.
        counts: Vec<(InfoHash, ScrapeCounts)>,
        /// Why it failed, in words. Holds untrusted text, cut and cleaned.
        failure: Option<String>,
    },
    /// Answers `Announce`, once for each tracker and family.
    Announced {
        /// The command.
        command: CommandId,
        /// The tracker's URL, as far as it can be shown.
        url: String,
        /// The tracker's address, where it came to that.
        from: Option<IpAddr>,
        /// What it said, or why it failed, in words. Untrusted text, cut and cleaned.
        answer: Result<Box<AnnounceResponse>, String>,
    },
    /// Our own address, as others see it, is another one: enough of them say so.
    ExternalAddress {
        /// The family.
        v6: bool,
        /// The address; `None`: it is not known any more.
        ip: Option<IpAddr>,
    },
    /// A file that was there before holds nothing of the torrent, and overwriting was not allowed. The torrent stops
    /// with [`IoFault::Exists`].
    ForeignFile {
        /// The torrent.
        torrent: TorrentId,
        /// Its place in the torrent's layout.
        file: u32,
    },
    /// A piece that was there already has been looked at, at the start.
    Checked {
        /// The torrent.
        torrent: TorrentId,
        /// Pieces that have been hashed so far.
        done: u32,
        /// Pieces to be hashed in all.
        total: u32,
    },
    /// The storage failed. The torrent goes on as far as it can, and tries again.
    StorageFailed {
        /// The torrent.
        torrent: TorrentId,
        /// Why.
        fault: IoFault,
    },
    /// A torrent's storage has gone on to another state.
    Storage {
        /// The torrent.
        torrent: TorrentId,
        /// The state it is in now.
        state: StorageState,
    },
    /// Resume data that claim so many pieces are safely stored.
    Saved {
        /// The torrent.
        torrent: TorrentId,
        /// How many pieces they claim.
        pieces: u32,
    },
    /// Answers `Shutdown`: everything is closed. The last notice.
    Stopped,
}

/// What a torrent is doing.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TorrentState {
    /// Looking at what is on the disk.
    Checking,
    /// Fetching the info dictionary of a magnet link from peers.
    Metadata,
    /// Fetching what is missing.
    Downloading,
    /// Everything that is wanted is there.
    Seeding,
    /// Stopped by a fault that does not heal by itself.
    Failed(IoFault),
    /// Paused by the application: no connections, no trackers.
    Paused,
    /// Waiting for a place in the queue; else as if paused.
    Queued,
    /// Its files are on their way to another folder; no connections meanwhile.
    Moving,
    /// Stopping: telling trackers, saving.
    Stopping,
    /// Stopped; everything is saved and closed.
    Stopped,
}

/// How it is with a torrent's storage. What is not good is tried again by itself, after longer and longer waits
/// ([`StorageConfig`](super::StorageConfig)).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageState {
    /// It works, as far as is known.
    Good,
    /// What is wanted does not fit: nothing is downloaded before it does. What is there is served.
    Full {
        /// Bytes that are wanted and missing.
        needed: u64,
        /// Bytes that there is room for, where that is known.
        free: Option<u64>,
    },
    /// It failed. With a fault of writing nothing is downloaded, and what is there is served; when the files that were there
    /// at the last run are all gone ([`IoFault::NotFound`]), the torrent waits for them to come back.
    Failing(IoFault),
}

/// Why a command was not done.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// The metainfo was refused; the text says where and why.
    BadMetainfo(String),
    /// The magnet link was refused; the text says why.
    BadMagnet(String),
    /// The torrent has no v1 part, and v2 transfers are not supported.
    V2Only,
    /// The torrent is in the session already.
    Duplicate(TorrentId),
    /// There is no such torrent.
    NoSuchTorrent,
    /// The socket could not be opened.
    Bind(IoFault),
    /// A URL was refused; the text says which and why.
    BadUrl(String),
    /// The session is shutting down.
    Stopping,
    /// A limit of the configuration is reached.
    Limit,
    /// The torrent has no file of this number.
    NoSuchFile(u32),
    /// A priority that is not in 0..=7.
    BadPriority(u8),
    /// A rate limit of 0 bytes a second: nothing would ever go.
    ZeroLimit,
    /// The torrent is in a state in which that cannot be done: it has failed, is stopping, or is being moved.
    NotNow,
    /// The storage could not do it; everything is as it was.
    Storage(IoFault),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommandError::BadMagnet(why) => f.write_str(why),
            CommandError::BadMetainfo(why) => write!(f, "not a usable torrent: {why}"),
            CommandError::V2Only => f.write_str("the torrent is v2 only, which cannot be transferred yet"),
            CommandError::Duplicate(_) => f.write_str("the torrent has been added already"),
            CommandError::NoSuchTorrent => f.write_str("no such torrent"),
            CommandError::Bind(fault) => write!(f, "cannot listen: {fault}"),
            CommandError::BadUrl(why) => write!(f, "unusable URL: {why}"),
            CommandError::Stopping => f.write_str("the session is shutting down"),
            CommandError::Limit => f.write_str("a limit of the configuration is reached"),
            CommandError::NoSuchFile(file) => write!(f, "the torrent has no file number {file}"),
            CommandError::BadPriority(number) => write!(f, "{number} is not a priority; they go from 0 to 7"),
            CommandError::ZeroLimit => f.write_str("a rate limit of 0 would let nothing through"),
            CommandError::NotNow => f.write_str("not possible in the state that the torrent is in"),
            CommandError::Storage(fault) => write!(f, "storage: {fault}"),
        }
    }
}

impl core::error::Error for CommandError {}

/// A peer connection at a glance, for views.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSummary {
    /// The connection.
    pub peer: PeerKey,
    /// Its address.
    pub addr: SocketAddr,
    /// What it calls itself. Never trusted.
    pub id: Option<PeerId>,
    /// Its client's name out of the extended handshake, cut and cleaned. Untrusted.
    pub client: Option<String>,
    /// Whether the peer dialled us.
    pub incoming: bool,
    /// How many pieces it has.
    pub pieces: u32,
    /// Whether it chokes us.
    pub choking_us: bool,
    /// Whether it wants something of us.
    pub interested: bool,
    /// Whether we choke it.
    pub choked: bool,
    /// Whether we want something of it.
    pub wanted: bool,
    /// Bytes a second of content from it.
    pub download_rate: u64,
    /// Bytes a second of content to it.
    pub upload_rate: u64,
    /// Requests that it has not answered yet.
    pub requests_out: u32,
    /// Requests of it that we have not answered yet.
    pub requests_in: u32,
    /// Who has named it to us.
    pub sources: Sources,
}
