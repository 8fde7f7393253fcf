//! Items that the DHT stores for anybody (BEP 44): values of up to 1,000 bytes, under their hash or under a key that signs them.
//!
//! An item that exists is right: [`ImmutableItem`] and [`MutableItem`] cannot be made of a value that is too big or not canonical, and the
//! latter not without a signature that fits. So what a store holds and what a lookup yields was checked, and once.
//!
//! ```
//! use parcacik_core::dht::{ImmutableItem, NodeId};
//!
//! let item = ImmutableItem::new(b"12:Hello World!".to_vec()).unwrap();
//! assert_eq!(item.target().to_string(), "e5f96f6f38320f0f33959cb4d3d656452117aadb");
//! ```
//!
//! With the feature `dht-mutable` (it is on by default):
//!
//! ```
//! # #[cfg(feature = "dht-mutable")] {
//! use parcacik_core::dht::{MutableItem, SecretKey};
//!
//! // 32 bytes of good chance; everybody who has them can write under the key.
//! let key = SecretKey::from_seed(&[7; 32]);
//! let first = MutableItem::sign(&key, b"blog".to_vec(), 1, b"5:first".to_vec()).unwrap();
//! let second = MutableItem::sign(&key, b"blog".to_vec(), 2, b"6:second".to_vec()).unwrap();
//! assert_eq!(first.target(), second.target());
//! # }
//! ```

use super::NodeId;
use super::krpc::{ErrorCode, MAX_SALT, MAX_VALUE, Response, is_canonical};
use crate::journal::canon::{canon_enum, canon_struct};
use alloc::vec::Vec;
use core::fmt;
use sha1::{Digest, Sha1};

#[cfg(feature = "dht-mutable")]
mod key;
#[cfg(test)]
mod tests;

#[cfg(feature = "dht-mutable")]
pub use key::SecretKey;

/// An item of either kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Under its own hash.
    Immutable(ImmutableItem),
    /// Under the hash of a key.
    Mutable(MutableItem),
}

canon_enum!(out Item { 0 = Immutable(item), 1 = Mutable(item) });

/// An item under its own hash, which nobody can change.
#[derive(Clone, PartialEq, Eq)]
pub struct ImmutableItem {
    value: Vec<u8>,
}

canon_struct!(out ImmutableItem { value });

/// An item under the hash of a public key and a salt, which the owner of the key can replace.
#[derive(Clone, PartialEq, Eq)]
pub struct MutableItem {
    key: [u8; 32],
    salt: Vec<u8>,
    seq: i64,
    value: Vec<u8>,
    signature: [u8; 64],
}

canon_struct!(out MutableItem { key, salt, seq, value, signature });

/// Why something is no item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemError {
    /// The value has more than [`MAX_VALUE`] bytes.
    TooBig,
    /// The value is not one bencoded value in its canonical form.
    NotCanonical,
    /// The salt has more than [`MAX_SALT`] bytes.
    SaltTooBig,
    /// The number is below zero (BEP 44: "A client MAY also reject any message with a negative sequence number").
    NegativeSeq,
    /// The signature is not that of the key over salt, number and value.
    BadSignature,
    /// It is a right item, of another target than the one that was asked for.
    OtherTarget,
    /// Mutable items were left out of this build (feature `dht-mutable`).
    Unsupported,
}

impl ItemError {
    /// The code to refuse a `put` with.
    pub fn code(self) -> ErrorCode {
        match self {
            ItemError::TooBig => ErrorCode::TOO_BIG,
            ItemError::SaltTooBig => ErrorCode::SALT_TOO_BIG,
            ItemError::BadSignature => ErrorCode::BAD_SIGNATURE,
            ItemError::NotCanonical | ItemError::NegativeSeq | ItemError::OtherTarget => ErrorCode::PROTOCOL,
            ItemError::Unsupported => ErrorCode::SERVER,
        }
    }
}

impl fmt::Display for ItemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ItemError::TooBig => write!(f, "the value has more than {MAX_VALUE} bytes"),
            ItemError::NotCanonical => f.write_str("the value is not canonical bencoding"),
            ItemError::SaltTooBig => write!(f, "the salt has more than {MAX_SALT} bytes"),
            ItemError::NegativeSeq => f.write_str("the sequence number is negative"),
            ItemError::BadSignature => f.write_str("the signature does not fit"),
            ItemError::OtherTarget => f.write_str("it is an item of another target"),
            ItemError::Unsupported => f.write_str("mutable items are not built in"),
        }
    }
}

impl core::error::Error for ItemError {}

fn check_value(value: &[u8]) -> Result<(), ItemError> {
    match value.len() {
        0..=MAX_VALUE if is_canonical(value) => Ok(()),
        0..=MAX_VALUE => Err(ItemError::NotCanonical),
        _ => Err(ItemError::TooBig),
    }
}

impl ImmutableItem {
    /// The item of a value, which is bencoded.
    ///
    /// # Errors
    /// When it is too big or not canonical.
    pub fn new(value: Vec<u8>) -> Result<ImmutableItem, ItemError> {
        check_value(&value)?;
        Ok(ImmutableItem { value })
    }

    /// The value, bencoded.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// Where it is stored.
    pub fn target(&self) -> NodeId {
        immutable_target(&self.value)
    }
}

/// Where a value is stored as an immutable item: under its SHA-1.
pub fn immutable_target(value: &[u8]) -> NodeId {
    NodeId(Sha1::digest(value).into())
}

/// Where the items of a key with a salt are stored. BEP 44: "the SHA-1 hash of this key concatenated with the `salt`, if present".
pub fn mutable_target(key: &[u8; 32], salt: &[u8]) -> NodeId {
    NodeId(Sha1::new().chain_update(key).chain_update(salt).finalize().into())
}

/// What is signed (BEP 44): the salt if there is one, the number and the value, as they would stand in a dictionary.
pub fn signed_text(salt: &[u8], seq: i64, value: &[u8]) -> Vec<u8> {
    let mut text = crate::bencode::encode_dict(|dict| {
        dict.int("seq", seq).raw("v", value);
        if !salt.is_empty() {
            dict.bytes("salt", salt);
        }
    });
    // Without what makes it a dictionary. The keys are in order already: salt, seq, v.
    text.pop();
    text.remove(0);
    text
}

impl MutableItem {
    /// The item that somebody else signed.
    ///
    /// # Errors
    /// When it is none: too big, not canonical, or not signed with this key.
    pub fn verify(
        key: [u8; 32],
        salt: Vec<u8>,
        seq: i64,
        value: Vec<u8>,
        signature: [u8; 64],
    ) -> Result<MutableItem, ItemError> {
        check_mutable(&salt, seq, &value)?;
        verify_signature(&key, &signed_text(&salt, seq, &value), &signature)?;
        Ok(MutableItem { key, salt, seq, value, signature })
    }

    /// Signs an item.
    ///
    /// # Errors
    /// When it can be none: too big, or not canonical.
    #[cfg(feature = "dht-mutable")]
    pub fn sign(secret: &SecretKey, salt: Vec<u8>, seq: i64, value: Vec<u8>) -> Result<MutableItem, ItemError> {
        check_mutable(&salt, seq, &value)?;
        let signature = secret.sign(&signed_text(&salt, seq, &value));
        Ok(MutableItem { key: secret.public(), salt, seq, value, signature })
    }

    /// The public key.
    pub fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// What tells items of one key apart; empty when there is none.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// Its number. Of two with the same key and salt, the greater one is the newer.
    pub fn seq(&self) -> i64 {
        self.seq
    }

    /// The value, bencoded.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// The signature.
    pub fn signature(&self) -> &[u8; 64] {
        &self.signature
    }

    /// Where it is stored.
    pub fn target(&self) -> NodeId {
        mutable_target(&self.key, &self.salt)
    }
}

fn check_mutable(salt: &[u8], seq: i64, value: &[u8]) -> Result<(), ItemError> {
    check_value(value)?;
    match seq {
        _ if salt.len() > MAX_SALT => Err(ItemError::SaltTooBig),
        ..0 => Err(ItemError::NegativeSeq),
        _ => Ok(()),
    }
}

#[cfg(feature = "dht-mutable")]
fn verify_signature(key: &[u8; 32], text: &[u8], signature: &[u8; 64]) -> Result<(), ItemError> {
    key::verify(key, text, signature).then_some(()).ok_or(ItemError::BadSignature)
}

#[cfg(not(feature = "dht-mutable"))]
fn verify_signature(_: &[u8; 32], _: &[u8], _: &[u8; 64]) -> Result<(), ItemError> {
    Err(ItemError::Unsupported)
}

impl Item {
    /// The item in an answer to a `get` for `target`; `salt` is what the asker has for a mutable one. `None`: there is none in it.
    ///
    /// BEP 44: "the key they get back from a `get` request MUST be verified to hash to the target ID the lookup was made for, as well as
    /// verifying the signature."
    ///
    /// # Errors
    /// When what is in it is not what was asked for: then the answer should count for nothing.
    pub fn from_response(target: NodeId, salt: &[u8], response: &Response<'_>) -> Result<Option<Item>, ItemError> {
        let Some(value) = response.value else { return Ok(None) };
        let Some(key) = response.key else {
            let item = ImmutableItem::new(value.to_vec())?;
            return if item.target() == target { Ok(Some(Item::Immutable(item))) } else { Err(ItemError::OtherTarget) };
        };
        // A hash is cheaper than a signature.
        if mutable_target(key, salt) != target {
            return Err(ItemError::OtherTarget);
        }
        let (Some(seq), Some(signature)) = (response.seq, response.signature) else {
            return Err(ItemError::BadSignature);
        };
        MutableItem::verify(*key, salt.to_vec(), seq, value.to_vec(), *signature).map(|item| Some(Item::Mutable(item)))
    }

    /// Where it is stored.
    pub fn target(&self) -> NodeId {
        match self {
            Item::Immutable(item) => item.target(),
            Item::Mutable(item) => item.target(),
        }
    }

    /// The value, bencoded.
    pub fn value(&self) -> &[u8] {
        match self {
            Item::Immutable(item) => item.value(),
            Item::Mutable(item) => item.value(),
        }
    }

    /// The number of a mutable one.
    pub fn seq(&self) -> Option<i64> {
        match self {
            Item::Immutable(_) => None,
            Item::Mutable(item) => Some(item.seq()),
        }
    }

    /// Puts it into an answer. BEP 44: if its number "is less than or equal to the `seq` field then the `k`, `v`, and `sig` fields SHOULD
    /// be omitted from the response", where `newer_than` is that field; the number is told in any case.
    pub fn put_into<'a>(&'a self, newer_than: Option<i64>, response: &mut Response<'a>) {
        response.seq = self.seq();
        if let (Some(seq), Some(newer_than)) = (self.seq(), newer_than)
            && seq <= newer_than
        {
            return;
        }
        response.value = Some(self.value());
        if let Item::Mutable(item) = self {
            (response.key, response.signature) = (Some(item.key()), Some(item.signature()));
        }
    }
}

impl fmt::Debug for ImmutableItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImmutableItem({}, {} bytes)", self.target(), self.value.len())
    }
}

impl fmt::Debug for MutableItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MutableItem({}, seq {}, {} bytes)", self.target(), self.seq, self.value.len())
    }
}
