use super::{ConfigError, require};
use core::time::Duration;

/// Limits of one peer connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerConfig {
    /// How long a peer may take for its handshake. A stranger costs us a socket for so long (libtorrent: 10 s).
    pub handshake_timeout: Duration,
    /// How long we are silent before a keep-alive. BEP 3 says two minutes, and peers hang up at two minutes: 100 s leaves
    /// a slow line 20.
    pub keep_alive: Duration,
    /// How long a peer may be silent. BEP 3's keep-alives come every two minutes; half a minute more for a slow line.
    /// A message counts when it is whole, and one that is on its way by each [`min_progress`](PeerConfig::min_progress) of it:
    /// a byte now and then is silence.
    pub idle_timeout: Duration,
    /// So many bytes of a message that is not whole yet count as a sign of life. A kibibyte in
    /// [`idle_timeout`](PeerConfig::idle_timeout) is seven bytes a second: a hundred peers that share a modem are faster.
    pub min_progress: u32,
    /// How long a request may go unanswered, and a peer that owes us blocks may send none before it counts as snubbing.
    /// A minute is what the original client waited before it called a peer snubbing, and what libtorrent waits now.
    pub request_timeout: Duration,
    /// After so many chokes in answer to requests, without a block between, a peer counts as snubbing too. Honest ones choke;
    /// but they send something before.
    pub max_fruitless: u32,
    /// How long nothing of a queue may leave before the peer counts as not reading.
    pub send_timeout: Duration,
    /// How long a peer that wants something of us and is unchoked may ask for nothing, and be owed nothing, before it is taken
    /// for one that only holds a place (libtorrent: 60 s).
    pub no_request_timeout: Duration,
    /// How many requests a peer that serves us may reject with no block in between before it is asked less: a piece of a MiB
    /// that it has lost, or a few small ones.
    pub reject_grace: u32,
    /// How long such a peer is not asked for anything then. A second is above most round
    /// trips: what else was asked for is answered by then. Doubled each time.
    pub reject_wait: Duration,
    /// The longest such wait: it may have got something that we want meanwhile.
    pub reject_wait_max: Duration,
    /// How many unanswered requests a peer may have with us; told as `reqq`. 500 blocks are 8 MiB, more than any watermark
    /// below; a queue of them takes 6 KiB.
    pub reqq: u32,
    /// How many requests a peer is taken to queue when it does not say. BEP 10: "The default in in libtorrent is 250."
    pub default_reqq: u32,
    /// The fewest requests that are kept under way with a peer that serves us; less starves a link with a long way.
    pub depth_min: u32,
    /// The most requests that are kept under way with one peer: 512 blocks are 8 MiB, 80 ms of a 100 MB/s link.
    pub depth_max: u32,
    /// Requests under way cover the round trip and so much more: peers are slow to answer at times, and a queue that runs
    /// dry costs a round trip. Longer gives a slow peer more than it can serve soon.
    pub depth_margin: Duration,
    /// A deep queue is refilled by so many requests at once, so that they share one write.
    pub refill_batch: u32,
    /// The most requests that are remembered after we gave them up, as their blocks may still come. Twice
    /// [`depth_max`](PeerConfig::depth_max): everything cancelled, asked for again and cancelled again.
    pub max_given_up: u32,
    /// The most blocks (and rejects) that were never asked for, from a peer without the fast extension; with it, the first
    /// ends the connection: BEP 6, "the peer MUST close the connection".
    pub max_unrequested: u32,
    /// The most requests that make no sense: outside a piece, too long, of a piece that we do not have, beyond `reqq`.
    pub max_bad_requests: u32,
    /// The most messages without effect within a minute; those count too that take something back or say it anew (choke, not
    /// interested, a further extended handshake). Honest peers send a handful, and a few hundred cancels at the end.
    pub max_useless_per_minute: u32,
    /// The longest range that is served. BEP 3 says 2^14; 2^17 is what old clients took as the limit.
    pub max_request_length: u32,
    /// The longest message that is taken, a bitfield of the torrent's length apart: 128 KiB of data, and room for the
    /// extensions' messages.
    pub max_message_length: u32,
    /// How many pieces a choked peer may have of us (BEP 6: "We currently set k to 10").
    pub allowed_fast: u32,
    /// The most pieces that are remembered as allowed fast by a peer. Above what any client grants.
    pub max_allowed_fast: u32,
    /// The most suggestions that are remembered; newer ones replace the oldest.
    pub max_suggested: u32,
    /// How many bytes a peer may send before they have been handled: 64 KiB is a driver's normal read.
    pub read_window: u32,
    /// The same for a fast peer: a larger read is fewer system calls (DESIGN: 256 KiB).
    pub read_window_fast: u32,
    /// Bytes a second from which on a peer is a fast one: below it, a 64 KiB read is 16 a second at most.
    pub fast_rate: u64,
    /// Content is read from the disk for a peer while less than this waits in its send queue; the least it comes to.
    /// Holds eight blocks, so that a read is worth its call.
    pub send_watermark_min: u32,
    /// The same, the most it comes to: it grows to half a second of what the peer takes.
    pub send_watermark_max: u32,
    /// How many bytes that are not content may wait besides, before the peer counts as not reading.
    pub max_control_queue: u32,
    /// The longest client name that is kept, in characters. Only shown, never trusted.
    pub max_client_name: u32,
}

impl Default for PeerConfig {
    fn default() -> PeerConfig {
        PeerConfig {
            handshake_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(100),
            idle_timeout: Duration::from_secs(150),
            min_progress: 1 << 10,
            request_timeout: Duration::from_secs(60),
            max_fruitless: 8,
            send_timeout: Duration::from_secs(90),
            no_request_timeout: Duration::from_secs(60),
            reject_grace: 64,
            reject_wait: Duration::from_secs(1),
            reject_wait_max: Duration::from_secs(60),
            reqq: 500,
            default_reqq: 250,
            depth_min: 4,
            depth_max: 512,
            depth_margin: Duration::from_secs(1),
            refill_batch: 16,
            max_given_up: 1024,
            max_unrequested: 16,
            max_bad_requests: 50,
            max_useless_per_minute: 5_000,
            max_request_length: 128 << 10,
            max_message_length: 160 << 10,
            allowed_fast: 10,
            max_allowed_fast: 64,
            max_suggested: 16,
            read_window: 64 << 10,
            read_window_fast: 256 << 10,
            fast_rate: 1 << 20,
            send_watermark_min: 128 << 10,
            send_watermark_max: 2 << 20,
            max_control_queue: 1 << 20,
            max_client_name: 64,
        }
    }
}

impl PeerConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let second = Duration::from_secs(1);
        require(self.handshake_timeout >= second, "peer.handshake_timeout", "is less than a second")?;
        require(self.keep_alive >= second, "peer.keep_alive", "is less than a second")?;
        require(self.idle_timeout >= second, "peer.idle_timeout", "is less than a second")?;
        require(self.min_progress > 0, "peer.min_progress", "is 0: no byte at all would be a sign of life")?;
        require(self.request_timeout >= second, "peer.request_timeout", "is less than a second")?;
        require(self.send_timeout >= second, "peer.send_timeout", "is less than a second")?;
        require(self.max_fruitless > 0, "peer.max_fruitless", "is 0: everybody would be snubbing")?;
        require(self.no_request_timeout >= second, "peer.no_request_timeout", "is less than a second")?;
        require(self.reject_wait > Duration::ZERO, "peer.reject_wait", "is 0: it would be asked again at once")?;
        require(self.reject_wait_max >= self.reject_wait, "peer.reject_wait_max", "is less than peer.reject_wait")?;
        require(self.reqq > 0, "peer.reqq", "is 0: no peer could ask for anything")?;
        require(self.depth_min > 0, "peer.depth_min", "is 0: nothing would be asked for")?;
        require(self.depth_max >= self.depth_min, "peer.depth_max", "is less than peer.depth_min")?;
        require(self.refill_batch > 0, "peer.refill_batch", "is 0")?;
        require(self.max_request_length >= 16 << 10, "peer.max_request_length", "is less than a block of 16 KiB")?;
        require(
            self.max_message_length >= (16 << 10) + 9 && self.max_message_length <= 1 << 28,
            "peer.max_message_length",
            "does not hold a block of 16 KiB, or is above 256 MiB",
        )?;
        require(self.allowed_fast <= 100, "peer.allowed_fast", "is above 100: too much for nothing")?;
        require(self.read_window >= 16 << 10, "peer.read_window", "is less than a block of 16 KiB")?;
        require(self.read_window_fast >= self.read_window, "peer.read_window_fast", "is less than peer.read_window")?;
        require(self.send_watermark_min >= 16 << 10, "peer.send_watermark_min", "is less than a block of 16 KiB")?;
        require(
            self.send_watermark_max >= self.send_watermark_min,
            "peer.send_watermark_max",
            "is less than peer.send_watermark_min",
        )?;
        require(self.max_control_queue >= 512 << 10, "peer.max_control_queue", "does not hold the largest bitfield")
    }
}
