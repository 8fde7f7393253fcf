//! A tracker.
