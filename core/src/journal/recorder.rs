//! Writes a recording, event by event.

use super::digest::{Digest, RunningDigest};
use super::frames::{self, Entry, Index, Place};
use super::{
    BEHAVIOUR, CHECKPOINT_EVERY, Extension, FORMAT, FORMAT_MINOR, MAGIC, STATE_EVERY, State, canon, extension, kind,
};
use crate::border::{Actions, Config, Event};
use crate::rng::Seeds;
use crate::time::Time;
use alloc::vec::Vec;
use core::fmt;

/// Where a recording goes. Errors are the sink's own affair: a recording must never stop a session.
pub trait Sink {
    /// Takes the next bytes.
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Whether a recording holds the secret seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secret {
    /// It does, and can be replayed.
    Keep,
    /// It does not: it can be read, and be replayed by who has the seed.
    LeaveOut,
}

/// Writes a recording. It holds no more than one record in memory, and the index.
#[derive(Clone, Debug)]
pub struct Recorder {
    run: RunningDigest,
    frame: Vec<u8>,
    index: Index,
    /// Bytes behind the header and its extensions.
    written: u64,
    /// How many events lay in front of the last state.
    stated: u64,
}

impl Recorder {
    /// Begins a recording: writes the header to `sink`. `config` and `seeds` are those that the session is made with.
    pub fn new(config: &Config, seeds: &Seeds, secret: Secret, sink: &mut impl Sink) -> Recorder {
        Recorder::of_epoch(BEHAVIOUR, config, seeds, secret, sink)
    }

    /// The same, by a core of that epoch.
    pub(super) fn of_epoch(
        behaviour: u32,
        config: &Config,
        seeds: &Seeds,
        secret: Secret,
        sink: &mut impl Sink,
    ) -> Recorder {
        let mut head = Vec::new();
        canon::encode_number(u64::from(FORMAT), &mut head);
        canon::encode_number(u64::from(FORMAT_MINOR), &mut head);
        canon::encode_number(u64::from(behaviour), &mut head);
        canon::encode_text(env!("CARGO_PKG_VERSION"), &mut head);
        head.extend_from_slice(&seeds.decision);
        canon::encode_config(config, &mut head);
        let mut frame = Vec::new();
        sink.put(MAGIC);
        frames::write(&mut frame, kind::HEADER, &[&head]);
        sink.put(&frame);
        if secret == Secret::Keep {
            frames::write(&mut frame, kind::SECRET, &[&seeds.secret]);
            sink.put(&frame);
        }
        let run = RunningDigest::new(Digest::of(&head));
        let mut recorder = Recorder { run, frame, index: Index::new(), written: 0, stated: 0 };
        if !config.addresses.is_empty() {
            let mut body = Vec::new();
            canon::encode_addresses(&config.addresses, &mut body);
            // It has the kind of one, and nothing has been recorded yet.
            let _ = recorder.extend(&Extension { kind: extension::ADDRESSES, body }, sink);
        }
        recorder
    }

    /// Says something more about the recording. One that must be understood becomes part of the digest.
    ///
    /// # Errors
    /// When there is an event already, or the kind is not one of an extension's: nothing is written.
    pub fn extend(&mut self, extension: &Extension, sink: &mut impl Sink) -> Result<(), BadExtension> {
        if self.written > 0 || !extension.is_one() {
            return Err(BadExtension);
        }
        frames::write(&mut self.frame, extension.kind, &[&extension.body]);
        sink.put(&self.frame);
        self.run = RunningDigest::new(extension.added_to(self.run.digest()));
        Ok(())
    }

    /// Writes an event and what it led to. To be called after each `handle`, with the same `now`.
    #[inline]
    pub fn record(&mut self, now: Time, event: &Event, actions: &Actions, sink: &mut impl Sink) {
        if let Some(brief) = self.run.brief(now, event, actions) {
            let (frame, length) = brief.frame();
            let frame = frame.get(..length).unwrap_or_default();
            self.written += frame.len() as u64;
            sink.put(frame);
            self.run.add_brief(now, brief);
        } else {
            self.record_whole(now, event, actions, sink);
        }
        if self.run.events().is_multiple_of(CHECKPOINT_EVERY) {
            self.checkpoint(sink);
        }
    }

    /// Writes an event that has no brief form.
    #[inline(never)]
    fn record_whole(&mut self, now: Time, event: &Event, actions: &Actions, sink: &mut impl Sink) {
        let frame = if actions.is_empty() {
            self.run.add_whole::<false>(now, event, actions);
            self.run.last_frame(kind::QUIET, [])
        } else {
            self.run.add_whole::<true>(now, event, actions);
            let check = self.run.digest().check();
            self.run.last_frame(kind::EVENT, check)
        };
        self.written += frame.len() as u64;
        sink.put(frame);
    }

    #[cold]
    fn checkpoint(&mut self, sink: &mut impl Sink) {
        let place = self.place();
        self.index.add(Entry { events: place.events, now: place.now, offset: self.written });
        let mut body = Vec::new();
        place.put(&mut body);
        frames::write(&mut self.frame, kind::CHECKPOINT, &[&body]);
        self.put(sink);
    }

    /// Whether [`Recorder::state`] is to be called now: there have been [`STATE_EVERY`] events since it was.
    pub fn state_is_due(&self) -> bool {
        self.run.events() - self.stated >= STATE_EVERY
    }

    /// Writes what the session's state comes to between the last event and the next one. To be called when it is due, and before the end, by whoever can see the
    /// session ([`Session::state`](crate::session::Session::state)).
    pub fn state(&mut self, state: &State, sink: &mut impl Sink) {
        let mut body = Vec::new();
        state.put(&mut body);
        frames::write(&mut self.frame, kind::STATE, &[&body]);
        self.put(sink);
        self.stated = self.run.events();
    }

    /// Ends the recording.
    pub fn finish(mut self, sink: &mut impl Sink) -> Digest {
        let place = self.place();
        frames::write_end(&mut self.frame, &place, &self.index);
        self.put(sink);
        self.run.digest()
    }

    /// What it has come to so far.
    pub fn digest(&self) -> Digest {
        self.run.digest()
    }

    /// How many events have been recorded.
    pub fn events(&self) -> u64 {
        self.run.events()
    }

    fn put(&mut self, sink: &mut impl Sink) {
        self.written += self.frame.len() as u64;
        sink.put(&self.frame);
    }

    fn place(&self) -> Place {
        Place { events: self.run.events(), now: self.run.now(), digest: self.run.digest() }
    }
}

/// The frame that ends a recording whose writer could not go on: it is told from one that was cut off by accident.
pub const GIVEN_UP: &[u8] = &[kind::GIVEN_UP, 0];

/// An [`Extension`] that cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadExtension;

impl fmt::Display for BadExtension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an extension has a kind from 16 to 63 or from 128, and stands in front of all events")
    }
}

impl core::error::Error for BadExtension {}
