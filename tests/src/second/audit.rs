//! The rules of the protocol, held against what a session says on one stream.
//!
//! It hears what the session hears, at the moment when the session is told, so that nothing has to be guessed about what
//! was on its way. Numbers in brackets are the oracles of the project's list of what has to hold.

use super::Value;
use super::words::{Decoder, Range, Unit, Word};
use parcacik_core::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The torrent of a conversation.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Its content.
    pub bytes: Arc<Vec<u8>>,
    /// Bytes of each piece but the last.
    pub piece_length: u32,
}

impl Terms {
    /// How many pieces there are.
    pub fn pieces(&self) -> u32 {
        self.bytes.len().div_ceil(self.piece_length as usize) as u32
    }

    /// The length of a piece; 0 behind the last.
    pub fn length_of(&self, piece: u32) -> u32 {
        let start = u64::from(piece) * u64::from(self.piece_length);
        (self.bytes.len() as u64).saturating_sub(start).min(self.piece_length.into()) as u32
    }

    /// The bytes of a range; `None` outside of the torrent.
    pub fn data(&self, range: Range) -> Option<&[u8]> {
        let end = range.begin.checked_add(range.length)?;
        if range.piece >= self.pieces() || end > self.length_of(range.piece) {
            return None;
        }
        let start = range.piece as usize * self.piece_length as usize + range.begin as usize;
        self.bytes.get(start..start + range.length as usize)
    }
}

/// How long an unanswered request counts as under way. A session gives one up after a minute.
const REQUEST_LIFE: Duration = Duration::from_secs(60);
/// What a peer queues when it does not say: BEP 10, "The default in in libtorrent is 250."
const DEFAULT_REQQ: usize = 250;
const BLOCK: u32 = 16 * 1024;

/// A request that is under way.
#[derive(Clone, Copy, Debug)]
struct Asked {
    at: Time,
    /// Whether the session may have given it up without a word: because it was said before a choke of the same event (what is said is heard only
    /// when the whole event is over, and nobody sees behind which word of the peer a request belongs), or with all others of a silent peer.
    doubtful: bool,
}

/// The judge of one stream.
#[derive(Clone, Debug)]
pub struct Audit {
    terms: Arc<BTreeMap<[u8; 20], Terms>>,
    torrent: Option<Terms>,
    ours: Decoder,
    theirs: Decoder,
    /// What the peer says cannot be followed any more.
    lost: bool,
    their_reserved: Option<[u8; 8]>,
    our_reserved: [u8; 8],
    /// Whether the port of our node has been told.
    port_said: bool,
    words_said: u32,
    /// What we have told that we have.
    told: BTreeSet<u32>,
    /// What the peer has told that it has.
    heard: BTreeSet<u32>,
    /// What it has told in the event that is being handled that it has no more: it may have been asked for just before that.
    just_lost: BTreeSet<u32>,
    /// The number that we gave to lt_donthave (BEP 54).
    our_dont_have: Option<u8>,
    choking: bool,
    interested: bool,
    choked: bool,
    /// It did not choke us at some moment of the event that is being handled, and which that is.
    was_unchoked: bool,
    event: u64,
    /// It has choked us in the event that is being handled: what was asked for before that may be asked for again after it.
    was_choked: bool,
    /// Whether what we serve is compared with the torrent: not when the disk is known to be bad.
    pub check_data: bool,
    /// Nothing is known of the torrent.
    off: bool,
    allowed: BTreeSet<u32>,
    our_fast: BTreeSet<u32>,
    /// What was asked for and is not answered.
    requests: BTreeMap<Range, Asked>,
    /// Requested once, and not answered as far as we know.
    ever_requested: BTreeSet<Range>,
    to_answer: BTreeMap<Range, u32>,
    /// When the peer last sent a block.
    block_at: Time,
    reqq: usize,
    /// The numbers that the peer gave to extensions.
    extensions: BTreeMap<Vec<u8>, u8>,
    introduced: bool,
    spoke_at: Time,
    keep_alive_at: Option<Time>,
    /// Content that we sent, in bytes.
    pub sent: u64,
}

impl Audit {
    /// A new stream. `terms`: the torrents that may be talked about, by info-hash.
    pub fn new(now: Time, terms: Arc<BTreeMap<[u8; 20], Terms>>) -> Audit {
        Audit {
            terms,
            torrent: None,
            ours: Decoder::default(),
            theirs: Decoder::default(),
            lost: false,
            their_reserved: None,
            our_reserved: [0; 8],
            port_said: false,
            words_said: 0,
            told: BTreeSet::new(),
            heard: BTreeSet::new(),
            just_lost: BTreeSet::new(),
            our_dont_have: None,
            choking: true,
            interested: false,
            choked: true,
            was_unchoked: false,
            event: 0,
            was_choked: false,
            check_data: true,
            off: false,
            allowed: BTreeSet::new(),
            our_fast: BTreeSet::new(),
            requests: BTreeMap::new(),
            ever_requested: BTreeSet::new(),
            to_answer: BTreeMap::new(),
            block_at: Time::ZERO,
            reqq: DEFAULT_REQQ,
            extensions: BTreeMap::new(),
            introduced: false,
            spoke_at: now,
            keep_alive_at: None,
            sent: 0,
        }
    }

    fn fast(&self) -> bool {
        self.their_reserved.is_some_and(|reserved| reserved[7] & 0x04 != 0)
    }

    /// The session is told, as its `event`-th event, that these bytes came.
    pub fn heard(&mut self, now: Time, event: u64, bytes: &[u8]) {
        self.was_unchoked = !self.choked;
        self.was_choked = false;
        self.just_lost.clear();
        self.event = event;
        if self.lost || self.off {
            return;
        }
        self.age(now);
        self.theirs.feed(bytes);
        loop {
            match self.theirs.take() {
                Ok(Some(Unit::Handshake { reserved, .. })) => self.their_reserved = Some(reserved),
                Ok(Some(Unit::Word(word))) => self.hear(now, word),
                Ok(None) => return,
                Err(_) => {
                    self.lost = true;
                    return;
                }
            }
        }
    }

    fn hear(&mut self, now: Time, word: Word) {
        let pieces = self.torrent.as_ref().map_or(0, Terms::pieces);
        match word {
            Word::Choke => {
                self.choked = true;
                if !self.fast() {
                    self.was_choked = true;
                    self.requests.clear();
                }
            }
            Word::Unchoke => {
                self.choked = false;
                self.was_unchoked = true;
            }
            Word::Have(piece) => _ = self.heard.insert(piece),
            Word::Bitfield(bits) => {
                self.heard.extend((0..pieces).filter(|&piece| bit(&bits, piece)));
            }
            Word::HaveAll => self.heard.extend(0..pieces),
            Word::AllowedFast(piece) => _ = self.allowed.insert(piece),
            Word::Request(range) => *self.to_answer.entry(range).or_default() += 1,
            Word::Piece(piece, begin, data) => {
                let range = Range { piece, begin, length: data.len() as u32 };
                self.requests.remove(&range);
                self.block_at = now;
            }
            Word::Reject(range) => _ = self.requests.remove(&range),
            Word::Extended(0, payload) => {
                let Ok(dict) = Value::read(&payload) else { return };
                if let Some(reqq) = dict.get("reqq").and_then(Value::int).filter(|&reqq| reqq > 0) {
                    self.reqq = reqq.try_into().unwrap_or(usize::MAX);
                }
                if let Some(Value::Dict(m)) = dict.get("m") {
                    for (name, id) in m {
                        self.extensions.insert(name.clone(), id.int().unwrap_or(0) as u8);
                    }
                }
            }
            // BEP 54: a piece that the peer has no more.
            Word::Extended(id, payload) if self.our_dont_have == Some(id) => {
                let Ok(piece) = payload.as_slice().try_into().map(u32::from_be_bytes) else { return };
                if self.heard.remove(&piece) {
                    self.just_lost.insert(piece);
                }
            }
            _ => {}
        }
    }

    /// The session says these bytes, in answer to its `event`-th event. What is wrong with them, when something is.
    pub fn said(&mut self, now: Time, event: u64, bytes: &[u8]) -> Result<(), String> {
        if self.off {
            return Ok(());
        }
        self.was_unchoked &= self.event == event;
        self.was_choked &= self.event == event;
        if self.event != event {
            self.just_lost.clear();
        }
        // [19]: silence from us is two minutes at most.
        let silence = now.since(self.spoke_at);
        if silence > Duration::from_secs(120) {
            return Err(format!("silent for {silence:?}"));
        }
        self.spoke_at = now;
        self.age(now);
        self.ours.feed(bytes);
        // [21]
        while let Some(unit) = self.ours.take()? {
            match unit {
                Unit::Handshake { info_hash, reserved, .. } => {
                    self.our_reserved = reserved;
                    self.torrent = self.terms.get(&info_hash).cloned();
                    if self.torrent.is_none() {
                        // Added in a way that the world does not know.
                        self.off = true;
                        return Ok(());
                    }
                }
                Unit::Word(word) => {
                    let text = brief(&word);
                    self.say(now, word).map_err(|wrong| format!("{text}: {wrong}"))?;
                    self.words_said += 1;
                }
            }
        }
        Ok(())
    }

    fn say(&mut self, now: Time, word: Word) -> Result<(), String> {
        let torrent = self.torrent.clone().ok_or("before the handshake")?;
        let is_fast =
            matches!(word, Word::Suggest(_) | Word::HaveAll | Word::HaveNone | Word::Reject(_) | Word::AllowedFast(_));
        require(!is_fast || self.fast(), "a fast message to who has not agreed to it")?;
        // [15]: exactly one, and first.
        let tells_pieces = matches!(word, Word::Bitfield(_) | Word::HaveAll | Word::HaveNone);
        require(!tells_pieces || self.words_said == 0, "not as the first message")?;
        require(tells_pieces || self.words_said > 0 || !self.fast(), "BEP 6 wants the pieces first")?;
        let pieces = torrent.pieces();
        match word {
            Word::KeepAlive => {
                let often = self.keep_alive_at.is_some_and(|last| now.since(last) < Duration::from_secs(60));
                require(!often, "twice in a minute")?;
                self.keep_alive_at = Some(now);
            }
            Word::Choke => {
                require(!self.choking, "choked already")?;
                self.choking = true;
                if !self.fast() {
                    self.to_answer.clear();
                }
            }
            Word::Unchoke => {
                require(self.choking, "unchoked already")?;
                self.choking = false;
            }
            Word::Interested => {
                require(!self.interested, "said already")?;
                self.interested = true;
            }
            Word::NotInterested => {
                require(self.interested, "said already")?;
                self.interested = false;
            }
            Word::Have(piece) => {
                require(piece < pieces, "no such piece")?;
                self.told.insert(piece);
            }
            Word::Bitfield(bits) => {
                require(bits.len() as u32 == pieces.div_ceil(8), "of a wrong length")?;
                require((pieces..bits.len() as u32 * 8).all(|spare| !bit(&bits, spare)), "spare bits are set")?;
                self.told.extend((0..pieces).filter(|&piece| bit(&bits, piece)));
            }
            Word::HaveAll => self.told.extend(0..pieces),
            Word::HaveNone => {}
            Word::Request(range) => self.requests_block(now, &torrent, range)?,
            Word::Cancel(range) => {
                require(self.ever_requested.contains(&range), "of what was never requested")?;
                self.requests.remove(&range);
            }
            Word::Piece(piece, begin, data) => {
                let range = Range { piece, begin, length: data.len() as u32 };
                // [15], [22] from our side: one answer to each request, and none without.
                self.answer(range)?;
                // [16]
                require(!self.choking || self.our_fast.contains(&piece), "while we choke it")?;
                // [7]
                require(!self.check_data || torrent.data(range) == Some(&data[..]), "other bytes than the torrent's")?;
                require(self.told.contains(&piece), "of a piece that we did not claim")?;
                self.sent += data.len() as u64;
            }
            Word::Reject(range) => self.answer(range)?,
            Word::Suggest(piece) => {
                require(self.told.contains(&piece), "of a piece that we did not claim")?;
                // BEP 6: "you might like to download this piece".
                require(!self.heard.contains(&piece), "of a piece that the peer has")?;
                require(!self.choking, "to a peer that cannot ask for it")?;
            }
            Word::AllowedFast(piece) => {
                require(piece < pieces, "no such piece")?;
                self.our_fast.insert(piece);
            }
            Word::Extended(id, payload) => self.extends(id, &payload)?,
            // BEP 5: to a peer whose handshake indicates "the remote peer supports the DHT".
            Word::Port(port) => {
                let agreed =
                    self.our_reserved[7] & 1 != 0 && self.their_reserved.is_some_and(|theirs| theirs[7] & 1 != 0);
                require(agreed, "not agreed on")?;
                require(port > 0 && !core::mem::replace(&mut self.port_said, true), "no port, or told before")?;
            }
            Word::Other(..) => return Err("not a message of the protocol".into()),
        }
        Ok(())
    }

    /// What has waited for a minute is given up. When no block came in that minute, so is all that was asked for by then, and nothing that is said
    /// shows it.
    fn age(&mut self, now: Time) {
        let is_old = |asked: &Asked| now.since(asked.at) >= REQUEST_LIFE;
        let oldest = self.requests.values().filter(|asked| is_old(asked)).map(|asked| asked.at).max();
        let Some(given_up) = oldest.map(|at| at + REQUEST_LIFE) else { return };
        let silent = given_up.since(self.block_at) >= REQUEST_LIFE;
        self.requests.retain(|_, asked| !is_old(asked));
        self.requests.values_mut().for_each(|asked| asked.doubtful |= silent);
    }

    fn requests_block(&mut self, now: Time, torrent: &Terms, range: Range) -> Result<(), String> {
        // [11]
        let whole = torrent.length_of(range.piece).saturating_sub(range.begin).min(BLOCK);
        require(torrent.data(range).is_some(), "outside the torrent")?;
        require(range.begin.is_multiple_of(BLOCK) && range.length == whole, "not a block")?;
        if self.lost {
            return Ok(());
        }
        // [24]: to be allowed a piece does not mean that the peer has it.
        let has = self.heard.contains(&range.piece) || self.just_lost.contains(&range.piece);
        require(has, "the peer does not have it")?;
        // [13]
        let served = self.was_unchoked || !self.choked || self.allowed.contains(&range.piece);
        require(served, "while it chokes us")?;
        // [14]
        require(self.requests.get(&range).is_none_or(|asked| asked.doubtful), "twice")?;
        self.requests.insert(range, Asked { at: now, doubtful: self.was_choked });
        self.ever_requested.insert(range);
        // [12]
        require(self.requests.values().filter(|asked| !asked.doubtful).count() <= self.reqq, "more than it queues")
    }

    fn answer(&mut self, range: Range) -> Result<(), String> {
        if self.lost {
            return Ok(());
        }
        match self.to_answer.get_mut(&range) {
            Some(count @ 1..) => *count -= 1,
            _ => return Err("it was not asked for, or answered before".into()),
        }
        Ok(())
    }

    fn extends(&mut self, id: u8, payload: &[u8]) -> Result<(), String> {
        require(self.their_reserved.is_some_and(|reserved| reserved[5] & 0x10 != 0), "not agreed on")?;
        if id == 0 {
            let dict = Value::read(payload)?;
            require(matches!(dict, Value::Dict(_)), "no dictionary")?;
            if let Some(number) = dict.get("m").and_then(|m| m.get("lt_donthave")).and_then(Value::int) {
                self.our_dont_have = u8::try_from(number).ok().filter(|&number| number > 0);
            }
            self.introduced = true;
            return Ok(());
        }
        require(self.introduced, "before the extended handshake")?;
        // [18]
        require(self.lost || self.extensions.values().any(|&theirs| theirs == id), "the peer gave no such number")
    }
}

fn bit(bits: &[u8], at: u32) -> bool {
    bits.get(at as usize / 8).is_some_and(|byte| byte & (0x80 >> (at % 8)) != 0)
}

fn require(holds: bool, wrong: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(wrong.to_owned()) }
}

/// A message without its data.
fn brief(word: &Word) -> String {
    match word {
        Word::Piece(piece, begin, data) => format!("Piece({piece}, {begin}, {} bytes)", data.len()),
        Word::Bitfield(bits) => format!("Bitfield({} bytes)", bits.len()),
        other => format!("{other:?}"),
    }
}
