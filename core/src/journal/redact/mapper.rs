//! What stands for what.
//!
//! A recording is gone through twice by the same code. The first time the mapper notes every address, hash and name that it is
//! asked for, and gives it back as it is; then [`settle`](Mapper::settle) gives each its pseudonym; the second time it answers by
//! those. So nothing that is replaced in one place can be forgotten in another.

use super::addresses::{Addresses, TooMany};
use super::events::target;
use super::key::Key;
use super::metainfo;
use crate::border::{InfoHash, InfoHashes, PeerId, Target, TorrentId};
use crate::metainfo::magnet::{Magnet, MagnetLimits};
use crate::metainfo::{Geometry, Metainfo, MetainfoLimits};
use crate::rng::{Seeds, Stream};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use sha1::{Digest as _, Sha1};

/// 2000-01-01 00:00:00 UTC: when every redacted recording begins.
pub(super) const START: i64 = 946_684_800;

/// The shortest original that is looked for in the result. What is shorter is everywhere by chance.
const LOOKED_FOR: usize = 5;

/// What stands for what. See the [module](self).
pub(super) struct Mapper {
    pub key: Key,
    settled: bool,
    pub addresses: Addresses,
    hashes: BTreeMap<InfoHash, InfoHash>,
    long_hashes: BTreeMap<[u8; 32], [u8; 32]>,
    ids: BTreeMap<PeerId, PeerId>,
    /// Torrents in whose handshakes an id was seen.
    seen_in: BTreeMap<PeerId, BTreeSet<InfoHash>>,
    /// Our own ids by torrent: before, and in the new session.
    own: BTreeMap<InfoHash, (PeerId, PeerId)>,
    /// Metainfo as it was, by its SHA-1, and as it is then.
    metainfos: BTreeMap<[u8; 20], (Bytes, Bytes)>,
    /// The sizes of torrents, by their old names.
    pub geometries: BTreeMap<InfoHash, Geometry>,
    /// Whether hashes have to keep their order: several were asked for at once.
    pub ordered: bool,
    /// Transactions with UDP trackers, as both sessions drew them.
    pub transactions: BTreeMap<u32, u32>,
    /// Nanoseconds that are taken off dates.
    shift: Option<i64>,
    hidden: BTreeMap<Vec<u8>, &'static str>,
    /// Addresses with the ports that they were seen with.
    sockets: BTreeSet<SocketAddr>,
}

impl Mapper {
    pub fn new(key: Key) -> Mapper {
        Mapper {
            key,
            settled: false,
            addresses: Addresses::default(),
            hashes: BTreeMap::new(),
            long_hashes: BTreeMap::new(),
            ids: BTreeMap::new(),
            seen_in: BTreeMap::new(),
            own: BTreeMap::new(),
            metainfos: BTreeMap::new(),
            geometries: BTreeMap::new(),
            ordered: false,
            transactions: BTreeMap::new(),
            shift: None,
            hidden: BTreeMap::new(),
            sockets: BTreeSet::new(),
        }
    }

    /// Whether pseudonyms are given out.
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// Notes an original that must not be found in the result, unless it is left as it is or part of the protocol.
    pub fn hide(&mut self, what: &'static str, original: &[u8], new: &[u8]) {
        if original != new && original.len() >= LOOKED_FOR && !is_vocabulary(original) {
            self.hidden.entry(original.to_vec()).or_insert(what);
        }
    }

    /// The originals that must not be found, and what each is.
    pub fn hidden(&self) -> &BTreeMap<Vec<u8>, &'static str> {
        &self.hidden
    }

    /// An address.
    pub fn ip(&mut self, ip: IpAddr) -> IpAddr {
        if !self.settled {
            self.addresses.note(ip);
            return ip;
        }
        self.addresses.get(ip).unwrap_or(ip)
    }

    /// An address with a port, which stays.
    pub fn addr(&mut self, addr: SocketAddr) -> SocketAddr {
        if !self.settled {
            self.sockets.insert(addr);
        }
        let mut new = addr;
        new.set_ip(self.ip(addr.ip()));
        new
    }

    /// An address in network order, of 4 or 16 bytes; `None`: it is something else.
    pub fn packed(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let ip = match bytes.len() {
            4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
            16 => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
            _ => return None,
        };
        Some(match self.ip(ip) {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        })
    }

    /// Addresses with ports, end to end (BEP 23, BEP 7). A rest becomes zeros.
    pub fn compact(&mut self, bytes: &[u8], v6: bool) -> Vec<u8> {
        let length = if v6 { 18 } else { 6 };
        let mut out = Vec::with_capacity(bytes.len());
        for entry in bytes.chunks(length) {
            match entry.split_last_chunk::<2>().filter(|_| entry.len() == length) {
                Some((ip, port)) => {
                    if !self.settled
                        && let Ok(ip) = <[u8; 4]>::try_from(ip)
                    {
                        self.sockets.insert(SocketAddr::from((ip, u16::from_be_bytes(*port))));
                    }
                    out.extend_from_slice(&self.packed(ip).unwrap_or_else(|| ip.to_vec()));
                    out.extend_from_slice(port);
                }
                None => out.resize(out.len() + entry.len(), 0),
            }
        }
        out
    }

    /// A name of a torrent.
    pub fn hash(&mut self, hash: InfoHash) -> InfoHash {
        if !self.settled {
            self.hashes.insert(hash, hash);
            return hash;
        }
        self.hashes.get(&hash).copied().unwrap_or(InfoHash(self.key.array("info-hash", &hash.0)))
    }

    /// All names of a torrent.
    pub fn info_hashes(&mut self, hashes: InfoHashes) -> InfoHashes {
        InfoHashes {
            v1: hashes.v1.map(|hash| self.hash(InfoHash(hash)).0),
            v2: hashes.v2.map(|hash| {
                let known = self.long_hashes.get(&hash).copied();
                known.unwrap_or_else(|| if self.settled { self.key.array("info-hash", &hash) } else { hash })
            }),
        }
    }

    /// A peer's id.
    pub fn id(&mut self, id: PeerId) -> PeerId {
        if !self.settled {
            self.ids.entry(id).or_insert(id);
            return id;
        }
        self.ids.get(&id).copied().unwrap_or(PeerId(self.key.array("peer id", &id.0)))
    }

    /// A peer's id out of a handshake for a torrent.
    pub fn id_in(&mut self, id: PeerId, torrent: InfoHash) -> PeerId {
        if !self.settled {
            self.seen_in.entry(id).or_default().insert(torrent);
        }
        self.id(id)
    }

    /// A hash of content: of a piece or a block.
    pub fn digest(&self, digest: &[u8; 20]) -> [u8; 20] {
        if self.settled { self.key.array("content", digest) } else { *digest }
    }

    /// What a tracker gave us to be known by.
    pub fn connection(&self, id: u64) -> u64 {
        if self.settled { u64::from_be_bytes(self.key.array("connection", &id.to_be_bytes())) } else { id }
    }

    /// The transaction of the new session that stands for one of the old.
    pub fn transaction(&self, old: u32) -> u32 {
        let known = self.transactions.get(&old).copied();
        known.unwrap_or_else(|| u32::from_be_bytes(self.key.array("transaction", &old.to_be_bytes())))
    }

    /// A word for people: letters of the same length.
    pub fn text(&mut self, what: &'static str, text: &str) -> String {
        let new = self.key.letters_of("text", text);
        self.hide(what, text.as_bytes(), new.as_bytes());
        new
    }

    /// The same for what need not be text.
    pub fn letters(&mut self, what: &'static str, text: &[u8]) -> Vec<u8> {
        let new = self.key.letters("text", text);
        self.hide(what, text, &new);
        new
    }

    /// A date in nanoseconds since 1970; 0 stays.
    pub fn date(&mut self, nanos: i64) -> i64 {
        if !self.settled {
            if nanos != 0 {
                self.begin_at(nanos);
            }
            return nanos;
        }
        if nanos == 0 { 0 } else { nanos.saturating_sub(self.shift.unwrap_or(0)) }
    }

    /// A date in seconds since 1970.
    pub fn seconds(&mut self, seconds: i64) -> i64 {
        if !self.settled {
            self.begin_at(seconds.saturating_mul(1_000_000_000));
            return seconds;
        }
        seconds.saturating_sub(self.shift.unwrap_or(0) / 1_000_000_000)
    }

    fn begin_at(&mut self, nanos: i64) {
        // Whole seconds, so that both kinds of dates are shifted alike.
        let whole = (nanos / 1_000_000_000 - START).saturating_mul(1_000_000_000);
        self.shift.get_or_insert(whole);
    }

    /// A torrent that the old session has: our own ids follow from the seeds, as
    /// [`Session`](crate::session::Session) draws them.
    pub fn own_torrent(&mut self, id: TorrentId, hashes: &InfoHashes, prefix: [u8; 8], seeds: [&Seeds; 2]) {
        let [old, new] = seeds.map(|seeds| drawn(prefix, seeds, Stream::Session, u64::from(id.0)));
        self.ids.insert(old, new);
        self.own.insert(hashes.best(), (old, new));
    }

    /// The id of announces without a torrent.
    pub fn own_probe(&mut self, prefix: [u8; 8], seeds: [&Seeds; 2]) {
        let [old, new] = seeds.map(|seeds| drawn(prefix, seeds, Stream::Probe, 0));
        self.ids.insert(old, new);
    }

    /// A link to a torrent. What is none becomes letters.
    pub fn magnet(&mut self, link: &str) -> String {
        let Ok((magnet, _)) = Magnet::parse(link, &MagnetLimits::default()) else { return self.text("link", link) };
        let mut urls = |urls: Vec<String>| -> Vec<String> { urls.iter().map(|url| self.url(url)).collect() };
        let (trackers, web_seeds) = (urls(magnet.trackers), urls(magnet.web_seeds));
        let (sources, alternatives) = (urls(magnet.sources), urls(magnet.alternatives));
        let mut targets = |list: Vec<Target>| -> Vec<Target> { list.iter().map(|one| target(self, one)).collect() };
        let (peers, nodes) = (targets(magnet.peers), targets(magnet.nodes));
        let new = Magnet {
            hashes: self.info_hashes(magnet.hashes),
            name: magnet.name.map(|name| self.text("name", &name)),
            length: magnet.length,
            trackers,
            web_seeds,
            sources,
            alternatives,
            peers,
            nodes,
            selected: magnet.selected,
        };
        new.to_string()
    }

    /// Metainfo, each string of it replaced. What is none becomes zeros.
    pub fn metainfo(&mut self, bytes: &Bytes) -> Bytes {
        let name: [u8; 20] = Sha1::digest(bytes).into();
        if let Some((_, new)) = self.metainfos.get(&name).filter(|_| self.settled) {
            return new.clone();
        }
        // Notes what is in it; what comes of it counts later.
        let new = metainfo::rewritten(self, bytes, 0);
        if !self.settled {
            if let Ok(parsed) = Metainfo::parse(bytes, &MetainfoLimits::default()) {
                for hash in parsed.hashes().names() {
                    self.hash(hash);
                    self.geometries.insert(hash, parsed.geometry());
                }
            }
            self.metainfos.insert(name, (bytes.clone(), bytes.clone()));
            return bytes.clone();
        }
        new
    }

    /// Gives everything that was noted its pseudonym.
    pub fn settle(&mut self) -> Result<(), TooMany> {
        self.addresses.assign(&self.key)?;
        self.settled = true;
        let olds: Vec<InfoHash> = self.hashes.keys().copied().collect();
        // Each hash has a part of all numbers to itself where their order counts.
        let width = if self.ordered { u64::MAX / (olds.len() as u64).max(1) } else { u64::MAX };
        let start = |rank: usize| if self.ordered { rank as u64 * width } else { 0 };
        for (rank, old) in olds.iter().enumerate() {
            let mut new: [u8; 20] = self.key.array("info-hash", &old.0);
            if let Some(head) = new.first_chunk_mut::<8>() {
                *head = (start(rank) + u64::from_be_bytes(*head) % width).to_be_bytes();
            }
            self.hashes.insert(*old, InfoHash(new));
        }
        let limits = MetainfoLimits::default();
        for (name, (old, _)) in core::mem::take(&mut self.metainfos) {
            let before = Metainfo::parse(&old, &limits).ok().map(|parsed| parsed.hashes());
            let rank = before.and_then(|hashes| olds.binary_search(&hashes.best()).ok()).unwrap_or(0);
            let from = if self.ordered { rank as u64 * width } else { 0 };
            let tries = if self.ordered { (olds.len() as u64).saturating_mul(64).max(1) } else { 1 };
            let (mut new, mut after) = (Bytes::new(), None);
            for nonce in 0..tries {
                new = metainfo::rewritten(self, &old, nonce);
                after = Metainfo::parse(&new, &limits).ok().map(|parsed| parsed.hashes());
                let head = after.and_then(|hashes| hashes.best().0.first_chunk::<8>().map(|h| u64::from_be_bytes(*h)));
                // What is refused has no place to be in.
                if head.is_none_or(|head| head >= from && head - from < width) {
                    break;
                }
            }
            if let (Some(before), Some(after)) = (before, after) {
                self.hashes.extend(before.names().zip(after.names()));
                self.long_hashes.extend(before.v2.zip(after.v2));
            }
            self.metainfos.insert(name, (old, new));
        }
        self.settle_ids();
        Ok(())
    }

    fn settle_ids(&mut self) {
        let own: BTreeSet<PeerId> = self.own.values().map(|(old, _)| *old).collect();
        let others: Vec<PeerId> = self.ids.iter().filter(|(old, new)| old == new).map(|(old, _)| *old).collect();
        for old in others.into_iter().filter(|old| !own.contains(old)) {
            let meets: Vec<(PeerId, PeerId)> = self
                .seen_in
                .get(&old)
                .into_iter()
                .flatten()
                .filter_map(|torrent| self.own.get(torrent).copied())
                .collect();
            // Of two connections to one peer, the ids decide which stays.
            let fits = |new: &PeerId| meets.iter().all(|(ours, ours_new)| (old < *ours) == (new < ours_new));
            let drawn = (0..1_000u32).map(|turn| self.pseudonym(old, turn)).find(fits);
            self.ids.insert(old, drawn.unwrap_or_else(|| self.pseudonym(old, 0)));
        }
    }

    /// An id with the client's name, where it has one: the first eight bytes (BEP 20), if they can be read.
    fn pseudonym(&self, id: PeerId, turn: u32) -> PeerId {
        let mut new: [u8; 20] = self.key.array("peer id", &[&id.0[..], &turn.to_be_bytes()].concat());
        let prefix = &id.0[..8];
        if prefix.iter().all(|byte| byte.is_ascii_graphic()) {
            new[..8].copy_from_slice(prefix);
        }
        PeerId(new)
    }

    /// How many torrents, addresses and peers there are.
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.metainfos.len(), self.addresses.iter().count(), self.ids.len())
    }

    /// Addresses with ports, as they were.
    pub fn sockets(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.sockets.iter().copied()
    }

    /// Hashes with their pseudonyms.
    pub fn hashes(&self) -> impl Iterator<Item = (InfoHash, InfoHash)> + '_ {
        self.hashes.iter().map(|(old, new)| (*old, *new))
    }

    /// Peer ids with their pseudonyms.
    pub fn ids(&self) -> impl Iterator<Item = (PeerId, PeerId)> + '_ {
        self.ids.iter().map(|(old, new)| (*old, *new))
    }
}

fn drawn(prefix: [u8; 8], seeds: &Seeds, stream: Stream, number: u64) -> PeerId {
    let mut id = PeerId([0; 20]);
    let (head, tail) = id.0.split_at_mut(8);
    head.copy_from_slice(&prefix);
    seeds.secrets(stream, number).fill(tail);
    id
}

/// Words of protocols and formats, in which a name may occur by chance: `metadata` is in `ut_metadata`.
const VOCABULARY: &[&str] = &[
    "13:announce-list",
    "BitTorrent protocol",
    "PkResume",
    "announce",
    "comment",
    "complete_ago",
    "completed",
    "created by",
    "creation date",
    "downloaded",
    "downloaders",
    "encoding",
    "external ip",
    "failure reason",
    "file tree",
    "httpseeds",
    "incomplete",
    "info_hash",
    "ipv4",
    "ipv6",
    "localhost",
    "lt_donthave",
    "meta version",
    "metadata_size",
    "min interval",
    "min_request_interval",
    "name.utf-8",
    "padding",
    "paused",
    "path.utf-8",
    "peer_id",
    "piece layers",
    "piece length",
    "pieces root",
    "private",
    "publisher-url.utf-8",
    "scrape",
    "share_mode",
    "source",
    "started",
    "stopped",
    "symlink path",
    "tracker id",
    "upload_only",
    "uploaded",
    "url-list",
    "ut_comment",
    "ut_holepunch",
    "ut_metadata",
    "ut_pex",
    "warning message",
    "yourip",
    "_____padding_file_",
    ".pad",
];

/// Whether an original is part of a word that is left in the recording anyway.
fn is_vocabulary(original: &[u8]) -> bool {
    VOCABULARY.iter().any(|word| word.as_bytes().windows(original.len()).any(|part| part == original))
        || crate::border::SessionConfig::default()
            .client
            .as_bytes()
            .windows(original.len())
            .any(|part| part == original)
}
