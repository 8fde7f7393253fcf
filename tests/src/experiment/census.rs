//! Which messages were sent: the bytes are read as they go by.

/// Names of the kinds of messages, as they are counted.
pub const KINDS: [&str; 18] = [
    "choke",
    "unchoke",
    "interested",
    "not_interested",
    "have",
    "bitfield",
    "request",
    "piece",
    "cancel",
    "port",
    "suggest",
    "have_all",
    "have_none",
    "reject",
    "allowed_fast",
    "extended",
    "keep_alive",
    "other",
];

const PIECE: u8 = 7;
const KEEP_ALIVE: usize = 16;
const OTHER: usize = 17;

/// The length of a handshake.
const GREETING: u8 = 68;

/// How many messages of each kind, as in [`KINDS`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// By place in [`KINDS`].
    pub messages: [u64; KINDS.len()],
}

impl Census {
    /// Counts what is in a part of a stream. A core sends whole messages, the data of a `piece` apart.
    pub(super) fn read(&mut self, greeted: &mut u8, bytes: &[u8]) {
        let skipped = usize::from(GREETING - *greeted).min(bytes.len());
        *greeted += skipped as u8;
        let mut rest = &bytes[skipped..];
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            let kind = match after.first() {
                _ if length == 0 => KEEP_ALIVE,
                Some(id @ 0..=9) => usize::from(*id),
                Some(id @ 13..=17) => usize::from(*id) - 3,
                Some(20) => 15,
                _ => OTHER,
            };
            self.messages[kind] += 1;
            let there = if length > 0 && after.first() == Some(&PIECE) { 9 } else { length };
            rest = after.get(there..).unwrap_or_default();
        }
    }

    /// Adds what another has counted.
    pub(super) fn add(&mut self, other: &Census) {
        for (sum, more) in self.messages.iter_mut().zip(other.messages) {
            *sum += more;
        }
    }

    /// How many of a kind.
    pub fn of(&self, kind: &str) -> u64 {
        let of_kind = KINDS.iter().zip(self.messages).filter(|(name, _)| **name == kind);
        of_kind.map(|(_, count)| count).sum()
    }

    /// All that were counted at least once, with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        KINDS.iter().copied().zip(self.messages).filter(|&(_, count)| count > 0)
    }
}
