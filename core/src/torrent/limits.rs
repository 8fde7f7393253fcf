//! Rate limits: whose turn it is to read or to send.
//!
//! Two buckets stand before each byte, in each direction: the torrent's own and the session's ([`Bucket`]; most have no limit, and
//! then nothing here is ever called). A connection that wants something and stands before a limited bucket *waits*. What is there
//! is given in **turns**: the session gives one to the torrent that has used least (of those whose own bucket has something for
//! somebody), and that gives it to the peer that has used least ([`FairQueue`]). A turn is about what comes in within
//! [`RateConfig::turn`](crate::border::RateConfig::turn). So all who always want something get the same, and what one does not
//! want goes to the others.
//!
//! **Downwards**, a turn is read credit. It is paid when it is granted, and what is not used is given back when the connection ends; so no
//! more is ever read than the limit allows. Credit that was out when the limit was set cannot be taken back: it is paid as it is used.
//!
//! **Upwards**, a turn is what may be read from the disk for the peer, and is sent as soon as it is read: nothing waits in memory
//! for its turn. A block cannot be cut, so a turn may take up to one request too much, and leave the bucket in debt; the peer comes
//! later for it the next time. What is not content (haves, requests, keep-alives) is sent without asking, and paid: see
//! [`Bucket::take_unasked`].
//!
//! A connection costs O(log peers) a turn, and nothing while it does not wait. The only timers are the moments at which a bucket
//! that somebody waits for has something again.

use super::{Peer, Purpose, Shared, Torrent};
use crate::border::{IoFault, PeerKey, RateConfig, RateLimits, Work};
use crate::cx::Cx;
use crate::journal::canon::canon_struct;
use crate::rate::{Bucket, FairQueue, Share};
use crate::time::Time;
use alloc::boxed::Box;

/// The least that is read from the disk for one peer in a turn: a block.
const LEAST_READ: u64 = 16 << 10;

/// One way that bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From peers to us.
    Down,
    /// From us to peers.
    Up,
}

/// The buckets of the session, or of one torrent.
#[derive(Clone, Debug, Default)]
pub struct Buckets {
    down: Bucket,
    up: Bucket,
}

canon_struct!(out Buckets { down, up });

impl Buckets {
    /// Sets other limits.
    pub(crate) fn set(&mut self, now: Time, config: &RateConfig, limits: RateLimits) {
        if self.down.limit() != limits.download {
            self.down.set(now, config, limits.download);
        }
        if self.up.limit() != limits.upload {
            self.up.set(now, config, limits.upload);
        }
    }

    /// What they are.
    pub fn limits(&self) -> RateLimits {
        RateLimits { download: self.down.limit(), upload: self.up.limit() }
    }

    pub(crate) fn way(&self, way: Way) -> &Bucket {
        match way {
            Way::Down => &self.down,
            Way::Up => &self.up,
        }
    }

    pub(crate) fn way_mut(&mut self, way: Way) -> &mut Bucket {
        match way {
            Way::Down => &mut self.down,
            Way::Up => &mut self.up,
        }
    }

    /// Whether somebody may have a turn now.
    pub(crate) fn ready(&self, way: Way, now: Time) -> bool {
        match way {
            Way::Down => self.down.has(now, self.down.turn().min(u64::from(u32::MAX))),
            // It is paid afterwards.
            Way::Up => self.up.has(now, 1),
        }
    }

    /// When somebody may, if nobody has one before.
    pub(crate) fn due(&self, way: Way, now: Time) -> Time {
        match way {
            Way::Down => self.down.due(now, self.down.turn()),
            Way::Up => self.up.due(now, self.up.turn()),
        }
    }
}

/// The limits of a torrent, and who waits for them.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    pub(super) buckets: Buckets,
    down: FairQueue<PeerKey>,
    up: FairQueue<PeerKey>,
    /// What the torrent has used of the session's limits.
    share: Shares,
}

canon_struct!(out Limits { buckets, down, up, share });

/// What a peer has used of its torrent's limits, or a torrent of the session's.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shares {
    down: Share,
    up: Share,
}

canon_struct!(out Shares { down, up });

impl Shares {
    fn way(&mut self, way: Way) -> &mut Share {
        match way {
            Way::Down => &mut self.down,
            Way::Up => &mut self.up,
        }
    }
}

impl Limits {
    pub fn new(now: Time, config: &RateConfig, limits: RateLimits) -> Limits {
        let mut buckets = Buckets::default();
        buckets.set(now, config, limits);
        Limits { buckets, ..Limits::default() }
    }

    fn queue(&mut self, way: Way) -> &mut FairQueue<PeerKey> {
        match way {
            Way::Down => &mut self.down,
            Way::Up => &mut self.up,
        }
    }

    fn somebody_waits(&self, way: Way) -> bool {
        match way {
            Way::Down => !self.down.is_empty(),
            Way::Up => !self.up.is_empty(),
        }
    }

    /// When the torrent's own bucket has something for somebody who waits.
    pub fn deadline(&self, now: Time) -> Option<Time> {
        let due = |way| (self.somebody_waits(way) && !self.buckets.ready(way, now)).then(|| self.buckets.due(way, now));
        match (due(Way::Down), due(Way::Up)) {
            (Some(down), Some(up)) => Some(down.min(up)),
            (down, up) => down.or(up),
        }
    }
}

impl Torrent {
    /// The limits of this torrent alone.
    pub fn limits(&self) -> RateLimits {
        self.limits.buckets.limits()
    }

    /// What it has used of the session's limits.
    pub(crate) fn share(&mut self, way: Way) -> &mut Share {
        self.limits.share.way(way)
    }

    /// Whether there is a limit one way, its own or the session's.
    fn is_limited(&self, shared: &Shared, way: Way) -> bool {
        shared.buckets.way(way).is_limited() || self.limits.buckets.way(way).is_limited()
    }

    /// Whether reads for peers wait for their turn.
    pub(super) fn sending_is_limited(&self, shared: &Shared) -> bool {
        self.is_limited(shared, Way::Up)
    }

    /// The limit that this torrent's uploads stand under: its own, or its share of the session's.
    pub(super) fn upload_limit(&self, shared: &Shared) -> Option<u64> {
        let own = self.limits.buckets.way(Way::Up).limit();
        let all = shared.buckets.way(Way::Up).limit().map(|limit| limit / u64::from(shared.serving.max(1)));
        own.into_iter().chain(all).min()
    }

    /// How much one turn is, in bytes.
    fn turn(&self, shared: &Shared, way: Way) -> u64 {
        shared.buckets.way(way).turn().min(self.limits.buckets.way(way).turn())
    }

    /// The window of a metered connection.
    fn read_window(&self, cx: &Cx, shared: &Shared) -> Option<u32> {
        // Two turns, so that it can wait for the next one while it uses the last.
        let turns = u32::try_from(self.turn(shared, Way::Down).saturating_mul(2)).unwrap_or(u32::MAX);
        self.is_limited(shared, Way::Down).then(|| turns.min(cx.config.peer.read_window_fast))
    }

    fn pay(&mut self, cx: &Cx, shared: &mut Shared, way: Way, bytes: u64) {
        shared.buckets.way_mut(way).take(cx.now, bytes);
        self.limits.buckets.way_mut(way).take(cx.now, bytes);
    }

    fn pay_back(&mut self, cx: &Cx, shared: &mut Shared, way: Way, bytes: u64) {
        shared.buckets.way_mut(way).put_back(cx.now, bytes);
        self.limits.buckets.way_mut(way).put_back(cx.now, bytes);
    }

    /// Sets other limits for this torrent.
    pub(crate) fn set_limits(&mut self, cx: &mut Cx, shared: &mut Shared, limits: RateLimits) {
        self.limits.buckets.set(cx.now, &cx.config.rate, limits);
        self.limits_changed(cx, shared);
    }

    /// Limits have changed, its own or the session's: everybody is metered, or not any more.
    pub(crate) fn limits_changed(&mut self, cx: &mut Cx, shared: &mut Shared) {
        let window = self.read_window(cx, shared);
        let keys: alloc::vec::Vec<PeerKey> = self.peers.keys().collect();
        for key in keys {
            let Some(mut peer) = self.take(key) else { continue };
            self.limits.down.leave(key, &mut peer.shares.down);
            self.limits.up.leave(key, &mut peer.shares.up);
            peer.conn.meter_reading(window);
            // What was sent before is not held against a limit that comes.
            peer.conn.take_overhead();
            // It waits again, or is served at once.
            self.drive(cx, shared, key, peer);
        }
        self.settle(cx, shared);
    }

    /// A new connection: what it was granted for its handshake is paid as it comes.
    pub(super) fn meter_new(&mut self, cx: &mut Cx, shared: &Shared, peer: &mut Peer) {
        if let Some(window) = self.read_window(cx, shared) {
            if !peer.conn.incoming() {
                // Without waiting: a peer has a few seconds for its handshake only. An incoming one has had it already.
                peer.conn.grant(cx, crate::wire::HANDSHAKE_LENGTH as u32);
            }
            peer.conn.meter_reading(Some(window));
        }
    }

    /// After a call to a connection: what it sent is paid, and what it wants to read is noted.
    pub(super) fn note_traffic(&mut self, cx: &Cx, shared: &mut Shared, key: PeerKey, peer: &mut Peer) {
        if self.is_limited(shared, Way::Up) {
            let bytes = peer.conn.take_overhead();
            if bytes > 0 {
                shared.buckets.way_mut(Way::Up).take_unasked(cx.now, bytes);
                self.limits.buckets.way_mut(Way::Up).take_unasked(cx.now, bytes);
            }
        }
        if self.is_limited(shared, Way::Down) {
            let bytes = peer.conn.take_uncounted();
            if bytes > 0 {
                self.pay(cx, shared, Way::Down, bytes);
            }
            if peer.conn.read_wanted() > 0 {
                self.limits.down.wait(key, &mut peer.shares.down);
            }
        }
    }

    /// A connection has something to be read for it.
    pub(super) fn wait_to_send(&mut self, key: PeerKey, peer: &mut Peer) {
        self.limits.up.wait(key, &mut peer.shares.up);
    }

    /// A connection has ended: what it was granted and did not use is there for others.
    pub(super) fn refund(&mut self, cx: &Cx, shared: &mut Shared, key: PeerKey, peer: &mut Peer) {
        self.limits.down.leave(key, &mut peer.shares.down);
        self.limits.up.leave(key, &mut peer.shares.up);
        let (came, unused) = (peer.conn.take_uncounted(), u64::from(peer.conn.read_unused()));
        if came > 0 {
            self.pay(cx, shared, Way::Down, came);
        }
        if unused > 0 {
            self.pay_back(cx, shared, Way::Down, unused);
        }
    }

    /// Of what was read and paid for, so many bytes were not sent.
    pub(super) fn unsent(&mut self, cx: &Cx, shared: &mut Shared, bytes: u64) {
        if bytes > 0 {
            self.pay_back(cx, shared, Way::Up, bytes);
        }
    }

    /// Whether somebody waits whom its own bucket would let have a turn.
    pub(crate) fn wants_turn(&self, now: Time, way: Way) -> bool {
        self.limits.somebody_waits(way) && self.limits.buckets.ready(way, now)
    }

    /// Gives one peer its turn; how much it took, in bytes.
    pub(crate) fn give_turn(&mut self, cx: &mut Cx, shared: &mut Shared, way: Way) -> u64 {
        let Some(key) = self.limits.queue(way).whose_turn() else { return 0 };
        let Some(mut peer) = self.take(key) else { return 0 };
        self.limits.queue(way).leave(key, peer.shares.way(way));
        let turn = self.turn(shared, way);
        let bytes = match way {
            Way::Down => self.read_turn(cx, shared, &mut peer),
            Way::Up => self.send_turn(cx, shared, key, &mut peer, turn.max(LEAST_READ)),
        };
        peer.shares.way(way).used(bytes);
        if way == Way::Up && peer.conn.wants_read() {
            self.wait_to_send(key, &mut peer);
        }
        self.put_back(cx, shared, key, peer);
        bytes
    }

    /// Lets one peer be read from.
    fn read_turn(&mut self, cx: &mut Cx, shared: &mut Shared, peer: &mut Peer) -> u64 {
        let there = shared.buckets.down.there(cx.now).min(self.limits.buckets.down.there(cx.now));
        let bytes = peer.conn.read_wanted().min(u32::try_from(there).unwrap_or(u32::MAX));
        self.pay(cx, shared, Way::Down, u64::from(bytes));
        peer.conn.grant(cx, bytes);
        u64::from(bytes)
    }

    /// Reads for one peer what it may be sent in its turn.
    fn send_turn(&mut self, cx: &mut Cx, shared: &mut Shared, key: PeerKey, peer: &mut Box<Peer>, turn: u64) -> u64 {
        let mut took = 0;
        while took < turn && shared.read_ahead < cx.config.session.max_read_ahead {
            let max = u32::try_from(turn - took).unwrap_or(u32::MAX).min(super::peers::READ_RUN);
            let Some(run) = peer.conn.next_read(max) else { break };
            if self.disk.doubts(run.piece) {
                self.refuse_run(cx, shared, peer, run, IoFault::ShortRead);
                continue;
            }
            let bytes = u64::from(run.length);
            self.pay(cx, shared, Way::Up, bytes);
            took += bytes;
            shared.read_ahead += bytes;
            let work = Work::Read { torrent: self.id, piece: run.piece.get(), begin: run.begin, length: run.length };
            self.start(cx, work, Purpose::Upload { peer: key, run, paid: true });
        }
        took
    }
}
