//! What fuzzing runs: for each parser and each machine a function that takes any bytes, and panics when something does not hold.
//!
//! The functions are here, and not in the fuzzer's programs, so that ordinary tests run the committed inputs through the same code. Not to
//! panic is the least of it: each module says in its first lines what it demands. Parsers are held against their own encoders, or
//! against the [second decoder](crate::second); machines are led by lists of operations, and held against plain books and against the
//! same [audit](crate::second::Audit) of streams that simulations use.
//!
//! ```
//! use parcacik_testkit::fuzzing::TARGETS;
//!
//! let target = TARGETS.iter().find(|target| target.name == "bencode").unwrap();
//! (target.run)(b"d4:spaml1:a1:bee");
//! ```
//!
//! Lists of operations come in two forms. Where an operation is a few numbers, a step is as many bytes. Where operations are of many
//! kinds, [`arbitrary`] makes them; with `PARCACIK_FUZZ_PRINT` set in the environment each is printed before it is done.

pub mod announcer;
pub mod bencode;
pub mod blame;
pub mod candidates;
pub mod capture;
pub mod choker;
pub mod connection;
pub mod extended;
pub mod fetch;
pub mod framer;
pub mod handshake;
mod host;
pub mod ip_filter;
pub mod journal;
pub mod krpc;
pub mod lsd;
pub mod magnet;
pub mod messages;
pub mod metadata;
pub mod metainfo;
pub mod path;
pub mod peer;
pub mod persist;
pub mod picker;
pub mod rates;
pub mod recording;
pub mod resume;
mod saying;
pub mod script;
pub mod session;
pub mod superseed;
pub mod tracker_http;
pub mod tracker_query;
pub mod tracker_server;
pub mod tracker_udp;
pub mod tracker_url;
pub mod udp_server;
pub mod ut_metadata;
pub mod ut_pex;

use arbitrary::{Arbitrary, Unstructured};
use std::fmt::Debug;
use std::sync::LazyLock;

static PRINTS: LazyLock<bool> = LazyLock::new(|| std::env::var_os("PARCACIK_FUZZ_PRINT").is_some());

/// The operations that an input stands for, `most` of them at most.
fn operations<'i, T: Arbitrary<'i> + Debug>(input: &'i [u8], most: usize) -> impl Iterator<Item = T> {
    let mut input = Unstructured::new(input);
    let next = move || if input.is_empty() { None } else { T::arbitrary(&mut input).ok() };
    let printed = |op: &T| {
        if *PRINTS {
            eprintln!("{op:?}");
        }
    };
    std::iter::from_fn(next).take(most).inspect(printed)
}

/// Something to be fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: that of its module here, of its program and of its folder of inputs.
    pub name: &'static str,
    /// Takes one input.
    pub run: fn(&[u8]),
}

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        /// All targets, by name.
        pub const TARGETS: &[Target] = &[$(Target { name: stringify!($name), run: $name::run }),*];
    };
}

targets! {
    announcer, bencode, blame, candidates, capture, choker, connection, extended, fetch, framer, handshake, ip_filter, journal, krpc, lsd,
    magnet, messages, metadata, metainfo, path, peer, persist, picker, rates, recording, resume, script, session, superseed, tracker_http, tracker_query,
    tracker_server, tracker_udp, tracker_url, udp_server, ut_metadata, ut_pex,
}
