//! Keyed hashes: what only we can make, so that it need not be remembered.

use sha2::{Digest, Sha256};

/// The block of SHA-256 in bytes, for HMAC (RFC 2104).
const BLOCK: usize = 64;

/// HMAC (RFC 2104) with SHA-256, for keys that are not longer than a block.
pub(crate) fn hmac_sha256<const K: usize>(key: &[u8; K], message: &[u8]) -> [u8; 32] {
    const { assert!(K <= BLOCK) };
    let pad = |with: u8| {
        let mut pad = [with; BLOCK];
        pad.iter_mut().zip(key).for_each(|(pad, key)| *pad ^= key);
        pad
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| std::format!("{byte:02x}")).collect()
    }

    /// RFC 4231, test cases 1 and 2.
    #[test]
    fn hmac_known_answers() {
        assert_eq!(
            hex(&hmac_sha256(&[0x0b; 20], b"Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert_eq!(
            hex(&hmac_sha256(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
