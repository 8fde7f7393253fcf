//! The info dictionary over one connection (BEP 9): what the peer asks for, and what we ask of it.
//!
//! We offer the extension while we look for the info dictionary, and when we serve it. BEP 9: "Peers that do not have the
//! entire metadata MUST respond with a `reject` message to any metadata request."
//!
//! # Serving
//!
//! A request for a block that we have is answered at once when little waits to be sent, else in its turn as the peer takes
//! what was sent before. BEP 9: "Clients MAY implement flood protection by rejecting `request` messages after a certain number of them
//! have been served. Typically the number of pieces of metadata times a factor." That number counts within a minute, so
//! that a connection which lives for days is served again; what is over, and what the queue has no room for, is rejected.
//!
//! # Asking
//!
//! Whom to ask for what is decided for all connections together ([`metadata`](crate::torrent::metadata)). Here is noted what this
//! peer was asked for; an answer to what it was not asked for is of no effect.

use super::{PeerConn, PeerFacts, PeerSaid};
use crate::cx::Cx;
use crate::journal::canon::canon_struct;
use crate::time::Time;
use crate::wire::{Extension, METADATA_BLOCK, Message, UtMetadata, metadata_block_length, metadata_blocks};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;

/// What a connection keeps of it.
#[derive(Clone, Debug, Default)]
pub(super) struct MetadataTalk {
    /// Blocks that the peer has asked for and that wait for room to be sent, the oldest first.
    wanted: VecDeque<u32>,
    /// How many were served since `served_since`.
    served: u32,
    served_since: Time,
    /// Blocks that the peer was asked for and has not answered.
    asked: Vec<u32>,
}

canon_struct!(out MetadataTalk { wanted, served, served_since, asked });

impl PeerConn {
    pub(super) fn on_metadata(&mut self, cx: &mut Cx<'_>, facts: &PeerFacts<'_>, payload: &Bytes) {
        match UtMetadata::parse(payload) {
            Ok(UtMetadata::Request { piece }) => self.on_metadata_request(cx, facts, piece),
            Ok(UtMetadata::Data { piece, total_size, data }) if self.was_asked_for(piece) => {
                self.said.push_back(PeerSaid::Metadata(UtMetadata::Data { piece, total_size, data }));
            }
            Ok(UtMetadata::Reject { piece }) if self.was_asked_for(piece) => {
                self.said.push_back(PeerSaid::Metadata(UtMetadata::Reject { piece }));
            }
            Ok(_) | Err(_) => self.useless(cx),
        }
    }

    /// Whether an answer of this block is due; it is not any more, then.
    fn was_asked_for(&mut self, piece: u32) -> bool {
        match self.metadata.asked.iter().position(|&asked| asked == piece) {
            Some(at) => {
                self.metadata.asked.swap_remove(at);
                true
            }
            None => false,
        }
    }

    /// Asks for a block of the info dictionary.
    pub(super) fn ask_metadata(&mut self, cx: &Cx<'_>, piece: u32) {
        let Some(id) = self.extension_ids.get(Extension::Metadata) else { return };
        if !self.metadata.asked.contains(&piece) {
            self.metadata.asked.push(piece);
        }
        let payload = UtMetadata::Request { piece }.emit().into();
        self.outbox.message(cx.now, &Message::Extended { id, payload });
    }

    fn on_metadata_request(&mut self, cx: &mut Cx<'_>, facts: &PeerFacts<'_>, piece: u32) {
        let config = &cx.config.metadata;
        if cx.now.since(self.metadata.served_since) >= Duration::from_secs(60) {
            (self.metadata.served, self.metadata.served_since) = (0, cx.now);
        }
        let size = facts.metadata.map_or(0, |info| u32::try_from(info.len()).unwrap_or(0));
        let most = metadata_blocks(size).saturating_mul(config.serve_factor).saturating_add(config.serve_queue);
        let talk = &self.metadata;
        let served = metadata_block_length(size, piece).is_some()
            && talk.wanted.len() < config.serve_queue as usize
            && talk.served.saturating_add(talk.wanted.len() as u32) < most;
        if !served {
            self.say_metadata(cx.now, UtMetadata::Reject { piece });
            return self.useless(cx);
        }
        self.metadata.wanted.push_back(piece);
        self.serve_metadata(cx, facts);
    }

    /// Sends of what the peer waits for as much as there is room for.
    pub(super) fn serve_metadata(&mut self, cx: &mut Cx<'_>, facts: &PeerFacts<'_>) {
        while self.outbox.queued() < u64::from(cx.config.peer.send_watermark_min)
            && let Some(piece) = self.metadata.wanted.pop_front()
        {
            let block = facts.metadata.and_then(|info| {
                let size = u32::try_from(info.len()).ok()?;
                let length = metadata_block_length(size, piece)?;
                let begin = piece as usize * METADATA_BLOCK as usize;
                Some((size, info.slice(begin..begin + length as usize)))
            });
            self.metadata.served = self.metadata.served.saturating_add(1);
            self.say_metadata(
                cx.now,
                match block {
                    Some((size, data)) => UtMetadata::Data { piece, total_size: Some(size), data },
                    None => UtMetadata::Reject { piece },
                },
            );
        }
    }

    /// Says something of the extension to a peer that takes it.
    fn say_metadata(&mut self, now: Time, message: UtMetadata) {
        if let Some(id) = self.extension_ids.get(Extension::Metadata) {
            self.outbox.message(now, &Message::Extended { id, payload: message.emit().into() });
        }
    }
}
