//! Calls to and from the connections of a torrent.

use super::{Peer, Phase, Purpose, Shared, Torrent};
use crate::border::{Action, CloseReason, IoFault, JobResult, Notice, PeerId, PeerKey, TcpId, Work};
use crate::cx::Cx;
use crate::metainfo::{Block, PieceIndex};
use crate::net_policy::AddrClass;
use crate::peer::{PeerConn, PeerOrder, PeerSaid, ReadRun};
use crate::torrent::brake::network;
use crate::torrent::picker::{PickAsk, Received};
use crate::wire::Extension;
use alloc::boxed::Box;
use bytes::Bytes;
use core::ops::Bound;

/// How much is read from the disk at once for one peer: sixteen blocks, where bigger reads gain nothing more.
pub(super) const READ_RUN: u32 = 256 * 1024;
/// A peer that sends a piece in so many seconds is given whole ones: shared pieces cost blame and gain nothing then.
const WHOLE_PIECE_SECONDS: u64 = 5;

impl Torrent {
    /// Puts a new connection in. `conn` has said its part of the handshake.
    pub(super) fn insert_peer(&mut self, cx: &mut Cx, shared: &mut Shared, key: PeerKey, conn: PeerConn) {
        shared.peers += 1;
        let mut conn = conn;
        conn.hold_reading(self.held);
        let mut peer = Box::new(Peer {
            conn,
            timer: None,
            interesting: 0,
            counted: false,
            gave: false,
            ready: false,
            gave_back: false,
            shares: Default::default(),
            bystander_since: None,
            suggest: Default::default(),
            shown: None,
            unveiled: None,
            named_node: false,
        });
        self.meter_new(cx, shared, &mut peer);
        self.welcome(cx, &mut peer);
        self.note_interest(cx.now, shared, &mut peer);
        self.peers.insert(key, None);
        self.drive(cx, shared, key, peer);
    }

    /// Bytes came in on a connection.
    pub(crate) fn received(&mut self, cx: &mut Cx, shared: &mut Shared, key: PeerKey, bytes: Bytes, offset: u32) {
        let Some(mut peer) = self.take(key) else { return };
        peer.conn.feed(cx, bytes, offset);
        self.drive(cx, shared, key, peer);
        self.settle(cx, shared);
    }

    /// Bytes of a connection have left.
    pub(crate) fn flushed(&mut self, cx: &mut Cx, shared: &mut Shared, key: PeerKey, bytes: u64) {
        let Some(mut peer) = self.take(key) else { return };
        peer.conn.flushed(cx, bytes);
        self.drive(cx, shared, key, peer);
        self.settle(cx, shared);
    }

    /// A connection is gone.
    pub(crate) fn lost(&mut self, cx: &mut Cx, shared: &mut Shared, key: PeerKey, fault: Option<IoFault>) {
        let Some(mut peer) = self.take(key) else { return };
        peer.conn.lost(fault);
        self.drive(cx, shared, key, peer);
        self.settle(cx, shared);
    }

    /// Hears a connection out, lets it go on, and puts it back (or buries it).
    pub(super) fn drive(&mut self, cx: &mut Cx, shared: &mut Shared, key: PeerKey, mut peer: Box<Peer>) {
        let mut closing = None;
        loop {
            let facts = self.facts_for(shared, peer.shown.as_deref());
            let Some(said) = peer.conn.step(cx, &facts) else { break };
            if let PeerSaid::Closing(reason) = said {
                closing = Some(reason);
                break;
            }
            if let Some(reason) = self.heard(cx, shared, key, &mut peer, said) {
                self.order(cx, shared, &mut peer, PeerOrder::Close(reason));
            } else if self.may_ask(cx, &peer) {
                // After each message, not at the end of the event: what is asked must not depend on how the stream was cut.
                self.ask(cx, key, &mut peer);
            }
        }
        if let Some(reason) = closing {
            self.bury(cx, shared, key, *peer, reason);
            return;
        }
        if matches!(self.phase, Phase::Running) && peer.conn.is_ready() {
            self.ask(cx, key, &mut peer);
            self.serve(cx, shared, key, &mut peer);
            self.reveal(cx, shared, &mut peer);
        }
        self.put_back(cx, shared, key, peer);
    }

    /// Ends a call to a connection: what it collected goes out, and its next deadline is noted.
    pub(super) fn put_back(&mut self, cx: &mut Cx, shared: &mut Shared, key: PeerKey, mut peer: Box<Peer>) {
        self.end_call(cx, shared, key, &mut peer);
        if let Some(slot) = self.peers.get_mut(key) {
            *slot = Some(peer);
        }
    }

    fn end_call(&mut self, cx: &mut Cx, shared: &mut Shared, key: PeerKey, peer: &mut Peer) {
        self.note_traffic(cx, shared, key, peer);
        peer.conn.finish(cx);
        let deadline = peer.conn.deadline();
        self.timers.set(key, &mut peer.timer, deadline);
    }

    /// Calls every connection, one after the other, without looking each up. `call` must not reach for them itself.
    pub(super) fn each_peer(
        &mut self,
        cx: &mut Cx,
        shared: &mut Shared,
        mut call: impl FnMut(&mut Self, &mut Cx, &mut Shared, PeerKey, &mut Peer),
    ) {
        let mut peers = core::mem::take(&mut self.peers);
        for (key, slot) in peers.iter_mut() {
            let Some(peer) = slot else { continue };
            call(self, cx, shared, key, peer);
            self.end_call(cx, shared, key, peer);
        }
        self.peers = peers;
    }

    pub(super) fn order(&mut self, cx: &mut Cx, shared: &Shared, peer: &mut Peer, order: PeerOrder) {
        let facts = self.facts_for(shared, peer.shown.as_deref());
        peer.conn.order(cx, &facts, order);
    }

    /// Gives one order to a connection that is in its place.
    pub(super) fn order_to(&mut self, cx: &mut Cx, shared: &mut Shared, key: PeerKey, order: PeerOrder) {
        let Some(mut peer) = self.take(key) else { return };
        self.order(cx, shared, &mut peer, order);
        self.drive(cx, shared, key, peer);
    }

    /// What one message means. A reason to close, when there is one that the connection cannot know.
    fn heard(
        &mut self,
        cx: &mut Cx,
        shared: &mut Shared,
        key: PeerKey,
        peer: &mut Peer,
        said: PeerSaid,
    ) -> Option<CloseReason> {
        match said {
            PeerSaid::Ready => return self.peer_ready(cx, shared, key, peer),
            PeerSaid::Pieces => return self.pieces_told(cx, shared, key, peer),
            PeerSaid::Have(piece) => {
                if peer.counted {
                    self.picker.peer_gained(piece);
                }
                self.note_seed(cx, key, peer);
                self.saw_pieces(cx, shared, key, peer, Some(&[piece]));
                if self.picker.wants(piece) {
                    peer.interesting += 1;
                    self.show_interest(cx, shared, peer);
                }
                return self.nothing_to_exchange(peer);
            }
            PeerSaid::Gained(pieces) => {
                let pieces: alloc::vec::Vec<PieceIndex> =
                    pieces.iter().filter_map(|number| self.facts.geometry.piece(number)).collect();
                for &piece in pieces.iter().filter(|_| peer.counted) {
                    self.picker.peer_gained(piece);
                }
                self.saw_pieces(cx, shared, key, peer, Some(&pieces));
                peer.interesting = self.count_interesting(peer);
                self.show_interest(cx, shared, peer);
                return self.nothing_to_exchange(peer);
            }
            PeerSaid::Choked { returned } | PeerSaid::Snubbed { returned } => {
                peer.gave_back |= !returned.is_empty();
                self.give_back(key, &returned);
            }
            PeerSaid::Rejected(block) => {
                peer.gave_back = true;
                self.give_back(key, &[block]);
            }
            PeerSaid::Unchoked | PeerSaid::AllowedFast(_) | PeerSaid::Suggested(_) => {}
            PeerSaid::Interested | PeerSaid::NotInterested => {
                self.note_interest(cx.now, shared, peer);
                self.interest_changed(cx, shared, peer);
            }
            PeerSaid::Block { block, bytes } => self.block_came(cx, shared, key, peer, block, bytes),
            PeerSaid::Introduced => {
                if let Some(ip) = peer.conn.introduction().your_ip {
                    shared.seen_as(cx, ip, peer.conn.remote().ip());
                }
                if let (Some(port), true) = (peer.conn.introduction().port, peer.conn.incoming()) {
                    self.learn_port(cx, peer.conn.remote(), port);
                }
                self.note_contact(cx, key, peer);
                self.seeking_introduced(cx, key, peer);
                return self.seek(cx, shared, Some((key, peer))).or_else(|| self.nothing_to_exchange(peer));
            }
            PeerSaid::Metadata(answer) => {
                self.seeking_told(cx, key, &answer);
                return self.seek(cx, shared, Some((key, peer)));
            }
            PeerSaid::Lost { piece, returned } => {
                if peer.counted {
                    self.picker.peer_lost(piece);
                }
                if self.picker.wants(piece) {
                    peer.interesting = peer.interesting.saturating_sub(1);
                    self.show_interest(cx, shared, peer);
                }
                self.give_back(key, &returned);
            }
            PeerSaid::Extended { extension: Extension::Pex, payload } => {
                return self.told_of_peers(cx, key, peer.conn.remote().ip(), &payload);
            }
            PeerSaid::DhtPort(port) => self.told_of_node(shared, peer, port),
            PeerSaid::Extended { .. } | PeerSaid::Closing(_) => {}
        }
        None
    }

    /// It is known which pieces a peer has.
    pub(super) fn pieces_told(
        &mut self,
        cx: &mut Cx,
        shared: &mut Shared,
        key: PeerKey,
        peer: &mut Peer,
    ) -> Option<CloseReason> {
        if !peer.counted && self.has_a_voice(cx, peer) {
            self.count_pieces(peer);
        }
        peer.interesting = self.count_interesting(peer);
        self.show_interest(cx, shared, peer);
        self.note_seed(cx, key, peer);
        self.saw_pieces(cx, shared, key, peer, None);
        self.nothing_to_exchange(peer)
    }

    /// Whether what a peer says that it has is to count before it has given anything: not where enough others of its network do.
    fn has_a_voice(&self, cx: &Cx, peer: &Peer) -> bool {
        let ip = peer.conn.remote().ip();
        if AddrClass::of(ip) != AddrClass::Global {
            return true;
        }
        let ours = network(ip);
        let others = self.peers.values().flatten();
        let silent = others.filter(|other| other.counted && !other.gave && network(other.conn.remote().ip()) == ours);
        silent.count() < cx.config.pick.voices_per_network as usize
    }

    fn count_pieces(&mut self, peer: &mut Peer) {
        self.picker.peer_joined(peer.conn.pieces());
        peer.counted = true;
    }

    /// Of two connections to one peer, whether the new one is to stay. Both ends must come to the same answer: when each has dialled
    /// the other, the one that the lower peer id dialled stays; else the older.
    fn is_the_survivor(&self, id: PeerId, peer: &Peer, twin: PeerKey) -> bool {
        let Some(Some(twin)) = self.peers.get(twin) else { return true };
        let theirs_stays = id < self.peer_id;
        peer.conn.incoming() != twin.conn.incoming() && peer.conn.incoming() == theirs_stays
    }

    fn peer_ready(&mut self, cx: &mut Cx, shared: &mut Shared, key: PeerKey, peer: &mut Peer) -> Option<CloseReason> {
        let id = peer.conn.peer_id()?;
        let addr = peer.conn.remote();
        // One connection to each peer: the address may differ (it dialled us while we dialled it), the id does not.
        if let Some(&twin) = self.peer_ids.get(&id) {
            if !self.is_the_survivor(id, peer, twin) {
                return Some(CloseReason::Duplicate);
            }
            self.order_to(cx, shared, twin, PeerOrder::Close(CloseReason::Duplicate));
        }
        self.ready_peers += 1;
        self.peer_ids.insert(id, key);
        peer.ready = true;
        self.note_contact(cx, key, peer);
        cx.out.notices.push(Notice::PeerConnected {
            torrent: self.id,
            peer: key,
            addr,
            id,
            incoming: peer.conn.incoming(),
        });
        None
    }

    /// A seed is not dialled again once we seed.
    fn note_seed(&mut self, cx: &Cx, key: PeerKey, peer: &Peer) {
        if peer.conn.is_seed() {
            self.candidates.peer_is_seed(peer.conn.remote());
            self.note_contact(cx, key, peer);
        }
    }

    /// Two sides that both only give have nothing to do with each other (BEP 21).
    pub(super) fn nothing_to_exchange(&self, peer: &Peer) -> Option<CloseReason> {
        let we_only_give = self.only_gives();
        let it_only_gives = peer.conn.is_seed() || peer.conn.upload_only();
        (we_only_give && it_only_gives && peer.conn.pieces_known()).then_some(CloseReason::BothSeeds)
    }

    fn count_interesting(&self, peer: &Peer) -> u32 {
        if self.only_gives() {
            return 0;
        }
        let pieces = peer.conn.pieces();
        let wanted = |number| self.facts.geometry.piece(number).is_some_and(|piece| self.picker.wants(piece));
        pieces.iter().filter(|&number| wanted(number)).count() as u32
    }

    /// BEP 3: "Interest state must be kept up to date at all times".
    fn show_interest(&mut self, cx: &mut Cx, shared: &mut Shared, peer: &mut Peer) {
        let interested = peer.interesting > 0 && !self.seed_only;
        if peer.conn.am_interested() != interested {
            self.order(cx, shared, peer, PeerOrder::Interested(interested));
            self.note_interest(cx.now, shared, peer);
        }
    }

    pub(super) fn give_back(&mut self, key: PeerKey, blocks: &[Block]) {
        for &block in blocks {
            self.picker.returned(key, block);
        }
        self.refill |= !blocks.is_empty();
    }

    fn block_came(
        &mut self,
        cx: &mut Cx,
        shared: &mut Shared,
        key: PeerKey,
        peer: &mut Peer,
        block: Block,
        bytes: Bytes,
    ) {
        self.downloaded.add(cx.now, u64::from(block.length()));
        match self.picker.received(key, block) {
            Received::New { also_asked, piece_full } => {
                peer.gave = true;
                // It gives: what it says counts.
                if !peer.counted && peer.conn.pieces_known() {
                    self.count_pieces(peer);
                }
                for other in also_asked {
                    self.cancel_at(cx, shared, other, block);
                }
                self.write(cx, shared, peer.conn.remote(), block, bytes, piece_full);
                if shared.disk_queue > cx.config.session.max_disk_queue && !self.held {
                    self.hold(true);
                    peer.conn.hold_reading(true);
                }
            }
            Received::Duplicate | Received::Unwanted => self.wasted += u64::from(block.length()),
        }
    }

    /// BEP 3: "to keep the last few pieces from taking too long, [...] cancels are sent to everyone else every time a
    /// piece arrives".
    fn cancel_at(&mut self, cx: &mut Cx, shared: &mut Shared, key: PeerKey, block: Block) {
        let Some(mut peer) = self.take(key) else { return };
        self.order(cx, shared, &mut peer, PeerOrder::Cancel(block));
        // It has a place free now; it is asked for more when the call is over.
        self.hungry.insert(key);
        self.refill = true;
        self.put_back(cx, shared, key, peer);
    }

    /// Whether there may be something to ask a connection for; cheap.
    fn may_ask(&self, cx: &Cx, peer: &Peer) -> bool {
        matches!(self.phase, Phase::Running) && peer.interesting > 0 && peer.conn.room(cx.now) > 0
    }

    /// Asks a connection for as much as it has room for; one that lets us wait, or has just given blocks back, only after all
    /// others. It would get the same ones at once again otherwise: a few that never answer could keep the last blocks from
    /// everybody.
    fn ask(&mut self, cx: &mut Cx, key: PeerKey, peer: &mut Peer) {
        if !comes_last(peer) {
            self.ask_now(cx, key, peer);
        } else if peer.interesting > 0 && peer.conn.room(cx.now) > 0 {
            self.refill |= self.hungry.insert(key);
        }
    }

    fn ask_now(&mut self, cx: &mut Cx, key: PeerKey, peer: &mut Peer) {
        if self.ask_for_room(cx, key, peer) {
            self.hungry.insert(key);
        } else {
            self.hungry.remove(&key);
        }
    }

    /// Asks a connection for as much as it has room for; whether there was less.
    fn ask_for_room(&mut self, cx: &mut Cx, key: PeerKey, peer: &mut Peer) -> bool {
        if self.seed_only || peer.interesting == 0 || self.life.is_draining() {
            return false;
        }
        if self.health.is_ill() || !self.persist.may_write() {
            return true;
        }
        let conn = &peer.conn;
        let choked = conn.choking_us();
        let only = if choked { Some(conn.allowed_fast()) } else { None };
        if only.is_some_and(|pieces| pieces.is_empty()) {
            return false;
        }
        let room = if choked { conn.fast_room() } else { conn.room(cx.now) };
        if room == 0 {
            return false;
        }
        let was_end_game = self.picker.end_game();
        let mut blocks = core::mem::take(&mut self.scratch);
        blocks.clear();
        let ask = PickAsk {
            count: room,
            only,
            fast: self.is_fast(conn.download_rate().per_second(cx.now)),
            suggested: conn.suggested(),
            only_free: comes_last(peer),
            host: PickAsk::host_of(conn.remote()),
        };
        self.picker.pick(cx.now, key, conn.pieces(), ask, &mut blocks);
        let hungry = (blocks.len() as u32) < room;
        peer.conn.request(cx, &blocks);
        self.scratch = blocks;
        if !was_end_game && self.picker.end_game() {
            self.refill = true;
        }
        hungry
    }

    /// Whether a peer of this rate is given whole pieces: it takes a few seconds for one at most.
    fn is_fast(&self, rate: u64) -> bool {
        rate.saturating_mul(WHOLE_PIECE_SECONDS) >= u64::from(self.facts.geometry.piece_length())
    }

    /// In which order peers are asked for what has become free: the lowest first.
    fn trust(&self, key: PeerKey) -> u8 {
        match self.peers.get(key) {
            Some(Some(peer)) if peer.conn.snubbed() => 3,
            Some(Some(peer)) if peer.gave_back => 2,
            Some(Some(peer)) if peer.conn.last_piece_at().is_some() => 0,
            _ => 1,
        }
    }

    /// Lets everybody who could be asked for more look again.
    pub(super) fn feed_hungry(&mut self, cx: &mut Cx, shared: &mut Shared) {
        if !matches!(self.phase, Phase::Running) {
            return;
        }
        // First those that have sent something, then who has still to show it, then who has given blocks back, last who lets us
        // wait.
        let mut hungry: alloc::vec::Vec<(u8, PeerKey)> =
            self.hungry.iter().map(|&key| (self.trust(key), key)).collect();
        hungry.sort_unstable();
        for (_, key) in hungry {
            let Some(mut peer) = self.take(key) else {
                self.hungry.remove(&key);
                continue;
            };
            if comes_last(&peer) && peer.conn.is_ready() {
                self.ask_now(cx, key, &mut peer);
                peer.gave_back = false;
            }
            self.drive(cx, shared, key, peer);
        }
        // Whoever set this again while being fed has only taken blocks.
        self.refill = false;
    }

    /// Starts reads for what a connection has asked of us.
    fn serve(&mut self, cx: &mut Cx, shared: &mut Shared, key: PeerKey, peer: &mut Peer) {
        if self.sending_is_limited(shared) {
            if peer.conn.wants_read() {
                self.wait_to_send(key, peer);
            }
            return;
        }
        loop {
            if shared.read_ahead >= cx.config.session.max_read_ahead {
                self.waiting_reads.insert(key);
                return;
            }
            let Some(run) = peer.conn.next_read(READ_RUN) else { return };
            if self.disk.doubts(run.piece) {
                self.refuse_run(cx, shared, peer, run, IoFault::ShortRead);
                continue;
            }
            shared.read_ahead += u64::from(run.length);
            let work = Work::Read { torrent: self.id, piece: run.piece.get(), begin: run.begin, length: run.length };
            self.start(cx, work, Purpose::Upload { peer: key, run, paid: false });
        }
    }

    /// Rejects what a run was to answer.
    pub(super) fn refuse_run(&self, cx: &mut Cx, shared: &Shared, peer: &mut Peer, run: ReadRun, fault: IoFault) {
        let facts = self.facts_for(shared, peer.shown.as_deref());
        peer.conn.loaded(cx, &facts, run, Err(fault));
    }

    /// What was read for a peer has come.
    pub(super) fn loaded(
        &mut self,
        cx: &mut Cx,
        shared: &mut Shared,
        key: PeerKey,
        run: ReadRun,
        paid: bool,
        result: Result<JobResult, IoFault>,
    ) {
        shared.read_ahead = shared.read_ahead.saturating_sub(u64::from(run.length));
        let data = match result {
            Ok(JobResult::Read(bytes)) if bytes.len() as u64 == u64::from(run.length) => Ok(bytes),
            Ok(_) => Err(IoFault::ShortRead),
            Err(fault) => Err(fault),
        };
        if let Err(fault) = data {
            self.read_failed(cx, run.piece, fault);
        }
        let was_read = data.is_ok();
        let mut sent = 0;
        if let Some(mut peer) = self.take(key) {
            let facts = self.facts_for(shared, peer.shown.as_deref());
            // What was cancelled or choked meanwhile is not sent, and does not count.
            let before = peer.conn.upload_rate().total();
            peer.conn.loaded(cx, &facts, run, data);
            sent = peer.conn.upload_rate().total().saturating_sub(before);
            if sent > 0 {
                self.uploaded.add(cx.now, sent);
                self.persist.touch(cx.now);
            }
            self.drive(cx, shared, key, peer);
        }
        if was_read {
            self.suggest(cx, shared, run.piece, key);
        }
        if paid {
            self.unsent(cx, shared, u64::from(run.length).saturating_sub(sent));
        }
    }

    /// Whether somebody waits for room to read ahead.
    pub(crate) fn waits_to_read(&self) -> bool {
        !self.waiting_reads.is_empty()
    }

    /// There is room to read ahead: one of those who wait for it goes on, each in its turn.
    pub(crate) fn read_on(&mut self, cx: &mut Cx, shared: &mut Shared) {
        let after = (Bound::Excluded(self.last_reader), Bound::Unbounded);
        let next = self.waiting_reads.range(after).next().or_else(|| self.waiting_reads.first()).copied();
        let Some(key) = next else { return };
        self.waiting_reads.remove(&key);
        self.last_reader = key;
        if let Some(peer) = self.take(key) {
            self.drive(cx, shared, key, peer);
        }
        self.settle(cx, shared);
    }

    /// A piece has become ours, which was wanted or not: everybody is told, and some have nothing for us any more.
    pub(super) fn spread(&mut self, cx: &mut Cx, shared: &mut Shared, piece: PieceIndex, wanted: bool) {
        let complete = self.only_gives();
        let mut over = alloc::vec::Vec::new();
        self.each_peer(cx, shared, |this, cx, shared, key, peer| {
            if !peer.conn.is_ready() {
                return;
            }
            if wanted && peer.conn.pieces().get(piece.get()) {
                peer.interesting = peer.interesting.saturating_sub(1);
                this.show_interest(cx, shared, peer);
            }
            this.order(cx, shared, peer, PeerOrder::Have(piece));
            if complete && let Some(reason) = this.nothing_to_exchange(peer) {
                over.push((key, reason));
            }
        });
        for (key, reason) in over {
            self.order_to(cx, shared, key, PeerOrder::Close(reason));
        }
    }

    /// Counts anew what is wanted of everybody: after a piece was lost, or wishes have changed.
    pub(super) fn recount_interest(&mut self, cx: &mut Cx, shared: &mut Shared) {
        self.each_peer(cx, shared, |this, cx, shared, key, peer| {
            // Also of who has no voice in what is rare: it may be asked all the same.
            if peer.conn.is_ready() {
                peer.interesting = this.count_interesting(peer);
                this.show_interest(cx, shared, peer);
                this.hungry.insert(key);
            }
        });
        self.refill = true;
    }

    /// Takes a dead connection out of everything.
    fn bury(&mut self, cx: &mut Cx, shared: &mut Shared, key: PeerKey, mut peer: Peer, reason: CloseReason) {
        self.refund(cx, shared, key, &mut peer);
        self.forget_bystander(shared, &mut peer);
        let conn = &peer.conn;
        let outstanding: alloc::vec::Vec<Block> = conn.outstanding().collect();
        // Others may have what it was asked for, and what it had to itself.
        self.refill |= self.picker.peer_gone(key, &outstanding);
        if peer.counted {
            self.picker.peer_left(conn.pieces());
        }
        self.choker.peer_gone(cx.now, &cx.config.choke, key, peer.conn.upload_rate().total());
        self.note_serving(shared);
        let mut timer = peer.timer;
        self.timers.clear(key, &mut timer);
        self.hungry.remove(&key);
        self.waiting_reads.remove(&key);
        self.peers.remove(key);
        shared.peers = shared.peers.saturating_sub(1);
        shared.gone.push(conn.tcp());
        let was_ready = peer.ready;
        if was_ready {
            self.ready_peers = self.ready_peers.saturating_sub(1);
            if let Some(id) = conn.peer_id() {
                self.peer_ids.remove(&id);
            }
        }
        if !was_ready && !conn.incoming() {
            self.not_answered(cx, shared, conn.remote(), reason);
        }
        self.candidates.closed(cx.now, &cx.config.candidates, conn.remote(), reason, was_ready);
        self.seeking_lost(key);
        self.contact_closed(cx, key, reason);
        self.guest_left(cx, shared, key);
        cx.out.notices.push(Notice::PeerClosed { torrent: self.id, addr: conn.remote(), reason });
    }

    /// Stops or goes on reading from everybody, as the disk can take it.
    pub(super) fn hold(&mut self, hold: bool) {
        self.held = hold;
        for peer in self.peers.values_mut().flatten() {
            peer.conn.hold_reading(hold);
        }
    }

    /// The disk has caught up: reads from everybody again.
    pub(crate) fn release(&mut self, cx: &mut Cx, shared: &mut Shared) {
        if !self.held {
            return;
        }
        self.hold(false);
        // Clocks run again: the deadlines are others now.
        self.each_peer(cx, shared, |_, _, _, _, _| ());
    }

    /// Whether it reads from nobody, for the disk's sake.
    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    /// Closes every connection.
    pub(super) fn close_all(&mut self, cx: &mut Cx, shared: &mut Shared, reason: CloseReason) {
        let keys: alloc::vec::Vec<PeerKey> = self.peers.keys().collect();
        for key in keys {
            self.order_to(cx, shared, key, PeerOrder::Close(reason));
        }
    }

    /// Refuses a stream that nobody owns.
    pub(super) fn refuse(cx: &mut Cx, tcp: TcpId) {
        cx.act(Action::Close { tcp, flush: false });
    }
}

/// Whether others are asked before it.
fn comes_last(peer: &Peer) -> bool {
    peer.gave_back || peer.conn.snubbed()
}
