//! The peer wire protocol (BEP 3, 6, 10): bytes to messages and back.
//!
//! Nothing here decides anything: these are the words of the conversation that [`PeerConn`](crate::peer::PeerConn) leads.
//! They stand alone, so a dissector or another client can use them:
//!
//! - [`Handshake`] and [`Handshake48`], the part of it that an acceptor needs to know which torrent is meant;
//! - [`Framer`], which cuts a stream into [`Message`]s without copying what lies whole in one chunk;
//! - [`Message`], what BEP 3 and BEP 6 know, with `emit`: `parse(emit(message)) == message`;
//! - [`ExtendedHandshake`] and [`ExtensionIds`], BEP 10; [`UtMetadata`], BEP 9; [`PexMessage`], BEP 11;
//! - [`allowed_fast_set`], the canonical set of BEP 6.
//!
//! ```
//! use bytes::BytesMut;
//! use parcacik_core::wire::{Framer, Message};
//!
//! let mut bytes = BytesMut::new();
//! Message::Have(7).emit(&mut bytes);
//! Message::Unchoke.emit(&mut bytes);
//!
//! let mut framer = Framer::new(1 << 17);
//! framer.feed(bytes.freeze(), 0);
//! let mut opaque = Vec::new();
//! assert_eq!(framer.next(&mut opaque), Ok(Some(Message::Have(7))));
//! assert_eq!(framer.next(&mut opaque), Ok(Some(Message::Unchoke)));
//! assert_eq!(framer.next(&mut opaque), Ok(None));
//! ```

mod extended;
mod fast_set;
mod framer;
mod handshake;
mod message;
mod ut_metadata;
mod ut_pex;

pub use extended::{ExtendedHandshake, Extension, ExtensionIds, NotADictionary, clean_name};
pub use fast_set::allowed_fast_set;
pub use framer::Framer;
pub use handshake::{HANDSHAKE_LENGTH, Handshake, Handshake48, NotBitTorrent, Reserved};
pub use message::{BlockRange, Message, REQUEST_LENGTH, WireError, emit_piece_head};
pub use ut_metadata::{METADATA_BLOCK, NotUtMetadata, UtMetadata, metadata_block_length, metadata_blocks};
pub use ut_pex::{PexFlags, PexMessage, PexPeer};

#[cfg(test)]
mod tests;
