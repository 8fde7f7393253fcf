//! Peer exchange (BEP 11) for one torrent: who is told of whom, and what is believed of what others tell.
//!
//! **Told:** who is connected and listens where ([`Pex::connected`], [`Pex::closed`]), who takes messages ([`Pex::listens`]),
//! what peers send ([`Pex::heard`]).
//! **Says:** the next message and for whom ([`Pex::next`], due at [`Pex::deadline`]); of what was heard, which contacts are news.
//!
//! # Sending
//! "PEX is intended to reflect which peers a client is *currently connected to*". So nothing is queued for a peer: what it was
//! told is remembered, and a message is the difference to who is connected when its turn comes. A connection that came and
//! went in between is never mentioned. A peer has a turn at most once in
//! [`interval`](PexConfig::interval), and only when there may be news for it.
//!
//! A contact has gone through a handshake with us; of one that came in, the port is what it has told itself. Nobody is told of
//! itself, nor of an address that it cannot reach: those of our own networks stay in them.
//!
//! "To remedy [underpopulated lists] the liveness requirement is relaxed if a client is connected to less than 25 clients for a
//! particular address family": connections that we have ended though nothing was wrong with the peer are named once to each
//! peer, and dropped with its next message.
//!
//! # Hearing
//! "Data exchanged via PEX messages should be considered untrusted and potentially malicious." What is not a dictionary, and who
//! sends too often or too much at once, ends the connection. Of the rest, so many contacts of one peer are taken as
//! [`max_taken`](PexConfig::max_taken) and [`max_named`](PexConfig::max_named) allow, and of one IP address one ("Duplicate IP
//! addresses (e.g. with different ports) should be ignored"; those of this machine apart). A peer can drop only what it has
//! named itself. Which of them may be dialled at all, and when, is not decided here ([`net_policy`](crate::net_policy),
//! [`candidates`](super::candidates), [`brake`](super::brake)).

use crate::border::{PeerFault, PeerKey, PexConfig};
use crate::journal::canon::canon_struct;
use crate::net_policy::AddrClass;
use crate::time::Time;
use crate::wire::{PexMessage, PexPeer};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// The machine.
#[derive(Clone, Debug, Default)]
pub struct Pex {
    /// Who is connected, the oldest connection first.
    contacts: BTreeMap<PeerKey, PexPeer>,
    /// Connections that we ended and may name once more, the oldest first, with their numbers.
    recent: VecDeque<(u64, PexPeer)>,
    ended: u64,
    listeners: BTreeMap<PeerKey, Listener>,
    /// Whose turn comes when.
    turns: BTreeSet<(Time, PeerKey)>,
    speakers: BTreeMap<PeerKey, Speaker>,
}

/// Somebody who takes messages.
#[derive(Clone, Debug)]
struct Listener {
    /// Where it is: it is not told of itself.
    addr: SocketAddr,
    /// Whom it takes to be connected, in the order in which it was told.
    told: Vec<SocketAddr>,
    /// Not before then.
    next_at: Time,
    /// Its place in `turns`.
    turn: Option<Time>,
    had_first: bool,
    /// Which ended connections are old news to it: those with lower numbers.
    seen: u64,
}

/// Somebody who sends messages.
#[derive(Clone, Debug, Default)]
struct Speaker {
    /// Whom it has named and not dropped.
    named: BTreeSet<(IpAddr, u16)>,
    /// A minute, and how many messages have come in it.
    window: (Time, u32),
}

canon_struct!(out Pex { contacts, recent, ended, listeners, turns, speakers });
canon_struct!(out Listener { addr, told, next_at, turn, had_first, seen });
canon_struct!(out Speaker { named, window });

/// What is news in a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PexNews {
    /// Contacts that the peer has not named before.
    pub added: Vec<PexPeer>,
    /// Contacts that it had named, and is not connected to any more.
    pub dropped: Vec<SocketAddr>,
}

impl Pex {
    /// Nobody is connected.
    pub fn new() -> Pex {
        Pex::default()
    }

    /// There is a connection to `contact` that has gone through its handshake, or more is known of it.
    pub fn connected(&mut self, now: Time, key: PeerKey, contact: PexPeer) {
        let before = self.contacts.insert(key, contact);
        if before.is_none_or(|before| before.addr != contact.addr) {
            self.changed(now);
        }
    }

    /// A connection has ended, whether anything was known of it or not. `by_us`: we have ended it, and another client may want the
    /// peer. BEP 11 names the reasons: "the same peer ID was already connected under a different address family; permanent lack of
    /// mutual interest [...]; local resource limits such as a global connection counts were exceeded".
    pub fn closed(&mut self, now: Time, config: &PexConfig, key: PeerKey, by_us: bool) {
        self.speakers.remove(&key);
        if let Some(listener) = self.listeners.remove(&key)
            && let Some(turn) = listener.turn
        {
            self.turns.remove(&(turn, key));
        }
        let Some(contact) = self.contacts.remove(&key) else { return };
        if by_us && config.max_recent > 0 {
            self.remember(config, contact);
        }
        self.changed(now);
    }

    /// A peer takes messages.
    pub fn listens(&mut self, now: Time, config: &PexConfig, key: PeerKey, addr: SocketAddr) {
        if self.listeners.contains_key(&key) {
            return;
        }
        let next_at = now + config.first_after;
        let told = Vec::new();
        self.listeners.insert(key, Listener { addr, told, next_at, turn: None, had_first: false, seen: 0 });
        self.changed(now);
    }

    /// When [`Pex::next`] has something to say.
    pub fn deadline(&self) -> Option<Time> {
        self.turns.first().map(|&(due, _)| due)
    }

    /// The next message that is due, and for whom. Never an empty one.
    pub fn next(&mut self, now: Time, config: &PexConfig) -> Option<(PeerKey, PexMessage)> {
        while let Some(&(due, key)) = self.turns.first()
            && due <= now
        {
            self.turns.pop_first();
            let Some(mut listener) = self.listeners.remove(&key) else { continue };
            let (message, more) = self.message(config, key, &mut listener);
            listener.turn = None;
            listener.had_first |= !message.is_empty();
            if more || !message.is_empty() {
                listener.next_at = now + config.interval;
            }
            // What was named though it is gone has to be dropped; what did not fit comes next.
            if more {
                listener.turn = Some(listener.next_at);
                self.turns.insert((listener.next_at, key));
            }
            self.listeners.insert(key, listener);
            if !message.is_empty() {
                return Some((key, message));
            }
        }
        None
    }

    /// A peer has sent a message.
    ///
    /// # Errors
    /// What it has done wrong, and is to be closed for.
    pub fn heard(&mut self, now: Time, config: &PexConfig, key: PeerKey, payload: &[u8]) -> Result<PexNews, PeerFault> {
        let speaker = self.speakers.entry(key).or_insert_with(|| Speaker { window: (now, 0), ..Speaker::default() });
        if now.since(speaker.window.0) >= Duration::from_secs(60) {
            speaker.window = (now, 0);
        }
        speaker.window.1 += 1;
        if speaker.window.1 > config.max_messages {
            return Err(PeerFault::PexFlood);
        }
        let message = PexMessage::parse(payload).map_err(|_| PeerFault::BadPex)?;
        if message.added.len().max(message.dropped.len()) > config.max_in_message as usize {
            return Err(PeerFault::PexFlood);
        }
        Ok(speaker.believe(config, message))
    }

    /// Something is news to everybody who has no turn yet.
    fn changed(&mut self, now: Time) {
        for (&key, listener) in self.listeners.iter_mut().filter(|(_, listener)| listener.turn.is_none()) {
            let turn = listener.next_at.max(now);
            listener.turn = Some(turn);
            self.turns.insert((turn, key));
        }
    }

    fn remember(&mut self, config: &PexConfig, contact: PexPeer) {
        self.recent.retain(|(_, other)| other.addr != contact.addr);
        let same_family = |other: &PexPeer| other.addr.is_ipv4() == contact.addr.is_ipv4();
        let there = self.recent.iter().filter(|(_, other)| same_family(other)).count();
        if there >= config.max_recent as usize
            && let Some(oldest) = self.recent.iter().position(|(_, other)| same_family(other))
        {
            self.recent.remove(oldest);
        }
        self.ended += 1;
        self.recent.push_back((self.ended, contact));
    }

    /// What a peer is told now, and whether there is more to say at its next turn.
    fn message(&self, config: &PexConfig, key: PeerKey, listener: &mut Listener) -> (PexMessage, bool) {
        let class = AddrClass::of(listener.addr.ip());
        let may_know =
            |contact: &PexPeer| contact.addr != listener.addr && may_know(class, AddrClass::of(contact.addr.ip()));
        let others = self.contacts.iter().filter(|(other, contact)| **other != key && may_know(contact));
        let live: Vec<PexPeer> = others.map(|(_, contact)| *contact).collect();
        let addresses: BTreeSet<SocketAddr> = live.iter().map(|contact| contact.addr).collect();
        let ended = self.recent.iter().filter(|(number, contact)| {
            let family = self.contacts.values().filter(|other| other.addr.is_ipv4() == contact.addr.is_ipv4()).count();
            *number > listener.seen && family < config.max_recent as usize && may_know(contact)
        });
        // One that it takes to be connected is dropped: "the same address must not be added and dropped within the same message".
        let mut told: BTreeSet<SocketAddr> = listener.told.iter().copied().collect();
        let ended = ended.map(|(_, contact)| *contact).filter(|contact| !told.contains(&contact.addr));
        let ended: Vec<PexPeer> = ended.filter(|contact| !addresses.contains(&contact.addr)).collect();

        let mut message = PexMessage::default();
        let gone = listener.told.iter().filter(|addr| !addresses.contains(addr));
        message.dropped.extend(gone.take(config.max_contacts as usize));
        for addr in &message.dropped {
            told.remove(addr);
        }
        let most = if listener.had_first { config.max_contacts } else { config.max_first };
        for contact in live.into_iter().chain(ended) {
            if message.added.len() >= most as usize || told.len() >= MAX_TOLD {
                break;
            }
            if told.insert(contact.addr) {
                message.added.push(contact);
            }
        }
        listener.told.retain(|addr| told.contains(addr));
        listener.told.extend(message.added.iter().map(|contact| contact.addr));
        listener.seen = self.ended;
        let more = told != addresses;
        (message, more)
    }
}

/// The most contacts that a peer takes to be connected by our word: four full messages more than the first has. It is reached only
/// where connections come and go faster than they may be dropped.
const MAX_TOLD: usize = 300;

impl Speaker {
    fn believe(&mut self, config: &PexConfig, message: PexMessage) -> PexNews {
        let mut news = PexNews::default();
        for addr in message.dropped {
            if self.named.remove(&(addr.ip().to_canonical(), addr.port())) {
                news.dropped.push(addr);
            }
        }
        for contact in message.added.into_iter().take(config.max_taken as usize) {
            let (ip, port) = (contact.addr.ip().to_canonical(), contact.addr.port());
            let known = self.named.range((ip, 0)..=(ip, u16::MAX)).next().is_some();
            let is_new = if ip.is_loopback() { !self.named.contains(&(ip, port)) } else { !known };
            if is_new && self.named.len() < config.max_named as usize {
                self.named.insert((ip, port));
                news.added.push(contact);
            }
        }
        news
    }
}

/// Whether somebody there can do anything with an address, and has any right to know it.
fn may_know(listener: AddrClass, contact: AddrClass) -> bool {
    match contact {
        AddrClass::Global => true,
        AddrClass::Private => listener.is_local(),
        AddrClass::Loopback => listener == AddrClass::Loopback,
        // Of another link, or nobody's.
        AddrClass::LinkLocal | AddrClass::Unusable => false,
    }
}

#[cfg(test)]
mod tests;
