//! A scripted peer: it does what an honest one does, save where its tricks do otherwise.

use super::trick::{Me, Step, Then, Trick};
use crate::content::Content;
use crate::second::{Decoder, Range, Unit, Word};
use crate::world::{Desk, LinkId, Stranger};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A block, the usual one.
pub const BLOCK: u32 = 16 * 1024;

/// A peer by script. Without tricks it is an honest one.
///
/// It dials whom it is told to ([`Peer::dials`]), or waits at its address for whoever comes. Tricks are asked in the order in
/// which they were added; see [`Trick`] for what they can change.
#[derive(Debug)]
pub struct Peer {
    content: Arc<Content>,
    seeds: bool,
    fast: bool,
    tricks: Vec<Box<dyn Trick>>,
    targets: Vec<SocketAddr>,
    redial: Option<Duration>,
    talks: BTreeMap<LinkId, Talk>,
    /// Whom each link of its own goes to.
    dialled: BTreeMap<LinkId, SocketAddr>,
    /// Whom to dial again, in turn.
    again: VecDeque<SocketAddr>,
    /// Content that it was given, in bytes; the same block twice counts twice.
    pub taken: u64,
    /// Requests that it heard.
    pub asked: u64,
    /// Blocks that it sent for requests, right or wrong.
    pub served: u64,
    /// Handshakes that it heard.
    pub greeted: u64,
    /// How often it was unchoked.
    pub unchoked: u64,
    /// Extended messages that it heard, the handshake not counted.
    pub extended: u64,
    /// What came that the second decoder cannot read.
    pub nonsense: Vec<String>,
}

/// Where the conversation on one link stands.
#[derive(Debug)]
pub struct Talk {
    decoder: Decoder,
    /// Whether the other side's handshake has come.
    pub greeted: bool,
    /// Whether both sides speak the fast extension.
    pub fast: bool,
    /// Whether we choke it.
    pub choking: bool,
    /// Whether it chokes us.
    pub choked: bool,
    /// The pieces that it says it has.
    pub have: BTreeSet<u32>,
    /// What we asked for and did not get.
    pub asked: BTreeSet<Range>,
    /// What we got.
    pub got: BTreeSet<Range>,
}

/// The token by which [`Stranger::woken`] knows that somebody is to be dialled.
const DIAL: u64 = u64::MAX;
/// Tricks a peer can have; the number behind the last stands for the keep-alive.
const MAX_TRICKS: u64 = 64;
/// How often an honest peer says that it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(100);

impl Peer {
    /// A peer that has everything and serves everybody.
    pub fn seed(content: &Arc<Content>) -> Peer {
        Peer {
            content: content.clone(),
            seeds: true,
            fast: true,
            tricks: Vec::new(),
            targets: Vec::new(),
            redial: None,
            talks: BTreeMap::new(),
            dialled: BTreeMap::new(),
            again: VecDeque::new(),
            taken: 0,
            asked: 0,
            served: 0,
            greeted: 0,
            unchoked: 0,
            extended: 0,
            nonsense: Vec::new(),
        }
    }

    /// A peer that has nothing, asks for everything, and serves nobody.
    pub fn leech(content: &Arc<Content>) -> Peer {
        Peer { seeds: false, ..Peer::seed(content) }
    }

    /// Adds a trick.
    pub fn with(mut self, trick: impl Trick + 'static) -> Peer {
        self.tricks.push(Box::new(trick));
        assert!(self.tricks.len() < MAX_TRICKS as usize);
        self
    }

    /// Without the fast extension.
    pub fn slow(mut self) -> Peer {
        self.fast = false;
        self
    }

    /// Dials this address at the start, `times` times at once: that many ids at one address.
    pub fn dials(mut self, to: SocketAddr, times: usize) -> Peer {
        self.targets.extend(std::iter::repeat_n(to, times));
        self
    }

    /// Dials again so long after a connection that it had dialled is gone, with a new id.
    pub fn comes_back(mut self, after: Duration) -> Peer {
        self.redial = Some(after);
        self
    }

    /// Lets every trick do something, then carries out what they ask for.
    fn with_tricks<R>(
        &mut self,
        desk: &mut Desk<'_>,
        link: LinkId,
        call: impl FnOnce(&mut [Box<dyn Trick>], &mut Me<'_>) -> R,
    ) -> Option<R> {
        let mut talk = self.talks.remove(&link)?;
        let mut tricks = std::mem::take(&mut self.tricks);
        let mut me =
            Me { now: desk.now, rng: desk.rng, content: &self.content, link, talk: &mut talk, steps: Vec::new() };
        let result = call(&mut tricks, &mut me);
        // Each word goes through every trick's hands; what those add goes out as it is.
        let mut steps = VecDeque::from(std::mem::take(&mut me.steps));
        let mut done = Vec::new();
        while let Some(step) = steps.pop_front() {
            match step {
                Step::Word(word) => {
                    match word {
                        Word::Choke => me.talk.choking = true,
                        Word::Unchoke => me.talk.choking = false,
                        _ => {}
                    }
                    let mut bytes = word.bytes();
                    for trick in &mut tricks {
                        trick.sending(&mut me, &mut bytes);
                    }
                    done.push(Step::Raw(bytes));
                    done.append(&mut me.steps);
                }
                other => done.push(other),
            }
        }
        self.tricks = tricks;
        self.talks.insert(link, talk);
        for step in done {
            match step {
                Step::Raw(bytes) => desk.send(link, bytes),
                Step::Read(reading) => desk.read(link, reading),
                Step::Close(in_order) => {
                    if in_order {
                        desk.close(link)
                    } else {
                        desk.reset(link)
                    }
                    self.gone(desk, link);
                }
                Step::Word(_) => unreachable!("every word was turned into bytes"),
            }
        }
        Some(result)
    }

    fn gone(&mut self, desk: &mut Desk<'_>, link: LinkId) {
        self.talks.remove(&link);
        if let (Some(to), Some(after)) = (self.dialled.remove(&link), self.redial) {
            self.again.push_back(to);
            desk.wake(after, DIAL);
        }
    }

    fn heard(&mut self, desk: &mut Desk<'_>, link: LinkId, unit: Unit) {
        match unit {
            Unit::Handshake { reserved, .. } => {
                self.greeted += 1;
                let fast = self.fast && reserved[7] & 4 != 0;
                let (seeds, pieces) = (self.seeds, self.content.pieces());
                self.with_tricks(desk, link, |tricks, me| {
                    me.talk.greeted = true;
                    me.talk.fast = fast;
                    let mut words = Vec::new();
                    words.push(match (fast, seeds) {
                        (true, true) => Word::HaveAll,
                        (true, false) => Word::HaveNone,
                        (false, true) => Word::Bitfield(bitfield(pieces, |_| true)),
                        (false, false) => Word::Bitfield(bitfield(pieces, |_| false)),
                    });
                    words.push(Word::Extended(0, b"d1:mde4:reqqi250e1:v8:scriptede".to_vec()));
                    words.push(if seeds { Word::Unchoke } else { Word::Interested });
                    for trick in tricks {
                        trick.first(me, &mut words);
                    }
                    words.into_iter().for_each(|word| me.say(word));
                });
            }
            Unit::Word(word) => {
                self.count(&word);
                let (content, seeds) = (self.content.clone(), self.seeds);
                self.with_tricks(desk, link, |tricks, me| {
                    note(me.talk, &word, content.pieces());
                    for trick in &mut *tricks {
                        if trick.heard(me, &word) == Then::Nothing {
                            return;
                        }
                    }
                    match word {
                        Word::Request(range) if !me.talk.choking => {
                            let mut answers: Vec<Word> = content.block(range).into_iter().collect();
                            for trick in tricks {
                                trick.block(me, range, &mut answers);
                            }
                            answers.into_iter().for_each(|word| me.say(word));
                        }
                        Word::Request(range) if me.talk.fast => me.say(Word::Reject(range)),
                        _ if !seeds => me.ask_on(),
                        _ => {}
                    }
                });
            }
        }
    }

    fn count(&mut self, word: &Word) {
        match word {
            Word::Request(_) => self.asked += 1,
            Word::Piece(_, _, data) => self.taken += data.len() as u64,
            Word::Unchoke => self.unchoked += 1,
            Word::Extended(1.., _) => self.extended += 1,
            _ => {}
        }
    }
}

/// Takes down what a message says of where the conversation stands.
fn note(talk: &mut Talk, word: &Word, pieces: u32) {
    match word {
        Word::Choke => {
            talk.choked = true;
            if !talk.fast {
                talk.asked.clear();
            }
        }
        Word::Unchoke => talk.choked = false,
        Word::HaveAll => talk.have.extend(0..pieces),
        Word::Have(piece) => _ = talk.have.insert(*piece),
        Word::Bitfield(bits) => {
            let has = |piece: &u32| bits.get(*piece as usize / 8).is_some_and(|byte| byte & (0x80 >> (piece % 8)) != 0);
            talk.have.extend((0..pieces).filter(has));
        }
        Word::Piece(piece, begin, data) => {
            let range = Range { piece: *piece, begin: *begin, length: data.len() as u32 };
            talk.asked.remove(&range);
            talk.got.insert(range);
        }
        Word::Reject(range) => _ = talk.asked.remove(range),
        _ => {}
    }
}

/// A bitfield of so many pieces.
pub fn bitfield(pieces: u32, has: impl Fn(u32) -> bool) -> Vec<u8> {
    let mut bits = vec![0; pieces.div_ceil(8) as usize];
    for piece in (0..pieces).filter(|&piece| has(piece)) {
        bits[piece as usize / 8] |= 0x80 >> (piece % 8);
    }
    bits
}

impl Stranger for Peer {
    fn start(&mut self, desk: &mut Desk<'_>) {
        for to in self.targets.clone() {
            let link = desk.dial(to);
            self.dialled.insert(link, to);
        }
    }

    fn opened(&mut self, desk: &mut Desk<'_>, link: LinkId, _dialled: bool) {
        let talk = Talk {
            decoder: Decoder::default(),
            greeted: false,
            fast: false,
            choking: true,
            choked: true,
            have: BTreeSet::new(),
            asked: BTreeSet::new(),
            got: BTreeSet::new(),
        };
        self.talks.insert(link, talk);
        let mut greeting = b"\x13BitTorrent protocol".to_vec();
        greeting.extend_from_slice(&[0, 0, 0, 0, 0, 0x10, 0, if self.fast { 4 } else { 0 }]);
        greeting.extend_from_slice(&self.content.info_hash);
        greeting.extend_from_slice(b"-XX0000-");
        let mut id = [0; 12];
        desk.rng.fill(&mut id);
        greeting.extend_from_slice(&id);
        self.with_tricks(desk, link, |tricks, me| {
            for trick in tricks {
                trick.handshake(me, &mut greeting);
            }
            me.raw(greeting);
        });
        desk.wake(KEEP_ALIVE, link.0 * MAX_TRICKS + MAX_TRICKS - 1);
        let spans: Vec<Option<Duration>> = self.tricks.iter().map(|trick| trick.every()).collect();
        for (number, span) in spans.into_iter().enumerate() {
            if let Some(span) = span {
                desk.wake(span, link.0 * MAX_TRICKS + number as u64);
            }
        }
    }

    fn received(&mut self, desk: &mut Desk<'_>, link: LinkId, bytes: &[u8]) {
        let Some(talk) = self.talks.get_mut(&link) else { return };
        talk.decoder.feed(bytes);
        while let Some(talk) = self.talks.get_mut(&link) {
            match talk.decoder.take() {
                Ok(Some(unit)) => self.heard(desk, link, unit),
                Ok(None) => return,
                Err(nonsense) => {
                    self.nonsense.push(nonsense);
                    desk.reset(link);
                    return self.gone(desk, link);
                }
            }
        }
    }

    fn closed(&mut self, desk: &mut Desk<'_>, link: LinkId) {
        self.gone(desk, link);
    }

    fn woken(&mut self, desk: &mut Desk<'_>, token: u64) {
        if token == DIAL {
            if let Some(to) = self.again.pop_front() {
                let link = desk.dial(to);
                self.dialled.insert(link, to);
            }
            return;
        }
        let (link, number) = (LinkId(token / MAX_TRICKS), (token % MAX_TRICKS) as usize);
        if number as u64 == MAX_TRICKS - 1 {
            if self.with_tricks(desk, link, |_, me| me.say(Word::KeepAlive)).is_some() {
                desk.wake(KEEP_ALIVE, token);
            }
            return;
        }
        let alive = self.with_tricks(desk, link, |tricks, me| {
            tricks[number].tick(me);
            tricks[number].every()
        });
        if let (Some(Some(span)), true) = (alive, self.talks.contains_key(&link)) {
            desk.wake(span, token);
        }
    }
}
