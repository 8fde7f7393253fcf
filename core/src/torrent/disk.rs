//! Writes, verdicts and claims: what the disk is asked and what its answers mean.
//!
//! A block is written as it comes. When every write of a piece has ended well the piece is hashed; a match makes it ours, a
//! mismatch frees its blocks, and its blocks are hashed one by one so that [`Blame`](super::blame::Blame) can tell who sent a
//! bad one once a good copy is known.
//!
//! A write that fails (the disk is full, say) gives its block back and stops further requests. Serving goes on meanwhile:
//! RELIABILITY "ENOSPC/EIO: stop requesting, keep seeding what is synced". How that ends is told in `health`.

use super::persist::PersistOrder;
use super::{Phase, Purpose, Shared, Torrent};
use crate::border::{CloseReason, FileState, IoFault, JobResult, Notice, PeerFault, PeerKey, PieceHash, Work};
use crate::cx::Cx;
use crate::journal::canon::canon_struct;
use crate::metainfo::{Block, PieceIndex};
use crate::peer::PeerOrder;
use crate::time::Time;
use crate::torrent::picker::PickAsk;
use crate::torrent::resume::ResumeData;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;

/// What the torrent knows of its disk.
#[derive(Clone, Debug, Default)]
pub(super) struct DiskState {
    /// Writes under way and blocks done, of each piece that is not verified yet.
    pieces: BTreeMap<PieceIndex, PieceWrites>,
    /// Pieces that failed while a sync was under way, with the digests of their blocks: who is to blame is known when it has ended.
    unjudged: Vec<(PieceIndex, Vec<[u8; 20]>)>,
    /// Verified pieces that a failed sync or read has put in doubt, until they have been hashed again.
    doubted: BTreeMap<PieceIndex, Doubt>,
    /// When those that could not be read are tried again.
    doubt_at: Option<Time>,
}

canon_struct!(out DiskState { pieces, unjudged, doubted, doubt_at });

/// A piece that may not be what it was.
#[derive(Clone, Copy, Debug, Default)]
struct Doubt {
    /// How often it could not be read.
    tries: u32,
    hashing: bool,
    /// It is being hashed, and has come into doubt once more meanwhile: what was read may be gone, so it is hashed again.
    again: bool,
}

canon_struct!(out Doubt { tries, hashing, again });

#[derive(Clone, Debug, Default)]
struct PieceWrites {
    under_way: u32,
    full: bool,
    /// It is being hashed, and a sync has failed meanwhile: what was read may be gone, so it is hashed again.
    again: bool,
    /// Who sent each block, as an address: connections may be gone when blame is found. Rising by block.
    senders: Vec<(u32, SocketAddr)>,
}

impl PieceWrites {
    /// A block may come a second time, when its piece was given up or its write failed: the last writer counts.
    fn sent(&mut self, block: u32, from: SocketAddr) {
        match self.senders.last() {
            // Blocks come in order, mostly.
            Some(&(last, _)) if last >= block => match self.senders.binary_search_by_key(&block, |&(block, _)| block) {
                Ok(at) => self.senders[at].1 = from,
                Err(at) => self.senders.insert(at, (block, from)),
            },
            _ => self.senders.push((block, from)),
        }
    }

    fn was_lost(&mut self, block: u32) {
        self.senders.retain(|&(number, _)| number != block);
    }
}

canon_struct!(out PieceWrites { under_way, full, again, senders });

impl DiskState {
    /// Whether a piece of ours may not be what it was.
    pub(super) fn doubts(&self, piece: PieceIndex) -> bool {
        self.doubted.contains_key(&piece)
    }

    /// A sync has failed: blocks of pieces that are not verified yet may be gone. What is being hashed is hashed again, and nobody
    /// is to blame for what is missing then.
    fn distrusts(&mut self) {
        for writes in self.pieces.values_mut() {
            writes.again = writes.full && writes.under_way == 0;
            writes.senders.clear();
        }
    }

    /// A piece is in doubt no more, whatever it has turned out to be.
    pub(super) fn trusts(&mut self, piece: PieceIndex) {
        self.doubted.remove(&piece);
    }

    /// When a piece in doubt is to be hashed once more.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.doubt_at
    }

    /// All of the torrent is hashed anew: what was known of single pieces does not matter any more.
    pub(super) fn forget(&mut self) {
        *self = DiskState::default();
    }
}

impl Torrent {
    /// Stores a block that has been accepted.
    pub(super) fn write(
        &mut self,
        cx: &mut Cx,
        shared: &mut Shared,
        from: SocketAddr,
        block: Block,
        bytes: Bytes,
        piece_full: bool,
    ) {
        self.placement.writes(&self.facts.layout, block);
        let state = self.disk.pieces.entry(block.piece()).or_default();
        state.under_way += 1;
        state.full = piece_full;
        state.sent(block.number(), from);
        shared.disk_queue += u64::from(block.length());
        let work = Work::Write { torrent: self.id, piece: block.piece().get(), begin: block.begin(), bytes };
        self.start(cx, work, Purpose::Write(block));
    }

    /// A write has ended.
    pub(super) fn written(
        &mut self,
        cx: &mut Cx,
        block: Block,
        shared: &mut Shared,
        result: Result<JobResult, IoFault>,
    ) {
        shared.disk_queue = shared.disk_queue.saturating_sub(u64::from(block.length()));
        let piece = block.piece();
        let Some(state) = self.disk.pieces.get_mut(&piece) else { return };
        state.under_way = state.under_way.saturating_sub(1);
        match result {
            Ok(_) => {
                self.health.wrote();
                self.wrote_to(block);
            }
            Err(fault) => {
                state.full = false;
                state.was_lost(block.number());
                self.picker.write_failed(block);
                self.refill = true;
                self.storage_failed(cx, fault);
            }
        }
        self.verify_if_whole(cx, piece);
    }

    fn verify_if_whole(&mut self, cx: &mut Cx, piece: PieceIndex) {
        let whole = self.disk.pieces.get(&piece).is_some_and(|state| state.full && state.under_way == 0);
        if whole {
            let blocks = self.blame.wants_digests(piece);
            self.hash(cx, piece, blocks, Purpose::Verify(piece));
        }
    }

    /// Asks for the hash of a piece as it stands on the disk.
    pub(super) fn hash(&mut self, cx: &mut Cx, piece: PieceIndex, blocks: bool, purpose: Purpose) {
        let Some(expect) = self.facts.piece_hashes.get(piece) else { return };
        let length = self.facts.geometry.length(piece);
        let work =
            Work::Verify { torrent: self.id, piece: piece.get(), length, expect: PieceHash::Sha1(expect), blocks };
        self.start(cx, work, purpose);
    }

    /// A piece whose blocks have all been written has been hashed.
    pub(super) fn verified(
        &mut self,
        cx: &mut Cx,
        shared: &mut Shared,
        piece: PieceIndex,
        result: Result<JobResult, IoFault>,
    ) {
        let again = self.disk.pieces.get_mut(&piece).is_some_and(|state| core::mem::take(&mut state.again));
        match result {
            Ok(JobResult::Verified(verdict)) if verdict.matches && again => self.verify_if_whole(cx, piece),
            Ok(JobResult::Verified(verdict)) if verdict.matches => {
                self.disk.pieces.remove(&piece);
                for guilty in self.blame.passed(piece, &verdict.blocks) {
                    self.ban(cx, shared, guilty);
                }
                self.piece_is_ours(cx, shared, piece);
                self.verified_here += u64::from(self.facts.geometry.length(piece));
                self.look_whether_whole(cx, shared);
                self.upload_only_changed(cx, shared);
            }
            Ok(JobResult::Verified(verdict)) => {
                cx.out.notices.push(Notice::PieceFailed { torrent: self.id, piece: piece.get() });
                self.wasted += u64::from(self.facts.geometry.length(piece));
                if verdict.blocks.is_empty() {
                    // Blocks are hashed only when there is somebody to be found: it doubles the work.
                    self.hash(cx, piece, true, Purpose::Digest(piece));
                } else {
                    self.blame_senders(cx, shared, piece, &verdict.blocks);
                }
            }
            Ok(_) => {}
            Err(fault) => {
                // It could not be read back: nobody is to blame, and it has to be fetched again.
                self.free_piece(piece);
                self.storage_failed(cx, fault);
            }
        }
    }

    /// The blocks of a piece that failed have been hashed.
    pub(super) fn digested(
        &mut self,
        cx: &mut Cx,
        shared: &mut Shared,
        piece: PieceIndex,
        result: Result<JobResult, IoFault>,
    ) {
        match result {
            Ok(JobResult::Verified(verdict)) => self.blame_senders(cx, shared, piece, &verdict.blocks),
            _ => self.free_piece(piece),
        }
    }

    /// A sync that fails may have thrown away what a peer sent, before it was hashed; so judgement waits for one that is under way.
    fn blame_senders(&mut self, cx: &mut Cx, shared: &mut Shared, piece: PieceIndex, blocks: &[[u8; 20]]) {
        if self.persist.is_syncing() {
            self.disk.unjudged.push((piece, blocks.to_vec()));
            return;
        }
        let senders: Vec<(u32, SocketAddr)> =
            self.disk.pieces.remove(&piece).map(|state| state.senders).unwrap_or_default();
        let guilty = self.blame.failed(piece, blocks, &senders);
        self.fetch_again(piece, &senders);
        for addr in guilty {
            self.ban(cx, shared, addr);
        }
    }

    fn free_piece(&mut self, piece: PieceIndex) {
        let senders = self.disk.pieces.remove(&piece).map(|state| state.senders).unwrap_or_default();
        self.fetch_again(piece, &senders);
    }

    fn fetch_again(&mut self, piece: PieceIndex, senders: &[(u32, SocketAddr)]) {
        let hosts = senders.iter().filter_map(|&(_, addr)| PickAsk::host_of(addr)).collect();
        self.picker.piece_failed(piece, hosts);
        self.refill = true;
    }

    /// Nobody at this address is dialled or let in any more.
    pub(super) fn ban_address(&mut self, cx: &mut Cx, addr: SocketAddr) {
        // Pieces of somebody banned may go on failing for a while; that is no news.
        if !self.candidates.is_banned(addr.ip()) {
            self.candidates.ban(&cx.config.candidates, addr.ip());
            cx.out.notices.push(Notice::PeerBanned { torrent: self.id, addr });
        }
    }

    fn ban(&mut self, cx: &mut Cx, shared: &mut Shared, addr: SocketAddr) {
        self.ban_address(cx, addr);
        let guilty: Vec<PeerKey> = self
            .peers
            .iter()
            .filter(|(_, slot)| slot.as_ref().is_some_and(|peer| peer.conn.remote().ip() == addr.ip()))
            .map(|(key, _)| key)
            .collect();
        for key in guilty {
            self.order_to(cx, shared, key, PeerOrder::Close(CloseReason::Fault(PeerFault::CorruptData)));
        }
    }

    /// A piece has been found good.
    pub(super) fn piece_is_ours(&mut self, cx: &mut Cx, shared: &mut Shared, piece: PieceIndex) {
        let wanted = self.picker.wants(piece);
        self.picker.piece_passed(piece);
        self.lost.remove(&piece);
        self.persist.piece_verified(cx.now, piece);
        cx.out.notices.push(Notice::PieceDone { torrent: self.id, piece: piece.get() });
        self.spread(cx, shared, piece, wanted);
    }

    /// A piece of ours may not be what it was: it is hashed again, and not served before.
    pub(super) fn doubt(&mut self, cx: &mut Cx, piece: PieceIndex) {
        match self.disk.doubted.get_mut(&piece) {
            Some(doubt) => doubt.again = doubt.hashing,
            None => {
                self.disk.doubted.insert(piece, Doubt { hashing: true, ..Doubt::default() });
                self.hash(cx, piece, false, Purpose::Recheck(piece));
            }
        }
    }

    /// A piece that was in doubt has been hashed.
    pub(super) fn doubt_ends(
        &mut self,
        cx: &mut Cx,
        shared: &mut Shared,
        piece: PieceIndex,
        result: Result<JobResult, IoFault>,
    ) {
        let Some(doubt) = self.disk.doubted.get_mut(&piece) else { return };
        match result {
            Ok(JobResult::Verified(verdict)) if verdict.matches && core::mem::take(&mut doubt.again) => {
                self.hash(cx, piece, false, Purpose::Recheck(piece));
            }
            Ok(JobResult::Verified(verdict)) if verdict.matches => {
                self.disk.trusts(piece);
                self.persist.piece_verified(cx.now, piece);
                self.placement_checked(piece);
                self.look_whether_whole(cx, shared);
            }
            // It could not be read, which may pass.
            Err(_) if doubt.tries + 1 < cx.config.storage.read_tries => {
                let config = &cx.config.storage;
                let due = cx.now + config.backoff(doubt.tries, config.retry_max);
                *doubt = Doubt { tries: doubt.tries + 1, hashing: false, again: false };
                self.disk.doubt_at = Some(self.disk.doubt_at.map_or(due, |at| at.min(due)));
            }
            _ => self.lose(cx, shared, &[piece]),
        }
    }

    /// Pieces in doubt that could not be read are hashed once more.
    pub(super) fn doubt_tick(&mut self, cx: &mut Cx) {
        if self.disk.doubt_at.is_none_or(|at| at > cx.now) || !matches!(self.phase, Phase::Running) {
            return;
        }
        self.disk.doubt_at = None;
        let again: Vec<PieceIndex> =
            self.disk.doubted.iter().filter(|(_, doubt)| !doubt.hashing).map(|(&piece, _)| piece).collect();
        for piece in again {
            if let Some(doubt) = self.disk.doubted.get_mut(&piece) {
                doubt.hashing = true;
            }
            self.hash(cx, piece, false, Purpose::Recheck(piece));
        }
    }

    /// Whether syncs and saves may be ordered now.
    pub(super) fn may_persist(&self) -> bool {
        let phase = match self.phase {
            Phase::Running | Phase::Halted => true,
            Phase::Stopping { .. } => !self.life.wants_delete(),
            _ => false,
        };
        self.examined && phase && !self.life.needs_the_disk()
    }

    /// Carries out what the persistence protocol orders.
    pub(super) fn persist_orders(&mut self, cx: &mut Cx) {
        if !self.may_persist() {
            return;
        }
        while let Some(order) = self.persist.next(cx.now, &cx.config.persist) {
            match order {
                PersistOrder::Sync => _ = self.start(cx, Work::Sync { torrent: self.id }, Purpose::Sync),
                PersistOrder::Save(claims) => {
                    let pieces = claims.pieces.count();
                    let data = ResumeData {
                        hashes: self.facts.hashes,
                        generation: claims.generation,
                        uploaded: self.total_uploaded(),
                        downloaded: self.total_downloaded(),
                        paused: self.life.paused,
                        active: self.active.total(cx.now),
                        seeding: self.seeding.total(cx.now),
                        completed: self.completed_ever,
                        examined: claims.examined,
                        pieces: claims.pieces,
                        files: claims.files,
                        apart: claims.apart,
                        priorities: self.selection.numbers(),
                        sequential: self.selection.sequential(),
                        info: Some(self.facts.info.clone()).filter(|_| self.keeps_info && self.seeking.is_none()),
                    };
                    let work = Work::Save { torrent: self.id, bytes: Bytes::from(data.emit()) };
                    self.start(cx, work, Purpose::Save { pieces });
                }
                PersistOrder::Reverify(pieces) => {
                    // What peers were told stands: it cannot be taken back, and is true nearly always. But nothing of them
                    // is served before it is known.
                    for piece in pieces {
                        self.doubt(cx, piece);
                    }
                }
            }
        }
    }

    pub(super) fn synced(&mut self, cx: &mut Cx, shared: &mut Shared, result: Result<JobResult, IoFault>) {
        let result = match result {
            Ok(JobResult::Checked { files, part, .. }) => Ok(self.table(files, part)),
            Ok(_) => Err(IoFault::Other),
            Err(fault) => Err(fault),
        };
        if result.is_err() {
            self.disk.distrusts();
        }
        self.made_durable(cx, result.as_ref().map(|_| ()).map_err(|&fault| fault));
        self.persist.synced(cx.now, &cx.config.persist, result);
        for (piece, blocks) in core::mem::take(&mut self.disk.unjudged) {
            self.blame_senders(cx, shared, piece, &blocks);
        }
    }

    pub(super) fn saved(&mut self, cx: &mut Cx, pieces: u32, result: Result<JobResult, IoFault>) {
        match result {
            Ok(_) => {
                let first = !self.persist.may_write();
                self.persist.saved(cx.now, &cx.config.persist, Ok(()));
                self.refill |= first;
                self.saved_at = cx.now;
                self.made_durable(cx, Ok(()));
                self.drop_part(cx);
                cx.out.notices.push(Notice::Saved { torrent: self.id, pieces });
            }
            Err(fault) => {
                self.persist.saved(cx.now, &cx.config.persist, Err(fault));
                self.made_durable(cx, Err(fault));
            }
        }
    }

    /// The files as the driver found them, as many as the layout has, and last the part file.
    pub(super) fn table(&self, files: Vec<Option<FileState>>, part: Option<FileState>) -> Vec<Option<FileState>> {
        let mut table = files;
        table.resize(self.facts.layout.files().len(), None);
        table.push(part);
        table
    }

    /// Bytes uploaded, over all sessions.
    pub(super) fn total_uploaded(&self) -> u64 {
        self.uploaded_before.saturating_add(self.uploaded.total())
    }

    /// Verified bytes downloaded, over all sessions.
    pub(super) fn total_downloaded(&self) -> u64 {
        self.downloaded_before.saturating_add(self.verified_here)
    }
}
