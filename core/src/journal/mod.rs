//! Recording a session, and running it again.
//!
//! A session is a function of its configuration, its seeds and the list of `(now, event)`. A recording is that list, and enough digests to
//! say whether another run came to the same: not the actions themselves. [`Recorder`] writes one, [`Reader`] reads it, [`replay`]
//! runs it again.
//!
//! ```
//! use parcacik_core::border::{Actions, Config, Event};
//! use parcacik_core::journal::{Recorder, Secret, replay};
//! use parcacik_core::rng::Seeds;
//! use parcacik_core::session::Session;
//! use parcacik_core::time::Time;
//!
//! let (config, seeds) = (Config::default(), Seeds::for_tests(1));
//! let mut recording = Vec::new();
//! let mut recorder = Recorder::new(&config, &seeds, Secret::Keep, &mut recording);
//! let mut session = Session::new(config, seeds).expect("the defaults are good");
//! let mut actions = Actions::new();
//! for second in 0..3 {
//!     let (now, event) = (Time::from_secs(second), Event::Tick);
//!     actions.clear();
//!     session.handle(now, event.clone(), &mut actions);
//!     recorder.record(now, &event, &actions, &mut recording);
//! }
//! let digest = recorder.finish(&mut recording);
//!
//! let report = replay(&recording).expect("it is whole");
//! assert!(report.is_same());
//! assert_eq!((report.events, report.digest), (3, digest));
//! ```
//!
//! # What is left out
//! Content. The core never looks at the bytes of a block, and says where they were ([`Actions::opaque`](crate::border::Actions::opaque)). They become
//! holes: a length and nothing else. A replay fills them with zeros, or anything else, and comes to the same digest. Content that the session did not
//! expect (a block nobody asked for is content too; what was read for a peer that has gone is not) stays in.
//!
//! # The format
//! [`MAGIC`], and then frames: a byte that says the kind, the length, the body; numbers as in [`canon`].
//!
//! | kind | body |
//! |---|---|
//! | 0 header | [`FORMAT`], [`BEHAVIOUR`], the core's version as text, the decision seed, the configuration with all defaults written out |
//! | 1 secret | the secret seed; right behind the header, or nowhere |
//! | 2 event | microseconds since the event before, the event, the first two bytes of the digest that the run has come to with it |
//! | 3 checkpoint | how many events so far, the digest; after every [`CHECKPOINT_EVERY`] events |
//! | 4 end | as in a checkpoint; nothing follows |
//!
//! A torrent's metainfo and resume data are in the events that brought them: a recording needs nothing beside it. One without its end was cut off; what is
//! whole of it can be replayed. The secret seed can be taken out later ([`without_secret`]); digests do not depend on it but by what the session did with it.
//!
//! A replay compares two bytes after each event, so the first event that went another way is named; one in 65,536 goes unnoticed
//! until the next event or, at the latest, the checkpoint.

pub mod canon;
mod digest;
mod reader;
mod recorder;
mod replay;
#[cfg(test)]
mod tests;

pub use digest::{Digest, RunningDigest};
pub use reader::{Header, ReadError, ReadProblem, Reader, Record, without_secret};
pub use recorder::{Recorder, Secret, Sink};
pub use replay::{Difference, Machine, ReplayError, ReplayReport, replay, replay_with};

/// The first bytes of a recording.
pub const MAGIC: &[u8; 8] = b"\x89PARJRN\n";

/// The version of the format. It changes when anything of it does: the frames, the canonical encoding, the fields of a configuration.
pub const FORMAT: u32 = 4;

/// The behaviour epoch. It goes up with every change that makes the core answer some events in another way: a recording comes to the
/// same digest only in the epoch it was made in.
pub const BEHAVIOUR: u32 = 4;

/// How many events lie between checkpoints. 18 bytes for some 30 KiB.
pub const CHECKPOINT_EVERY: u64 = 1024;

/// The kinds of frames.
mod kind {
    pub const HEADER: u8 = 0;
    pub const SECRET: u8 = 1;
    pub const EVENT: u8 = 2;
    pub const CHECKPOINT: u8 = 3;
    pub const END: u8 = 4;
}
