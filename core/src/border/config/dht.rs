use super::{ConfigError, require};
use core::time::Duration;

/// A node of the distributed hash table: its table, its lookups, and what it does for others. A session runs one for each UDP socket
/// that was asked to be one ([`Command::Listen`](super::super::Command::Listen)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhtConfig {
    /// How many contacts a bucket holds, how many nodes a lookup ends with, how many keep what is announced: the `K` of BEP 5.
    pub k: u32,
    /// How many bits of an id tell the buckets of the far part of the table apart: 5 make 32 ranges of `k` contacts, in place
    /// of the 5 that BEP 5 has there. A lookup begins with a contact that shares 8 bits with any key rather than 4, which is one
    /// round trip less; for 27 · 8 contacts more, at about 170 bytes and a ping in a quarter of an hour each.
    pub root_bits: u32,
    /// How many contacts wait behind each bucket for a place in it. As many as can become free.
    pub replacements: u32,
    /// How long a contact is good after it has been heard (BEP 5: "a node has responded to one of our queries within the last 15
    /// minutes").
    pub good_for: Duration,
    /// After how long a silent contact is asked: less than `good_for` by what it takes to ask twice.
    pub refresh_after: Duration,
    /// The least time between two questions that only keep the table fresh: nobody sees a burst, and a full table of 400 contacts
    /// is through in less than `good_for`.
    pub refresh_pace: Duration,
    /// When a contact that did not answer is asked for the second time.
    pub retry_after: Duration,
    /// How many questions in a row make a contact bad (BEP 5: "it is suggested to try once more before discarding").
    pub max_failures: u32,
    /// How many make it forgotten when nobody waits for its place.
    pub forget_after: u32,
    /// The most contacts of one network (/24, or /48 of IPv6) in a bucket: whoever owns one such network gets a place there and no more.
    pub max_per_network_bucket: u32,
    /// The most contacts of one network in the whole table.
    pub max_per_network: u32,
    /// How many queries of a lookup are under way at once at the least. BEP 5 leaves it open; Kademlia has 3. Six of the eight
    /// contacts that are closest at first leave nearly always one that answers quickly, where a third is dead.
    pub alpha: u32,
    /// And at the most, where answers are slow or missing.
    pub alpha_max: u32,
    /// How many disjoint paths a lookup goes: who rules the nodes on one path rules only that one.
    pub paths: u32,
    /// The most nodes that a lookup keeps in mind; the farthest are dropped.
    pub max_candidates: u32,
    /// The most nodes that are taken from one answer: twice what BEP 5 has in it.
    pub max_nodes_per_answer: u32,
    /// The most nodes of one network (/24, or /48 of IPv6) that a lookup asks.
    pub max_asked_per_network: u32,
    /// The most queries of one lookup, so that endless bogus nodes end it. A usual one takes 30 to 60.
    pub max_queries_per_lookup: u32,
    /// The most peers that are taken from one node: what a datagram of 1,200 bytes holds, and no more.
    pub max_peers_per_answer: u32,
    /// The most peers that one lookup tells of.
    pub max_peers_per_lookup: u32,
    /// How long a lookup may take. The usual one ends within 2 s; a host behind a slow link needs several times that.
    pub lookup_life: Duration,
    /// How long an answer counts after its question.
    pub query_life: Duration,
    /// After how long a node is taken for slow before any answer has been seen.
    pub first_patience: Duration,
    /// And at the least, whatever has been measured.
    pub min_patience: Duration,
    /// The most lookups at once; more wait.
    pub max_lookups: u32,
    /// The most lookups that wait.
    pub max_waiting: u32,
    /// The most queries under way at once, of all lookups: each costs about 150 bytes.
    pub max_queries: u32,
    /// The most answers that one address (one /64 of IPv6) gets in a second; then silence.
    pub replies_per_second: u32,
    /// The most bytes of an answer: what passes every path in one packet, and what makes us of little use for flooding others.
    pub max_reply: u32,
    /// The most bytes of answers a second, to all: a node should not be felt on the line of a home.
    pub reply_bytes_per_second: u32,
    /// How many datagrams from one address within [`block_window`](DhtConfig::block_window) make it blocked.
    pub block_after: u32,
    /// See [`block_after`](DhtConfig::block_after).
    pub block_window: Duration,
    /// How long an address stays blocked.
    pub block_for: Duration,
    /// The most addresses whose rate is watched, about 50 bytes each; the one that was silent for longest is forgotten.
    pub max_sources: u32,
    /// How often what is announced for good is announced again. Nodes forget peers after 30 to 45 minutes.
    pub announce_interval: Duration,
    /// How often an item that is kept is put again (BEP 44: "they SHOULD be re-announced once an hour").
    pub item_interval: Duration,
    /// How long after one look-up of a session's torrent that wants peers the next one is; it doubles, up to `announce_interval`. In a
    /// minute others have come, or they come seldom.
    pub search_interval: Duration,
    /// The same for a torrent that has nobody to get anything from: whoever has it may be about to announce it. It doubles too, so that these are
    /// three look-ups more in the first minute.
    pub hungry_interval: Duration,
    /// How many look-ups of a session's torrents may begin in a second, those of torrents without any peer first. Each costs 30 to 60
    /// queries, so that four take 25 KB/s at the most; ten thousand torrents come round in 42 minutes, before nodes forget them.
    pub lookups_per_second: u32,
    /// The most nodes to begin with that are taken from one torrent file (BEP 5 wants the `k` closest, which are 8).
    pub max_nodes_per_torrent: u32,
    /// The most info-hashes and items that are kept announced.
    pub max_kept: u32,
    /// The first wait when no node can be reached; it doubles.
    pub bootstrap_wait: Duration,
    /// The longest such wait.
    pub bootstrap_wait_max: Duration,
    /// How many contacts are enough not to look for more.
    pub enough_contacts: u32,
    /// How many networks must name the same address of ours before the id follows it (BEP 42: by voting; three are few, and none of them can be one owner's).
    pub id_votes: u32,
    /// How often the application is told that there is something to save, at the most.
    pub save_interval: Duration,
    /// The most nodes that are saved, and read again: the whole of a usual table, in 8 KB.
    pub max_saved: u32,
    /// Whether to take part without answering (BEP 43).
    pub read_only: bool,
}

impl Default for DhtConfig {
    fn default() -> DhtConfig {
        DhtConfig {
            k: 8,
            root_bits: 5,
            replacements: 8,
            good_for: Duration::from_secs(15 * 60),
            refresh_after: Duration::from_secs(13 * 60),
            refresh_pace: Duration::from_millis(1500),
            retry_after: Duration::from_secs(20),
            max_failures: 2,
            forget_after: 5,
            max_per_network_bucket: 1,
            max_per_network: 4,
            alpha: 6,
            alpha_max: 16,
            paths: 4,
            max_candidates: 200,
            max_nodes_per_answer: 16,
            max_asked_per_network: 4,
            max_queries_per_lookup: 200,
            max_peers_per_answer: 150,
            max_peers_per_lookup: 2000,
            lookup_life: Duration::from_secs(20),
            query_life: Duration::from_secs(4),
            first_patience: Duration::from_millis(500),
            min_patience: Duration::from_millis(50),
            max_lookups: 32,
            max_waiting: 1000,
            max_queries: 512,
            replies_per_second: 5,
            max_reply: 1200,
            reply_bytes_per_second: 32 * 1024,
            block_after: 50,
            block_window: Duration::from_secs(10),
            block_for: Duration::from_secs(300),
            max_sources: 4096,
            announce_interval: Duration::from_secs(15 * 60),
            item_interval: Duration::from_secs(60 * 60),
            search_interval: Duration::from_secs(60),
            hungry_interval: Duration::from_secs(5),
            lookups_per_second: 4,
            max_nodes_per_torrent: 8,
            max_kept: 10_000,
            bootstrap_wait: Duration::from_secs(5),
            bootstrap_wait_max: Duration::from_secs(300),
            enough_contacts: 16,
            id_votes: 3,
            save_interval: Duration::from_secs(300),
            max_saved: 300,
            read_only: false,
        }
    }
}

impl DhtConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        require((1..=64).contains(&self.k), "dht.k", "is not in 1..=64")?;
        require((1..=8).contains(&self.root_bits), "dht.root_bits", "is not in 1..=8")?;
        require(self.replacements <= 64, "dht.replacements", "is above 64")?;
        require(
            self.refresh_after < self.good_for && !self.refresh_after.is_zero(),
            "dht.refresh_after",
            "is 0, or not less than dht.good_for: contacts would be doubted before they are asked",
        )?;
        require(!self.retry_after.is_zero(), "dht.retry_after", "is 0")?;
        require(
            !self.refresh_pace.is_zero(),
            "dht.refresh_pace",
            "is 0: the whole table would be asked in one moment",
        )?;
        require(self.max_failures > 0, "dht.max_failures", "is 0: every contact would be bad")?;
        require(self.forget_after >= self.max_failures, "dht.forget_after", "is less than dht.max_failures")?;
        require(self.max_per_network_bucket > 0, "dht.max_per_network_bucket", "is 0: nobody could be known")?;
        require(
            self.max_per_network >= self.max_per_network_bucket,
            "dht.max_per_network",
            "is less than dht.max_per_network_bucket",
        )?;
        require((1..=64).contains(&self.alpha), "dht.alpha", "is not in 1..=64")?;
        require((self.alpha..=256).contains(&self.alpha_max), "dht.alpha_max", "is not in dht.alpha..=256")?;
        require((1..=16).contains(&self.paths), "dht.paths", "is not in 1..=16")?;
        require(
            self.max_candidates >= self.k && self.max_candidates <= 10_000,
            "dht.max_candidates",
            "is not in dht.k..=10000",
        )?;
        require(self.max_nodes_per_answer > 0, "dht.max_nodes_per_answer", "is 0: no lookup would get anywhere")?;
        require(self.max_asked_per_network > 0, "dht.max_asked_per_network", "is 0: nobody could be asked")?;
        require(self.max_queries_per_lookup >= self.k, "dht.max_queries_per_lookup", "is less than dht.k")?;
        require(!self.query_life.is_zero(), "dht.query_life", "is 0: no answer would count")?;
        require(self.lookup_life >= self.query_life, "dht.lookup_life", "is less than dht.query_life")?;
        require(
            !self.min_patience.is_zero() && self.first_patience >= self.min_patience,
            "dht.first_patience",
            "is less than dht.min_patience, or that is 0",
        )?;
        require(self.max_lookups > 0, "dht.max_lookups", "is 0: nothing could be found")?;
        require(self.max_queries >= self.alpha_max, "dht.max_queries", "is less than dht.alpha_max")?;
        require(
            (1..=15).contains(&self.replies_per_second),
            "dht.replies_per_second",
            "is not in 1..=15: use dht.read_only to give none",
        )?;
        require((400..=65_000).contains(&self.max_reply), "dht.max_reply", "is not in 400..=65000 bytes")?;
        require(self.reply_bytes_per_second >= self.max_reply, "dht.reply_bytes_per_second", "is less than an answer")?;
        require(self.block_after > 0 && self.block_after < 65_536, "dht.block_after", "is not in 1..65536")?;
        require(!self.block_window.is_zero(), "dht.block_window", "is 0")?;
        require(self.max_sources > 0, "dht.max_sources", "is 0: no rate would be limited")?;
        require(self.announce_interval >= Duration::from_secs(60), "dht.announce_interval", "is less than a minute")?;
        require(self.item_interval >= Duration::from_secs(60), "dht.item_interval", "is less than a minute")?;
        require(
            !self.search_interval.is_zero() && self.search_interval <= self.announce_interval,
            "dht.search_interval",
            "is 0, or above dht.announce_interval",
        )?;
        require(
            !self.hungry_interval.is_zero() && self.hungry_interval <= self.search_interval,
            "dht.hungry_interval",
            "is 0, or above dht.search_interval",
        )?;
        require(self.lookups_per_second > 0, "dht.lookups_per_second", "is 0: nobody would be found")?;
        require(
            !self.bootstrap_wait.is_zero() && self.bootstrap_wait_max >= self.bootstrap_wait,
            "dht.bootstrap_wait_max",
            "is less than dht.bootstrap_wait, or that is 0",
        )?;
        require(self.id_votes > 0, "dht.id_votes", "is 0: addresses would be believed unheard")?;
        require(!self.save_interval.is_zero(), "dht.save_interval", "is 0")?;
        require(self.max_saved <= 10_000, "dht.max_saved", "is above 10000")
    }
}
