//! Simulated networks and hostile peers for parcacik-core.
