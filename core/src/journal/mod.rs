//! Recording a session, and running it again.
//!
//! A session is a function of its configuration, its seeds and the list of `(now, event)`. A recording is that list, and enough digests to
//! say whether another run came to the same, and which of its actions did not: not the actions themselves. [`Recorder`] writes one,
//! [`Reader`] reads it, [`replay`] runs it again, [`text`] tells what it holds in words.
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
//! [`MAGIC`], and then frames: a byte that says the kind, the length, the body; numbers as in [`canon`]. Brief frames have no length: their kind says it.
//!
//! | kind | body |
//! |---|---|
//! | 0 header | [`FORMAT`], [`FORMAT_MINOR`], [`BEHAVIOUR`], the core's version as text, the decision seed, the configuration with all defaults written out |
//! | 1 secret | the secret seed; right behind the header, or nowhere |
//! | 16…63 | extensions of the header: below |
//! | 2 event | microseconds since the event before, the event, how many sketches, a [`Sketch`] of each action and then of each notice, the first two bytes of the digest that the run has come to with it |
//! | 3 quiet event | microseconds since the event before, the event; nothing came of it |
//! | 4 checkpoint | how many events so far, the time of the last in microseconds, the digest; after every [`CHECKPOINT_EVERY`] events |
//! | 5 end | as in a checkpoint; the index; the length of this frame (8 bytes, network order); [`END_MAGIC`]. Nothing follows |
//! | 6 given up | nothing. Whoever recorded could not go on, most likely because the disk was full. Nothing follows |
//! | 7 state | [`STATE`], how many parts, 8 bytes of a digest of each [`StatePart`]; after every [`STATE_EVERY`] events, and in front of the end, where whoever recorded could see the session |
//! | 64…87 brief | an event that nothing came of, in up to 8 bytes; three bits of the kind say how many, less one. An event that can be brief is |
//! | 128…255 | whatever a later program has put there: a reader that does not know it passes over it, wherever it is |
//!
//! **Brief**: most events of a download lead to nothing, and are a job that is done (kinds 64 to 71), bytes that have left (72 to 79), or more of a block (80 to
//! 87). The body is a number, lowest byte first, its last byte not 0 if there is more than one. Its lowest 16 bits are the microseconds since the event before. A job
//! has 8 bits of who asked for it and 40 of the rest of its number; the others have 16 bits of how many bytes and 32 of which stream. What has no room is written as
//! any other event.
//!
//! A torrent's metainfo and resume data are in the events that brought them: a recording needs nothing beside it. One without its end was cut off; what is
//! whole of it can be replayed. The secret seed can be taken out later ([`without_secret`]); digests do not depend on it but by what the session did with it.
//!
//! **Sketch**: the kind of the action in one byte, one byte of a hash of it, and, with the top bit of the first set, the number of what it is about (a stream, a
//! torrent, …) when that is not what the event, or the sketch before that was about one of its kind, was about. So a replay that parts from its
//! recording can say which action was another one and what it had been, in two or three bytes for each.
//!
//! **Index**: how many entries, and for each how many events, microseconds and bytes it lies behind the one before; an entry is the place of a checkpoint, bytes
//! counted from the first frame that is neither header, secret nor extension. There are [`MAX_INDEX`] at most: of a longer recording every second, fourth, …
//! checkpoint is in it. [`Reader::seek`] goes by it, and by the lengths of the frames where there is none.
//!
//! # Extensions of the header
//! Frames behind the header and before anything else, which say more about the recording: an [`Extension`] each. [`Recorder::extend`] writes one, before the
//! first event; [`Header::extensions`] are those that were read, for who replays, and for who writes the recording anew and has to keep them. A kind below 128 must be
//! understood by whoever replays: it is part of what the digest starts from ([`Header::start`]), and a reader refuses a kind that is not listed in
//! [`extension::KNOWN`]. [`extension::ADDRESSES`] has what functions of addresses came to, in recordings whose addresses have been [replaced](redact); it is
//! written when the configuration has an [`AddressTable`](crate::border::AddressTable), and read into it.
//! A kind of 128 or more may be passed over and changes no digest.
//!
//! # Versions
//! [`FORMAT`] goes up when an old reader would read something wrong: a frame, the canonical encoding, a field of the configuration. [`FORMAT_MINOR`] goes up when
//! something is added that it passes over. Kinds are only ever appended.
//!
//! [`BEHAVIOUR`] goes up with every change that makes the core answer some events in another way, together with a line in the changelog. The recordings in
//! `core/tests/golden` are of today's epoch: a test replays them, and a digest of theirs that changes calls for a new epoch. A recording of another epoch is
//! replayed all the same, and [`ReplayReport::epoch_changed`] says that a difference is to be expected.
//!
//! # What a replay compares
//! For each event: where content lay in it, how many actions and notices came of it, and two bytes of the digest over all so far, if there were any. So the
//! first event that went another way is named; one in 65,536 goes unnoticed until the next one that led to something or, at the latest, the checkpoint.
//!
//! A session can have gone another way without having shown it yet. So its [`State`] is compared too, where the recording has one: the parts that
//! differ are named ([`ReplayReport::drift`]), and the replay goes on until an event shows it. [`STATE`] goes up when a machine gets another field; then
//! states are passed over, and the golden recordings are made anew. The digest of a run has no state in it.

mod brief;
pub mod canon;
mod difference;
mod digest;
mod frames;
mod hash;
mod reader;
mod recorder;
pub mod redact;
mod replay;
mod room;
pub mod shrink;
mod sketch;
mod state;
#[cfg(test)]
mod tests;
pub mod text;

pub use difference::{Difference, Earlier, Part};
pub use digest::{Digest, RunningDigest};
pub use frames::whole_frames;
pub use reader::{Header, ReadError, ReadProblem, Reader, Record, without_secret};
pub use recorder::{BadExtension, GIVEN_UP, Recorder, Secret, Sink};
pub use replay::{Drift, Ending, Limit, Machine, ReplayError, ReplayReport, replay, replay_until, replay_with};
pub use sketch::{Sketch, Topic, sketches};
pub(crate) use state::Sums;
pub use state::{STATE, STATE_EVERY, State, StatePart};

use alloc::vec::Vec;

/// The first bytes of a recording.
pub const MAGIC: &[u8; 8] = b"\x89PARJRN\n";

/// The last bytes of a recording that has its end.
pub const END_MAGIC: &[u8; 8] = b"\x89PAREND\n";

/// The version of the format. It changes when an old reader would read something wrong: the frames, the canonical encoding, the fields of a
/// configuration.
pub const FORMAT: u32 = 8;

/// What has been added to the format since. A reader takes any.
pub const FORMAT_MINOR: u32 = 0;

/// The behaviour epoch. It goes up with every change that makes the core answer some events in another way: a recording comes to the
/// same digest only in the epoch it was made in.
pub const BEHAVIOUR: u32 = 9;

/// How many events lie between checkpoints. Some 25 bytes for some 30 KiB.
pub const CHECKPOINT_EVERY: u64 = 1024;

/// The most entries of an index: some 10 KiB in memory and in the file, and a place is found within a thousandth of the recording.
pub const MAX_INDEX: usize = 1024;

/// Something more that a recording says about itself, before its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// What: 16 to 63 for what a replay must understand, 128 and more for what may be passed over. See [`extension`].
    pub kind: u8,
    /// The rest.
    pub body: Vec<u8>,
}

impl Extension {
    /// Whether its kind is one of an extension.
    fn is_one(&self) -> bool {
        matches!(self.kind, 16..=63 | kind::OPTIONAL..)
    }

    /// What the digest of a run starts from when this stands in front of it.
    fn added_to(&self, start: Digest) -> Digest {
        if self.kind >= kind::OPTIONAL {
            return start;
        }
        Digest::of(&[&start.0[..], &[self.kind], &self.body].concat())
    }
}

/// The kinds of [`Extension`]s.
pub mod extension {
    /// What functions of addresses came to, where addresses have been replaced by others.
    pub const ADDRESSES: u8 = 16;

    /// All kinds that must be understood, and are.
    pub const KNOWN: &[u8] = &[ADDRESSES];
}

/// The kinds of frames.
mod kind {
    pub const HEADER: u8 = 0;
    pub const SECRET: u8 = 1;
    pub const EVENT: u8 = 2;
    pub const QUIET: u8 = 3;
    pub const CHECKPOINT: u8 = 4;
    pub const END: u8 = 5;
    pub const GIVEN_UP: u8 = 6;
    pub const STATE: u8 = 7;
    /// The first of those of brief frames: eight for each of three.
    pub const BRIEF: u8 = 64;
    pub const BEHIND_BRIEF: u8 = BRIEF + 3 * 8;
    /// Kinds from here on may be passed over.
    pub const OPTIONAL: u8 = 128;
}
