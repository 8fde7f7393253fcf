//! A torrent at a glance: read-only, changes nothing.

use super::Torrent;
use crate::bitfield::Bitfield;
use crate::border::{
    InfoHashes, PeerSummary, RateLimits, SeedGoal, SourceCounts, StorageState, TorrentId, TorrentState,
};
use crate::journal::canon::canon_struct;
use crate::metainfo::PieceIndex;
use crate::time::Time;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// A torrent as it is at one moment.
#[derive(Clone, Debug)]
pub struct TorrentView {
    /// The torrent.
    pub torrent: TorrentId,
    /// Its hashes.
    pub hashes: InfoHashes,
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: TorrentState,
    /// While the info dictionary of a magnet link is fetched: bytes of it that are here, and how many there are to be as far as that is
    /// known (else 0). The sizes below are 0 then.
    pub metadata: Option<(u32, u32)>,
    /// Pieces that are verified.
    pub pieces: Bitfield,
    /// All bytes of the torrent.
    pub total_bytes: u64,
    /// Bytes of pieces that are wanted: a piece that a wanted file shares with another is counted whole.
    pub wanted_bytes: u64,
    /// Bytes of pieces that are wanted and not verified.
    pub missing_bytes: u64,
    /// Verified bytes that were downloaded in this session.
    pub downloaded: u64,
    /// Content sent to peers in this session, in bytes.
    pub uploaded: u64,
    /// Content uploaded in all sessions, in bytes.
    pub uploaded_ever: u64,
    /// Content that came and could not be used (twice, or wrong), in bytes.
    pub wasted: u64,
    /// Content that comes in, in bytes a second.
    pub download_rate: u64,
    /// Content that goes out, in bytes a second.
    pub upload_rate: u64,
    /// Time left at the present rate.
    pub eta: Option<Duration>,
    /// Connections that are ready.
    pub peers: u32,
    /// Those of them that have everything.
    pub seeds: u32,
    /// Addresses that are known.
    pub known_peers: u32,
    /// Who has named how many of them.
    pub sources: SourceCounts,
    /// Addresses that somebody named and that are not dialled.
    pub refused_peers: RefusedPeers,
    /// How long it has run in this session, whatever it was doing.
    pub age: Duration,
    /// How long it has had peers and trackers to talk to, in all sessions.
    pub active: Duration,
    /// How long of that it had all that was wanted.
    pub seeding: Duration,
    /// When it is done.
    pub goal: SeedGoal,
    /// Its own rate limits; those of the session hold besides.
    pub limits: RateLimits,
    /// Whether the application has paused it.
    pub paused: bool,
    /// How it is with its storage.
    pub storage: StorageState,
    /// How long until the storage is tried again, where it has to be.
    pub storage_retry: Option<Duration>,
}

/// Addresses that were named as a peer's and may not be dialled, each as often as it was named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefusedPeers {
    /// Those on the list of blocked addresses.
    pub filtered: u64,
    /// Those that the policy leaves out: named from the internet and in a private network, or at the port of another service.
    pub policy: u64,
}

canon_struct!(out RefusedPeers { filtered, policy });

impl Torrent {
    /// What the torrent is at `now`.
    pub fn view(&self, now: Time) -> TorrentView {
        let metadata = self.metadata_progress();
        let known = |bytes: u64| if metadata.is_none() { bytes } else { 0 };
        let missing = known(self.picker.missing_bytes());
        TorrentView {
            torrent: self.id,
            hashes: self.facts.hashes,
            name: self.facts.name.clone(),
            state: self.state(),
            pieces: if metadata.is_none() { self.picker.have().clone() } else { Bitfield::none(0) },
            metadata,
            total_bytes: known(self.facts.geometry.total_length()),
            wanted_bytes: known(self.picker.wanted_bytes()),
            missing_bytes: missing,
            downloaded: self.verified_here,
            uploaded: self.uploaded.total(),
            uploaded_ever: self.total_uploaded(),
            wasted: self.wasted,
            download_rate: self.downloaded.per_second(now),
            upload_rate: self.uploaded.per_second(now),
            eta: if missing == 0 { None } else { self.downloaded.time_for(now, missing) },
            peers: self.ready_peers,
            seeds: self.peers.values().flatten().filter(|peer| peer.conn.is_ready() && peer.conn.is_seed()).count()
                as u32,
            known_peers: self.candidates.counts().known as u32,
            sources: self.candidates.by_source(),
            refused_peers: self.refused_peers,
            age: now.since(self.started_at),
            active: self.active.total(now),
            seeding: self.seeding.total(now),
            goal: self.goal,
            limits: self.limits.buckets.limits(),
            paused: self.life.paused,
            storage: self.health.state(),
            storage_retry: self.health.retry_at().map(|at| at.since(now)),
        }
    }

    /// How many of its peers count as having a piece; see
    /// [`PickConfig::voices_per_network`](crate::border::PickConfig::voices_per_network).
    pub fn availability(&self, piece: PieceIndex) -> u32 {
        self.picker.availability(piece)
    }

    /// Its connections at `now`.
    pub fn peer_list(&self, now: Time) -> Vec<PeerSummary> {
        self.peers
            .iter()
            .filter_map(|(key, slot)| {
                let peer = slot.as_ref()?;
                let conn = &peer.conn;
                Some(PeerSummary {
                    peer: key,
                    addr: conn.remote(),
                    id: conn.peer_id(),
                    client: conn.client().map(String::from),
                    incoming: conn.incoming(),
                    pieces: conn.pieces().count(),
                    choking_us: conn.choking_us(),
                    interested: conn.interested(),
                    choked: conn.am_choking(),
                    wanted: conn.am_interested(),
                    download_rate: conn.download_rate().per_second(now),
                    upload_rate: conn.upload_rate().per_second(now),
                    requests_out: conn.requests_out(),
                    requests_in: conn.requests_in(),
                    sources: self.candidates.sources(conn.remote()),
                })
            })
            .collect()
    }
}
