//! Who means harm: parts that a test puts into a [`World`](crate::World) to see what our side does.
//!
//! Each line of what peers and trackers do wrong is a part of its own, named after what it does, and driven by the world's
//! seed alone, so that a run can be repeated.
//!
//! - [`tracker`]: a tracker.

pub mod tracker;
