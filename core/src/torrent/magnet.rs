//! A torrent that was added by a magnet link, until its info dictionary is here, and how it becomes one like all others.
//!
//! While it *seeks*, a torrent runs, pauses and queues as ever: it announces itself, dials and is dialled. But it knows of no piece:
//! it stands in for one of a single piece of 16 KiB and no file, of which nothing is there. So trackers are told that something is
//! left, the queue takes it for a download, and nothing is asked of anybody but the dictionary ([`metadata`](super::metadata)).
//!
//! ```text
//!                        resume data hold the dictionary
//!            Opening ──────────────────────────────────────────┐
//!               │ they do not                                  v
//!               └──> Halted <──> Running ── from peers ──> (the disk is idle) ──> Opening, with the files ──> ...
//!                                   └─ right hash, unusable ──> Failed
//! ```
//!
//! 1. The dictionary is right by its hash. It is then read by the same rules as a `.torrent` file, with the same limits; one that is
//!    not usable ends in *Failed*: no other can have that hash.
//! 2. When nothing is under way on the disk (a record of a paused magnet, say), the torrent is *adopted*: its sizes, hashes and
//!    files take their places, the driver is told where it lies now (`Work::Open` once more), and it starts as every torrent does.
//!    With [`AddTorrent::hold_at_metadata`] that waits for the application, which may choose files first.
//! 3. Peers stay. What they have said of their pieces is looked at ([`PeerOrder::MetadataKnown`]); and when what is on the disk is
//!    known, they are told what we have.
//!
//! What lies on the disk between two runs is the resume data as ever ([`resume`](super::resume)): without the dictionary they keep
//! whether it was paused and its times, with it the dictionary as well, so that a magnet that was added again needs nobody.
//!
//! # Private torrents (BEP 27)
//!
//! Whether a torrent is private is known by its dictionary only. From then on the rules hold as ever: the dictionary is not given to
//! peers (who has no business in the swarm is not to get it that way, as other clients have it), and that is taken back where it was
//! offered.

use super::metadata::{MetadataFetch, MetadataSaid};
use super::startup::Startup;
use super::{Facts, Peer, Phase, Shared, Torrent};
use crate::bitfield::Bitfield;
use crate::border::{
    AddTorrent, CloseReason, CommandError, InfoHashes, IoFault, Notice, PeerFault, PeerId, PeerKey, Source,
    StorageLayout, TorrentId, Work,
};
use crate::cx::Cx;
use crate::journal::canon::{Encoder, Put};
use crate::metainfo::magnet::FileRanges;
use crate::metainfo::{BLOCK_LENGTH, Geometry, Magnet, Metainfo, MetainfoLimits, PieceHashes};
use crate::net_policy::Word;
use crate::peer::PeerOrder;
use crate::rng::Stream;
use crate::time::Time;
use crate::torrent::blame::Blame;
use crate::torrent::persist::Persist;
use crate::torrent::picker::{Picker, Priority};
use crate::torrent::placement::Placement;
use crate::torrent::resume::ResumeData;
use crate::torrent::selection::Selection;
use crate::torrent::{Purpose, disk, suggest};
use crate::wire::{Extension, UtMetadata};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

/// How far a torrent is that seeks its info dictionary.
#[derive(Clone, Debug)]
pub(super) struct Seeking {
    fetch: MetadataFetch,
    /// Files that the link selects (BEP 53); empty: all.
    selected: FileRanges,
    /// Priorities that the application gave.
    given: Option<Vec<u8>>,
    /// What is to be adopted.
    found: Option<Found>,
    /// Whether it waits for the application when that is so.
    hold: bool,
    /// Resume data that were loaded before the storage knew the torrent.
    stored: Vec<Bytes>,
}

/// An info dictionary that is right and usable.
#[derive(Clone, Debug)]
struct Found {
    meta: Box<Metainfo>,
    info: Bytes,
    /// Resume data that were loaded with it.
    stored: Vec<Bytes>,
}

impl Put for Seeking {
    fn put(&self, to: &mut Encoder<'_>) {
        let Seeking { fetch, selected, given, found, hold, stored } = self;
        let selected = selected.to_string();
        let parts: &[&dyn Put] = &[fetch, &selected, given, found, hold, stored];
        parts.iter().for_each(|part| part.put(to));
    }
}

impl Put for Found {
    fn put(&self, to: &mut Encoder<'_>) {
        // The rest follows from the dictionary.
        let Found { meta: _, info, stored } = self;
        info.put(to);
        stored.put(to);
    }
}

impl Facts {
    /// What is fixed about a torrent whose info dictionary is known.
    pub(super) fn of(meta: &Metainfo, info: Bytes) -> Facts {
        Facts {
            hashes: meta.hashes(),
            name: String::from(meta.name()),
            geometry: meta.geometry(),
            piece_hashes: meta.piece_hashes().clone(),
            layout: Arc::new(meta.layout().clone()),
            private: meta.private(),
            info,
        }
    }

    /// What stands in for it before.
    fn unknown(magnet: &Magnet) -> Facts {
        Facts {
            hashes: magnet.hashes,
            name: magnet.name.clone().unwrap_or_else(|| magnet.hashes.best().to_hex()),
            // One piece of one block: that cannot fail.
            geometry: Geometry::new(BLOCK_LENGTH.into(), BLOCK_LENGTH).unwrap_or_else(|_| unreachable!()),
            piece_hashes: PieceHashes::default(),
            layout: Arc::new(StorageLayout::new([], BLOCK_LENGTH)),
            private: false,
            info: Bytes::new(),
        }
    }
}

impl Torrent {
    /// Starts a torrent of which a link is known.
    pub(crate) fn from_magnet(
        cx: &mut Cx,
        id: TorrentId,
        peer_id: PeerId,
        magnet: &Magnet,
        add: &AddTorrent,
    ) -> Torrent {
        let seeking = Seeking {
            fetch: MetadataFetch::new(magnet.hashes),
            selected: magnet.selected.clone(),
            given: add.priorities.clone(),
            found: None,
            hold: add.hold_at_metadata,
            stored: Vec::new(),
        };
        let trackers = magnet.trackers.iter().map(|url| Vec::from([url.clone()])).collect();
        let mut torrent = Torrent::begin(cx, id, peer_id, Facts::unknown(magnet), trackers, add, Some(seeking));
        torrent.add_peers(cx, &magnet.peers, Word::Local);
        torrent
    }

    /// Whether its info dictionary is still looked for.
    pub fn seeks_metadata(&self) -> bool {
        self.seeking.is_some()
    }

    /// The info dictionary, once it is known: the very bytes that the info-hash is over.
    pub fn info(&self) -> Option<&Bytes> {
        if self.seeking.is_some() { None } else { Some(&self.facts.info) }
    }

    /// Bytes of the info dictionary that are there, and how many there are to be by what peers say; `None` when it is known.
    pub(super) fn metadata_progress(&self) -> Option<(u32, u32)> {
        self.seeking.as_ref().map(|seeking| seeking.fetch.progress().unwrap_or((0, 0)))
    }

    /// When the fetch is to be looked at.
    pub(super) fn seeking_deadline(&self, cx: &Cx) -> Option<Time> {
        self.seeking.as_ref().and_then(|seeking| seeking.fetch.deadline(&cx.config.metadata))
    }

    /// A step of the start is done. Resume data, once they are loaded, may hold the dictionary.
    pub(super) fn seeking_opens(&mut self, cx: &mut Cx, loaded: Vec<Bytes>) {
        let Some(seeking) = &mut self.seeking else { return };
        if !loaded.is_empty() {
            seeking.stored = loaded;
        }
        if matches!(&self.phase, Phase::Starting(startup) if startup.has_all()) {
            let stored = core::mem::take(&mut seeking.stored);
            self.seeking_begins(cx, stored);
        }
    }

    fn seeking_begins(&mut self, cx: &mut Cx, stored: Vec<Bytes>) {
        let hashes = self.facts.hashes;
        if let Some(info) = ResumeData::info_of(&stored, &hashes) {
            self.metadata_found(cx, info, stored.clone());
            if !self.life.is_held() {
                return;
            }
        }
        // What was known without it. Nothing of it claims a piece.
        let before = stored
            .iter()
            .filter_map(|bytes| ResumeData::parse(bytes).ok())
            .find(|data| data.hashes.v1 == hashes.v1 && data.info.is_none() && data.priorities.is_empty());
        let none = Bitfield::none(self.facts.geometry.pieces());
        self.persist = match &before {
            Some(data) => {
                self.life.resumed(data.paused);
                self.active.add(data.active);
                Persist::resumed(self.facts.geometry, data, none, Vec::from([None]))
            }
            None => Persist::fresh(self.facts.geometry, 1),
        };
        self.selection.keep_sequential(before.as_ref());
        // No file is anybody's.
        self.life.looked_at(core::iter::empty());
        self.persist.examined();
        self.examined = true;
        self.started_at = cx.now;
        self.phase = Phase::Halted;
    }

    /// A peer has introduced itself: it may have the dictionary.
    pub(super) fn seeking_introduced(&mut self, cx: &Cx, key: PeerKey, peer: &Peer) {
        if let Some(seeking) = &mut self.seeking {
            let takes = peer.conn.extension(Extension::Metadata).is_some();
            let size = peer.conn.introduction().metadata_size;
            seeking.fetch.introduced(cx.now, &cx.config.metadata, key, takes, size);
        }
    }

    /// A peer has answered a request for a part of the dictionary.
    pub(super) fn seeking_told(&mut self, cx: &Cx, key: PeerKey, answer: &UtMetadata) {
        let Some(seeking) = self.seeking.as_mut().filter(|seeking| seeking.found.is_none()) else { return };
        let config = &cx.config.metadata;
        match answer {
            UtMetadata::Data { piece, total_size, data } => {
                seeking.fetch.data(cx.now, config, key, *piece, *total_size, data);
            }
            UtMetadata::Reject { piece } => seeking.fetch.rejected(cx.now, config, key, *piece),
            _ => {}
        }
    }

    pub(super) fn seeking_lost(&mut self, key: PeerKey) {
        if let Some(seeking) = &mut self.seeking {
            seeking.fetch.gone(key);
        }
    }

    pub(super) fn seeking_tick(&mut self, cx: &Cx) {
        if let Some(seeking) = &mut self.seeking {
            seeking.fetch.tick(cx.now, &cx.config.metadata);
        }
    }

    /// Does what the fetch has found out, and asks for more. `current` is a peer that is out of its place; why it is to be
    /// closed, if it is.
    pub(super) fn seek(
        &mut self,
        cx: &mut Cx,
        shared: &mut Shared,
        mut current: Option<(PeerKey, &mut Peer)>,
    ) -> Option<CloseReason> {
        let mut close = None;
        while let Some(said) = self.seeking.as_mut().and_then(|seeking| seeking.fetch.said()) {
            match said {
                MetadataSaid::Progress { have, size } => {
                    cx.out.notices.push(Notice::MetadataProgress { torrent: self.id, have, size });
                }
                MetadataSaid::Liar(key) => {
                    let lied = CloseReason::Fault(PeerFault::BadMetadata);
                    if let Some((_, peer)) = current.as_ref().filter(|(at, _)| *at == key) {
                        close = Some(lied);
                        self.ban_address(cx, peer.conn.remote());
                    } else if let Some(Some(peer)) = self.peers.get(key) {
                        let addr = peer.conn.remote();
                        self.ban_address(cx, addr);
                        self.order_to(cx, shared, key, PeerOrder::Close(lied));
                    }
                }
                MetadataSaid::Complete(info) => self.metadata_found(cx, info, Vec::new()),
            }
        }
        if close.is_some() || !matches!(self.phase, Phase::Running) {
            return close;
        }
        while let Some(seeking) = self.seeking.as_mut().filter(|seeking| seeking.found.is_none())
            && let Some((key, piece)) = seeking.fetch.next_request(cx.now, &cx.config.metadata)
        {
            match &mut current {
                Some((at, peer)) if *at == key => self.order(cx, shared, peer, PeerOrder::AskMetadata(piece)),
                _ => {
                    if let Some(mut peer) = self.take(key) {
                        self.order(cx, shared, &mut peer, PeerOrder::AskMetadata(piece));
                        self.put_back(cx, shared, key, peer);
                    }
                }
            }
        }
        None
    }

    /// These bytes have the right hash. They are adopted, or nothing can be.
    fn metadata_found(&mut self, cx: &mut Cx, info: Bytes, stored: Vec<Bytes>) {
        match usable(&self.facts.hashes, &info) {
            Ok(meta) => {
                let (hashes, name) = (meta.hashes(), String::from(meta.name()));
                cx.out.notices.push(Notice::Metadata { torrent: self.id, hashes, name, info: info.clone() });
                if let Some(seeking) = &mut self.seeking {
                    if seeking.hold {
                        self.life.hold();
                    }
                    seeking.found = Some(Found { meta: Box::new(meta), info, stored });
                }
            }
            Err(why) => {
                cx.out.notices.push(Notice::MetadataFailed { torrent: self.id, why });
                self.phase = Phase::Failed(IoFault::Unsupported);
                self.tell_state(cx);
            }
        }
    }

    /// Files are chosen when the dictionary is here, and nothing is made of it yet.
    pub(super) fn choose_before(&mut self, files: &[(u32, u8)]) -> Result<(), CommandError> {
        let Some(seeking) = &mut self.seeking else { return Err(CommandError::NotNow) };
        let Some(found) = &seeking.found else { return Err(CommandError::NotNow) };
        let count = found.meta.layout().files().len();
        if let Some(&(file, _)) = files.iter().find(|(file, _)| *file as usize >= count) {
            return Err(CommandError::NoSuchFile(file));
        }
        if let Some(&(_, number)) = files.iter().find(|(_, number)| Priority::new(*number).is_none()) {
            return Err(CommandError::BadPriority(number));
        }
        let given = seeking.given.get_or_insert_default();
        given.resize(count, Priority::NORMAL.get());
        for &(file, number) in files {
            given[file as usize] = number;
        }
        Ok(())
    }

    /// Becomes a torrent like all others, when the dictionary is here and the disk has nothing to do.
    pub(super) fn adopt_step(&mut self, cx: &mut Cx, shared: &mut Shared) {
        let found = matches!(&self.seeking, Some(seeking) if seeking.found.is_some());
        let may = match self.phase {
            Phase::Starting(_) => true,
            Phase::Running | Phase::Halted => !self.life.needs_the_disk(),
            _ => false,
        };
        if !found || !may || self.life.is_held() || !self.disk_is_idle() {
            return;
        }
        let Some(seeking) = self.seeking.take() else { return };
        let Seeking { selected, given, found: Some(found), .. } = *seeking else { return };
        let Found { meta, info, stored } = found;
        self.facts = Facts::of(&meta, info);
        if self.facts.private {
            self.turned_private(cx, shared);
        }
        self.take_sizes(cx);
        let (pieces, files) = (self.facts.geometry.pieces(), self.facts.layout.files().len());
        let resume = ResumeData::choose(&stored, &self.facts.hashes, pieces, files).ok();
        if let Some(resume) = &resume {
            self.life.resumed(resume.paused);
        }
        let sequential = self.selection.sequential_said();
        self.selection = Selection::new(files, given.as_deref(), sequential);
        if given.is_none() {
            self.selection.only(&selected);
        }
        self.selection.resume(resume.as_ref());
        self.phase = Phase::Starting(Box::new(Startup::adopted(resume)));
        let (key, layout) = (self.info_hash(), self.facts.layout.clone());
        self.start(cx, Work::Open { torrent: self.id, root: self.root, key, layout }, Purpose::Open);
        self.tell_state(cx);
        self.peers_catch_up(cx, shared);
    }

    /// BEP 27: peers of a private torrent are those that its tracker names. Whom others named is let go, and nobody is told of anybody.
    fn turned_private(&mut self, cx: &mut Cx, shared: &mut Shared) {
        self.pex = None;
        let named = |torrent: &Torrent, peer: &Peer| {
            let sources = torrent.candidates.sources(peer.conn.remote());
            sources.has(Source::User) || sources.has(Source::Tracker)
        };
        let others: Vec<PeerKey> = self
            .peers
            .iter()
            .filter_map(|(key, slot)| slot.as_deref().map(|peer| (key, peer)))
            .filter(|(_, peer)| !peer.conn.incoming() && !named(self, peer))
            .map(|(key, _)| key)
            .collect();
        for key in others {
            self.order_to(cx, shared, key, PeerOrder::Close(CloseReason::TrackerSwitched));
        }
        self.candidates.forget_strangers();
    }

    /// Everything that goes by the sizes begins anew.
    fn take_sizes(&mut self, cx: &Cx) {
        let geometry = self.facts.geometry;
        let number = u64::from(self.id.0);
        let rng = cx.seeds.decisions(Stream::Picker, number);
        self.picker = Picker::new(geometry, &Bitfield::none(geometry.pieces()), &cx.config.pick, rng);
        self.blame = Blame::new(&cx.config.pick);
        let generation = self.persist.generation();
        self.persist = Persist::fresh(geometry, self.facts.layout.files().len() + 1).following(generation);
        self.placement = Placement::default();
        self.disk = disk::DiskState::default();
        self.suggestions = suggest::Suggestions::new();
        self.lost = BTreeSet::new();
        self.hungry.clear();
        self.examined = false;
        self.life.forget_owned();
    }

    /// What peers have said of their pieces can be understood now.
    fn peers_catch_up(&mut self, cx: &mut Cx, shared: &mut Shared) {
        let keys: Vec<PeerKey> = self.peers.keys().collect();
        for key in keys {
            self.order_to(cx, shared, key, PeerOrder::MetadataKnown);
        }
    }

    /// What is on the disk is known, and peers have stayed meanwhile: their pieces count from now on, and they are told of ours.
    pub(super) fn peers_meet_pieces(&mut self, cx: &mut Cx, shared: &mut Shared) {
        let keys: Vec<PeerKey> = self.peers.keys().collect();
        let pieces = self.facts.geometry.pieces();
        for key in keys {
            let Some(mut peer) = self.take(key) else { continue };
            if peer.conn.is_ready() && self.picker.have().count() > 0 {
                peer.unveiled = Some((0, Box::new(Bitfield::none(pieces))));
            }
            let close = if peer.conn.pieces_known() { self.pieces_told(cx, shared, key, &mut peer) } else { None };
            if let Some(reason) = close {
                self.order(cx, shared, &mut peer, PeerOrder::Close(reason));
            }
            self.drive(cx, shared, key, peer);
        }
    }
}

/// Reads an info dictionary as a `.torrent` file is read, and sees that it is of the torrent that was named.
fn usable(hashes: &InfoHashes, info: &[u8]) -> Result<Metainfo, String> {
    let meta = Metainfo::parse_info(info, &MetainfoLimits::default()).map_err(|error| error.to_string())?;
    if meta.hashes().v1.is_none() {
        return Err(String::from("the torrent is v2 only, which cannot be transferred yet"));
    }
    // Of a link to a hybrid, both hashes have to be of one torrent.
    if hashes.v2.is_some() && meta.hashes().v2 != hashes.v2 {
        return Err(String::from("the link's two info-hashes are of two torrents"));
    }
    Ok(meta)
}
