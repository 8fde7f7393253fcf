//! A recording that can be given away: the same session, of somebody else.
//!
//! [`redact`] makes a new recording, in which the same happens at the same times, with other names. It is a whole one: it replays, with a
//! digest of its own.
//!
//! # What is replaced
//! The same by the same everywhere, in events, commands and the configuration; and nobody can tell an original from its pseudonym
//! without a key that is kept nowhere.
//!
//! | what | by |
//! |---|---|
//! | addresses | others of the same class; those of one network (/24; /48, /64) stay together, those of a class keep their order |
//! | names of hosts, words in paths and queries of URLs (keys of trackers are there) | words of the same length |
//! | names of torrents, files and folders, comments and every other text of metainfo | letters, as many |
//! | info-hashes, hashes of pieces and blocks, Merkle trees | those of the new metainfo; all else is drawn |
//! | peer ids | the first eight bytes stay if they name a client, the others are drawn |
//! | texts of trackers, their ids, connection ids, transactions | letters; drawn numbers |
//! | names of clients, devices and whatever else a peer says in text | letters |
//! | the secret seed, and so our own ids and keys | drawn |
//! | dates | the recording begins at 2000-01-01 |
//! | lists of blocked addresses | the pseudonyms of those in the recording that were blocked |
//! | content that was left in it, messages that nobody understands | zeros |
//! | extensions of the header | left out, but for the table below |
//!
//! # What stays
//! Sizes, times between events, the number of files and their order, priorities, rates, ports, numbers in metainfo and answers, which
//! extensions peers have, and the schemes of URLs. Whoever knows a torrent can know it again by its sizes. The decision seed stays, as the same
//! decisions are to be taken; it says nothing.
//!
//! # Functions of addresses
//! Some decisions depend on an address or an info-hash as a number: BEP 40's order of peers and BEP 6's allowed-fast pieces. Their values go with the
//! recording ([`AddressTable`], which the header has apart). All others ask only what stays.
//!
//! # What cannot be redacted
//! A torrent that was added by a magnet link: its info dictionary comes from peers, block by block, and has to have the hash that the link
//! names. In the new session no peer has one, so the first difference is where it would be whole.
//!
//! And a session with a node of the DHT ([`RedactError::Dht`]): everything there goes by distances between ids, ids follow from addresses (BEP 42), and the
//! info-hashes of others are looked up as well. Such a recording is refused before anything of it is written.
//!
//! # That it is the same session
//! Both recordings are run side by side, and after each event every action of the new session must be that of the old one, with
//! pseudonyms in the place of originals: the same messages on each stream, the same work, the same notices, in the same order. At last
//! the result is searched for the originals. Where there is a difference or a find, there is no result, and
//! [`RedactError`] says where. So a kind of event or action that this module does not know leads to a refusal and to no leak.

mod addresses;
mod bencoded;
mod compare;
mod events;
mod key;
mod local;
mod mapper;
mod metainfo;
mod scan;
#[cfg(test)]
mod tests;
mod trackers;
mod urls;
mod wire;

use super::{Digest, Reader, Record, Recorder, ReplayError, ReplayReport, Secret, canon, replay};
use crate::border::{Actions, AddressTable, Command, Config, Event, InfoHash, Notice};
use crate::rng::Seeds;
use crate::session::Session;
use crate::time::Time;
use crate::torrent::candidates::canonical_priority;
use crate::wire::allowed_fast_set;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use compare::Said;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use events::Streams;
use key::Key;
use mapper::Mapper;
use scan::Scanner;

/// How often it is tried with other pseudonyms: short words may by chance become the same word, and two trackers one.
const ATTEMPTS: u32 = 4;

/// A redacted recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted {
    /// The recording.
    pub bytes: Vec<u8>,
    /// Its digest.
    pub digest: Digest,
    /// How many events it has, as many as the original.
    pub events: u64,
    /// How many torrents were given others' names.
    pub torrents: usize,
    /// How many addresses were.
    pub addresses: usize,
    /// How many peer ids, our own among them.
    pub peers: usize,
}

/// Why a recording cannot be redacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedactError {
    /// It cannot be read or run.
    Replay(ReplayError),
    /// It can be run, but this core does something else than the one that was recorded.
    Differs(Box<ReplayReport>),
    /// A node of the DHT took part, whose decisions go by ids and addresses as numbers.
    Dht,
    /// It has more addresses of one class than there are pseudonyms.
    TooManyAddresses,
    /// The session does something else with pseudonyms.
    Difference {
        /// The event, counted from 0.
        event: u64,
        /// When it happened.
        now: Time,
        /// What was done in place of what.
        what: String,
    },
    /// An original is still there.
    Leftover {
        /// The event that it is in, counted from 0; `None`: the configuration.
        event: Option<u64>,
        /// What it is.
        what: &'static str,
    },
}

impl fmt::Display for RedactError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RedactError::Replay(error) => error.fmt(f),
            RedactError::Differs(_) => f.write_str("this program acts in another way than the one that was recorded"),
            RedactError::Dht => f.write_str(
                "a node of the DHT took part, and what it does goes by addresses as numbers: only a session without (--no-dht) can be redacted",
            ),
            RedactError::TooManyAddresses => f.write_str("there are more addresses than can be replaced"),
            RedactError::Difference { event, now, what } => {
                write!(f, "without its names the session goes another way at event {event}, {now:?}: {what}")
            }
            RedactError::Leftover { event: Some(event), what } => {
                write!(f, "the result still holds an original in event {event}: {what}")
            }
            RedactError::Leftover { event: None, what } => {
                write!(f, "the result still holds an original in its configuration: {what}")
            }
        }
    }
}

impl core::error::Error for RedactError {}

/// Makes a recording that names nobody. `key` is 32 random bytes, to be forgotten; the same key makes the same recording. A recording that
/// was cut off is redacted as far as it goes, and ends in order.
///
/// # Errors
/// When it cannot be replayed, when the new session does not act as the old one, or when something of the original is left.
pub fn redact(recording: &[u8], key: [u8; 32]) -> Result<Redacted, RedactError> {
    let report = replay(recording).map_err(RedactError::Replay)?;
    if !report.is_same() {
        return Err(RedactError::Differs(Box::new(report)));
    }
    let mut attempt = 0;
    loop {
        match Redaction::new(recording, Key::new(key, attempt)).and_then(Redaction::run) {
            Err(RedactError::Difference { .. } | RedactError::Leftover { .. }) if attempt + 1 < ATTEMPTS => {
                attempt += 1
            }
            result => return result,
        }
    }
}

/// One attempt.
struct Redaction<'r> {
    recording: &'r [u8],
    mapper: Mapper,
    streams: Streams,
    config: Config,
    seeds: Seeds,
    new_seeds: Seeds,
    /// Our own addresses, as the session came to believe them.
    own: BTreeSet<IpAddr>,
}

impl<'r> Redaction<'r> {
    fn new(recording: &'r [u8], key: Key) -> Result<Redaction<'r>, RedactError> {
        let reader = Reader::new(recording).map_err(|error| RedactError::Replay(ReplayError::Read(error)))?;
        let seeds = reader.header().seeds().ok_or(RedactError::Replay(ReplayError::NoSecret))?;
        let new_seeds = Seeds { decision: seeds.decision, secret: key.array("secret seed", &seeds.secret) };
        let config = reader.header().config.clone();
        let (mapper, streams, own) = (Mapper::new(key), Streams::default(), BTreeSet::new());
        Ok(Redaction { recording, mapper, streams, config, seeds, new_seeds, own })
    }

    fn run(mut self) -> Result<Redacted, RedactError> {
        self.collect()?;
        self.mapper.settle().map_err(|addresses::TooMany| RedactError::TooManyAddresses)?;
        self.streams.patch(&mut self.mapper);
        let mut config = events::config(&mut self.mapper, &self.config);
        config.addresses = Arc::new(self.table());
        self.write(&config)
    }

    /// The first time through: notes what there is.
    fn collect(&mut self) -> Result<(), RedactError> {
        let prefix = self.config.session.peer_id_prefix;
        let mut session = session(&self.config, &self.seeds)?;
        let mut actions = Actions::new();
        self.mapper.own_probe(prefix, [&self.seeds, &self.new_seeds]);
        for (now, event) in happened(self.recording)? {
            if matches!(event, Event::Command { command: Command::Listen { dht: true, .. }, .. }) {
                return Err(RedactError::Dht);
            }
            actions.clear();
            events::event(&mut self.mapper, &mut self.streams, &event);
            session.handle(now, event, &mut actions);
            for notice in &actions.notices {
                match notice {
                    Notice::Added { torrent, hashes, .. } => {
                        self.mapper.own_torrent(*torrent, hashes, prefix, [&self.seeds, &self.new_seeds]);
                    }
                    Notice::ExternalAddress { ip: Some(ip), .. } => _ = self.own.insert(*ip),
                    _ => {}
                }
            }
        }
        self.streams.patch(&mut self.mapper);
        events::config(&mut self.mapper, &self.config);
        Ok(())
    }

    /// What functions of the originals say, under the names of the pseudonyms.
    fn table(&mut self) -> AddressTable {
        let before = Arc::clone(&self.config.addresses);
        let mut table = AddressTable::default();
        let all: Vec<(IpAddr, IpAddr)> = self.mapper.addresses.iter().collect();
        for own in &self.own {
            let Some(new_own) = self.mapper.addresses.get(*own) else { continue };
            for &(peer, new_peer) in all.iter().filter(|(peer, _)| peer != own && peer.is_ipv4() == own.is_ipv4()) {
                let [a, b] = [*own, peer].map(|ip| SocketAddr::new(ip, 0));
                let priority = before.priority(a, b).unwrap_or_else(|| canonical_priority(a, b));
                table.priorities.insert((new_own.min(new_peer), new_own.max(new_peer)), priority);
            }
        }
        let count = self.config.peer.allowed_fast;
        let pairs: BTreeSet<(IpAddr, InfoHash)> =
            self.streams.pairs().map(|(remote, hash)| (remote.ip().to_canonical(), hash)).collect();
        for (ip, hash) in pairs {
            let Some(geometry) = self.mapper.geometries.get(&hash).copied() else { continue };
            let IpAddr::V4(new) = self.mapper.ip(ip) else { continue };
            let given = before.fast_set(ip, hash, &geometry, count);
            let pieces = given.unwrap_or_else(|| allowed_fast_set(ip, &hash, &geometry, count));
            let network = Ipv4Addr::from_bits(new.to_bits() & 0xffff_ff00);
            let pieces = pieces.into_iter().map(|piece| piece.get()).collect();
            table.fast_sets.insert((network, self.mapper.hash(hash)), pieces);
        }
        table
    }

    /// The second time through: both sessions side by side.
    fn write(mut self, config: &Config) -> Result<Redacted, RedactError> {
        let scanner = Scanner::new(&self.mapper, &self.seeds.secret);
        let mut encoded = Vec::new();
        canon::encode_config(config, &mut encoded);
        if let Some(what) = scanner.find(&encoded) {
            return Err(RedactError::Leftover { event: None, what });
        }
        let [mut old, mut new] = [session(&self.config, &self.seeds)?, session(config, &self.new_seeds)?];
        let (mut before, mut after) = (Actions::new(), Actions::new());
        let mut out = Vec::with_capacity(self.recording.len());
        let mut recorder = Recorder::new(config, &self.new_seeds, Secret::Keep, &mut out);
        let mut said = Said::default();
        for (number, (now, event)) in (0..).zip(happened(self.recording)?) {
            before.clear();
            after.clear();
            let new_event = events::event(&mut self.mapper, &mut self.streams, &event);
            old.handle(now, event, &mut before);
            new.handle(now, new_event.clone(), &mut after);
            said.compare(&mut self.mapper, &before, &after).map_err(|what| RedactError::Difference {
                event: number,
                now,
                what,
            })?;
            encoded.clear();
            canon::encode_event(&new_event, &after.opaque, &mut encoded);
            if let Some(what) = scanner.find(&encoded) {
                return Err(RedactError::Leftover { event: Some(number), what });
            }
            recorder.record(now, &new_event, &after, &mut out);
            if recorder.state_is_due() {
                recorder.state(&new.state(), &mut out);
            }
        }
        recorder.state(&new.state(), &mut out);
        let events = recorder.events();
        let digest = recorder.finish(&mut out);
        let (torrents, addresses, peers) = self.mapper.counts();
        Ok(Redacted { bytes: out, digest, events, torrents, addresses, peers })
    }
}

fn session(config: &Config, seeds: &Seeds) -> Result<Session, RedactError> {
    Session::new(config.clone(), seeds.clone()).map_err(|error| RedactError::Replay(ReplayError::Config(error)))
}

/// The events of a recording, as far as it goes. It has been replayed before: damage would have been seen.
fn happened(recording: &[u8]) -> Result<impl Iterator<Item = (Time, Event)> + '_, RedactError> {
    let reader = Reader::new(recording).map_err(|error| RedactError::Replay(ReplayError::Read(error)))?;
    Ok(reader.filter_map(|record| match record {
        Ok(Record::Event { now, event, .. }) => Some((now, event)),
        _ => None,
    }))
}
