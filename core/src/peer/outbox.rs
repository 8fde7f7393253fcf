//! What waits to be sent.
//!
//! Within the handling of one event messages are joined; [`Outbox::emit`] hands them out at its end. What has been handed
//! out and has not left yet is counted, so that the rest of the connection can tell whether the peer reads.

use super::Link;
use crate::border::{Action, PeerConfig, TorrentId};
use crate::cx::Cx;
use crate::journal::canon::{Encoder, Put, canon_struct};
use crate::metainfo::Block;
use crate::time::Time;
use crate::wire::{Message, emit_piece_head};
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use core::time::Duration;

/// What waits to be sent, and what of it has left.
#[derive(Clone, Debug)]
pub(super) struct Outbox {
    /// In order; `tail` comes after them.
    parts: Vec<Part>,
    tail: BytesMut,
    /// Bytes that were queued and have not left.
    queued: u64,
    /// Bytes that are not content, queued since somebody last asked.
    overhead: u64,
    last_sent_at: Time,
    /// When something last left, or the queue began to fill.
    progress_at: Time,
    /// More waiting than this ends the connection.
    limit: u64,
}

canon_struct!(out Outbox { parts, tail, queued, overhead, last_sent_at, progress_at, limit });

#[derive(Clone, Debug)]
enum Part {
    Plain(Bytes),
    Content { block: Block, bytes: Bytes },
}

impl Put for Part {
    fn put(&self, to: &mut Encoder<'_>) {
        match self {
            Part::Plain(bytes) => {
                to.byte(0);
                bytes.put(to);
            }
            // Content, known by its place.
            Part::Content { block, bytes } => {
                to.byte(1);
                block.put(to);
                bytes.len().put(to);
            }
        }
    }
}

impl Outbox {
    pub fn new(now: Time, config: &PeerConfig) -> Outbox {
        // Content stops at the watermark, but what was asked from the disk below it may end above.
        let limit = 2 * u64::from(config.send_watermark_max) + u64::from(config.max_control_queue);
        Outbox {
            parts: Vec::new(),
            tail: BytesMut::new(),
            queued: 0,
            overhead: 0,
            last_sent_at: now,
            progress_at: now,
            limit,
        }
    }

    pub fn raw(&mut self, now: Time, bytes: &[u8]) {
        self.count(now, bytes.len());
        self.tail.extend_from_slice(bytes);
    }

    /// So many bytes of messages are going to follow each other.
    pub fn expect(&mut self, bytes: usize) {
        self.tail.reserve(bytes);
    }

    pub fn message(&mut self, now: Time, message: &Message) {
        let before = self.tail.len();
        message.emit(&mut self.tail);
        self.count(now, self.tail.len() - before);
    }

    /// A `piece` message; its data are not copied.
    pub fn piece(&mut self, now: Time, block: Block, bytes: Bytes) {
        let before = self.tail.len();
        emit_piece_head(&mut self.tail, block.into());
        self.count(now, self.tail.len() - before + bytes.len());
        self.overhead = self.overhead.saturating_sub(bytes.len() as u64);
        self.parts.push(Part::Plain(self.tail.split().freeze()));
        self.parts.push(Part::Content { block, bytes });
    }

    /// Hands everything out.
    pub fn emit(&mut self, cx: &mut Cx<'_>, link: Link, torrent: TorrentId) {
        if self.parts.is_empty() && self.tail.is_empty() {
            return;
        }
        self.last_sent_at = cx.now;
        let Link::Tcp(tcp) = link;
        for part in self.parts.drain(..) {
            cx.out.list.push(match part {
                Part::Plain(bytes) => Action::Send { tcp, bytes },
                Part::Content { block, bytes } => {
                    Action::SendContent { tcp, torrent, piece: block.piece().get(), begin: block.begin(), bytes }
                }
            });
        }
        if !self.tail.is_empty() {
            // An own buffer each time: the driver keeps it until it has left.
            let bytes = core::mem::take(&mut self.tail).freeze();
            cx.act(Action::Send { tcp, bytes });
        }
    }

    /// Drops what has not been handed out.
    pub fn clear(&mut self) {
        self.parts.clear();
        self.tail.clear();
    }

    pub fn flushed(&mut self, now: Time, bytes: u64) {
        self.queued = self.queued.saturating_sub(bytes);
        if bytes > 0 {
            self.progress_at = now;
        }
    }

    /// Bytes that have not left yet.
    pub fn queued(&self) -> u64 {
        self.queued
    }

    /// Bytes that are not content, queued since this was last asked.
    pub fn take_overhead(&mut self) -> u64 {
        core::mem::take(&mut self.overhead)
    }

    /// When a keep-alive is due after `silence`.
    pub fn keep_alive_at(&self, silence: Duration) -> Time {
        self.last_sent_at + silence
    }

    /// When something last left, or the queue began to fill.
    pub fn progress_at(&self) -> Time {
        self.progress_at
    }

    /// Whether more waits than a peer that reads lets come together.
    pub fn is_overfull(&self) -> bool {
        self.queued > self.limit
    }

    /// When the peer counts as not reading, if nothing leaves until then.
    pub fn stalled_at(&self, patience: Duration) -> Time {
        match self.queued {
            0 => Time::NEVER,
            _ if self.is_overfull() => self.progress_at,
            _ => self.progress_at + patience,
        }
    }

    fn count(&mut self, now: Time, bytes: usize) {
        if self.queued == 0 {
            self.progress_at = now;
        }
        self.queued = self.queued.saturating_add(bytes as u64);
        self.overhead = self.overhead.saturating_add(bytes as u64);
    }
}
