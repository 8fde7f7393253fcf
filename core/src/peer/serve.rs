//! Serving the peer: which of its requests are taken, and how they are answered.
//!
//! [`Upload`](super::upload::Upload) keeps them; here is what BEP 3 and BEP 6 have to say to each.

use super::upload::ReadRun;
use super::{PeerConn, PeerFacts};
use crate::border::{IoFault, PeerFault};
use crate::cx::Cx;
use crate::metainfo::{Block, Geometry};
use crate::time::Time;
use crate::wire::{BlockRange, Message};
use bytes::Bytes;

impl PeerConn {
    pub(super) fn on_request(
        &mut self,
        cx: &mut Cx<'_>,
        facts: &PeerFacts<'_>,
        geometry: &Geometry,
        range: BlockRange,
    ) {
        let config = &cx.config.peer;
        let block = geometry
            .block(range.piece, range.begin, range.length)
            .filter(|block| block.length() <= config.max_request_length);
        let Some(block) = block else { return self.bad_request(cx, range) };
        if !facts.have.get(block.piece().get()) {
            if !facts.lost.contains(&block.piece()) {
                return self.bad_request(cx, range);
            }
            // It could not know.
            self.refuse(cx.now, range);
            return self.useless(cx);
        }
        if self.upload.len() >= config.reqq {
            return self.bad_request(cx, range);
        }
        if self.am_choking && !self.spend_fast(cx, block) {
            // BEP 6: "SHOULD send a reject unless the piece is in the allowed fast set." A peer that has not seen the choke
            // yet may have as many on the way as it may queue.
            self.refuse(cx.now, range);
            self.patience.choked_requests += 1;
            if self.patience.choked_requests > cx.config.peer.reqq {
                self.fault(cx, PeerFault::BadRequests);
            }
            return;
        }
        self.asked_at = cx.now;
        self.upload.push(block);
    }

    pub(super) fn on_cancel(&mut self, cx: &mut Cx<'_>, geometry: &Geometry, range: BlockRange) {
        let block = geometry.block(range.piece, range.begin, range.length);
        // BEP 6: "Even when a request is cancelled, the peer receiving the cancel should respond with either the
        // corresponding reject or the corresponding piece".
        if block.is_some_and(|block| self.upload.cancel(block)) {
            self.refuse(cx.now, range);
        }
        self.useless(cx);
    }

    /// The next run of content to read for the peer, at most `max` bytes (one request alone may be longer); `None` when it
    /// wants nothing, or enough is on its way to it. Each run is to be answered by [`loaded`](PeerConn::loaded).
    pub fn next_read(&mut self, max: u32) -> Option<ReadRun> {
        if !self.is_ready() || self.content_under_way() >= self.watermark {
            return None;
        }
        self.upload.next_read(max)
    }

    /// Bytes on their way to the peer, or asked from the disk for it.
    pub(super) fn content_under_way(&self) -> u64 {
        self.outbox.queued().saturating_add(self.upload.bytes_reading())
    }

    /// A run has been read, or could not be. Sends what is still wanted of it, or rejects it.
    pub fn loaded(&mut self, cx: &mut Cx<'_>, _facts: &PeerFacts<'_>, run: ReadRun, data: Result<Bytes, IoFault>) {
        let blocks = self.upload.loaded(run);
        if !self.is_ready() {
            return;
        }
        for block in blocks {
            let start = (block.begin() - run.begin) as usize;
            let end = start + block.length() as usize;
            match &data {
                // Shorter than asked for is as good as a fault.
                Ok(bytes) if bytes.len() >= end => {
                    self.asked_at = cx.now;
                    self.uploaded.add(cx.now, u64::from(block.length()));
                    self.outbox.piece(cx.now, block, bytes.slice(start..end));
                }
                _ => self.refuse(cx.now, block.into()),
            }
        }
        let config = &cx.config.peer;
        let half_a_second = self.uploaded.per_second(cx.now) / 2;
        self.watermark = half_a_second.clamp(config.send_watermark_min.into(), config.send_watermark_max.into());
    }

    /// Whether a request of a choked peer is served, out of what it may have for nothing.
    ///
    /// BEP 6: "A peer MAY reject requests for already Allowed Fast pieces [...] if the requested piece has already been
    /// sent to the requesting peer, or if the requesting peer is not a starting peer. Our current implementation rejects
    /// requests for Allowed Fast messages whenever the requesting peer has more than k pieces."
    pub(super) fn spend_fast(&mut self, cx: &Cx<'_>, block: Block) -> bool {
        if self.pieces.count() > cx.config.peer.allowed_fast {
            return false;
        }
        let Some((_, left)) = self.our_fast.iter_mut().find(|(piece, _)| *piece == block.piece()) else { return false };
        match left.checked_sub(block.length()) {
            Some(rest) => {
                *left = rest;
                true
            }
            None => false,
        }
    }

    /// Rejects a request of a fast peer; without the extension there is no way to.
    pub(super) fn refuse(&mut self, now: Time, range: BlockRange) {
        if self.fast {
            self.outbox.message(now, &Message::Reject(range));
        }
    }

    pub(super) fn bad_request(&mut self, cx: &mut Cx<'_>, range: BlockRange) {
        self.refuse(cx.now, range);
        self.patience.bad_requests += 1;
        if self.patience.bad_requests > cx.config.peer.max_bad_requests {
            self.fault(cx, PeerFault::BadRequests);
        }
    }
}
