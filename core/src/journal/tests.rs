//! Tests of recording and replay.

mod canon;
mod laws;
mod recording;
pub(super) mod values;
