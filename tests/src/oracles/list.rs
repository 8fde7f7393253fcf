//! The list of oracles: number, name, what each says, and where it is judged.

use crate::Breach;
use std::fmt;

/// Where an oracle is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// At every call to every session of a [`World`](crate::World), by [`Oracles`](super::Oracles).
    EveryCall,
    /// The same, from the moment on when the world is [healed](crate::World::healed).
    Healed,
    /// By the tests of this file, which count how often.
    Test(&'static str),
    /// Not yet: what it judges does not exist.
    NotYet(&'static str),
}

macro_rules! oracles {
    ($($number:literal $variant:ident $name:literal $judged:expr, $says:literal;)*) => {
        /// Something that has to hold. The numbers are those of the project's list of oracles, and never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Oracle {
            $(#[doc = $says] $variant = $number,)*
        }

        impl Oracle {
            /// All of them, by number.
            pub const ALL: &[Oracle] = &[$(Oracle::$variant,)*];

            /// Its name: a few words with hyphens between.
            pub const fn name(self) -> &'static str {
                match self { $(Oracle::$variant => $name,)* }
            }

            /// What has to hold.
            pub const fn says(self) -> &'static str {
                match self { $(Oracle::$variant => $says,)* }
            }

            /// Where it is judged.
            pub const fn judged(self) -> Judged {
                match self { $(Oracle::$variant => $judged,)* }
            }
        }
    };
}

use Judged::{EveryCall, Healed, NotYet, Test};

oracles! {
    1 WholeFiles "whole-files" EveryCall, "Every file of a torrent that says it is finished has the torrent's bytes and its exact length; padding is not written.";
    2 AnnounceProven "announce-proven" EveryCall, "A piece is announced only after its hash passed and every write of it was acknowledged.";
    3 KeepVerified "keep-verified" EveryCall, "A verified piece is not written again, save when a read or a look at the files has put it in doubt.";
    4 ResumeTrue "resume-true" EveryCall, "What resume data claim was synced before, and is right on the disk after any crash.";
    5 ResumeKept "resume-kept" EveryCall, "A restart finds every piece that the last durable resume data claim and the disk still holds.";
    6 InsideRoot "inside-root" EveryCall, "No work reaches outside of the torrent's own files, and no two of them are one.";
    7 ServeRight "serve-right" EveryCall, "What is uploaded is the torrent's content, byte for byte.";
    8 FailedAnew "failed-anew" EveryCall, "A piece that failed its hash is fetched anew, and not from those who sent the bad version while somebody else can be asked.";
    9 BlameJust "blame-just" EveryCall, "Only who sent wrong bytes is banned, and everybody who did is found when the piece passes.";
    10 MerkleProven "merkle-proven" NotYet("v2 transfers"), "No v2 hash is used that is not proven to the root.";
    11 AskSensibly "ask-sensibly" EveryCall, "Only blocks are requested that are missing, wanted, and blocks of the torrent.";
    12 AskWithinDepth "ask-within-depth" EveryCall, "A peer has at most as many requests as it queues, and as our own limit allows.";
    13 AskUnchoked "ask-unchoked" EveryCall, "Nothing is requested while the peer chokes us, but for pieces that it allows all the same.";
    14 AskOnce "ask-once" EveryCall, "No block is requested twice outside the end game, and there of few; when it has come the others are told at once.";
    15 PiecesFirst "pieces-first" EveryCall, "What we have is told once, first; fast messages only where agreed; each request gets one answer.";
    16 ChokeRejects "choke-rejects" EveryCall, "Behind a choke no block goes out, and what was queued is rejected.";
    17 InterestTrue "interest-true" EveryCall, "We are interested exactly when the peer has something that we want, within a second.";
    18 TheirNumbers "their-numbers" EveryCall, "Extension messages bear the number that the peer gave last.";
    19 KeepAlive "keep-alive" EveryCall, "We are silent for two minutes at most, and say so once a minute at most.";
    20 PexModest "pex-modest" EveryCall, "Peer exchange keeps to BEP 11's limits.";
    21 Decodable "decodable" EveryCall, "A second decoder reads every byte that we send.";
    22 TakeAsked "take-asked" EveryCall, "Nothing is stored that was not requested from the peer that sent it.";
    23 FaultNamed "fault-named" EveryCall, "What breaks the protocol ends the connection at once, with the fault that is its name.";
    24 AllowedIsNotHad "allowed-is-not-had" EveryCall, "That a piece is allowed fast is not taken to mean that the peer has it.";
    25 MetadataProven "metadata-proven" NotYet("metadata exchange"), "Metadata are used only when they hash to the info-hash.";
    26 SplitSame "split-same" EveryCall, "However a stream is cut, the same messages come of it, and the second decoder reads the same.";
    27 MemoryEarned "memory-earned" Test("tests/allocation.rs"), "What a peer makes us allocate is in proportion to what it has sent.";
    28 QueuesBounded "queues-bounded" EveryCall, "Read credit, writes, reads and send queues stay within their limits.";
    29 WorkLinear "work-linear" Test("tests/linear_work.rs"), "Twice as many pieces or peers make at most twice the work for a message.";
    30 NoAmplifying "no-amplifying" EveryCall, "A call orders at most 1,000 things, and at most four for each byte that came.";
    31 DatagramsModest "datagrams-modest" NotYet("uTP and DHT"), "Nobody is sent more datagrams than it has proven to want.";
    32 DialsPaced "dials-paced" EveryCall, "Dials keep to their rate, one to an address at a time, and few are open.";
    33 TimersProgress "timers-progress" EveryCall, "The next deadline lies ahead, and wake-ups for nothing are few.";
    34 NotOurselves "not-ourselves" EveryCall, "A connection to ourselves ends with the handshake.";
    35 OneEach "one-each" EveryCall, "There is one connection to each peer, and both ends keep the same.";
    36 PrivateApart "private-apart" EveryCall, "Peers of a private torrent come from the tracker in use, and are dropped when it changes; nobody else is told of it.";
    37 ProxyOnly "proxy-only" NotYet("proxies"), "Behind a proxy nothing goes around it.";
    38 DialAllowed "dial-allowed" EveryCall, "Nobody is dialled or let in who is blocked, banned or out of place.";
    39 HashUnasked "hash-unasked" EveryCall, "A stranger learns no info-hash of us that it has not named.";
    40 AnnouncePaced "announce-paced" EveryCall, "Announces keep to the tracker's interval; started, completed and stopped are told as often as due.";
    41 BackOff "back-off" EveryCall, "A failing tracker is left alone for longer each time, and for ever when it says so.";
    42 TierOrder "tier-order" EveryCall, "Trackers are asked in the order of BEP 12, and told true counts.";
    43 UdpTrackers "udp-trackers" EveryCall, "UDP trackers: a connection id lives a minute, packets are repeated slowly, and only the right answers count.";
    44 DhtPolite "dht-polite" NotYet("DHT"), "The DHT keeps to its rules.";
    45 DhtLimits "dht-limits" NotYet("DHT"), "The DHT ignores who floods it.";
    46 Completion "completion" Healed, "Once healed, a download ends in time.";
    47 Utilisation "utilisation" Test("tests/oracle_experiments.rs"), "A download uses nine tenths of what the line gives.";
    48 LittleWaste "little-waste" Healed, "Once healed, little is downloaded in vain.";
    49 NoWedge "no-wedge" Healed, "While somebody can be asked for something, something is asked within ten seconds.";
    50 SnubRecovery "snub-recovery" Healed, "A block that a silent peer owes is asked of another within a minute.";
    51 Fairness "fairness" Healed, "Everybody who is interested is unchoked in turn; equals get equal shares, and free riders little.";
    52 Robustness "robustness" Test("tests/oracle_experiments.rs"), "Half of the peers being hostile costs at most twice the time.";
    53 StopsInTime "stops-in-time" EveryCall, "Stopping takes at most its limit, and leaves resume data that claim all there is.";
    54 UtpYields "utp-yields" NotYet("uTP"), "uTP yields to other traffic.";
    55 SameTwice "same-twice" Test("tests/oracles.rs"), "The same seed gives the same actions.";
    56 ReplaySame "replay-same" Test("tests/oracles.rs"), "What was recorded replays to the same actions.";
    57 CloneSame "clone-same" EveryCall, "A clone that is told the same does the same.";
    58 NotVacuous "not-vacuous" Test("tests/oracles.rs"), "Every oracle has had something to judge.";
}

impl Oracle {
    /// Its number in the project's list.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The oracle of a number.
    pub fn of(number: u8) -> Option<Oracle> {
        Oracle::ALL.iter().copied().find(|oracle| oracle.number() == number)
    }

    /// A breach of it.
    pub fn breach(self, what: impl fmt::Display) -> Breach {
        Breach::new(self.number(), format!("{}: {what}", self.name()))
    }
}

impl fmt::Display for Oracle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number(), self.name())
    }
}

/// How often each oracle had something to judge.
#[derive(Clone, Debug)]
pub struct Tally([u64; 64]);

impl Default for Tally {
    fn default() -> Tally {
        Tally([0; 64])
    }
}

impl Tally {
    /// Judges: counts, and when it does not hold says what was seen.
    ///
    /// # Errors
    /// The breach.
    pub fn judge<T: fmt::Display>(
        &mut self,
        oracle: Oracle,
        holds: bool,
        what: impl FnOnce() -> T,
    ) -> Result<(), Breach> {
        self.0[usize::from(oracle.number())] += 1;
        if holds { Ok(()) } else { Err(oracle.breach(what())) }
    }

    /// How often an oracle had something to judge.
    pub fn of(&self, oracle: Oracle) -> u64 {
        self.0[usize::from(oracle.number())]
    }

    /// All that were judged at least once, by number.
    pub fn counts(&self) -> Vec<(u8, u64)> {
        let judged = |oracle: &&Oracle| self.of(**oracle) > 0;
        Oracle::ALL.iter().filter(judged).map(|oracle| (oracle.number(), self.of(*oracle))).collect()
    }
}
