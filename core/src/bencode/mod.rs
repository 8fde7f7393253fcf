//! Bencoding (BEP 3), read without copying and written canonically.
//!
//! [`Document::decode`] checks a whole text once and keeps a flat *tape* with an entry for each list and dictionary, that says
//! where it ends: what a cursor needs to step over it. No value is copied, nothing recurses, and a length that somebody declares
//! allocates nothing. [`Value`], [`Dict`] and [`List`] are cursors on that tape; [`Value::raw`] gives the very bytes of a value, which
//! is what an info-hash is over:
//!
//! BEP 52: "implementations must either reject invalid metainfo files or extract the substring directly. They must not
//! perform a decode-encode roundtrip on invalid data."
//!
//! ```
//! use parcacik_core::bencode::{Document, Limits, Mode, encode_dict};
//!
//! let text = encode_dict(|dict| {
//!     dict.int("interval", 1800);
//!     dict.bytes("peers", [127, 0, 0, 1, 0x1a, 0xe1]);
//! });
//! assert_eq!(text, b"d8:intervali1800e5:peers6:\x7f\x00\x00\x01\x1a\xe1e");
//!
//! let document = Document::decode(&text, Mode::Strict, &Limits::default()).unwrap();
//! let dict = document.root().dict().unwrap();
//! assert_eq!(dict.require_int("interval").unwrap(), 1800);
//! assert_eq!(dict.int("peers").unwrap_err().to_string(), "field \"peers\" (byte 24): not an integer");
//! ```
//!
//! Three modes. **Strict** takes canonical text only: keys sorted and unique, no leading zeros, no `-0`. **Lenient** takes
//! what torrents in the wild have, and reports each kind of deviation with the offset of its first case
//! ([`Document::deviations`]). Where a key is there twice, the first one counts. Both refuse integers beyond 64 bits.
//! **Tolerant** takes those too, and reads them as no integer: for an extended handshake, of which each value counts for itself.

mod decode;
mod encode;
#[cfg(test)]
mod tests;
mod value;

pub use decode::{DecodeError, Deviations, Document, Fault, Limits, Mode};
pub use encode::{DictEncoder, ListEncoder, encode_dict, encode_dict_into, encode_list};
pub use value::{Dict, DictIter, FieldError, FieldFault, Kind, List, Value};
