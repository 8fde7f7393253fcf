//! The pcapng format: blocks in sections.

use super::{FileFault, Order, Raw, Step};
use crate::capture::{CaptureLimits, Stamp};
use alloc::vec::Vec;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// The kind and the length in front, the length behind.
const FRAME: usize = 12;

/// Whether a file that begins so is pcapng. The number reads the same in both orders.
pub(super) fn is_section_header(magic: &[u8; 4]) -> bool {
    u32::from_be_bytes(*magic) == SECTION_HEADER
}

/// A section, as far as it has been read.
#[derive(Clone, Debug)]
pub(super) struct Section {
    order: Order,
    interfaces: Vec<Interface>,
    /// The time of the last packet that had one.
    last: Stamp,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: u16,
    snap_length: u32,
    resolution: Resolution,
    /// Seconds to be added to every time stamp.
    offset: i64,
}

/// How many units of a time stamp make a second.
#[derive(Clone, Copy, Debug)]
enum Resolution {
    /// 10 to the power of this.
    Ten(u32),
    /// 2 to the power of this.
    Two(u32),
}

impl Section {
    pub(super) fn new() -> Section {
        Section { order: Order::Big, interfaces: Vec::new(), last: Stamp(0) }
    }

    pub(super) fn step(&mut self, bytes: &[u8], at: u64, limits: &CaptureLimits) -> Result<Step, FileFault> {
        let Some(kind) = self.order.u32(bytes, 0) else { return Ok(Step::Wait) };
        let is_header = kind == SECTION_HEADER;
        if is_header {
            // "used to distinguish sections that have been saved on little-endian machines from the ones saved on big-endian machines".
            self.order = match bytes.get(8..12) {
                None => return Ok(Step::Wait),
                Some([0x1a, 0x2b, 0x3c, 0x4d]) => Order::Big,
                Some([0x4d, 0x3c, 0x2b, 0x1a]) => Order::Little,
                Some(_) => return Err(FileFault::Damaged { at, problem: "a section with no order of bytes" }),
            };
        }
        let order = self.order;
        let Some(length) = order.u32(bytes, 4) else { return Ok(Step::Wait) };
        if !length.is_multiple_of(4) || length < FRAME as u32 {
            return Err(FileFault::Damaged { at, problem: "a block of an impossible length" });
        }
        if length > limits.max_record {
            if matches!(kind, SECTION_HEADER | INTERFACE) {
                return Err(FileFault::Damaged { at, problem: "a header that is too long" });
            }
            return Ok(Step::Pass(u64::from(length)));
        }
        let total = length as usize;
        let Some(block) = bytes.get(..total) else { return Ok(Step::Wait) };
        if order.u32(block, total - 4) != Some(length) {
            return Err(FileFault::Damaged { at, problem: "a block whose two lengths differ" });
        }
        // Kind and length in front, the length behind: a block has 12 bytes at least.
        let body = block.get(8..total - 4).unwrap_or_default();
        let raw = match kind {
            SECTION_HEADER => {
                if let Some((major, minor)) = order.u16(body, 4).zip(order.u16(body, 6))
                    && !(major == 1 && matches!(minor, 0 | 2))
                {
                    return Err(FileFault::Version { major, minor });
                }
                self.interfaces.clear();
                None
            }
            INTERFACE => {
                let interface = interface(order, body);
                let interface = interface.ok_or(FileFault::Damaged { at, problem: "an interface without a type" })?;
                if self.interfaces.len() >= limits.max_interfaces as usize {
                    return Err(FileFault::Damaged { at, problem: "too many interfaces" });
                }
                self.interfaces.push(interface);
                None
            }
            ENHANCED_PACKET => {
                let raw = self.enhanced(order, body, 4, order.u32(body, 0));
                Some(raw.ok_or(FileFault::Damaged { at, problem: "a packet that is longer than its block" })?)
            }
            OLD_PACKET => {
                let raw = self.enhanced(order, body, 4, order.u16(body, 0).map(u32::from));
                Some(raw.ok_or(FileFault::Damaged { at, problem: "a packet that is longer than its block" })?)
            }
            SIMPLE_PACKET => {
                let raw = self.simple(order, body);
                Some(raw.ok_or(FileFault::Damaged { at, problem: "a packet without a length" })?)
            }
            _ => None,
        };
        Ok(match raw.flatten() {
            Some(raw) => Step::Frame(u64::from(length), Raw { start: raw.start + 8, ..raw }),
            None => Step::Pass(u64::from(length)),
        })
    }

    /// An enhanced packet, or one of the older kind, which differs in how it writes the interface; `Some(None)` when nobody has described
    /// the interface. `at` is where the time begins.
    fn enhanced(&mut self, order: Order, body: &[u8], at: usize, interface: Option<u32>) -> Option<Option<Raw>> {
        let number = |index: usize| order.u32(body, at + 4 * index);
        let (high, low, captured, length) = (number(0)?, number(1)?, number(2)?, number(3)?);
        let (start, captured) = (at + 16, captured as usize);
        if body.len() < start.checked_add(captured)? {
            return None;
        }
        let Some(interface) = self.interfaces.get(interface? as usize) else { return Some(None) };
        let time = interface.time(u64::from(high) << 32 | u64::from(low));
        self.last = time;
        Some(Some(Raw { time, link: interface.link, start, captured, length }))
    }

    /// A simple packet: of the first interface, and without a time.
    fn simple(&self, order: Order, body: &[u8]) -> Option<Option<Raw>> {
        let length = order.u32(body, 0)?;
        let Some(interface) = self.interfaces.first() else { return Some(None) };
        let snap = if interface.snap_length == 0 { u32::MAX } else { interface.snap_length };
        // "the minimum of the Original Packet Length and the SnapLen"; padding may follow.
        let captured = (length.min(snap) as usize).min(body.len() - 4);
        Some(Some(Raw { time: self.last, link: interface.link, start: 4, captured, length }))
    }
}

impl Interface {
    fn time(&self, units: u64) -> Stamp {
        const SECOND: u128 = 1_000_000_000;
        let units = u128::from(units);
        let nanos = match self.resolution {
            Resolution::Ten(power) => units * SECOND / 10u128.pow(power),
            // At most 64 and 30 bits: no overflow.
            Resolution::Two(power) => (units * SECOND) >> power,
        };
        let offset = i128::from(self.offset).saturating_mul(SECOND as i128);
        let nanos = i128::try_from(nanos).unwrap_or(i128::MAX).saturating_add(offset);
        Stamp(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
    }
}

fn interface(order: Order, body: &[u8]) -> Option<Interface> {
    const END: u16 = 0;
    const RESOLUTION: u16 = 9;
    const OFFSET: u16 = 14;
    let (link, snap_length) = (order.u16(body, 0)?, order.u32(body, 4)?);
    let mut interface = Interface { link, snap_length, resolution: Resolution::Ten(6), offset: 0 };
    let mut options = body.get(8..)?;
    while let (Some(code), Some(length)) = (order.u16(options, 0), order.u16(options, 2)) {
        let length = usize::from(length);
        let Some(value) = options.get(4..4 + length) else { break };
        match (code, value) {
            (END, _) => break,
            // "If the Most Significant Bit is equal to zero, the remaining bits indicate the resolution of the timestamp as a negative power
            // of 10 [...] If the Most Significant Bit is equal to one, the remaining bits indicate the resolution as negative power of 2".
            // 10^30 and 2^127 are beyond any clock, and as far as the arithmetic goes.
            (RESOLUTION, &[power, ..]) if power & 0x80 == 0 => {
                interface.resolution = Resolution::Ten(u32::from(power).min(30));
            }
            (RESOLUTION, &[power, ..]) => interface.resolution = Resolution::Two(u32::from(power & 0x7f)),
            (OFFSET, value) => {
                if let Ok(value) = <[u8; 8]>::try_from(value) {
                    interface.offset =
                        if order == Order::Big { i64::from_be_bytes(value) } else { i64::from_le_bytes(value) };
                }
            }
            _ => {}
        }
        // Values are padded to four bytes.
        let Some(rest) = options.get(4 + length.next_multiple_of(4)..) else { break };
        options = rest;
    }
    Some(interface)
}
