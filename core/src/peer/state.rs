//! The connection machine: every transition is here. What it is told and says: see the [module](super).

use super::credit::Credit;
use super::early::Early;
use super::metadata::MetadataTalk;
use super::outbox::Outbox;
use super::requests::{Arrival, Overdue, Rejection, Requests};
use super::upload::Upload;
use super::{Link, PeerFacts, PeerSaid};
use crate::bitfield::Bitfield;
use crate::border::{Action, CloseReason, IoFault, PeerFault, PeerId, PeerKey, TcpId, TorrentId};
use crate::cx::Cx;
use crate::metainfo::{Geometry, PieceIndex};
use crate::rate::Rate;
use crate::time::Time;
use crate::wire::{
    BlockRange, ExtendedHandshake, Extension, ExtensionIds, Framer, HANDSHAKE_LENGTH, Handshake, Handshake48, Message,
    Reserved, WireError,
};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;

/// One peer connection. See the [module](super).
#[derive(Clone, Debug)]
pub struct PeerConn {
    pub(super) key: PeerKey,
    pub(super) link: Link,
    pub(super) remote: SocketAddr,
    pub(super) incoming: bool,
    pub(super) connected_at: Time,
    pub(super) torrent: TorrentId,
    pub(super) timers: Timers,
    pub(super) phase: Phase,

    pub(super) framer: Framer,
    pub(super) outbox: Outbox,
    pub(super) credit: Credit,
    pub(super) said: VecDeque<PeerSaid>,
    /// When a message last was whole, or had come on by [`min_progress`](crate::border::PeerConfig::min_progress).
    pub(super) last_received_at: Time,
    /// How often it has come on by so much.
    pub(super) progress: usize,
    /// Until when the handshake has to be whole.
    pub(super) handshake_until: Time,

    pub(super) peer_id: Option<PeerId>,
    pub(super) fast: bool,
    pub(super) extended: bool,
    pub(super) introduction: ExtendedHandshake,
    pub(super) extension_ids: ExtensionIds,

    /// Which pieces the peer has; empty until `pieces_known`.
    pub(super) pieces: Bitfield,
    /// Whether the first message has said (or, by being another one, left out) which pieces the peer has.
    pub(super) pieces_known: bool,
    pub(super) choking_us: bool,
    pub(super) am_choking: bool,
    pub(super) interested: bool,
    pub(super) am_interested: bool,

    pub(super) requests: Requests,
    pub(super) refill_batch: u32,
    pub(super) depth_min: u32,
    pub(super) depth_max: u32,
    pub(super) peer_reqq: u32,
    /// What the peer serves us even while it chokes us.
    pub(super) allowed_fast: Vec<PieceIndex>,
    pub(super) suggested: Vec<PieceIndex>,

    pub(super) upload: Upload,
    pub(super) uploaded: Rate,
    /// Content is read for the peer while less than this is on its way to it, in bytes.
    pub(super) watermark: u64,
    /// What we serve the peer even while we choke it, and how many bytes of each piece are left to give.
    pub(super) our_fast: Vec<(PieceIndex, u32)>,
    pub(super) patience: Patience,
    pub(super) metadata: MetadataTalk,
    pub(super) early: Early,
    /// When the peer last asked for something, was given something, or was last told that it may ask.
    pub(super) asked_at: Time,
}

/// Where the connection is in its life.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// The peer's handshake is not complete.
    Handshake {
        /// What has come of it.
        bytes: Vec<u8>,
    },
    /// Messages.
    Open,
    /// Over.
    Closed,
}

/// The time limits of the configuration, kept so that the deadline can be told without it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timers {
    pub(super) keep_alive: Duration,
    pub(super) idle: Duration,
    pub(super) request: Duration,
    pub(super) send: Duration,
    pub(super) no_request: Duration,
}

/// How often the peer has done what makes no sense.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Patience {
    pub(super) bad_requests: u32,
    /// Requests since we choked the peer that were refused for that.
    pub(super) choked_requests: u32,
    pub(super) unrequested: u32,
    pub(super) useless: u32,
    pub(super) useless_since: Time,
}

impl PeerConn {
    /// A connection that we dialled. Sends our handshake.
    pub fn dialled(cx: &mut Cx<'_>, key: PeerKey, tcp: TcpId, remote: SocketAddr, facts: &PeerFacts<'_>) -> PeerConn {
        let mut conn = PeerConn::new(cx, key, tcp, remote, facts, false);
        conn.send_handshake(cx, facts);
        conn
    }

    /// A connection that came in, of which the acceptor has read the first 48 bytes. Sends our handshake; what the peer
    /// sent behind those 48 bytes is to be fed next.
    pub fn accepted(
        cx: &mut Cx<'_>,
        key: PeerKey,
        tcp: TcpId,
        remote: SocketAddr,
        facts: &PeerFacts<'_>,
        head: &Handshake48,
    ) -> PeerConn {
        let mut conn = PeerConn::new(cx, key, tcp, remote, facts, true);
        conn.phase = Phase::Handshake { bytes: Vec::from(head.emit()) };
        if head.info_hash == facts.info_hash {
            conn.send_handshake(cx, facts);
        } else {
            conn.fault(cx, PeerFault::WrongInfoHash);
        }
        conn
    }

    fn new(
        cx: &mut Cx<'_>,
        key: PeerKey,
        tcp: TcpId,
        remote: SocketAddr,
        facts: &PeerFacts<'_>,
        incoming: bool,
    ) -> PeerConn {
        let config = &cx.config.peer;
        // Of a torrent that is not known yet: an info dictionary has 20 bytes for each piece.
        let pieces = facts.geometry.map_or(cx.config.metadata.max_size / 20, |geometry| geometry.pieces());
        let bitfield_length = pieces.div_ceil(8).saturating_add(1);
        PeerConn {
            key,
            link: Link::Tcp(tcp),
            remote,
            incoming,
            connected_at: cx.now,
            torrent: facts.torrent,
            timers: Timers {
                keep_alive: config.keep_alive,
                idle: config.idle_timeout,
                request: config.request_timeout,
                send: config.send_timeout,
                no_request: config.no_request_timeout,
            },
            phase: Phase::Handshake { bytes: Vec::with_capacity(HANDSHAKE_LENGTH) },
            framer: Framer::new(config.max_message_length.max(bitfield_length)),
            outbox: Outbox::new(cx.now, config),
            credit: Credit::default(),
            said: VecDeque::new(),
            last_received_at: cx.now,
            progress: 0,
            handshake_until: cx.now + config.handshake_timeout,
            peer_id: None,
            fast: false,
            extended: false,
            introduction: ExtendedHandshake::default(),
            extension_ids: ExtensionIds::default(),
            pieces: Bitfield::none(facts.geometry.map_or(0, |geometry| geometry.pieces())),
            pieces_known: false,
            // BEP 3: "Connections start out choked and not interested."
            choking_us: true,
            am_choking: true,
            interested: false,
            am_interested: false,
            requests: Requests::new(cx.now, config),
            refill_batch: config.refill_batch,
            depth_min: config.depth_min,
            depth_max: config.depth_max,
            peer_reqq: config.default_reqq,
            allowed_fast: Vec::new(),
            suggested: Vec::new(),
            upload: Upload::default(),
            uploaded: Rate::default(),
            watermark: u64::from(config.send_watermark_min),
            our_fast: Vec::new(),
            patience: Patience { useless_since: cx.now, ..Patience::default() },
            metadata: MetadataTalk::default(),
            early: Early::default(),
            asked_at: cx.now,
        }
    }

    /// Leaves the peer no longer for its handshake than this: it has begun it before it came to us.
    pub fn limit_handshake(&mut self, until: Time) {
        self.handshake_until = self.handshake_until.min(until);
    }

    // What it is told.

    /// Bytes came; they start at `offset` in the buffer of the event that is being handled. To be followed by
    /// [`step`](PeerConn::step).
    pub fn feed(&mut self, _cx: &mut Cx<'_>, bytes: Bytes, offset: u32) {
        if !bytes.is_empty() && !self.is_closed() {
            self.credit.received(bytes.len());
            self.framer.feed(bytes, offset);
        }
    }

    /// So many bytes of what was sent have left.
    pub fn flushed(&mut self, cx: &mut Cx<'_>, bytes: u64) {
        self.outbox.flushed(cx.now, bytes);
    }

    /// The stream is gone: in order, or broken by a fault.
    pub fn lost(&mut self, fault: Option<IoFault>) {
        if !self.is_closed() {
            self.end(fault.map_or(CloseReason::ClosedByPeer, CloseReason::Broken));
        }
    }

    /// Stops granting read credit, or goes on with it, from the next [`finish`](PeerConn::finish) on. While it is held,
    /// silence and late blocks are our own doing and not held against the peer.
    pub fn hold_reading(&mut self, hold: bool) {
        self.credit.hold(hold);
    }

    /// Leaves it to the parent to grant read credit, with a window of so many bytes; or, with `None`, grants by itself again.
    /// The parent then asks [`read_wanted`](PeerConn::read_wanted) after each call, and gives it by [`grant`](PeerConn::grant).
    pub fn meter_reading(&mut self, window: Option<u32>) {
        self.credit.meter(window);
    }

    /// Grants read credit to a metered connection. To be followed by [`finish`](PeerConn::finish).
    pub fn grant(&mut self, cx: &mut Cx<'_>, bytes: u32) {
        if !self.is_closed() && bytes > 0 {
            self.credit.granted(bytes);
            let Link::Tcp(tcp) = self.link;
            cx.act(Action::Grant { tcp, bytes });
        }
    }

    /// What came on read credit that was given before reading was metered, since this was last asked, in bytes.
    pub fn take_uncounted(&mut self) -> u64 {
        self.credit.take_uncounted()
    }

    /// How many bytes were queued for the peer that are not content, since this was last asked.
    pub fn take_overhead(&mut self) -> u64 {
        self.outbox.take_overhead()
    }

    /// Time has passed; does what is due at [`deadline`](PeerConn::deadline). To be followed by
    /// [`step`](PeerConn::step).
    pub fn tick(&mut self, cx: &mut Cx<'_>, _facts: &PeerFacts<'_>) {
        let now = cx.now;
        match self.phase {
            Phase::Closed => {}
            Phase::Handshake { .. } => {
                if now >= self.handshake_until {
                    self.close(cx, CloseReason::HandshakeTimeout);
                }
            }
            Phase::Open if now >= self.outbox.stalled_at(self.timers.send) => self.close(cx, CloseReason::NotReading),
            Phase::Open if now >= self.idle_at() => self.close(cx, CloseReason::Idle),
            Phase::Open if now >= self.no_request_at() => self.close(cx, CloseReason::NoRequests),
            Phase::Open => {
                self.requests.ask_again(now);
                if now >= self.outbox.keep_alive_at(self.timers.keep_alive) {
                    self.outbox.message(now, &Message::KeepAlive);
                }
                while now >= self.overdue_at() {
                    match self.requests.overdue(now, self.timers.request, &cx.config.peer) {
                        Overdue::Nothing => break,
                        Overdue::One(block) => self.said.push_back(PeerSaid::Rejected(block)),
                        Overdue::All(returned) => self.said.push_back(PeerSaid::Snubbed { returned }),
                    }
                }
            }
        }
    }

    /// When [`tick`](PeerConn::tick) is due.
    pub fn deadline(&self) -> Option<Time> {
        match self.phase {
            Phase::Closed => None,
            Phase::Handshake { .. } => Some(self.handshake_until),
            Phase::Open => {
                let silence = self.idle_at().min(self.outbox.keep_alive_at(self.timers.keep_alive));
                let owed = self.outbox.stalled_at(self.timers.send).min(self.overdue_at());
                Some(silence.min(owed).min(self.no_request_at()).min(self.requests.asks_again_at()))
            }
        }
    }

    fn idle_at(&self) -> Time {
        if self.credit.is_held() { Time::NEVER } else { self.last_received_at + self.timers.idle }
    }

    /// When a peer that wants something, may ask for it and is owed nothing has not asked for too long: it only holds a place.
    fn no_request_at(&self) -> Time {
        let may_ask = self.interested && !self.am_choking && !self.credit.is_held();
        if !may_ask || self.upload.len() > 0 || self.outbox.queued() > 0 {
            return Time::NEVER;
        }
        self.asked_at.max(self.outbox.progress_at()) + self.timers.no_request
    }

    fn overdue_at(&self) -> Time {
        if self.credit.is_held() { Time::NEVER } else { self.requests.deadline(self.timers.request) }
    }

    /// The end of one event: what is queued goes out, and read credit is granted.
    pub fn finish(&mut self, cx: &mut Cx<'_>) {
        if self.is_closed() {
            return;
        }
        self.outbox.emit(cx, self.link, self.torrent);
        let now = cx.now;
        if self.credit.take_release() {
            self.last_received_at = now;
            self.asked_at = now;
            self.requests.restart_clocks(now);
        }
        let bytes = self.credit.due(&cx.config.peer, || self.requests.rate().per_second(now));
        if bytes > 0 {
            let Link::Tcp(tcp) = self.link;
            cx.act(Action::Grant { tcp, bytes });
        }
    }

    // What it says.

    /// The next thing that the peer has said or done; `None` when there is nothing more for now. The parent acts on each
    /// before it asks for the next.
    pub fn step(&mut self, cx: &mut Cx<'_>, facts: &PeerFacts<'_>) -> Option<PeerSaid> {
        loop {
            if let Some(said) = self.said.pop_front() {
                return Some(said);
            }
            match self.phase {
                Phase::Closed => return None,
                // Answers grow with what the peer says, and must not without bound.
                Phase::Open if self.outbox.is_overfull() => self.close(cx, CloseReason::NotReading),
                Phase::Handshake { .. } => {
                    if !self.read_handshake(cx, facts) {
                        return None;
                    }
                }
                Phase::Open => match self.framer.next(&mut cx.out.opaque) {
                    Ok(Some(message)) => {
                        self.last_received_at = cx.now;
                        self.progress = 0;
                        self.on_message(cx, facts, message);
                    }
                    Ok(None) => {
                        self.note_progress(cx);
                        self.serve_metadata(cx, facts);
                        return None;
                    }
                    Err(WireError::TooLong { .. }) => self.fault(cx, PeerFault::MessageTooLong),
                    Err(WireError::WrongLength { .. }) => self.fault(cx, PeerFault::WrongMessageLength),
                },
            }
        }
    }

    /// How far a message that is not whole has come. In steps, so that it makes no difference how it was cut.
    fn note_progress(&mut self, cx: &Cx<'_>) {
        let progress = self.framer.unfinished() / cx.config.peer.min_progress as usize;
        if progress > self.progress {
            self.progress = progress;
            self.last_received_at = cx.now;
        }
    }

    /// Goes on with the peer's handshake; false when more bytes are needed.
    fn read_handshake(&mut self, cx: &mut Cx<'_>, facts: &PeerFacts<'_>) -> bool {
        let Phase::Handshake { bytes } = &mut self.phase else { return true };
        let part = self.framer.take_raw(HANDSHAKE_LENGTH.saturating_sub(bytes.len()));
        bytes.extend_from_slice(&part);
        let (head, whole) = match (Handshake48::parse(bytes), Handshake::parse(bytes)) {
            (Ok(head), Ok(whole)) => (head, whole),
            _ => {
                self.fault(cx, PeerFault::NotBitTorrent);
                return true;
            }
        };
        // BEP 3: "If both sides don't send the same value, they sever the connection."
        if head.is_some_and(|head| head.info_hash != facts.info_hash) {
            self.fault(cx, PeerFault::WrongInfoHash);
            return true;
        }
        let Some(handshake) = whole else { return false };
        if handshake.peer_id == facts.peer_id {
            self.close(cx, CloseReason::ToSelf);
        } else {
            self.open(cx, facts, &handshake);
        }
        true
    }

    fn open(&mut self, cx: &mut Cx<'_>, facts: &PeerFacts<'_>, handshake: &Handshake) {
        self.phase = Phase::Open;
        self.last_received_at = cx.now;
        self.peer_id = Some(handshake.peer_id);
        // "The extension is enabled only if both ends of the connection set this bit." We always do.
        self.fast = handshake.reserved.fast();
        self.extended = handshake.reserved.extended();
        // BEP 6: "Exactly one of Have All, Have None, or Have Bitfield MUST appear and only immediately after the
        // handshake." BEP 3, without the extension: "Downloaders which don't have anything yet may skip the 'bitfield'
        // message."
        let first = match (self.fast, facts.have.count()) {
            (true, 0) => Some(Message::HaveNone),
            (false, 0) => None,
            (true, _) if facts.have.is_full() => Some(Message::HaveAll),
            _ => Some(Message::Bitfield(facts.have.to_wire().into())),
        };
        if let Some(first) = first {
            self.outbox.message(cx.now, &first);
        }
        if self.extended {
            let payload = self.our_introduction(cx, facts).emit().into();
            self.outbox.message(cx.now, &Message::Extended { id: 0, payload });
        }
        // BEP 5: "Peer receiving a handshake indicating the remote peer supports the DHT should send a PORT message. It begins with
        // byte 0x09 and has a two byte payload containing the UDP port of the DHT node in network byte order."
        if handshake.reserved.dht()
            && let Some(port) = self.node_port(facts)
        {
            self.outbox.message(cx.now, &Message::Port(port));
        }
        self.said.push_back(PeerSaid::Ready);
    }

    /// The port of our node of the DHT in the peer's family.
    fn node_port(&self, facts: &PeerFacts<'_>) -> Option<u16> {
        let [v4, v6] = facts.node_ports;
        if self.remote.ip().to_canonical().is_ipv4() { v4 } else { v6 }
    }

    fn send_handshake(&mut self, cx: &mut Cx<'_>, facts: &PeerFacts<'_>) {
        // BEP 5: "Peers supporting the DHT set the last bit of the 8-byte reserved flags exchanged in the BitTorrent protocol
        // handshake."
        let reserved = if self.node_port(facts).is_some() { Reserved::OURS.with_dht() } else { Reserved::OURS };
        let ours = Handshake { reserved, info_hash: facts.info_hash, peer_id: facts.peer_id };
        self.outbox.raw(cx.now, &ours.emit());
    }

    // Messages.

    pub(super) fn on_message(&mut self, cx: &mut Cx<'_>, facts: &PeerFacts<'_>, message: Message) {
        let is_fast = matches!(
            message,
            Message::Suggest(_) | Message::HaveAll | Message::HaveNone | Message::Reject(_) | Message::AllowedFast(_)
        );
        if is_fast && !self.fast {
            // BEP 6, of each of the five: "the peer MUST close the connection."
            return self.fault(cx, PeerFault::FastNotAgreed);
        }
        match message {
            // These say nothing of pieces and may come before the first message that does.
            Message::KeepAlive => return self.useless(cx),
            Message::Port(0) | Message::Unknown { .. } => return self.useless(cx),
            Message::Port(port) => {
                self.said.push_back(PeerSaid::DhtPort(port));
                return self.useless(cx);
            }
            Message::Extended { id, payload } => return self.on_extended(cx, facts, id, payload),
            _ => {}
        }
        let of_state =
            matches!(message, Message::Choke | Message::Unchoke | Message::Interested | Message::NotInterested);
        match facts.geometry {
            None if of_state => self.on_state(cx, message),
            None => self.on_early(cx, message),
            Some(geometry) => self.on_known(cx, facts, geometry, message),
        }
    }

    /// A message about pieces or about who serves whom, in a torrent whose sizes are known.
    fn on_known(&mut self, cx: &mut Cx<'_>, facts: &PeerFacts<'_>, geometry: &Geometry, message: Message) {
        let pieces = geometry.pieces();
        match message {
            Message::HaveAll => return self.on_pieces(cx, facts, geometry, Bitfield::all(pieces)),
            Message::HaveNone => return self.on_pieces(cx, facts, geometry, Bitfield::none(pieces)),
            Message::Bitfield(bits) => {
                return match Bitfield::from_wire(&bits, pieces) {
                    Ok(bits) => self.on_pieces(cx, facts, geometry, bits),
                    Err(_) => self.fault(cx, PeerFault::BadBitfield),
                };
            }
            _ => {}
        }
        if !self.pieces_known {
            // BEP 3: "Downloaders which don't have anything yet may skip the 'bitfield' message."
            let mut first = Bitfield::none(pieces);
            // What it has is told once: a `have` that comes first is not news besides.
            let is_have = matches!(message, Message::Have(number) if number < pieces && first.insert(number));
            self.on_pieces(cx, facts, geometry, first);
            if is_have {
                return;
            }
        }
        match message {
            Message::Have(number) => match geometry.piece(number) {
                None => self.fault(cx, PeerFault::PieceOutOfRange),
                Some(piece) if self.pieces.insert(number) => self.said.push_back(PeerSaid::Have(piece)),
                Some(_) => self.useless(cx),
            },
            Message::Suggest(number) => match geometry.piece(number) {
                None => self.fault(cx, PeerFault::PieceOutOfRange),
                Some(piece) => self.on_suggest(cx, piece),
            },
            Message::AllowedFast(number) => match geometry.piece(number) {
                None => self.fault(cx, PeerFault::PieceOutOfRange),
                Some(piece) => self.on_allowed_fast(cx, piece),
            },
            Message::Request(range) => self.on_request(cx, facts, geometry, range),
            Message::Cancel(range) => self.on_cancel(cx, geometry, range),
            Message::Reject(range) => self.on_reject(cx, geometry, range),
            Message::Piece { piece, begin, data } => self.on_piece(cx, geometry, piece, begin, data),
            other => self.on_state(cx, other),
        }
    }

    /// A message about who serves whom.
    fn on_state(&mut self, cx: &mut Cx<'_>, message: Message) {
        match message {
            Message::Choke => self.on_choke(cx),
            Message::Unchoke if self.choking_us => {
                self.choking_us = false;
                self.requests.unchoked(cx.now);
                self.said.push_back(PeerSaid::Unchoked);
            }
            Message::Interested if !self.interested => {
                self.interested = true;
                self.asked_at = cx.now;
                self.said.push_back(PeerSaid::Interested);
            }
            Message::NotInterested if self.interested => {
                self.interested = false;
                self.said.push_back(PeerSaid::NotInterested);
                // Once is news; again and again is a flood.
                self.useless(cx);
            }
            // All others were dealt with before.
            _ => self.useless(cx),
        }
    }

    fn on_choke(&mut self, cx: &mut Cx<'_>) {
        if self.choking_us {
            return self.useless(cx);
        }
        self.choking_us = true;
        if self.requests.len() > 0 {
            self.requests.choked_us(&cx.config.peer);
        }
        // BEP 6: "Choke no longer implicitly rejects all pending requests". Without it, it does.
        let returned = if self.fast { Vec::new() } else { self.requests.return_all() };
        self.said.push_back(PeerSaid::Choked { returned });
        self.useless(cx);
    }

    fn on_piece(&mut self, cx: &mut Cx<'_>, geometry: &Geometry, piece: u32, begin: u32, data: Bytes) {
        // The framer's limit keeps the length far below 2^32.
        let block = geometry.block(piece, begin, data.len() as u32);
        let config = &cx.config.peer;
        match block.map(|block| (block, self.requests.arrived(cx.now, block, config))) {
            Some((block, Arrival::Wanted)) => self.said.push_back(PeerSaid::Block { block, bytes: data }),
            // BEP 6: "if a peer receives a piece that was never requested, the peer MUST close the connection."
            _ if self.fast => self.fault(cx, PeerFault::UnrequestedBlocks),
            _ => self.unrequested(cx),
        }
    }

    fn on_reject(&mut self, cx: &mut Cx<'_>, geometry: &Geometry, range: BlockRange) {
        let block = geometry.block(range.piece, range.begin, range.length);
        match block.map(|block| (block, self.requests.rejected(cx.now, block, !self.choking_us, &cx.config.peer))) {
            Some((block, Rejection::Rejected)) => {
                if self.choking_us {
                    // It does not allow that piece after all. BEP 6: it "MAY reject requests for already Allowed Fast
                    // pieces".
                    self.allowed_fast.retain(|&piece| piece != block.piece());
                }
                self.said.push_back(PeerSaid::Rejected(block));
                self.useless(cx);
            }
            Some((_, Rejection::GivenUp)) => {}
            // BEP 6: "for a request that was never sent then the peer SHOULD close the connection."
            Some((_, Rejection::Unrequested)) | None => self.unrequested(cx),
        }
    }

    // Patience.

    pub(super) fn unrequested(&mut self, cx: &mut Cx<'_>) {
        self.patience.unrequested += 1;
        if self.patience.unrequested > cx.config.peer.max_unrequested {
            self.fault(cx, PeerFault::UnrequestedBlocks);
        }
    }

    pub(super) fn useless(&mut self, cx: &mut Cx<'_>) {
        if cx.now.since(self.patience.useless_since) >= Duration::from_secs(60) {
            self.patience.useless_since = cx.now;
            self.patience.useless = 0;
        }
        self.patience.useless += 1;
        if self.patience.useless > cx.config.peer.max_useless_per_minute {
            self.fault(cx, PeerFault::Flood);
        }
    }

    // The end.

    pub(super) fn fault(&mut self, cx: &mut Cx<'_>, fault: PeerFault) {
        self.close(cx, CloseReason::Fault(fault));
    }

    /// Ends the connection from our side.
    pub(super) fn close(&mut self, cx: &mut Cx<'_>, reason: CloseReason) {
        if self.is_closed() {
            return;
        }
        // What was queued before goes out first: whether it was in an earlier event must make no difference. Only who has
        // done nothing wrong is waited for to read it.
        self.outbox.emit(cx, self.link, self.torrent);
        let flush = matches!(
            reason,
            CloseReason::Stopped
                | CloseReason::TrackerSwitched
                | CloseReason::BothSeeds
                | CloseReason::Useless
                | CloseReason::NoRequests
                | CloseReason::LimitReached
        );
        let Link::Tcp(tcp) = self.link;
        cx.act(Action::Close { tcp, flush });
        self.end(reason);
    }

    fn end(&mut self, reason: CloseReason) {
        self.outbox.clear();
        self.phase = Phase::Closed;
        self.said.push_back(PeerSaid::Closing(reason));
    }

    // What can be asked of it here, as it depends on the phase; plain getters are in `view.rs`.

    /// Whether the connection is over.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Whether the handshake is done and the connection is not over.
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// Bytes that were queued for the peer and have not left yet.
    pub fn queued_bytes(&self) -> u64 {
        self.outbox.queued()
    }

    /// The number under which the peer takes messages of an extension; `None` when it does not.
    pub fn extension(&self, extension: Extension) -> Option<u8> {
        self.extension_ids.get(extension)
    }
}
