//! Trackers, both sides.
