//! What a peer says of its pieces while nobody here knows how many there are.
//!
//! A torrent that was added by a magnet link learns its sizes from its peers, and those tell at once which pieces they have.
//! It is kept as it came, and said again when the info dictionary is here, so that it is then judged by the same rules as ever.
//! Messages that name blocks make no sense before: we have nothing and ask for nothing.
//!
//! | message | is |
//! |---|---|
//! | `bitfield`, `have all`, `have none` | kept, if no other message about pieces came before; of bitfields that come later the last |
//! | `have` | kept, [`max_early_haves`](crate::border::MetadataConfig::max_early_haves) of them at most; what is over is forgotten, which costs no more than not to ask the peer for it |
//! | `suggest`, `allowed fast` | kept, as many as would be kept otherwise |
//! | `request` | counted as a bad one |
//! | `piece`, `reject` | counted as not asked for |
//! | `cancel` | of no effect |

use super::{PeerConn, PeerFacts};
use crate::bitfield::Bitfield;
use crate::border::PeerFault;
use crate::cx::Cx;
use crate::journal::canon::{Encoder, Put};
use crate::wire::Message;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};

/// What is kept of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Early {
    /// The first message about pieces, where it is one that names all.
    first: Option<Message>,
    /// A bitfield that came later: it is taken for many `have`s.
    late: Option<Bytes>,
    /// Whether there was a message about pieces.
    begun: bool,
    haves: BTreeSet<u32>,
    suggested: Vec<u32>,
    allowed: Vec<u32>,
}

impl Put for Early {
    fn put(&self, to: &mut Encoder<'_>) {
        let Early { first, late, begun, haves, suggested, allowed } = self;
        let mut said = BytesMut::new();
        if let Some(first) = first {
            first.emit(&mut said);
        }
        let parts: &[&dyn Put] = &[&said, late, begun, haves, suggested, allowed];
        parts.iter().for_each(|part| part.put(to));
    }
}

impl Early {
    /// The peer has a piece no more that it said it has got. One of its bitfield is asked for all the same, and rejected.
    pub(super) fn lost(&mut self, piece: u32) {
        self.haves.remove(&piece);
    }
}

impl PeerConn {
    /// A message about pieces, of which we do not know how many there are.
    pub(super) fn on_early(&mut self, cx: &mut Cx<'_>, message: Message) {
        let config = cx.config;
        let early = &mut self.early;
        let begun = core::mem::replace(&mut early.begun, true);
        let kept = match message {
            Message::HaveAll | Message::HaveNone if begun => false,
            // Copied: a message must not keep the buffer of its event.
            Message::Bitfield(bits) if begun => early.late.replace(Bytes::copy_from_slice(&bits)).is_none(),
            Message::Bitfield(bits) => {
                early.first = Some(Message::Bitfield(Bytes::copy_from_slice(&bits)));
                true
            }
            Message::HaveAll | Message::HaveNone => {
                early.first = Some(message);
                true
            }
            Message::Have(piece) => {
                early.haves.len() < config.metadata.max_early_haves as usize && early.haves.insert(piece)
            }
            Message::Suggest(piece) => keep(&mut early.suggested, piece, config.peer.max_suggested),
            Message::AllowedFast(piece) => keep(&mut early.allowed, piece, config.peer.max_allowed_fast),
            Message::Request(range) => return self.bad_request(cx, range),
            // BEP 6: "if a peer receives a piece that was never requested, the peer MUST close the connection."
            Message::Piece { .. } if self.fast => return self.fault(cx, PeerFault::UnrequestedBlocks),
            Message::Piece { .. } | Message::Reject(_) => return self.unrequested(cx),
            _ => false,
        };
        if !kept {
            self.useless(cx);
        }
    }

    /// The info dictionary is here: what the peer has said before is looked at, and it is told that it may ask us now (or not).
    pub(super) fn catch_up(&mut self, cx: &mut Cx<'_>, facts: &PeerFacts<'_>) {
        let Some(geometry) = facts.geometry else { return };
        let early = core::mem::take(&mut self.early);
        self.introduce_metadata(cx, facts);
        self.pieces = Bitfield::none(geometry.pieces());
        if !early.begun {
            return;
        }
        match early.first {
            Some(first) => self.on_message(cx, facts, first),
            None => self.on_pieces(cx, facts, geometry, Bitfield::none(geometry.pieces())),
        }
        let late = early.late.into_iter().map(Message::Bitfield);
        let haves = early.haves.into_iter().map(Message::Have);
        let suggested = early.suggested.into_iter().map(Message::Suggest);
        let allowed = early.allowed.into_iter().map(Message::AllowedFast);
        for message in late.chain(haves).chain(suggested).chain(allowed) {
            let known = matches!(message, Message::Have(piece) if self.pieces.get(piece));
            if !known && !self.is_closed() {
                self.on_message(cx, facts, message);
            }
        }
    }
}

fn keep(list: &mut Vec<u32>, piece: u32, most: u32) -> bool {
    let fits = list.len() < most as usize && !list.contains(&piece);
    if fits {
        list.push(piece);
    }
    fits
}
