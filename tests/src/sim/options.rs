//! What a run is made of: drawn from its seed, written as text, and read back.

use crate::seed::{Draws, WorldSeed};
use std::fmt;

/// How large runs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Some nodes, some pieces: thousands of runs in some minutes.
    Small,
    /// Up to twenty leeches and hundreds of pieces.
    Full,
}

macro_rules! options {
    ($(
        $(#[$doc:meta])*
        $kind:ident $name:ident = $least:literal ..= $most:literal,
    )*) => {
        /// What a run is made of. All are whole numbers; a chance is one in a million; a fault that is 0 is off.
        ///
        /// Each is drawn from a stream of its own name, so one more changes none of the others. Each fault is left out of half of
        /// all runs.
        ///
        /// ```
        /// use parcacik_testkit::WorldSeed;
        /// use parcacik_testkit::sim::{SimOptions, Size};
        ///
        /// let drawn = SimOptions::draw(WorldSeed::from(7), Size::Small);
        /// let quiet = SimOptions::draw(WorldSeed::from(7), Size::Small).without_faults();
        /// assert_eq!(quiet.read(&drawn.to_string()), Ok(drawn));
        /// assert_eq!(drawn.read("crashes=3 loss=0").map(|options| options.crashes), Ok(3));
        /// assert!(drawn.read("no_such_thing=1").is_err());
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct SimOptions {
            $( $(#[$doc])* pub $name: u64, )*
        }

        impl SimOptions {
            /// The options of a seed.
            pub fn draw(seed: WorldSeed, size: Size) -> SimOptions {
                let drawn = SimOptions {
                    $( $name: {
                        let mut rng = seed.rng(concat!("options/", stringify!($name)));
                        options!(@draw $kind rng $least $most)
                    }, )*
                };
                drawn.sized(seed, size)
            }

            /// All names, whether each is a fault, and its value.
            pub fn list(&self) -> Vec<(&'static str, bool, u64)> {
                vec![$( (stringify!($name), options!(@fault $kind), self.$name), )*]
            }

            fn field(&mut self, name: &str) -> Option<&mut u64> {
                match name {
                    $( stringify!($name) => Some(&mut self.$name), )*
                    _ => None,
                }
            }
        }
    };
    (@draw shape $rng:ident $least:literal $most:literal) => { $rng.range($least, $most) };
    (@draw scale $rng:ident $least:literal $most:literal) => { $rng.scale($least, $most) };
    (@draw fault $rng:ident $least:literal $most:literal) => {
        if $rng.below(2) == 0 { 0 } else { $rng.scale($least, $most) }
    };
    (@fault fault) => { true };
    (@fault $other:ident) => { false };
}

options! {
    /// Nodes that download.
    shape leeches = 1..=4,
    /// Nodes that seed from the beginning.
    shape seeds = 1..=2,
    /// Pieces of the torrent.
    shape pieces = 2..=12,
    /// The length of a piece is 16 KiB, doubled so often.
    shape doublings = 0..=1,
    /// Files of the torrent.
    shape files = 1..=3,
    /// 1: when the faults are over, the seeds leave, if the leeches have everything among them.
    shape joint = 0..=1,
    /// 1: the tracker is asked by UDP.
    shape udp = 0..=1,
    /// 1: all nodes are on one local network, and look for each other there.
    shape lan = 0..=1,
    /// 1: all nodes take part in the DHT, and begin with the first; each has a private torrent besides, that nobody is to hear of. 2,
    /// of a third of these: and there is no other way to each other, as long as the faults last.
    shape dht = 0..=1,
    /// How long the faults last, in seconds.
    shape span = 5..=60,
    /// One way through the network, in milliseconds.
    scale latency_ms = 1..=300,
    /// What a node can send, in bytes a second.
    scale upload = 20_000..=1_000_000,
    /// How long disk work takes, in microseconds.
    scale disk_us = 1..=10_000,
    /// After how long written pieces are synced, in milliseconds.
    scale sync_ms = 1..=10_000,
    /// What may be under way on a stream, in KiB.
    scale window_kib = 32..=4_096,
    /// The mean of what a packet takes longer, in milliseconds.
    fault jitter_ms = 1..=200,
    /// That a packet is lost.
    fault loss = 100..=100_000,
    /// What a node can take, in bytes a second; off: as much as comes.
    fault download = 20_000..=1_000_000,
    /// The longest queue for datagrams, in milliseconds; off: as long as it likes.
    fault queue_ms = 1..=1_000,
    /// That a datagram is overtaken.
    fault reorder = 1_000..=200_000,
    /// That a datagram comes twice.
    fault duplicate = 1_000..=500_000,
    /// That a bit of a datagram is turned over.
    fault corrupt = 1_000..=100_000,
    /// Streams are read at most so many bytes at a time.
    fault split = 128..=20_000,
    /// How long a node waits before it reads, in milliseconds.
    fault lazy_ms = 1..=300,
    /// How little a socket takes of a write at first, in bytes.
    fault short_writes = 1..=2_000,
    /// That a stream is reset at some byte.
    fault resets = 20_000..=500_000,
    /// That a stream falls silent at some byte.
    fault silences = 10_000..=200_000,
    /// That a dial is refused.
    fault refusals = 10_000..=500_000,
    /// That a dial is never answered.
    fault blackholes = 10_000..=500_000,
    /// Leeches behind a translator of addresses.
    fault nats = 1..=3,
    /// Cuts in the network.
    fault cuts = 1..=5,
    /// Leeches whose address changes.
    fault moves = 1..=2,
    /// How much disk work overtakes other work, in milliseconds.
    fault disk_jitter_ms = 1..=500,
    /// That disk work takes up to half a minute.
    fault disk_slow = 1_000..=20_000,
    /// That disk work fails.
    fault disk_fault = 1_000..=100_000,
    /// Disks that become full for a while.
    fault disk_full = 1..=3,
    /// Files of leeches that lose a bit, or are cut off or taken away by somebody.
    fault damages = 1..=2,
    /// Sessions that end in the middle of something.
    fault crashes = 1..=5,
    /// That a crash is the end of the power, too.
    fault power = 100_000..=1_000_000,
    /// Sectors of so many bytes, by its logarithm, are what a disk writes at once; off: writes are never torn.
    fault sector_bits = 9..=12,
    /// Outages of the tracker.
    fault outages = 1..=3,
    /// How much longer the tracker takes, in milliseconds.
    fault tracker_ms = 10..=40_000,
    /// Trackers besides, that do something wrong.
    fault bad_trackers = 1..=2,
    /// Jumps of the date.
    fault dates = 1..=3,
    /// Computers that are suspended for a while.
    fault suspends = 1..=3,
    /// How coarsely the clocks tick, in milliseconds.
    fault grain_ms = 1..=100,
    /// How late timers fire, in milliseconds.
    fault late_ms = 1..=5_000,
    /// Peers that mean harm.
    fault hostiles = 1..=4,
    /// Commands by somebody who plays with the program.
    fault commands = 1..=8,
}

impl SimOptions {
    fn sized(mut self, seed: WorldSeed, size: Size) -> SimOptions {
        if size == Size::Full {
            self.leeches = seed.rng("options/full/leeches").range(5, 20);
            self.pieces = seed.rng("options/full/pieces").range(20, 300);
        }
        if self.dht == 1 && seed.rng("options/dht/alone").below(3) == 0 {
            self.dht = 2;
        }
        self
    }

    /// The same without any fault.
    pub fn without_faults(mut self) -> SimOptions {
        for (name, fault, _) in self.list() {
            if fault {
                self.set(name, 0);
            }
        }
        self
    }

    /// Sets one.
    ///
    /// # Panics
    /// When there is none of that name.
    pub fn set(&mut self, name: &str, value: u64) {
        *self.field(name).unwrap_or_else(|| panic!("there is no option {name}")) = value;
    }

    /// The same with what a text says: `name=value`, with blanks between them. What it does not name stays; `#` begins a comment.
    ///
    /// # Errors
    /// With the word that is no option of a run.
    pub fn read(mut self, text: &str) -> Result<SimOptions, NotAnOption> {
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            for word in line.split_whitespace() {
                let wrong = || NotAnOption(word.to_owned());
                let (name, value) = word.split_once('=').ok_or_else(wrong)?;
                let value = value.replace('_', "").parse().map_err(|_| wrong())?;
                *self.field(name).ok_or_else(wrong)? = value;
            }
        }
        Ok(self)
    }

    /// The bytes of the torrent.
    pub(super) fn length(&self, seed: WorldSeed) -> usize {
        let piece = self.piece_length() as u64;
        let whole = self.pieces.max(1) * piece;
        // The last piece is shorter by anything.
        (whole - seed.rng("content/length").below(piece)) as usize
    }

    pub(super) fn piece_length(&self) -> u32 {
        16_384 << self.doublings.min(8)
    }
}

impl fmt::Display for SimOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (name, _, value)) in self.list().into_iter().enumerate() {
            let blank = if number == 0 { "" } else { " " };
            write!(f, "{blank}{name}={value}")?;
        }
        Ok(())
    }
}

/// A word that is no option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAnOption(pub String);

impl fmt::Display for NotAnOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is no option of a run", self.0)
    }
}

impl std::error::Error for NotAnOption {}
