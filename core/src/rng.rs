//! Chance as the core knows it: two seeds given once, one stream for each machine.
//!
//! Each machine draws from a ChaCha8 generator keyed by (seed, kind of machine, its id). Adding a machine, or a draw in
//! one of them, shifts the draws of no other. The generator, [`Rng::below`] and [`Rng::shuffle`] are frozen: what they
//! yield is part of the recording format.

use crate::journal::canon::{Encoder, Put};
use alloc::boxed::Box;
use core::fmt;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng};

/// The two seeds of a session.
///
/// They are apart so that a recording can be shared with the first and without the second.
#[derive(Clone, PartialEq, Eq)]
pub struct Seeds {
    /// Feeds decisions that anybody may know: picks, optimistic slots, jitter.
    pub decision: [u8; 32],
    /// Feeds what must not be guessed: peer ids, tracker keys, tokens, transaction ids.
    pub secret: [u8; 32],
}

impl fmt::Debug for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seeds { .. }")
    }
}

impl Seeds {
    /// Both seeds filled from one byte: for tests and examples, never for the open internet.
    pub const fn for_tests(byte: u8) -> Seeds {
        Seeds { decision: [byte; 32], secret: [byte ^ 0xa5; 32] }
    }

    /// The stream of public decisions of machine `id` of a `kind`.
    pub fn decisions(&self, kind: Stream, id: u64) -> Rng {
        Rng::new(&self.decision, kind, id)
    }

    /// The stream of secrets of machine `id` of a `kind`.
    pub fn secrets(&self, kind: Stream, id: u64) -> Rng {
        Rng::new(&self.secret, kind, id)
    }
}

/// The kinds of machine that draw. The numbers are part of the recording format: append, never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stream {
    /// The session: peer ids, keys.
    Session = 1,
    /// A torrent's piece picker.
    Picker = 2,
    /// A torrent's choker.
    Choker = 3,
    /// A torrent's announcer.
    Announcer = 4,
    /// A torrent's list of candidates.
    Candidates = 5,
    /// A peer connection.
    Peer = 6,
    /// The UDP tracker client.
    UdpTracker = 7,
    /// A tracker server.
    TrackerServer = 8,
    /// A torrent's persistence protocol.
    Persist = 9,
    /// A torrent's super seeding.
    SuperSeed = 10,
    /// Trackers asked without a torrent.
    Probe = 11,
    /// A node of the distributed hash table: its ids, tokens and transaction ids (secret), its samples and jitter (public).
    Dht = 12,
    /// Local discovery.
    Lsd = 13,
}

/// One machine's generator.
///
/// It takes 48 bytes until the first draw, and 300 more from then on: a session of thousands of idle torrents has many that never draw.
#[derive(Clone)]
pub struct Rng {
    seed: [u8; 32],
    stream: u64,
    drawing: Option<Box<ChaCha8Rng>>,
}

impl Put for Rng {
    fn put(&self, to: &mut Encoder<'_>) {
        // The seed is never told, not even by what it hashes to; it does not change.
        let Rng { seed: _, stream, drawing } = self;
        stream.put(to);
        match drawing {
            None => to.byte(0),
            Some(drawing) => {
                to.byte(1);
                to.raw(&drawing.get_word_pos().to_be_bytes());
            }
        }
    }
}

impl fmt::Debug for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rng")
    }
}

impl Rng {
    fn new(seed: &[u8; 32], kind: Stream, id: u64) -> Rng {
        let stream = (u64::from(kind as u8) << 56) | (id & 0x00ff_ffff_ffff_ffff);
        Rng { seed: *seed, stream, drawing: None }
    }

    fn generator(&mut self) -> &mut ChaCha8Rng {
        let (seed, stream) = (self.seed, self.stream);
        self.drawing.get_or_insert_with(|| {
            let mut generator = ChaCha8Rng::from_seed(seed);
            generator.set_stream(stream);
            Box::new(generator)
        })
    }

    /// 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        self.generator().next_u32()
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.generator().next_u64()
    }

    /// Fills `buffer` with random bytes.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        self.generator().fill_bytes(buffer);
    }

    /// A number below `bound`, each equally likely; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound <= 1 {
            return 0;
        }
        // The low `2^64 mod bound` values would make some results likelier than others: draw again.
        let reject_below = bound.wrapping_neg() % bound;
        loop {
            let drawn = self.next_u64();
            if drawn >= reject_below {
                return drawn % bound;
            }
        }
    }

    /// An index into something of length `len`; 0 when it is empty.
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// Puts `items` in a random order (Fisher–Yates from the back).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.index(last + 1);
            items.swap(last, other);
        }
    }
}
