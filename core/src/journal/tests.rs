//! Tests of recording and replay.

mod canon;
mod recording;
mod values;
