//! Captures of other clients become tests.
//!
//! A capture holds what other clients said to each other, not to us. Two things follow from it all the same:
//!
//! * **Decode mode** ([`decode`]): one of our [`PeerConn`](parcacik_core::peer::PeerConn)s takes the place of an endpoint. It is told the bytes
//!   that came to that endpoint, when they came and cut as they came, and asks, serves and announces what the endpoint did. What honest clients
//!   say must never make it close the connection with a fault. [`words`] takes apart both directions by themselves.
//! * **Closed loop** ([`run`]): bytes of a capture answer the requests of the client that was captured, and ours are others. So each client that
//!   the endpoint talked with becomes a [`Script`], and the script a [`Player`] in a [`World`](crate::World): it says the same of itself and of its
//!   pieces, chokes and unchokes when the client did, answers *our* requests as late as the client answered, asks as deep and in the same order,
//!   and ends the connection as the client did. In the endpoint's place is a whole session of ours ([`Scene`]).
//!
//! ```
//! use parcacik_core::capture::{Side, dissect};
//! use parcacik_core::metainfo::{Metainfo, MetainfoLimits};
//! use parcacik_testkit::follow::{Cut, decode};
//!
//! let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/captures");
//! let capture = dissect(&std::fs::read(format!("{folder}/rqbit.pcap")).unwrap());
//! let torrent = std::fs::read(format!("{folder}/rqbit.torrent")).unwrap();
//! let torrent = Metainfo::parse(&torrent, &MetainfoLimits::default()).unwrap();
//! // In place of rqbit, which dialled and downloaded everything.
//! let decoded = decode(&capture.streams[0], Side::A, torrent.geometry(), Cut::AsCaptured).unwrap();
//! assert_eq!(decoded.fault(), None);
//! assert_eq!(decoded.content, torrent.geometry().total_length());
//! ```

mod decode;
mod player;
mod scene;
mod script;

pub use decode::{Cut, Decoded, Words, decode, words};
pub use player::Player;
pub use scene::{Outcome, Place, Scene, captured_content, made_up_content, run, scenes};
pub use script::{Close, Script};

use parcacik_core::capture::{Conversation, Item, Said, Side, Stamp};
use parcacik_core::wire::{Handshake, Message};

/// What one side of a conversation said: its handshake, when it had come, and where its bytes begin. `None` when there is none.
fn greeting(talk: &Conversation, side: Side) -> Option<(Stamp, u64, Handshake)> {
    talk.items.iter().filter(|item| item.from == side).find_map(|item| match item.said {
        Said::Handshake(handshake) => Some((item.time, item.range.start, handshake)),
        _ => None,
    })
}

/// The messages of both sides, by time.
fn messages(talk: &Conversation) -> impl Iterator<Item = (&Item, &Message)> {
    talk.items.iter().filter_map(|item| match &item.said {
        Said::Message { message, .. } => Some((item, message)),
        _ => None,
    })
}
