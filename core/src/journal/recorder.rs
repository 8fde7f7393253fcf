//! Writes a recording, event by event.

use super::digest::{Digest, RunningDigest};
use super::{BEHAVIOUR, CHECKPOINT_EVERY, FORMAT, MAGIC, canon, kind};
use crate::border::{Actions, Config, Event};
use crate::rng::Seeds;
use crate::time::Time;
use alloc::vec::Vec;

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

/// Writes a recording. It holds no more than one record in memory.
#[derive(Clone, Debug)]
pub struct Recorder {
    run: RunningDigest,
    frame: Vec<u8>,
}

impl Recorder {
    /// Begins a recording: writes the header to `sink`. `config` and `seeds` are those that the session is made with.
    pub fn new(config: &Config, seeds: &Seeds, secret: Secret, sink: &mut impl Sink) -> Recorder {
        let mut head = Vec::new();
        canon::encode_number(u64::from(FORMAT), &mut head);
        canon::encode_number(u64::from(BEHAVIOUR), &mut head);
        canon::encode_text(env!("CARGO_PKG_VERSION"), &mut head);
        head.extend_from_slice(&seeds.decision);
        canon::encode_config(config, &mut head);
        let mut frame = Vec::new();
        sink.put(MAGIC);
        write_frame(&mut frame, kind::HEADER, &[&head], sink);
        if secret == Secret::Keep {
            write_frame(&mut frame, kind::SECRET, &[&seeds.secret], sink);
        }
        Recorder { run: RunningDigest::new(Digest::of(&head)), frame }
    }

    /// Writes an event and what it led to. To be called after each `handle`, with the same `now`.
    pub fn record(&mut self, now: Time, event: &Event, actions: &Actions, sink: &mut impl Sink) {
        self.run.add(now, event, actions);
        let check = self.run.digest().check();
        write_frame(&mut self.frame, kind::EVENT, &[self.run.last_event(), &check], sink);
        if self.run.events().is_multiple_of(CHECKPOINT_EVERY) {
            self.write_digest(kind::CHECKPOINT, sink);
        }
    }

    /// Ends the recording.
    pub fn finish(mut self, sink: &mut impl Sink) -> Digest {
        self.write_digest(kind::END, sink);
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

    fn write_digest(&mut self, kind: u8, sink: &mut impl Sink) {
        let mut events = Vec::new();
        canon::encode_number(self.run.events(), &mut events);
        write_frame(&mut self.frame, kind, &[&events, &self.run.digest().0], sink);
    }
}

/// Writes one frame: its kind, how long it is, what is in it.
fn write_frame(frame: &mut Vec<u8>, kind: u8, parts: &[&[u8]], sink: &mut impl Sink) {
    frame.clear();
    frame.push(kind);
    canon::encode_number(parts.iter().map(|part| part.len() as u64).sum(), frame);
    parts.iter().for_each(|part| frame.extend_from_slice(part));
    sink.put(frame);
}
