//! Tests of recording and replay.

mod canon;
mod laws;
mod recording;
mod state;
pub(super) mod values;
