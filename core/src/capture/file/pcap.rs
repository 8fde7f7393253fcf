//! The pcap format: a head of 24 bytes, and packets with a head of 16 each.

use super::{FileFault, Order, Raw, Step};
use crate::capture::{CaptureLimits, Stamp};

const HEAD: u64 = 24;
const RECORD_HEAD: usize = 16;

/// What the head of the file says.
#[derive(Clone, Debug)]
pub(super) struct Head {
    order: Order,
    /// How many nanoseconds a unit of the second number of each time stamp is.
    nanos_per_unit: u64,
    link: u16,
}

impl Head {
    /// The head and its length; `None` when it is not whole.
    pub(super) fn read(magic: &[u8; 4], bytes: &[u8]) -> Result<Option<(Head, u64)>, FileFault> {
        let (order, nanos_per_unit) = match magic {
            [0xa1, 0xb2, 0xc3, 0xd4] => (Order::Big, 1_000),
            [0xd4, 0xc3, 0xb2, 0xa1] => (Order::Little, 1_000),
            [0xa1, 0xb2, 0x3c, 0x4d] => (Order::Big, 1),
            [0x4d, 0x3c, 0xb2, 0xa1] => (Order::Little, 1),
            _ => return Err(FileFault::NotACapture),
        };
        let (Some(major), Some(minor), Some(link)) = (order.u16(bytes, 4), order.u16(bytes, 6), order.u32(bytes, 20))
        else {
            return Ok(None);
        };
        // 2.4 since 1998; before it, the two lengths of a packet stood in either order.
        if (major, minor) != (2, 4) {
            return Err(FileFault::Version { major, minor });
        }
        // The upper half tells of a frame check sequence behind each packet, which the lengths in its headers leave out.
        let link = (link & 0xffff) as u16;
        Ok(Some((Head { order, nanos_per_unit, link }, HEAD)))
    }

    pub(super) fn step(&self, bytes: &[u8], at: u64, limits: &CaptureLimits) -> Result<Step, FileFault> {
        let number = |at| self.order.u32(bytes, at);
        let (Some(seconds), Some(part), Some(captured), Some(length)) = (number(0), number(4), number(8), number(12))
        else {
            return Ok(Step::Wait);
        };
        if captured > limits.max_record {
            return Err(FileFault::Damaged { at, problem: "a packet that is too long" });
        }
        let captured = captured as usize;
        if bytes.len() < RECORD_HEAD + captured {
            return Ok(Step::Wait);
        }
        let nanos = u64::from(seconds).saturating_mul(1_000_000_000);
        let time = Stamp(nanos.saturating_add(u64::from(part).saturating_mul(self.nanos_per_unit)));
        let raw = Raw { time, link: self.link, start: RECORD_HEAD, captured, length };
        Ok(Step::Frame((RECORD_HEAD + captured) as u64, raw))
    }
}
