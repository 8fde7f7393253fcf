//! Hostile peers of every kind, in virtual time: what our side does about each, and what it costs.
//!
//! In each test one of ours downloads or seeds, with one honest peer and the hostile ones. Checked each time (`arena.rs`): the
//! honest peer is never blamed, the transfer ends whole, memory for a peer stays within 8 KiB, a bitfield and one message,
//! no event leads to more than a thousand actions, dials keep to their limits, and every byte that we say passes the second decoder's judgement.
//! `--nocapture` prints a table of what was done: `what the peer does | how connections to it ended | bytes
//! wasted | heap | time (without it)`.

mod arena;
mod corrupting;
mod fuzz;
mod lying;
mod resource;
mod selfish;
mod swarm;
