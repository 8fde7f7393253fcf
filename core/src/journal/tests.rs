//! Tests of recording and replay.

mod canon;
mod recording;
pub(super) mod values;
