//! Recordings: any bytes are read without harm, and an event that is taken comes back from what it is written as.

use parcacik_core::journal::canon::{decode_config, decode_event, encode_config, encode_event};
use parcacik_core::journal::{Reader, replay};

/// One input.
pub fn run(input: &[u8]) {
    if let Ok(event) = decode_event(input) {
        let mut again = Vec::new();
        encode_event(&event, &[], &mut again);
        assert_eq!(decode_event(&again), Ok(event));
    }
    if let Ok(config) = decode_config(input) {
        let mut again = Vec::new();
        encode_config(&config, &mut again);
        assert_eq!(again, input);
    }
    if let Ok(reader) = Reader::new(input) {
        reader.for_each(drop);
    }
    let _ = replay(input);
}
