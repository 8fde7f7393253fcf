//! Keys that sign: ed25519 (RFC 8032).

use core::fmt;
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use sha2::Sha512;

/// The secret half of a key. It is wiped from memory when it is dropped.
pub struct SecretKey {
    expanded: ExpandedSecretKey,
    public: VerifyingKey,
}

impl SecretKey {
    /// The key that 32 bytes stand for (RFC 8032). They must come from the operating system, and be kept secret.
    pub fn from_seed(seed: &[u8; 32]) -> SecretKey {
        SecretKey::with(ExpandedSecretKey::from(seed))
    }

    /// The key as libtorrent and BEP 44's examples keep it: the 64 bytes that a seed is expanded to.
    pub fn from_expanded(bytes: &[u8; 64]) -> SecretKey {
        SecretKey::with(ExpandedSecretKey::from_bytes(bytes))
    }

    fn with(expanded: ExpandedSecretKey) -> SecretKey {
        let public = VerifyingKey::from(&expanded);
        SecretKey { expanded, public }
    }

    /// The public half, by which everybody can check what this one signed.
    pub fn public(&self) -> [u8; 32] {
        self.public.to_bytes()
    }

    /// Signs. The same text always gives the same signature: nothing is drawn.
    pub(super) fn sign(&self, text: &[u8]) -> [u8; 64] {
        raw_sign::<Sha512>(&self.expanded, text, &self.public).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    /// Not the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey")
    }
}

/// Whether this is a signature of the key over the text.
///
/// By the equation of RFC 8032 without the demands that `verify_strict` adds: all nodes must agree on what is signed, and others do not make those.
pub(super) fn verify(key: &[u8; 32], text: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(key).is_ok_and(|key| key.verify(text, &Signature::from_bytes(signature)).is_ok())
}
