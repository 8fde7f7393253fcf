use super::{ConfigError, require};
use core::time::Duration;

/// Limits of announcing to trackers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnounceConfig {
    /// The shortest time between two announces to one tracker that no event calls for, whatever the tracker says. Below a
    /// minute an answer that says `interval` 0 would make us hammer it.
    pub min_interval: Duration,
    /// The longest interval that is believed; a tracker that says more is asked again after this. A day: peers come and go.
    pub max_interval: Duration,
    /// The interval where the tracker names none (30 min, as the other clients have it).
    pub default_interval: Duration,
    /// How many peers are asked for when there are too few (libtorrent: 200).
    pub num_want: u32,
    /// How many peers are asked for when there are enough: a few, so that the list of candidates stays fresh.
    pub num_want_enough: u32,
    /// The most peers taken out of one answer; the rest is dropped. A UDP answer holds 200; some HTTP trackers send
    /// thousands, of which more than this could not be tried before the next answer.
    pub max_peers: u32,
    /// The longest tracker id or host name of a peer taken out of an answer, in bytes. The id is sent back in each announce.
    pub max_tracker_id: u32,
    /// The longest text of a tracker (failure, warning) that is passed on, in characters.
    pub max_text: u32,
    /// The largest body of an HTTP answer in bytes, after decoding (libtorrent: 1 MiB).
    pub body_limit: u32,
    /// The most redirects followed in one announce. Five is what browsers' old rule and other clients allow.
    pub max_redirects: u32,
    /// The most addresses of a host that are tried in one announce; each can cost a time-out; two of
    /// each family are the rule for big trackers.
    pub max_addresses: u32,
    /// How long looking up a tracker's host may take. System resolvers give up after 5 to 20 s.
    pub resolve_timeout: Duration,
    /// How long one HTTP exchange may take (libtorrent's completion time-out: 30 s).
    pub http_timeout: Duration,
    /// BEP 15's 15 s: how long to wait for the first UDP answer; doubled with each retransmission.
    pub udp_wait: Duration,
    /// BEP 15's n: the wait is doubled at most so many times (15 s · 2⁸ = 3840 s), and then the exchange has failed.
    pub udp_doublings: u32,
    /// The same where another address or tracker is left to try: with 0 the next one has its turn after 15 s.
    pub udp_doublings_short: u32,
    /// How long a UDP connection id may be used (BEP 15: "until one minute after they have received it").
    pub udp_connection_life: Duration,
    /// The part of a failing tracker's delay that does not grow.
    pub retry_base: Duration,
    /// The part of a failing tracker's delay that is multiplied by the square of its failures in a row: with 12.5 s the
    /// delays are 17.5, 55, 117.5 s ...
    pub retry_step: Duration,
    /// The longest delay of a failing tracker.
    pub retry_max: Duration,
    /// The most that chance adds to such a delay, so that clients do not come back all at once after an outage.
    pub retry_jitter: Duration,
    /// How long telling trackers `stopped` may take, over all of them (libtorrent's `stop_tracker_timeout`: 5 s).
    pub stop_timeout: Duration,
    /// Whether one tracker of each tier is announced to, and not only the first that answers of all. Private torrents keep
    /// to one (BEP 27).
    pub all_tiers: bool,
    /// Whether every tracker is announced to, whatever its tier. Private torrents keep to one (BEP 27).
    pub all_trackers: bool,
    /// Whether a UDP tracker takes the place of an HTTP tracker of the same host that comes before it (and the other way
    /// round): the same service for a tenth of the traffic.
    pub prefer_udp: bool,
    /// Whether trackers of public torrents are not told which client we are (`User-Agent`), nor any address but the one that we
    /// come from. Private trackers are: they admit clients by it (libtorrent's anonymous mode does the same).
    pub hide_client: bool,
    /// The most trackers of one torrent that are asked at the same time: when it stops, and where all are announced to.
    pub max_asks: u32,
}

impl Default for AnnounceConfig {
    fn default() -> AnnounceConfig {
        AnnounceConfig {
            min_interval: Duration::from_secs(60),
            max_interval: Duration::from_secs(24 * 3600),
            default_interval: Duration::from_secs(1800),
            num_want: 200,
            num_want_enough: 10,
            max_peers: 1000,
            max_tracker_id: 256,
            max_text: 200,
            body_limit: 1 << 20,
            max_redirects: 5,
            max_addresses: 4,
            resolve_timeout: Duration::from_secs(20),
            http_timeout: Duration::from_secs(30),
            udp_wait: Duration::from_secs(15),
            udp_doublings: 8,
            udp_doublings_short: 0,
            udp_connection_life: Duration::from_secs(60),
            retry_base: Duration::from_secs(5),
            retry_step: Duration::from_millis(12_500),
            retry_max: Duration::from_secs(3600),
            retry_jitter: Duration::from_secs(5),
            stop_timeout: Duration::from_secs(5),
            all_tiers: false,
            all_trackers: false,
            prefer_udp: true,
            hide_client: false,
            max_asks: 8,
        }
    }
}

impl AnnounceConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let second = Duration::from_secs(1);
        require(self.min_interval >= second, "announce.min_interval", "is less than a second")?;
        require(self.max_interval >= self.min_interval, "announce.max_interval", "is less than announce.min_interval")?;
        require(self.num_want <= 10_000, "announce.num_want", "is more than 10000")?;
        require(self.num_want_enough <= self.num_want, "announce.num_want_enough", "is more than announce.num_want")?;
        require(self.max_peers > 0, "announce.max_peers", "is 0: trackers would be of no use")?;
        require(self.body_limit >= 1024, "announce.body_limit", "is less than 1 KiB")?;
        require(self.max_addresses > 0, "announce.max_addresses", "is 0: no tracker could be asked")?;
        require(!self.resolve_timeout.is_zero(), "announce.resolve_timeout", "is 0")?;
        require(!self.http_timeout.is_zero(), "announce.http_timeout", "is 0")?;
        require(self.udp_wait >= Duration::from_millis(100), "announce.udp_wait", "is less than 100 ms")?;
        require(self.udp_doublings <= 8, "announce.udp_doublings", "is more than BEP 15's 8")?;
        require(
            self.udp_doublings_short <= self.udp_doublings,
            "announce.udp_doublings_short",
            "is more than announce.udp_doublings",
        )?;
        require(
            self.udp_connection_life <= Duration::from_secs(60),
            "announce.udp_connection_life",
            "is more than BEP 15's 60 s",
        )?;
        require(self.max_asks > 0, "announce.max_asks", "is 0: no tracker could be asked")?;
        require(self.retry_base >= second, "announce.retry_base", "is less than a second")?;
        require(self.retry_max >= self.retry_base, "announce.retry_max", "is less than announce.retry_base")
    }
}
