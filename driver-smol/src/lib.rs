//! Runs parcacik-core on smol.
