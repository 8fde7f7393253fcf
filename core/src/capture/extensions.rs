//! What each side calls the extensions that it takes (BEP 10), also those that nothing here knows.

use crate::bencode::{Document, Limits, Mode};
use alloc::collections::BTreeMap;
use alloc::string::String;

/// The longest name that is kept, in bytes. Those in use have under twenty.
const MAX_NAME: usize = 64;
/// What reading an extended handshake may cost; as for [`ExtendedHandshake`](crate::wire::ExtendedHandshake).
const LIMITS: Limits = Limits { bytes: 64 * 1024, depth: 16, tokens: 4096 };

/// A table of names; of 255 entries at most, as a number is a byte.
#[derive(Clone, Debug, Default)]
pub(super) struct ExtensionNames {
    names: BTreeMap<u8, String>,
}

impl ExtensionNames {
    /// Takes over what a handshake says. BEP 10: "the `m` dictionary is additive"; a number of 0 takes an extension back.
    pub(super) fn learn(&mut self, payload: &[u8]) {
        let Ok(document) = Document::decode_prefix(payload, Mode::Tolerant, &LIMITS) else { return };
        let Some(m) = document.root().dict().and_then(|dict| dict.get("m")).and_then(|m| m.dict()) else { return };
        for (name, number) in m.iter() {
            let Some(number) = number.int().and_then(|number| u8::try_from(number).ok()) else { continue };
            let Some(name) = core::str::from_utf8(name).ok().filter(|name| name.len() <= MAX_NAME) else { continue };
            self.names.retain(|_, known| known != name);
            if number != 0 {
                self.names.insert(number, name.into());
            }
        }
    }

    /// The name of an extension.
    pub(super) fn get(&self, number: u8) -> Option<String> {
        self.names.get(&number).cloned()
    }
}
