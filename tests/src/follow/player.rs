//! Who plays a script to a session of ours.

use super::script::{Script, pieces_of};
use crate::content::Content;
use crate::second::{Decoder, Range, Unit, Word};
use crate::world::{Desk, LinkId, Stranger};
use bytes::BytesMut;
use parcacik_core::capture::Ending;
use parcacik_core::time::Time;
use parcacik_core::wire::{Handshake, Message};
use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A client of a capture, as its script has it. It talks on one connection at a time.
///
/// It serves what it says that it has, and takes what it has not. What it has got from ours counts on when a connection is gone.
#[derive(Debug)]
pub struct Player {
    content: Arc<Content>,
    script: Arc<Script>,
    /// Whom it dials.
    target: Option<SocketAddr>,
    talk: Option<Talk>,
    /// Pieces that it has: those that its script says, and those that it was given.
    pub pieces: BTreeSet<u32>,
    /// Ranges that it was given, each right.
    pub got: BTreeSet<Range>,
    /// Requests that it heard.
    pub asked: u64,
    /// Requests that it answered with a block.
    pub served: u64,
    /// Requests that it refused, because it choked.
    pub refused: u64,
    /// The most requests that it had under way.
    pub depth: usize,
    /// What it was not to be told: blocks that it had not asked for or that are wrong, and what the second decoder cannot read.
    pub nonsense: Vec<String>,
    /// Whether it has ended a connection as its script says.
    pub has_closed: bool,
}

/// Where the conversation stands.
#[derive(Debug)]
struct Talk {
    link: LinkId,
    decoder: Decoder,
    /// When both handshakes had come.
    greeted: Option<Time>,
    fast: bool,
    /// How many of [`Script::says`] it has said.
    said: usize,
    choking: bool,
    choked: bool,
    /// What the other side may ask for all the same.
    allowed: BTreeSet<u32>,
    /// The pieces that the other side has.
    theirs: BTreeSet<u32>,
    asked: BTreeSet<Range>,
    /// What it is going to answer, and when.
    answers: VecDeque<(Time, Range)>,
    closes: bool,
}

/// What [`Stranger::woken`] is told: what is due, on which link.
const SAY: u64 = 0;
const ANSWER: u64 = 1;
const CLOSE: u64 = 2;
const KINDS: u64 = 3;

impl Player {
    /// Who plays `script` with `content`, and dials `target` if the client dialled.
    pub fn new(content: &Arc<Content>, script: &Arc<Script>, target: SocketAddr) -> Player {
        Player {
            content: content.clone(),
            script: script.clone(),
            target: script.dials.then_some(target),
            talk: None,
            pieces: script.first_pieces(content.pieces()),
            got: BTreeSet::new(),
            asked: 0,
            served: 0,
            refused: 0,
            depth: 0,
            nonsense: Vec::new(),
            has_closed: false,
        }
    }

    /// Whether it has every piece.
    pub fn is_whole(&self) -> bool {
        self.pieces.len() == self.content.pieces() as usize
    }

    fn tell(desk: &mut Desk<'_>, link: LinkId, word: &Word) {
        desk.send(link, word.bytes());
    }

    /// Says what is due of the script, and asks to be woken for the next.
    fn say_on(&mut self, desk: &mut Desk<'_>) {
        let script = self.script.clone();
        let Some(talk) = &mut self.talk else { return };
        let Some(start) = talk.greeted else { return };
        while let Some((after, message)) = script.says.get(talk.said) {
            let due = start + *after;
            if due > desk.now {
                desk.wake(due.since(desk.now), talk.link.0 * KINDS + SAY);
                return;
            }
            talk.said += 1;
            match message {
                Message::Have(piece) if !self.pieces.insert(*piece) => continue,
                Message::Choke => talk.choking = true,
                Message::Unchoke => talk.choking = false,
                Message::AllowedFast(piece) => _ = talk.allowed.insert(*piece),
                _ => {}
            }
            let mut bytes = BytesMut::new();
            message.emit(&mut bytes);
            // Of what it has got since, it speaks when it comes again.
            if let Some(first) = pieces_of(message, self.content.pieces())
                && first != self.pieces
            {
                let pieces = &self.pieces;
                let bits = crate::hostile::bitfield(self.content.pieces(), |piece| pieces.contains(&piece));
                bytes = BytesMut::from(&Word::Bitfield(bits).bytes()[..]);
            }
            desk.send(talk.link, bytes.to_vec());
            if talk.choking {
                let (keep, drop): (VecDeque<_>, VecDeque<_>) =
                    talk.answers.drain(..).partition(|(_, range)| talk.allowed.contains(&range.piece));
                talk.answers = keep;
                for (_, range) in drop {
                    self.refused += 1;
                    if talk.fast {
                        Player::tell(desk, talk.link, &Word::Reject(range));
                    }
                }
            }
        }
    }

    /// Asks for what it has not, as deep as the client did.
    fn ask_on(&mut self, desk: &mut Desk<'_>) {
        let script = self.script.clone();
        let Some(talk) = &mut self.talk else { return };
        if talk.choked {
            return;
        }
        for &range in &script.asks {
            if talk.asked.len() >= script.depth.max(1) {
                break;
            }
            let wanted = !self.pieces.contains(&range.piece) && !self.got.contains(&range);
            if wanted && talk.theirs.contains(&range.piece) && talk.asked.insert(range) {
                Player::tell(desk, talk.link, &Word::Request(range));
            }
        }
        self.depth = self.depth.max(talk.asked.len());
    }

    fn heard(&mut self, desk: &mut Desk<'_>, word: Word) {
        let Some(talk) = &mut self.talk else { return };
        match word {
            Word::Choke => {
                talk.choked = true;
                if !talk.fast {
                    talk.asked.clear();
                }
            }
            Word::Unchoke => talk.choked = false,
            Word::Have(piece) => _ = talk.theirs.insert(piece),
            Word::HaveAll => talk.theirs.extend(0..self.content.pieces()),
            Word::Bitfield(bits) => {
                let pieces = pieces_of(&Message::Bitfield(bits.into()), self.content.pieces());
                talk.theirs.extend(pieces.unwrap_or_default());
            }
            Word::Reject(range) => _ = talk.asked.remove(&range),
            Word::Request(range) => self.asked_for(desk, range),
            Word::Cancel(range) => {
                let before = talk.answers.len();
                talk.answers.retain(|(_, answer)| *answer != range);
                if talk.fast && talk.answers.len() < before {
                    self.refused += 1;
                    Player::tell(desk, talk.link, &Word::Reject(range));
                }
            }
            Word::Piece(piece, begin, data) => self.given(desk, piece, begin, &data),
            _ => {}
        }
        self.ask_on(desk);
        self.close_when_done(desk);
    }

    /// Answers a request: as late as the client answered one of those that it got, and not before those that came earlier.
    fn asked_for(&mut self, desk: &mut Desk<'_>, range: Range) {
        self.asked += 1;
        let Some(talk) = &mut self.talk else { return };
        if !self.pieces.contains(&range.piece) {
            return self.nonsense.push(format!("{range:?} is asked for, which nobody said was here"));
        }
        if talk.choking && !talk.allowed.contains(&range.piece) {
            self.refused += 1;
            if talk.fast {
                Player::tell(desk, talk.link, &Word::Reject(range));
            }
            return;
        }
        let known = &self.script.latencies;
        let latency = if known.is_empty() { Duration::ZERO } else { known[desk.rng.index(known.len())] };
        let due = talk.answers.back().map_or(desk.now, |&(last, _)| last).max(desk.now + latency);
        talk.answers.push_back((due, range));
        desk.wake(due.since(desk.now), talk.link.0 * KINDS + ANSWER);
    }

    fn answer(&mut self, desk: &mut Desk<'_>) {
        let Some(talk) = &mut self.talk else { return };
        while let Some(&(_, range)) = talk.answers.front().filter(|(due, _)| *due <= desk.now) {
            talk.answers.pop_front();
            match self.content.block(range) {
                Some(block) => {
                    self.served += 1;
                    Player::tell(desk, talk.link, &block);
                }
                None => self.nonsense.push(format!("{range:?} is asked for, which is nowhere")),
            }
        }
        self.close_when_done(desk);
    }

    /// A block came.
    fn given(&mut self, desk: &mut Desk<'_>, piece: u32, begin: u32, data: &[u8]) {
        let range = Range { piece, begin, length: data.len() as u32 };
        let Some(talk) = &mut self.talk else { return };
        let right = self.content.block(range) == Some(Word::Piece(piece, begin, data.to_vec()));
        if !talk.asked.remove(&range) || !right {
            return self.nonsense.push(format!("{range:?}, which is wrong or was not asked for"));
        }
        self.got.insert(range);
        let got = &self.got;
        let is_whole = self.script.asks.iter().filter(|ask| ask.piece == piece).all(|ask| got.contains(ask));
        if is_whole && self.pieces.insert(piece) {
            Player::tell(desk, talk.link, &Word::Have(piece));
            if self.pieces.len() == self.content.pieces() as usize {
                Player::tell(desk, talk.link, &Word::NotInterested);
            }
        }
    }

    /// Ends the connection as the client did, once there is nothing left to give or to take.
    fn close_when_done(&mut self, desk: &mut Desk<'_>) {
        let pieces = self.content.pieces() as usize;
        let is_whole = self.is_whole();
        let Some(talk) = &mut self.talk else { return };
        if let Some(close) = self.script.close
            && is_whole
            && talk.theirs.len() == pieces
            && !std::mem::replace(&mut talk.closes, true)
        {
            desk.wake(close.after, talk.link.0 * KINDS + CLOSE);
        }
    }
}

impl Stranger for Player {
    fn start(&mut self, desk: &mut Desk<'_>) {
        if let Some(to) = self.target {
            desk.dial(to);
        }
    }

    fn opened(&mut self, desk: &mut Desk<'_>, link: LinkId, _dialled: bool) {
        let handshake =
            Handshake { info_hash: parcacik_core::border::InfoHash(self.content.info_hash), ..self.script.handshake };
        desk.send(link, handshake.emit().to_vec());
        self.talk = Some(Talk {
            link,
            decoder: Decoder::default(),
            greeted: None,
            fast: false,
            said: 0,
            choking: true,
            choked: true,
            allowed: BTreeSet::new(),
            theirs: BTreeSet::new(),
            asked: BTreeSet::new(),
            answers: VecDeque::new(),
            closes: false,
        });
    }

    fn received(&mut self, desk: &mut Desk<'_>, link: LinkId, bytes: &[u8]) {
        if let Some(talk) = self.talk.as_mut().filter(|talk| talk.link == link) {
            talk.decoder.feed(bytes);
        }
        while let Some(talk) = self.talk.as_mut().filter(|talk| talk.link == link) {
            match talk.decoder.take() {
                Ok(Some(Unit::Handshake { reserved, .. })) => {
                    talk.greeted = Some(desk.now);
                    talk.fast = self.script.handshake.reserved.fast() && reserved[7] & 4 != 0;
                    self.say_on(desk);
                }
                Ok(Some(Unit::Word(word))) => self.heard(desk, word),
                Ok(None) => return,
                Err(nonsense) => {
                    self.nonsense.push(nonsense);
                    self.talk = None;
                    desk.reset(link);
                }
            }
        }
    }

    fn closed(&mut self, _desk: &mut Desk<'_>, link: LinkId) {
        self.talk.take_if(|talk| talk.link == link);
    }

    fn woken(&mut self, desk: &mut Desk<'_>, token: u64) {
        let Some(talk) = &self.talk else { return };
        if talk.link.0 != token / KINDS {
            return;
        }
        match (token % KINDS, self.script.close) {
            (SAY, _) => self.say_on(desk),
            (ANSWER, _) => self.answer(desk),
            (CLOSE, Some(close)) => {
                let link = talk.link;
                match close.ending {
                    Ending::Closed => desk.close(link),
                    Ending::Reset => desk.reset(link),
                }
                self.talk = None;
                self.has_closed = true;
            }
            _ => {}
        }
    }
}
