//! Verifying pieces: several at once, in lockstep, from memory as far as it holds them and else from the disk.

use super::files::Files;
use super::pieces::{Known, Next, hash};
use super::pool::Pool;
use crate::sha1_lanes::{LANES, Sha1};
use bytes::Bytes;
use parcacik_core::bitfield::Bitfield;
use parcacik_core::border::{IoFault, JobId, JobResult, PieceHash, Verdict};
use std::sync::Arc;
use std::time::Instant;

/// SHA-1 blame works on blocks of 16 KiB.
const BLOCK: usize = 16 << 10;

/// How much is read at once of a piece: with eight of them, little enough to be hashed while it is in the cache.
const READ: u32 = 64 << 10;

/// A piece to verify.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) piece: u32,
    pub(super) length: u32,
    pub(super) expect: PieceHash,
    pub(super) blocks: bool,
}

/// A piece whose verification waits for company.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) job: JobId,
    pub(super) files: Arc<Files>,
    /// The files that are kept apart.
    pub(super) apart: Arc<Bitfield>,
    pub(super) check: Check,
    pub(super) known: Known,
    pub(super) since: Instant,
}

impl AsMut<Known> for Held {
    fn as_mut(&mut self) -> &mut Known {
        &mut self.known
    }
}

/// Verifies pieces, [`LANES`] at a time, and says of each how it ended, in their order.
pub(super) fn verify(mut held: Vec<Held>, pool: &Arc<Pool>, mut say: impl FnMut(JobId, Result<JobResult, IoFault>)) {
    while !held.is_empty() {
        let later = held.split_off(held.len().min(LANES));
        // How a piece ended before all of it was hashed.
        let mut ended: Vec<Option<Result<JobResult, IoFault>>> = held.iter().map(|_| None).collect();
        hash(&mut held, |place, piece| match next(piece, pool) {
            Ok(bytes) => Some(bytes),
            Err(end) => {
                if let Some(ended) = ended.get_mut(place) {
                    *ended = end;
                }
                None
            }
        });
        for (Held { job, check, known, .. }, ended) in held.into_iter().zip(ended) {
            say(job, ended.unwrap_or_else(|| verdict(&check, known)));
        }
        held = later;
    }
}

/// What comes next of a piece; else its end: `None` when all of it is hashed.
fn next(held: &mut Held, pool: &Arc<Pool>) -> Result<Bytes, Option<Result<JobResult, IoFault>>> {
    let Check { piece, length, .. } = held.check;
    let hashed = held.known.hashed();
    let left = length.checked_sub(hashed).filter(|left| *left > 0).ok_or(None)?;
    let wanted = match held.known.next(left) {
        Next::Kept(bytes) => return Ok(bytes),
        Next::OnDisk(wanted) => wanted.min(READ),
    };
    let mut buffer = pool.take(wanted as usize);
    match held.files.read(piece, hashed, buffer.as_mut(), &held.apart) {
        Ok(read) if read == wanted as usize => Ok(buffer.freeze()),
        // Missing bytes are a mismatch, not a fault.
        Ok(_) => Err(Some(Ok(JobResult::Verified(Verdict { matches: false, blocks: Vec::new() })))),
        Err(fault) => Err(Some(Err(fault))),
    }
}

fn verdict(check: &Check, known: Known) -> Result<JobResult, IoFault> {
    let PieceHash::Sha1(expect) = check.expect else { return Err(IoFault::Unsupported) };
    Ok(JobResult::Verified(Verdict { matches: known.finish() == expect, blocks: Vec::new() }))
}

/// Verifies one piece and gives the hash of each of its blocks; reads all of it.
pub(super) fn verify_blocks(
    files: &Files,
    apart: &Bitfield,
    check: &Check,
    pool: &Arc<Pool>,
) -> Result<JobResult, IoFault> {
    let Check { piece, length, expect: PieceHash::Sha1(expect), .. } = *check else {
        return Err(IoFault::Unsupported);
    };
    let (mut whole, mut done, mut blocks) = (Sha1::default(), 0u32, Vec::new());
    while done < length {
        let wanted = (length - done).min(READ);
        let mut buffer = pool.take(wanted as usize);
        let read = files.read(piece, done, buffer.as_mut(), apart)?;
        let bytes = buffer.as_ref().get(..read).unwrap_or_default();
        whole.update(bytes);
        // A block that is cut short by the end of a file cannot be told; one that is by the end of the piece can.
        let told = bytes.chunks(BLOCK).filter(|block| block.len() == BLOCK || read == wanted as usize);
        blocks.extend(told.map(digest));
        if read < wanted as usize {
            return Ok(JobResult::Verified(Verdict { matches: false, blocks }));
        }
        done = done.saturating_add(wanted);
    }
    Ok(JobResult::Verified(Verdict { matches: whole.finish() == expect, blocks }))
}

fn digest(bytes: &[u8]) -> [u8; 20] {
    let mut sha1 = Sha1::default();
    sha1.update(bytes);
    sha1.finish()
}
