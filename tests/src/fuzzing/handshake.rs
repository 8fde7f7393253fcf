//! Handshakes: parse and emit are inverse, and a prefix is never refused when the whole is taken.

use parcacik_core::wire::{HANDSHAKE_LENGTH, Handshake, Handshake48};

/// One input.
pub fn run(input: &[u8]) {
    let _ = Handshake48::parse(input);
    if let Ok(Some(handshake)) = Handshake::parse(input) {
        assert_eq!(handshake.emit()[..], input[..HANDSHAKE_LENGTH]);
        for end in 0..HANDSHAKE_LENGTH {
            assert_eq!(Handshake::parse(&input[..end]), Ok(None));
        }
    }
}
