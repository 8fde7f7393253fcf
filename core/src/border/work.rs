//! Work that is done outside: disk, names, HTTP.

use super::{InfoHash, RootId, StorageLayout, TorrentId};
use crate::bitfield::Bitfield;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// A piece of work. Any number may be under way; they end in any order, but for one torrent a `Read`, `Verify` or `Sync` sees every
/// `Write` that *ended* before it was started.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Learn where a torrent lies. Creates nothing. Comes before all other disk work on it; and once more, with the files, when the info
    /// dictionary of a magnet link has come, while no other work on it is under way. Ends with [`JobResult::Done`].
    Open {
        /// The torrent.
        torrent: TorrentId,
        /// The folder it is stored under.
        root: RootId,
        /// The name of its resume data; the same torrent under another folder has its own.
        key: InfoHash,
        /// Its files.
        layout: Arc<StorageLayout>,
    },
    /// Close a torrent's files and forget it. Ends with [`JobResult::Done`].
    Release {
        /// The torrent.
        torrent: TorrentId,
    },
    /// Look which files exist. The folder is looked for anew, as the disk that it is on may have been mounted since. Ends
    /// with [`JobResult::Checked`].
    Check {
        /// The torrent.
        torrent: TorrentId,
    },
    /// Create these files of no length, and the folders that they lie in. Ends with [`JobResult::Done`].
    CreateEmpty {
        /// The torrent.
        torrent: TorrentId,
        /// Which: places in the layout.
        files: Vec<u32>,
    },
    /// Keep these files apart, and no others: [`StorageLayout::spans`] says where bytes lie then. Before the first such
    /// work no file is apart. Ends with [`JobResult::Done`].
    ///
    /// Work that is started later sees it so, whether this has ended or not; work that was started before may. A file that
    /// is newly apart has nothing to be moved. Of one that is apart no more, what the part file holds of `pieces` is
    /// copied into it, before anything else is done with these bytes; what the part file lacks is left out. The copies
    /// are made durable by the next `Sync`; the part file keeps its own until `DropPart`, so that after a power cut the old
    /// way is as good as it was.
    ///
    /// After a fault, what was not copied yet is still to be; the same is started again later. One of these is under way at
    /// a time, and no `DropPart` with it.
    Place {
        /// The torrent.
        torrent: TorrentId,
        /// The files that are kept apart.
        apart: Bitfield,
        /// Shared pieces whose bytes are to be copied to files that are apart no more; rising.
        pieces: Vec<u32>,
    },
    /// Remove the part file, if there is one: nothing in it is of use any more. Ends with [`JobResult::Done`].
    DropPart {
        /// The torrent.
        torrent: TorrentId,
    },
    /// Read content. Ends with [`JobResult::Read`], or `ShortRead` when a file is missing or too short.
    Read {
        /// The torrent.
        torrent: TorrentId,
        /// The piece.
        piece: u32,
        /// Where in the piece, in bytes.
        begin: u32,
        /// How many bytes, not beyond the piece.
        length: u32,
    },
    /// Write content. Ends with [`JobResult::Done`] when a later read sees it (not: when it would survive a power cut).
    Write {
        /// The torrent.
        torrent: TorrentId,
        /// The piece.
        piece: u32,
        /// Where in the piece, in bytes.
        begin: u32,
        /// The content, not beyond the piece.
        bytes: Bytes,
    },
    /// Hash a piece as it stands on the disk. Ends with [`JobResult::Verified`]. A driver may have hashed the bytes on
    /// their way to the disk; the answer is the same. A file that is missing or short makes a mismatch, not a fault.
    Verify {
        /// The torrent.
        torrent: TorrentId,
        /// The piece.
        piece: u32,
        /// Its length in bytes.
        length: u32,
        /// The hash it should have.
        expect: PieceHash,
        /// Whether the hash of each 16 KiB block is wanted too (to find who sent a bad one).
        blocks: bool,
    },
    /// Make everything that was written to the torrent's files survive a power cut. Ends with [`JobResult::Checked`]: the files as
    /// they are then.
    Sync {
        /// The torrent.
        torrent: TorrentId,
    },
    /// Store resume data, whole or not at all: temporary file, sync, rename, sync of the folder. The one before is kept beside it. Ends with [`JobResult::Done`].
    Save {
        /// Whose.
        torrent: TorrentId,
        /// What.
        bytes: Bytes,
    },
    /// Fetch resume data. Ends with [`JobResult::Loaded`], or `Busy` when another process runs the torrent.
    Load {
        /// Whose.
        torrent: TorrentId,
    },
    /// Delete a torrent's content files, the folders of its layout that are empty then, and its resume data. Comes after all
    /// other work on it has ended, or else is done when that has. Only regular files are deleted, and never the download
    /// folder itself. What cannot be deleted is passed over; the first fault is the answer. Ends with [`JobResult::Done`].
    Delete {
        /// The torrent.
        torrent: TorrentId,
        /// Files that are not the torrent's own, by their place in the layout, rising: they stay.
        spare: Vec<u32>,
    },
    /// Move a torrent's content files and its resume data to another folder, by copying where it must be. All or nothing:
    /// after a fault everything is where it was. Nothing that exists there is replaced, else `Exists`. When it is done the
    /// files survive a power cut in their new place, with their times of change as they were, and all later work means
    /// that place. Comes when no other work on the torrent is under way. Ends with [`JobResult::Checked`].
    Move {
        /// The torrent.
        torrent: TorrentId,
        /// The folder.
        root: RootId,
    },
    /// Fetch what [`Work::SaveDht`] stored last. Ends with [`JobResult::Loaded`], of one or none.
    LoadDht {
        /// The family of the node that it is for.
        v6: bool,
    },
    /// Store what a node of the DHT is and whom it knows, whole or not at all, for whoever runs the session alone to read: it says where
    /// we are. Some kilobytes. Ends with [`JobResult::Done`].
    SaveDht {
        /// The family of the node.
        v6: bool,
        /// What ([`Saved`](crate::dht::table::saved::Saved)).
        bytes: Bytes,
    },
    /// Look up a host's addresses. Ends with [`JobResult::Resolved`].
    Resolve {
        /// The name; may be an address in text.
        host: String,
    },
    /// One HTTP request to one address. Redirects are not followed. Ends with [`JobResult::Http`].
    Http(HttpRequest),
}

/// The hash that a piece should have.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PieceHash {
    /// SHA-1 of the piece (BEP 3).
    Sha1([u8; 20]),
}

impl core::fmt::Debug for PieceHash {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let PieceHash::Sha1(hash) = self;
        f.write_str(&super::ids::hex(hash))
    }
}

/// A GET to one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// Where to connect.
    pub to: SocketAddr,
    /// Whether by TLS; the certificate is checked against `host`.
    pub tls: bool,
    /// The host of the URL, for `Host`, SNI and the certificate; IPv6 in brackets.
    pub host: String,
    /// The port of the URL.
    pub port: u16,
    /// Path and query, sent byte for byte.
    pub path: String,
    /// `User-Agent`; none is sent when `None`.
    pub user_agent: Option<String>,
    /// The address to dial from; the system's choice when `None`.
    pub from: Option<IpAddr>,
    /// The most bytes of a body, after decoding.
    pub body_limit: u32,
    /// The longest time for the whole exchange.
    pub time_limit: Duration,
}

/// An HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// `Location`, when there is one; never followed by the driver.
    pub location: Option<String>,
    /// `Retry-After` in seconds, when it is a number.
    pub retry_after: Option<u32>,
    /// The body, decoded.
    pub body: Bytes,
}

/// How work ended well.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobResult {
    /// It is done; there is nothing more to say.
    Done,
    /// The content that was read.
    Read(Bytes),
    /// What a piece hashed to.
    Verified(Verdict),
    /// The files, in the layout's order; pad files are `None`. `free`: bytes that the device has room for, where it can be told.
    Checked {
        /// Each file as it is; `None`: it does not exist.
        files: Vec<Option<FileState>>,
        /// The part file as it is.
        part: Option<FileState>,
        /// Room on the device in bytes.
        free: Option<u64>,
    },
    /// Resume data, the newest first; at most two. Or what a node of the DHT was; at most one. Empty when there are none.
    Loaded(Vec<Bytes>),
    /// A host's addresses, in the order to try them; at least one.
    Resolved(Vec<IpAddr>),
    /// An HTTP answer of whatever status.
    Http(HttpResponse),
}

/// What a piece hashed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is the hash that was expected.
    pub matches: bool,
    /// SHA-1 of each 16 KiB block, where they were wanted and could be read.
    pub blocks: Vec<[u8; 20]>,
}

/// A file as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileState {
    /// Its length in bytes.
    pub length: u64,
    /// When it was last changed, in nanoseconds since 1970, as exact as the file system says.
    pub modified: i64,
}
