//! Extended handshakes: what was taken and is sent again is taken as the same.

use parcacik_core::wire::{ExtendedHandshake, clean_name};

/// One input.
pub fn run(input: &[u8]) {
    if let Ok(handshake) = ExtendedHandshake::parse(input) {
        let again = ExtendedHandshake::parse(&handshake.emit()).expect("our own handshakes are good");
        assert_eq!(ExtendedHandshake::parse(&again.emit()).as_ref(), Ok(&again));
    }
    let name = clean_name(&String::from_utf8_lossy(input), 64);
    assert!(name.chars().count() <= 64 && !name.chars().any(char::is_control));
}
