//! Tests of recording and replay.

mod brief;
mod canon;
mod laws;
mod recording;
mod state;
pub(super) mod values;
