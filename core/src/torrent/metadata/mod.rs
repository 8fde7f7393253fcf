//! Fetching the info dictionary of a torrent of which only the hash is known (BEP 9).
//!
//! Everything that a peer says here may be a lie, and only the whole can be checked: its hash is the info-hash, or not. So what is
//! kept is who said what, and the machine is about finding out who lied without believing anybody.
//!
//! # Collections
//!
//! BEP 9: "The metadata is handled in blocks of 16KiB". How many there are is known from peers, who may claim different
//! sizes; no claim binds the others. For each size that somebody claims, blocks are *collected* apart, for
//! [`sizes_at_once`](MetadataConfig::sizes_at_once) sizes at a time; one whose claimers are all gone or do not answer makes
//! way for another, and so does the oldest that is not whole after [`turn`](MetadataConfig::turn): whoever sends a block now and then
//! keeps nobody out. Requests go to the peer that owes least, so they are spread over all that claim the size. A block that was not
//! answered for [`hurry_after`](MetadataConfig::hurry_after) is asked of somebody else too.
//!
//! # Who lied
//!
//! | what is seen | what is known |
//! |---|---|
//! | a block that is not as long as the claimed size has it, or a `total_size` that is not what was claimed | this peer lied |
//! | a wrong whole, all from one peer | this peer lied |
//! | a wrong whole from several | one of them lied: from now on peers of this size are asked for the whole each *alone*, [`alone_at_once`](MetadataConfig::alone_at_once) at a time, and what each had sent is remembered by its hash |
//! | the right whole | who claimed another size lied, and who sent another block into a collection that was wrong |
//!
//! Who lied is named once by [`MetadataSaid::Liar`], and is not asked again.
//!
//! # Who cannot help
//!
//! A peer that rejects a request ("the peer does not have the piece of metadata") or does not answer in
//! [`request_timeout`](MetadataConfig::request_timeout) rests for [`retry_after`](MetadataConfig::retry_after), longer each time. One
//! that takes messages of the extension and has named no size (it may have got the dictionary since) is asked for block 0,
//! when nobody who has named one can be asked: the answer says the size.
//!
//! # Limits
//!
//! Memory: a collection holds what has come, [`max_size`](MetadataConfig::max_size) at most, and there are
//! `sizes_at_once + alone_at_once` of them; of the last that was wrong, a hash for each block. For each peer, what it was asked for.

#[cfg(test)]
mod tests;

use crate::border::{InfoHashes, MetadataConfig, PeerKey};
use crate::journal::canon::{Encoder, Put, canon_struct};
use crate::time::{Time, earliest};
use crate::wire::{METADATA_BLOCK, metadata_block_length, metadata_blocks};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;
use sha1::{Digest, Sha1};
use sha2::Sha256;

/// The most sizes that are remembered as having been wrong when several peers sent them. Each costs two peers and a whole;
/// of one that is forgotten the next collection is from several again.
const MAX_DOUBTED: usize = 32;

/// What the machine has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataSaid {
    /// A block has come that was not there.
    Progress {
        /// Bytes of the collection that it belongs to.
        have: u32,
        /// As many as there are to be, by the claim of those who send them.
        size: u32,
    },
    /// This peer lied; it is forgotten here.
    Liar(PeerKey),
    /// Here it is: its hash is the info-hash.
    Complete(Bytes),
}

/// A peer that takes messages of the extension.
#[derive(Clone, Debug, Default)]
struct Source {
    /// What it claims.
    size: Option<u32>,
    /// What it owes: block, and since when.
    owes: Vec<(u32, Time)>,
    /// It is not asked before.
    rests_until: Time,
    /// How often it could not help.
    failures: u32,
}

/// Blocks of a dictionary of one size, from one peer or several.
#[derive(Clone, Debug)]
struct Collection {
    size: u32,
    alone: Option<PeerKey>,
    /// What has come, and from whom.
    blocks: Vec<Option<(Bytes, PeerKey)>>,
    have: u32,
    began: Time,
}

/// What was in a collection that was wrong, and had several senders.
#[derive(Clone, Debug, Default)]
struct Doubted {
    size: u32,
    blocks: Vec<([u8; 20], PeerKey)>,
}

/// Fetches an info dictionary. See the [module](self).
#[derive(Clone, Debug)]
pub struct MetadataFetch {
    hashes: InfoHashes,
    sources: BTreeMap<PeerKey, Source>,
    collections: Vec<Collection>,
    /// Sizes whose last collection from several peers was wrong.
    doubted: BTreeSet<u32>,
    /// The last such collection.
    wrong: Doubted,
    /// It was found: nobody is asked any more.
    done: bool,
    now: Time,
    said: VecDeque<MetadataSaid>,
}

canon_struct!(out Source { size, owes, rests_until, failures });
canon_struct!(out Collection { size, alone, blocks, have, began });
canon_struct!(out Doubted { size, blocks });

impl Put for MetadataFetch {
    fn put(&self, to: &mut Encoder<'_>) {
        let MetadataFetch { hashes, sources, collections, doubted, wrong, done, now, said } = self;
        // What it says is taken before an event ends: nothing is left.
        said.len().put(to);
        let parts: &[&dyn Put] = &[hashes, sources, collections, doubted, wrong, done, now];
        parts.iter().for_each(|part| part.put(to));
    }
}

impl Collection {
    fn new(now: Time, size: u32, alone: Option<PeerKey>) -> Collection {
        let blocks = metadata_blocks(size) as usize;
        Collection { size, alone, blocks: core::iter::repeat_n(None, blocks).collect(), have: 0, began: now }
    }

    fn is_for(&self, peer: PeerKey, size: u32) -> bool {
        self.alone == Some(peer) || (self.alone.is_none() && self.size == size)
    }

    fn is_whole(&self) -> bool {
        self.have == self.size
    }

    fn whole(&self) -> Bytes {
        let mut whole = Vec::with_capacity(self.size as usize);
        for (bytes, _) in self.blocks.iter().flatten() {
            whole.extend_from_slice(bytes);
        }
        Bytes::from(whole)
    }
}

impl MetadataFetch {
    /// Looks for the dictionary of these hashes: where there is one of version 1, that one counts.
    pub fn new(hashes: InfoHashes) -> MetadataFetch {
        MetadataFetch {
            hashes,
            sources: BTreeMap::new(),
            collections: Vec::new(),
            doubted: BTreeSet::new(),
            wrong: Doubted::default(),
            done: false,
            now: Time::ZERO,
            said: VecDeque::new(),
        }
    }

    /// Whether these bytes are the dictionary.
    pub fn is_right(hashes: &InfoHashes, info: &[u8]) -> bool {
        match (hashes.v1, hashes.v2) {
            (Some(v1), _) => <[u8; 20]>::from(Sha1::digest(info)) == v1,
            (None, Some(v2)) => <[u8; 32]>::from(Sha256::digest(info)) == v2,
            (None, None) => false,
        }
    }

    /// A peer takes messages of the extension (or does not any more), and claims this size.
    ///
    /// A size that is too long for [`MetadataConfig::max_size`] counts as none; once a peer has claimed one, another is ignored.
    pub fn introduced(&mut self, now: Time, config: &MetadataConfig, peer: PeerKey, takes: bool, size: Option<u32>) {
        self.now = self.now.max(now);
        if !takes {
            return self.gone(peer);
        }
        let source = self.sources.entry(peer).or_default();
        if source.size.is_none() {
            source.size = size.filter(|&size| size > 0 && size <= config.max_size);
            if source.size.is_some() {
                // It has got it since it was asked for that.
                source.rests_until = Time::ZERO;
            }
        }
    }

    /// A connection is gone.
    pub fn gone(&mut self, peer: PeerKey) {
        self.sources.remove(&peer);
        self.collections.retain(|collection| collection.alone != Some(peer));
    }

    /// A block has come that the peer was asked for.
    pub fn data(
        &mut self,
        now: Time,
        config: &MetadataConfig,
        peer: PeerKey,
        piece: u32,
        total_size: Option<u32>,
        data: &Bytes,
    ) {
        self.now = self.now.max(now);
        let Some(source) = self.sources.get_mut(&peer).filter(|_| !self.done) else { return };
        source.owes.retain(|&(block, _)| block != piece);
        let claimed = total_size.filter(|&size| size <= config.max_size);
        let Some(size) = source.size.or(claimed) else { return self.cannot_help(config, peer) };
        source.size = Some(size);
        let fits = metadata_block_length(size, piece).is_some_and(|length| length as usize == data.len());
        if !fits || total_size.is_some_and(|total| total != size) {
            return self.lied(peer);
        }
        source.failures = 0;
        let Some(at) = self.collections.iter().position(|collection| collection.is_for(peer, size)) else {
            // It was the answer to a question for the size, or comes too late.
            return;
        };
        let collection = &mut self.collections[at];
        let Some(place @ None) = collection.blocks.get_mut(piece as usize) else { return };
        // Copied: a block that waits must not keep the buffer of its event.
        *place = Some((Bytes::copy_from_slice(data), peer));
        collection.have += data.len() as u32;
        self.said.push_back(MetadataSaid::Progress { have: collection.have, size });
        if collection.is_whole() {
            let whole = self.collections.remove(at);
            self.judge(whole);
        }
    }

    /// A peer does not give a block that it was asked for.
    pub fn rejected(&mut self, now: Time, config: &MetadataConfig, peer: PeerKey, piece: u32) {
        self.now = self.now.max(now);
        let Some(source) = self.sources.get_mut(&peer) else { return };
        source.owes.retain(|&(block, _)| block != piece);
        self.cannot_help(config, peer);
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Time, config: &MetadataConfig) {
        self.now = self.now.max(now);
        let late = |source: &Source| source.owes.iter().any(|&(_, since)| since + config.request_timeout <= self.now);
        let late: Vec<PeerKey> =
            self.sources.iter().filter(|(_, source)| late(source)).map(|(&peer, _)| peer).collect();
        for peer in late {
            self.cannot_help(config, peer);
        }
    }

    /// When [`tick`](MetadataFetch::tick) and [`next_request`](MetadataFetch::next_request) are due, if nothing happens before.
    pub fn deadline(&self, config: &MetadataConfig) -> Option<Time> {
        if self.done {
            return None;
        }
        let of_source = |source: &Source| {
            let owed = source.owes.first().map(|&(_, since)| since);
            let hurry = source.owes.iter().map(|&(_, since)| since + config.hurry_after).find(|&due| due > self.now);
            let rests = Some(source.rests_until).filter(|&until| until > self.now);
            earliest([owed.map(|since| since + config.request_timeout), hurry, rests])
        };
        self.sources.values().filter_map(of_source).min()
    }

    /// The next block to ask for, and of whom; it counts as asked for. To be called until there is none.
    pub fn next_request(&mut self, now: Time, config: &MetadataConfig) -> Option<(PeerKey, u32)> {
        self.now = self.now.max(now);
        if self.done {
            return None;
        }
        let mut able: Vec<(usize, PeerKey)> = self
            .sources
            .iter()
            .filter(|(_, source)| {
                source.rests_until <= self.now && source.owes.len() < config.requests_per_peer as usize
            })
            .map(|(&peer, source)| (source.owes.len(), peer))
            .collect();
        able.sort_unstable();
        for &(_, peer) in &able {
            let Some(size) = self.sources.get(&peer).and_then(|source| source.size) else { continue };
            let Some(at) = self.collection_for(config, peer, size) else { continue };
            if let Some(piece) = self.next_block(config, at, peer) {
                return Some(self.asked(peer, piece));
            }
        }
        // Nobody who has named a size can be asked: the others may have got it.
        let awake = |source: &Source| source.size.is_some() && source.rests_until <= self.now;
        if self.sources.values().any(awake) {
            return None;
        }
        let (_, silent) = able
            .into_iter()
            .find(|&(owes, peer)| owes == 0 && self.sources.get(&peer).is_some_and(|source| source.size.is_none()))?;
        Some(self.asked(silent, 0))
    }

    /// What has been found, the oldest first.
    pub fn said(&mut self) -> Option<MetadataSaid> {
        self.said.pop_front()
    }

    /// How many bytes are there, of how many: of the collection that has most of what it needs.
    pub fn progress(&self) -> Option<(u32, u32)> {
        let best = self.collections.iter().max_by_key(|one| u64::from(one.have) * 1000 / u64::from(one.size.max(1)));
        best.map(|collection| (collection.have, collection.size))
    }

    /// Bytes that are held.
    pub fn held_bytes(&self) -> u64 {
        self.collections.iter().map(|collection| u64::from(collection.have)).sum()
    }

    fn asked(&mut self, peer: PeerKey, piece: u32) -> (PeerKey, u32) {
        if let Some(source) = self.sources.get_mut(&peer) {
            source.owes.push((piece, self.now));
        }
        (peer, piece)
    }

    /// Where blocks of this peer go; begins a collection when there is room for one.
    fn collection_for(&mut self, config: &MetadataConfig, peer: PeerKey, size: u32) -> Option<usize> {
        if let Some(at) = self.collections.iter().position(|collection| collection.is_for(peer, size)) {
            return Some(at);
        }
        let alone = self.doubted.contains(&size);
        let most = if alone { config.alone_at_once } else { config.sizes_at_once } as usize;
        let there = self.collections.iter().filter(|collection| collection.alone.is_some() == alone).count();
        if there >= most {
            // One that nobody adds to makes way, or else the oldest that has had its turn.
            let likes = |collection: &&Collection| collection.alone.is_some() == alone;
            let idle = self.collections.iter().filter(likes).find(|collection| !self.has_claimers(collection));
            let had_its_turn = |collection: &&Collection| collection.began + config.turn <= self.now;
            let old = || self.collections.iter().filter(likes).find(had_its_turn);
            let (size, alone) = idle.or_else(old).map(|collection| (collection.size, collection.alone))?;
            self.collections.retain(|collection| (collection.size, collection.alone) != (size, alone));
            if let Some(slow) = alone {
                self.cannot_help(config, slow);
            }
        }
        self.collections.push(Collection::new(self.now, size, alone.then_some(peer)));
        Some(self.collections.len() - 1)
    }

    fn has_claimers(&self, collection: &Collection) -> bool {
        self.sources.iter().any(|(&peer, source)| {
            source.rests_until <= self.now && source.size.is_some_and(|size| collection.is_for(peer, size))
        })
    }

    /// What to ask `peer` for: a block that nobody owes, or one that has been owed for long.
    fn next_block(&self, config: &MetadataConfig, at: usize, peer: PeerKey) -> Option<u32> {
        let collection = self.collections.get(at)?;
        // Of each block, since when the last who was asked for it owes it.
        let mut owed: BTreeMap<u32, Time> = BTreeMap::new();
        for (&other, source) in &self.sources {
            if source.size.is_some_and(|size| collection.is_for(other, size)) {
                for &(block, since) in &source.owes {
                    let latest = owed.entry(block).or_insert(since);
                    *latest = (*latest).max(since);
                }
            }
        }
        let missing = || (0..).zip(&collection.blocks).filter(|(_, place)| place.is_none()).map(|(block, _)| block);
        let own = self.sources.get(&peer)?;
        let late = |block: &u32| {
            owed.get(block).is_some_and(|&since| since + config.hurry_after <= self.now)
                && own.owes.iter().all(|(owes, _)| owes != block)
        };
        missing().find(|block| !owed.contains_key(block)).or_else(|| missing().find(late))
    }

    /// A peer has rejected what it was asked for, or not answered. What it owes besides is not waited for.
    fn cannot_help(&mut self, config: &MetadataConfig, peer: PeerKey) {
        let Some(source) = self.sources.get_mut(&peer) else { return };
        // What it rejects of what it was asked for at once counts as one.
        if source.rests_until <= self.now {
            source.failures = source.failures.saturating_add(1);
            let rest = config.retry_after.saturating_mul(source.failures).min(config.retry_max);
            source.rests_until = self.now + rest;
        }
        source.owes.clear();
        self.collections.retain(|collection| collection.alone != Some(peer));
    }

    fn lied(&mut self, peer: PeerKey) {
        self.gone(peer);
        self.said.push_back(MetadataSaid::Liar(peer));
    }

    /// A collection is whole.
    fn judge(&mut self, collection: Collection) {
        let whole = collection.whole();
        if Self::is_right(&self.hashes, &whole) {
            return self.found(whole);
        }
        let mut senders: Vec<PeerKey> = collection.blocks.iter().flatten().map(|&(_, peer)| peer).collect();
        senders.sort_unstable();
        senders.dedup();
        if let [one] = senders[..] {
            return self.lied(one);
        }
        if self.doubted.len() >= MAX_DOUBTED {
            self.doubted.pop_first();
        }
        self.doubted.insert(collection.size);
        let hashed = collection.blocks.iter().flatten().map(|(bytes, peer)| (Sha1::digest(bytes).into(), *peer));
        self.wrong = Doubted { size: collection.size, blocks: hashed.collect() };
    }

    fn found(&mut self, whole: Bytes) {
        let size = whole.len() as u32;
        let claims_otherwise = |source: &Source| source.size.is_some_and(|claimed| claimed != size);
        let mut liars: BTreeSet<PeerKey> =
            self.sources.iter().filter(|(_, source)| claims_otherwise(source)).map(|(&peer, _)| peer).collect();
        if self.wrong.size == size {
            let right = whole.chunks(METADATA_BLOCK as usize);
            let differ = right
                .zip(&self.wrong.blocks)
                .filter(|(block, (hash, _))| <[u8; 20]>::from(Sha1::digest(block)) != *hash);
            liars.extend(differ.map(|(_, &(_, peer))| peer));
        }
        for liar in liars {
            self.lied(liar);
        }
        self.collections.clear();
        self.done = true;
        self.said.push_back(MetadataSaid::Complete(whole));
    }
}
