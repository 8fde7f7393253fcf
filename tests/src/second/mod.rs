//! A second decoder of the peer protocol, and the rules that what we emit has to keep.
//!
//! Nothing here uses the core's wire module: it is written from the BEPs a second time, plainly, one byte after the other,
//! so that a mistake in one is not a mistake in both. Hostile peers speak by it ([`Word::bytes`]), and an [`Audit`] at every
//! stream of every session in the [`World`](crate::World) reads what that session says and hears.

mod audit;
mod bencode;
#[cfg(test)]
mod tests;
mod words;

pub use audit::{Audit, Terms};
pub use bencode::Value;
pub use words::{Decoder, GREETING, Range, Unit, Word};
