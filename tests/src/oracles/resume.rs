//! Resume data, read a second time: only what the oracles need, by the layout that the core's documentation gives.

use super::stream::{Pieces, bit};
use sha2::{Digest, Sha256};

/// What resume data claim.
#[derive(Clone, Debug)]
pub(super) struct Claims {
    pub generation: u64,
    pub pieces: Pieces,
    pub priorities: Vec<u8>,
}

/// Magic, version, flags, length, two hashes, generation, two totals, pieces, files.
const FIXED: usize = 8 + 2 + 2 + 4 + 20 + 32 + 8 + 8 + 8 + 4 + 4;
const TIMES: u16 = 32;
const FILE: usize = 17;

impl Claims {
    /// Reads them; `None` when they are damaged, or of another torrent.
    pub fn read(bytes: &[u8], pieces: u32) -> Option<Claims> {
        let (body, digest) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
        if Sha256::digest(body)[..] != *digest || body.get(..8)? != b"PkResume" {
            return None;
        }
        let number =
            |at: usize| body.get(at..at + 4).and_then(|bytes| Some(u32::from_be_bytes(bytes.try_into().ok()?)));
        let flags = u16::from_be_bytes(body.get(10..12)?.try_into().ok()?);
        let generation = u64::from_be_bytes(body.get(68..76)?.try_into().ok()?);
        let (count, files) = (number(FIXED - 8)?, number(FIXED - 4)? as usize);
        if count != pieces {
            return None;
        }
        let states = FIXED + if flags & TIMES != 0 { 16 } else { 0 };
        let from = states + files * FILE;
        let to = from + files.checked_sub(1)?;
        // The bit above the three of the priority says that a file is kept apart.
        let priorities = body.get(from..to)?.iter().map(|byte| byte & 7).collect();
        let bits = body.get(to..)?;
        let mut claimed = Pieces::default();
        for piece in (0..pieces).filter(|&piece| bit(bits, piece)) {
            claimed.put(piece, pieces);
        }
        Some(Claims { generation, pieces: claimed, priorities })
    }
}
