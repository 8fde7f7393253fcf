//! The judge of one stream: the rules of the peer protocol, held against what a session says on it.
//!
//! It hears what the session hears, at the moment when the session is told, so that nothing has to be guessed about what
//! was on its way. Both directions go through the [second decoder](crate::second).

use super::{Oracle, Tally};
use crate::Breach;
use crate::second::{Decoder, Range, Unit, Value, Word};
use parcacik_core::border::PeerFault;
use parcacik_core::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use crate::second::Terms;

/// The torrents that may be talked about, by info-hash.
pub type AllTerms = BTreeMap<[u8; 20], Terms>;

/// How long an unanswered request counts as under way. A session gives one up after a minute.
pub(super) const REQUEST_LIFE: Duration = Duration::from_secs(60);
/// What a peer queues when it does not say: BEP 10, "The default in in libtorrent is 250."
const DEFAULT_REQQ: usize = 250;
/// What is asked for at once.
pub(super) const BLOCK: u32 = 16 * 1024;

/// A set of pieces.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces {
    bits: Vec<bool>,
    count: u32,
}

impl Pieces {
    pub fn has(&self, piece: u32) -> bool {
        self.bits.get(piece as usize).copied().unwrap_or(false)
    }

    /// Puts one in; whether it is new.
    pub fn put(&mut self, piece: u32, pieces: u32) -> bool {
        if piece >= pieces {
            return false;
        }
        self.bits.resize(pieces as usize, false);
        let new = !std::mem::replace(&mut self.bits[piece as usize], true);
        self.count += u32::from(new);
        new
    }

    pub fn take(&mut self, piece: u32) {
        if self.has(piece) {
            self.bits[piece as usize] = false;
            self.count -= 1;
        }
    }

    pub fn clear(&mut self) {
        *self = Pieces::default();
    }

    pub fn count(&self) -> u32 {
        self.count
    }

    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.bits.iter().enumerate().filter(|(_, has)| **has).map(|(piece, _)| piece as u32)
    }
}

/// The judge of one stream.
#[derive(Clone, Debug)]
pub struct Audit {
    torrent: Option<Terms>,
    ours: Decoder,
    theirs: Decoder,
    /// What the peer says cannot be followed any more.
    pub(super) lost: bool,
    their_reserved: Option<[u8; 8]>,
    pub(super) our_hash: Option<[u8; 20]>,
    /// What we can do, by our handshake.
    pub(super) our_reserved: [u8; 8],
    /// Whether the port of our node of the DHT has been told.
    port_said: bool,
    pub(super) our_id: Option<[u8; 20]>,
    pub(super) their_hash: Option<[u8; 20]>,
    pub(super) their_id: Option<[u8; 20]>,
    words_said: u32,
    /// What we have told that we have.
    told: Pieces,
    /// What the peer has told that it has.
    pub(super) heard: Pieces,
    /// The peer has told what it has, or said something else in its place.
    pieces_known: bool,
    pub(super) choking: bool,
    pub(super) interested: bool,
    pub(super) choked: bool,
    /// Whether the peer wants something of us.
    pub(super) they_want: bool,
    /// Whether the peer says that it only gives (BEP 21).
    pub(super) they_only_give: bool,
    /// It did not choke us at some moment of the event that is being handled, and which that is.
    was_unchoked: bool,
    event: u64,
    /// The last event in which the peer said something that may be the end of it.
    unsure: u64,
    /// It has choked us in this event: what was asked for before that may be asked for again after it.
    was_choked: bool,
    /// Requests that the peer gave up in this event: at some moment of it they were under way.
    freed_now: BTreeSet<Range>,
    /// Requests of which it is not known whether they are: they were sent in an event in which the peer gave up such, before that or
    /// after it; or the peer was silent for a minute, and the session may have given them up.
    vague: BTreeMap<Range, Time>,
    /// Pieces that the peer has lost in this event.
    lost_now: BTreeSet<u32>,
    /// We choked it in this event.
    choked_now: bool,
    /// Requests of this event that cannot be served, and so have to be rejected in it.
    refused_now: Vec<Range>,
    /// Whether what we serve is compared with the torrent: not when the disk is known to be bad.
    pub check_data: bool,
    /// Nothing is known of the torrent.
    pub(super) off: bool,
    allowed: BTreeSet<u32>,
    our_fast: BTreeSet<u32>,
    pub(super) requests: BTreeMap<Range, Time>,
    /// Requested once.
    ever_requested: BTreeSet<Range>,
    /// Requests that have not been answered by a block or a reject, however often sent.
    may_come: BTreeMap<Range, u32>,
    to_answer: BTreeMap<Range, u32>,
    /// When the peer last sent a block.
    pub(super) block_at: Time,
    /// A request has waited for too long since. A session that does not read for a while gives all of them their full time again, so when
    /// those that it has sent later are given up is not known from then on.
    overdue: bool,
    /// When it last rejected something.
    pub(super) reject_at: Option<Time>,
    reqq: usize,
    depth: usize,
    longest: u32,
    /// The numbers that the peer gave to extensions.
    extensions: BTreeMap<Vec<u8>, u8>,
    /// The number that we gave to peer exchange.
    our_pex: Option<u8>,
    introduced: bool,
    /// When we last said something; in the time in which the driver was not late.
    pub(super) spoke_at: Time,
    keep_alive_at: Option<Time>,
    /// The first thing that the peer did for which the connection has to end.
    pub(super) fault: Option<(PeerFault, String)>,
    /// Content that we sent, in bytes.
    pub sent: u64,
}

impl Audit {
    /// A new stream. `depth`: the most requests that may be under way; `longest`: the longest message that is taken, a bitfield
    /// apart.
    pub fn new(now: Time, depth: u32, longest: u32) -> Audit {
        Audit {
            torrent: None,
            ours: Decoder::default(),
            theirs: Decoder::default(),
            lost: false,
            their_reserved: None,
            our_hash: None,
            our_reserved: [0; 8],
            port_said: false,
            our_id: None,
            their_hash: None,
            their_id: None,
            words_said: 0,
            told: Pieces::default(),
            heard: Pieces::default(),
            pieces_known: false,
            choking: true,
            interested: false,
            choked: true,
            they_want: false,
            they_only_give: false,
            was_unchoked: false,
            event: 0,
            unsure: 0,
            was_choked: false,
            freed_now: BTreeSet::new(),
            vague: BTreeMap::new(),
            lost_now: BTreeSet::new(),
            choked_now: false,
            refused_now: Vec::new(),
            check_data: true,
            off: false,
            allowed: BTreeSet::new(),
            our_fast: BTreeSet::new(),
            requests: BTreeMap::new(),
            ever_requested: BTreeSet::new(),
            may_come: BTreeMap::new(),
            to_answer: BTreeMap::new(),
            block_at: Time::ZERO,
            overdue: false,
            reject_at: None,
            reqq: DEFAULT_REQQ,
            depth: depth as usize,
            longest,
            extensions: BTreeMap::new(),
            our_pex: None,
            introduced: false,
            spoke_at: now,
            keep_alive_at: None,
            fault: None,
            sent: 0,
        }
    }

    pub(super) fn fast(&self) -> bool {
        self.their_reserved.is_some_and(|reserved| reserved[7] & 0x04 != 0)
    }

    /// Whether both have greeted, and nothing is wrong.
    pub(super) fn is_open(&self) -> bool {
        self.our_id.is_some() && self.their_id.is_some() && self.fault.is_none() && !self.off
    }

    /// The number under which the peer takes messages of an extension.
    pub(super) fn number_of(&self, extension: &[u8]) -> Option<u8> {
        self.extensions.get(extension).copied().filter(|&id| id != 0)
    }

    /// Whether the peer has named a torrent, in whatever of its handshake has come.
    pub(super) fn has_named(&self, hash: [u8; 20]) -> bool {
        self.their_hash.or(self.theirs.named()) == Some(hash)
    }

    pub(super) fn terms(&self) -> Option<&Terms> {
        self.torrent.as_ref()
    }

    /// Whether a piece may be asked for now, as far as the peer goes.
    pub(super) fn serves(&self, piece: u32) -> bool {
        self.heard.has(piece) && (!self.choked || self.allowed.contains(&piece))
    }

    /// Whether a request has waited for longer than a session waits.
    pub(super) fn is_stale(&self, now: Time) -> bool {
        self.requests.values().any(|&at| now.since(at) >= REQUEST_LIFE)
    }

    fn faulty(&mut self, fault: PeerFault, what: impl Into<String>) {
        if self.unsure == self.event {
            self.lost = true;
        } else {
            self.fault.get_or_insert((fault, what.into()));
        }
    }

    /// The session is told, as its `event`-th event, that these bytes came. What they are; for each block, whether it was asked
    /// for.
    pub fn heard(&mut self, now: Time, event: u64, bytes: &[u8], terms: &AllTerms) -> Vec<(Unit, bool)> {
        let mut units = Vec::new();
        self.begin(event);
        if self.lost || self.off {
            return units;
        }
        self.theirs.feed(bytes);
        while !self.lost {
            match self.theirs.take() {
                Ok(Some(unit)) => {
                    let asked = match &unit {
                        Unit::Handshake { reserved, info_hash, peer_id } => {
                            self.their_reserved = Some(*reserved);
                            self.their_hash = Some(*info_hash);
                            self.their_id = Some(*peer_id);
                            if self.torrent.is_none() {
                                self.torrent = terms.get(info_hash).cloned();
                            }
                            if self.our_hash.is_some_and(|ours| ours != *info_hash) {
                                self.faulty(PeerFault::WrongInfoHash, "a handshake for another torrent");
                            }
                            false
                        }
                        Unit::Word(word) => self.hear(now, word),
                    };
                    units.push((unit, asked));
                }
                Ok(None) => break,
                Err(wrong) => {
                    let is_greeting = self.their_id.is_none();
                    let fault = if is_greeting { PeerFault::NotBitTorrent } else { PeerFault::MessageTooLong };
                    self.faulty(fault, wrong);
                    self.lost = true;
                    break;
                }
            }
        }
        let bitfield = self.torrent.as_ref().map_or(0, Terms::pieces).div_ceil(8) + 1;
        let declared = self.theirs.declared().filter(|_| !self.lost);
        if let Some(length) = declared.filter(|&length| length > self.longest.max(bitfield)) {
            self.faulty(PeerFault::MessageTooLong, format!("a message of {length} bytes"));
            self.lost = true;
        }
        units
    }

    fn begin(&mut self, event: u64) {
        if self.event != event {
            self.event = event;
            self.was_unchoked = !self.choked;
            self.choked_now = false;
            self.was_choked = false;
            self.freed_now.clear();
            self.lost_now.clear();
            self.refused_now.clear();
        }
    }

    /// Whether it was a block that was asked for.
    fn hear(&mut self, now: Time, word: &Word) -> bool {
        let Some(terms) = self.torrent.clone() else {
            // Of a torrent that nobody knows.
            self.lost = true;
            return false;
        };
        let pieces = terms.pieces();
        self.check(word, pieces);
        let says_nothing_of_pieces =
            matches!(word, Word::KeepAlive | Word::Port(_) | Word::Extended(..) | Word::Other(..));
        self.pieces_known |= !says_nothing_of_pieces;
        match word {
            Word::Choke => {
                self.choked = true;
                if !self.fast() {
                    self.was_choked = true;
                    self.freed_now.extend(std::mem::take(&mut self.requests).into_keys());
                    self.freed_now.extend(std::mem::take(&mut self.vague).into_keys());
                }
            }
            Word::Unchoke => {
                self.choked = false;
                self.was_unchoked = true;
            }
            Word::Interested => self.they_want = true,
            Word::NotInterested => self.they_want = false,
            Word::Have(piece) => _ = self.heard.put(*piece, pieces),
            Word::Bitfield(bits) => {
                for piece in (0..pieces).filter(|&piece| bit(bits, piece)) {
                    self.heard.put(piece, pieces);
                }
            }
            Word::HaveAll => (0..pieces).for_each(|piece| _ = self.heard.put(piece, pieces)),
            Word::AllowedFast(piece) => _ = self.allowed.insert(*piece),
            Word::Request(range) => {
                *self.to_answer.entry(*range).or_default() += 1;
                let servable = terms.data(*range).is_some() && self.told.has(range.piece);
                if self.fast() && !servable && self.words_said > 0 {
                    self.refused_now.push(*range);
                }
            }
            Word::Piece(piece, begin, data) => {
                let range = Range { piece: *piece, begin: *begin, length: data.len() as u32 };
                self.requests.remove(&range);
                self.vague.remove(&range);
                if self.answered(range) {
                    self.block_at = now;
                    self.overdue = false;
                    return true;
                }
                // BEP 6: "if a peer receives a piece that was never requested, the peer MUST close the connection."
                if self.fast() {
                    self.faulty(PeerFault::UnrequestedBlocks, format!("{range:?} was not asked for"));
                }
            }
            Word::Reject(range) => {
                // BEP 6: "every request is guaranteed to result in EXACTLY ONE response": of several requests for a block, those before
                // the last were taken back, and are answered first.
                if self.may_come.get(range).is_none_or(|&count| count < 2) {
                    self.free(*range);
                }
                self.answered(*range);
                self.reject_at = Some(now);
            }
            // It may be too many, too long, or malformed in its own way: whether that is the end is not looked for here.
            Word::Extended(id, _) if self.our_pex == Some(*id) => self.unsure = self.event,
            // BEP 54, under the number that we give it.
            Word::Extended(4, payload) => {
                let Ok(piece) = <[u8; 4]>::try_from(&payload[..]).map(u32::from_be_bytes) else { return false };
                if self.heard.has(piece) {
                    self.heard.take(piece);
                    self.lost_now.insert(piece);
                }
                if !self.fast() {
                    let all = self.requests.keys().chain(self.vague.keys());
                    let gone: Vec<Range> = all.filter(|range| range.piece == piece).copied().collect();
                    gone.into_iter().for_each(|range| self.free(range));
                }
            }
            Word::Extended(0, payload) => {
                let Ok(dict) = Value::read(payload) else {
                    // Whether that is the end depends on what of bencode is asked for.
                    self.unsure = self.event;
                    return false;
                };
                if let Some(reqq) = dict.get("reqq").and_then(Value::int).filter(|&reqq| reqq > 0) {
                    self.reqq = reqq.try_into().unwrap_or(usize::MAX);
                }
                if let Some(only) = dict.get("upload_only").and_then(Value::int) {
                    self.they_only_give = only != 0;
                }
                if let Some(Value::Dict(m)) = dict.get("m") {
                    for (name, id) in m {
                        self.extensions.insert(name.clone(), id.int().unwrap_or(0) as u8);
                    }
                }
            }
            _ => {}
        }
        false
    }

    fn free(&mut self, range: Range) {
        self.requests.remove(&range);
        self.vague.remove(&range);
        // Perhaps it is asked for in this event, before the peer says that.
        self.freed_now.insert(range);
    }

    /// Whether a block is asked for, or was at some moment of the `event`-th event.
    pub(super) fn is_asked_in(&self, event: u64, range: Range) -> bool {
        self.requests.contains_key(&range)
            || self.vague.contains_key(&range)
            || (self.event == event && self.freed_now.contains(&range))
    }

    /// What has to end the connection, whatever else it means.
    fn check(&mut self, word: &Word, pieces: u32) {
        let is_fast =
            matches!(word, Word::Suggest(_) | Word::HaveAll | Word::HaveNone | Word::Reject(_) | Word::AllowedFast(_));
        if is_fast && !self.fast() {
            return self.faulty(PeerFault::FastNotAgreed, brief(word));
        }
        let extended = self.their_reserved.is_some_and(|reserved| reserved[5] & 0x10 != 0);
        match word {
            Word::Other(0..=9 | 13..=17 | 20, _) => self.faulty(PeerFault::WrongMessageLength, brief(word)),
            Word::Bitfield(bits) => {
                let spare = (pieces..bits.len() as u32 * 8).any(|spare| bit(bits, spare));
                if bits.len() as u32 != pieces.div_ceil(8) || spare {
                    self.faulty(PeerFault::BadBitfield, brief(word));
                } else if self.pieces_known && self.heard.iter().any(|piece| !bit(bits, piece)) {
                    self.faulty(PeerFault::LateBitfield, brief(word));
                }
            }
            Word::HaveNone if self.pieces_known && self.heard.count() > 0 => {
                self.faulty(PeerFault::LateBitfield, brief(word));
            }
            Word::Have(piece) | Word::Suggest(piece) | Word::AllowedFast(piece) if *piece >= pieces => {
                self.faulty(PeerFault::PieceOutOfRange, brief(word));
            }
            Word::Extended(..) if !extended => self.faulty(PeerFault::ExtensionNotAgreed, brief(word)),
            // BEP 54 has one form, under the number that we give it.
            Word::Extended(4, payload) => match <[u8; 4]>::try_from(&payload[..]).map(u32::from_be_bytes) {
                Ok(piece) if piece >= pieces => self.faulty(PeerFault::PieceOutOfRange, brief(word)),
                Ok(_) => {}
                Err(_) => self.faulty(PeerFault::WrongMessageLength, brief(word)),
            },
            Word::Extended(0, payload) if payload.first() != Some(&b'd') => {
                self.faulty(PeerFault::BadExtendedHandshake, "no dictionary");
            }
            _ => {}
        }
    }

    fn answered(&mut self, range: Range) -> bool {
        match self.may_come.get_mut(&range) {
            Some(1) => self.may_come.remove(&range).is_some(),
            Some(count) => {
                *count -= 1;
                true
            }
            None => false,
        }
    }

    /// The session says these bytes, in answer to its `event`-th event. `awake` is the time without that by which the driver
    /// was late. What they are, or what is wrong with them.
    ///
    /// # Errors
    /// The breach.
    pub fn said(
        &mut self,
        (now, awake, event): (Time, Time, u64),
        bytes: &[u8],
        terms: &AllTerms,
        tally: &mut Tally,
    ) -> Result<Vec<Unit>, Breach> {
        let mut units = Vec::new();
        if self.off {
            return Ok(units);
        }
        self.begin(event);
        self.check_silence(awake, tally)?;
        self.spoke_at = awake;
        self.ours.feed(bytes);
        loop {
            let unit = match self.ours.take() {
                Ok(Some(unit)) => unit,
                Ok(None) => break,
                Err(wrong) => return Err(Oracle::Decodable.breach(wrong)),
            };
            match &unit {
                Unit::Handshake { info_hash, peer_id, reserved } => {
                    self.our_hash = Some(*info_hash);
                    self.our_reserved = *reserved;
                    self.our_id = Some(*peer_id);
                    self.torrent = terms.get(info_hash).cloned();
                    if self.torrent.is_none() {
                        // Added in a way that the world does not know.
                        self.off = true;
                        return Ok(Vec::new());
                    }
                }
                Unit::Word(word) => {
                    tally.judge(Oracle::Decodable, !matches!(word, Word::Other(..)), || {
                        format!("{} is not a message of the protocol", brief(word))
                    })?;
                    self.say(now, word, tally).map_err(|mut breach| {
                        breach.what = format!("{}: {}", breach.what, brief(word));
                        breach
                    })?;
                    self.words_said += 1;
                }
            }
            units.push(unit);
        }
        Ok(units)
    }

    /// Silence from us is two minutes at most.
    pub(super) fn check_silence(&self, awake: Time, tally: &mut Tally) -> Result<(), Breach> {
        let silence = awake.since(self.spoke_at);
        tally.judge(Oracle::KeepAlive, silence <= Duration::from_secs(120), || format!("silent for {silence:?}"))
    }

    /// The end of an event: what has to have been said in it.
    pub(super) fn end_event(&mut self, event: u64, tally: &mut Tally) -> Result<(), Breach> {
        if self.event != event || self.lost || self.off || self.fault.is_some() {
            return Ok(());
        }
        if self.fast() && std::mem::take(&mut self.choked_now) {
            let left =
                self.to_answer.iter().find(|(range, count)| **count > 0 && !self.our_fast.contains(&range.piece));
            tally.judge(Oracle::ChokeRejects, left.is_none(), || format!("choked, and {left:?} not rejected"))?;
        }
        for range in std::mem::take(&mut self.refused_now) {
            let left = self.to_answer.get(&range).copied().unwrap_or(0);
            tally
                .judge(Oracle::PiecesFirst, left == 0, || format!("{range:?} cannot be served and is not rejected"))?;
        }
        Ok(())
    }

    fn say(&mut self, now: Time, word: &Word, tally: &mut Tally) -> Result<(), Breach> {
        use Oracle::{AskSensibly, KeepAlive, PiecesFirst};
        let Some(torrent) = self.torrent.clone() else { return Err(PiecesFirst.breach("before the handshake")) };
        let mut require = |oracle: Oracle, holds: bool, wrong: &str| tally.judge(oracle, holds, || wrong.to_owned());
        let is_fast =
            matches!(word, Word::Suggest(_) | Word::HaveAll | Word::HaveNone | Word::Reject(_) | Word::AllowedFast(_));
        require(PiecesFirst, !is_fast || self.fast(), "a fast message to who has not agreed to it")?;
        let tells_pieces = matches!(word, Word::Bitfield(_) | Word::HaveAll | Word::HaveNone);
        require(PiecesFirst, !tells_pieces || self.words_said == 0, "not as the first message")?;
        require(PiecesFirst, tells_pieces || self.words_said > 0 || !self.fast(), "BEP 6 wants the pieces first")?;
        let pieces = torrent.pieces();
        match word {
            Word::KeepAlive => {
                let often = self.keep_alive_at.is_some_and(|last| now.since(last) < Duration::from_secs(60));
                require(KeepAlive, !often, "twice in a minute")?;
                self.keep_alive_at = Some(now);
            }
            Word::Choke => {
                require(PiecesFirst, !self.choking, "choked already")?;
                self.choking = true;
                self.choked_now = true;
                if !self.fast() {
                    self.to_answer.clear();
                }
            }
            Word::Unchoke => {
                require(PiecesFirst, self.choking, "unchoked already")?;
                self.choking = false;
            }
            Word::Interested => {
                require(Oracle::InterestTrue, !self.interested, "said already")?;
                self.interested = true;
            }
            Word::NotInterested => {
                require(Oracle::InterestTrue, self.interested, "said already")?;
                self.interested = false;
            }
            Word::Have(piece) => {
                require(PiecesFirst, *piece < pieces, "no such piece")?;
                self.told.put(*piece, pieces);
            }
            Word::Bitfield(bits) => {
                require(PiecesFirst, bits.len() as u32 == pieces.div_ceil(8), "of a wrong length")?;
                let spare = (pieces..bits.len() as u32 * 8).any(|spare| bit(bits, spare));
                require(PiecesFirst, !spare, "spare bits are set")?;
                for piece in (0..pieces).filter(|&piece| bit(bits, piece)) {
                    self.told.put(piece, pieces);
                }
            }
            Word::HaveAll => (0..pieces).for_each(|piece| _ = self.told.put(piece, pieces)),
            Word::HaveNone => {}
            Word::Request(range) => return self.requests_block(now, &torrent, *range, tally),
            Word::Cancel(range) => {
                require(AskSensibly, self.ever_requested.contains(range), "of what was never requested")?;
                self.requests.remove(range);
                self.vague.remove(range);
            }
            Word::Piece(piece, begin, data) => {
                let range = Range { piece: *piece, begin: *begin, length: data.len() as u32 };
                require(PiecesFirst, self.answer(range), "it was not asked for, or answered before")?;
                let served = !self.choking || self.our_fast.contains(piece);
                require(Oracle::ChokeRejects, served, "while we choke it")?;
                let right = !self.check_data || torrent.data(range) == Some(&data[..]);
                require(Oracle::ServeRight, right, "other bytes than the torrent's")?;
                require(Oracle::ServeRight, self.told.has(*piece), "of a piece that we did not claim")?;
                self.sent += data.len() as u64;
            }
            Word::Reject(range) => {
                require(PiecesFirst, self.answer(*range), "it was not asked for, or answered before")?;
            }
            Word::Suggest(piece) => {
                require(Oracle::ServeRight, self.told.has(*piece), "of a piece that we did not claim")?;
                // BEP 6: "you might like to download this piece".
                require(PiecesFirst, !self.heard.has(*piece), "of a piece that the peer has")?;
                require(PiecesFirst, !self.choking, "to a peer that cannot ask for it")?;
            }
            Word::AllowedFast(piece) => {
                require(PiecesFirst, *piece < pieces, "no such piece")?;
                self.our_fast.insert(*piece);
            }
            Word::Extended(id, payload) => return self.extends(*id, payload, tally),
            Word::Port(port) => {
                let theirs = self.their_reserved.is_some_and(|theirs| theirs[7] & 1 != 0);
                let agreed = self.our_reserved[7] & 1 != 0 && theirs;
                let once = !core::mem::replace(&mut self.port_said, true);
                require(PiecesFirst, agreed && once && *port > 0, "not agreed on, or told before")?;
            }
            Word::Other(..) => {}
        }
        Ok(())
    }

    fn requests_block(&mut self, now: Time, torrent: &Terms, range: Range, tally: &mut Tally) -> Result<(), Breach> {
        let whole = torrent.length_of(range.piece).saturating_sub(range.begin).min(BLOCK);
        tally.judge(Oracle::AskSensibly, torrent.data(range).is_some(), || "outside the torrent")?;
        let is_block = range.begin.is_multiple_of(BLOCK) && range.length == whole && whole > 0;
        tally.judge(Oracle::AskSensibly, is_block, || "not a block")?;
        if self.lost {
            return Ok(());
        }
        // BEP 6: "The receiver MUST NOT interpret an Allowed Fast message as meaning that the message sender has the piece."
        let has = self.heard.has(range.piece) || self.lost_now.contains(&range.piece);
        let oracle = if self.allowed.contains(&range.piece) { Oracle::AllowedIsNotHad } else { Oracle::AskSensibly };
        tally.judge(oracle, has, || "the peer does not have it")?;
        let served = self.was_unchoked || !self.choked || self.allowed.contains(&range.piece);
        tally.judge(Oracle::AskUnchoked, served, || "while it chokes us")?;
        // One that was passed over for a minute is given up alone; all of them, when no block came in that minute.
        self.overdue |= self.is_stale(now);
        self.requests.retain(|_, &mut at| now.since(at) < REQUEST_LIFE);
        if self.overdue && now.since(self.block_at) >= REQUEST_LIFE {
            // Perhaps: a session counts the minute from what it has asked for first, too. What is asked for from now on stands.
            self.vague.append(&mut self.requests);
            self.overdue = false;
        }
        tally.judge(Oracle::AskOnce, self.was_choked || !self.requests.contains_key(&range), || "twice of one peer")?;
        self.vague.retain(|other, &mut at| now.since(at) < REQUEST_LIFE && *other != range);
        // What the peer says that gives requests up may come before it is asked for, or after.
        let given_up = self.was_choked || self.lost_now.contains(&range.piece) || self.freed_now.contains(&range);
        let all = if given_up { &mut self.vague } else { &mut self.requests };
        all.insert(range, now);
        self.ever_requested.insert(range);
        *self.may_come.entry(range).or_default() += 1;
        let (under_way, most) = (self.requests.len(), self.reqq.min(self.depth));
        tally.judge(Oracle::AskWithinDepth, under_way <= most, || format!("{under_way} under way, of {most}"))
    }

    fn answer(&mut self, range: Range) -> bool {
        if self.lost {
            return true;
        }
        match self.to_answer.get_mut(&range) {
            Some(1) => self.to_answer.remove(&range).is_some(),
            Some(count @ 2..) => {
                *count -= 1;
                true
            }
            _ => false,
        }
    }

    fn extends(&mut self, id: u8, payload: &[u8], tally: &mut Tally) -> Result<(), Breach> {
        let agreed = self.their_reserved.is_some_and(|reserved| reserved[5] & 0x10 != 0);
        tally.judge(Oracle::TheirNumbers, agreed, || "not agreed on")?;
        if id == 0 {
            let dict = Value::read(payload).map_err(|wrong| Oracle::Decodable.breach(wrong))?;
            tally.judge(Oracle::Decodable, matches!(dict, Value::Dict(_)), || "no dictionary")?;
            self.introduced = true;
            let pex = dict.get("m").and_then(|m| m.get("ut_pex")).and_then(Value::int);
            if let Some(pex) = pex.and_then(|id| u8::try_from(id).ok()) {
                self.our_pex = (pex != 0).then_some(pex);
            }
            return Ok(());
        }
        tally.judge(Oracle::TheirNumbers, self.introduced, || "before the extended handshake")?;
        let given = self.lost || self.extensions.values().any(|&theirs| theirs == id);
        tally.judge(Oracle::TheirNumbers, given, || "the peer gave no such number")
    }
}

/// A bit of a bitfield as it is on the wire.
pub(super) fn bit(bits: &[u8], at: u32) -> bool {
    bits.get(at as usize / 8).is_some_and(|byte| byte & (0x80 >> (at % 8)) != 0)
}

/// A message without its data.
fn brief(word: &Word) -> String {
    match word {
        Word::Piece(piece, begin, data) => format!("Piece({piece}, {begin}, {} bytes)", data.len()),
        Word::Bitfield(bits) => format!("Bitfield({} bytes)", bits.len()),
        Word::Other(id, body) => format!("message {id} of {} bytes", body.len()),
        other => format!("{other:?}"),
    }
}
