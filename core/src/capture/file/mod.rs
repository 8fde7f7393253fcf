//! Capture files: pcap and pcapng, bytes to frames.
//!
//! A [`Reader`] is fed the file in parts of any size and gives each [`Frame`] once it is whole. It holds one record at most. The first four
//! bytes tell the format and the order of its bytes.
//!
//! A pcap file (draft-ietf-opsawg-pcap) is a head and packets. A pcapng file (draft-ietf-opsawg-pcapng) is a list of blocks, each with its
//! length in front and behind, in sections that each have their own order of bytes and their own interfaces; blocks of unknown kind are
//! passed over.

mod ng;
mod pcap;

use super::{CaptureLimits, Stamp};
use bytes::{Buf as _, Bytes, BytesMut};
use core::fmt;

/// One captured packet, as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// When it was captured.
    pub time: Stamp,
    /// What it begins with: a number of the list of link types (LINKTYPE_...).
    pub link: u16,
    /// Its bytes: all of them, or the first when the capture was limited.
    pub data: Bytes,
    /// How long it was on the wire.
    pub length: u32,
}

/// Why a file cannot be read on.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileFault {
    /// It does not begin like a capture.
    NotACapture,
    /// A version of the format that is not known.
    Version {
        /// The number in front of the point.
        major: u16,
        /// The one behind.
        minor: u16,
    },
    /// A record that contradicts itself, or that is longer than [`CaptureLimits::max_record`].
    Damaged {
        /// Where it begins, in bytes from the start of the file.
        at: u64,
        /// What is wrong.
        problem: &'static str,
    },
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileFault::NotACapture => f.write_str("neither pcap nor pcapng"),
            FileFault::Version { major, minor } => write!(f, "version {major}.{minor} of the format is not known"),
            FileFault::Damaged { at, problem } => write!(f, "damaged at byte {at}: {problem}"),
        }
    }
}

impl core::error::Error for FileFault {}

/// The order of bytes in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Big,
    Little,
}

impl Order {
    fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if self == Order::Big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if self == Order::Big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }
}

/// Reads a capture file.
#[derive(Clone, Debug)]
pub struct Reader {
    limits: CaptureLimits,
    buffer: BytesMut,
    /// Where `buffer` begins in the file.
    at: u64,
    /// So many bytes to come belong to nothing that is kept.
    skip: u64,
    format: Format,
    fault: Option<FileFault>,
}

#[derive(Clone, Debug)]
enum Format {
    Unknown,
    Pcap(pcap::Head),
    Ng(ng::Section),
}

/// What came of looking at the next record.
enum Step {
    /// More bytes are needed.
    Wait,
    /// A record that holds no frame; so many bytes of it are to be passed over.
    Pass(u64),
    /// A frame, from a record of so many bytes.
    Frame(u64, Raw),
}

/// A frame in the buffer: where its bytes lie there.
struct Raw {
    time: Stamp,
    link: u16,
    start: usize,
    captured: usize,
    length: u32,
}

impl Reader {
    /// A reader at the start of a file.
    pub fn new(limits: CaptureLimits) -> Reader {
        Reader { limits, buffer: BytesMut::new(), at: 0, skip: 0, format: Format::Unknown, fault: None }
    }

    /// Takes the next bytes of the file. To be followed by [`next`](Reader::next) until that says `None`.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
        bytes = bytes.get(skipped..).unwrap_or_default();
        self.skip -= skipped as u64;
        self.at += skipped as u64;
        if self.fault.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next frame; `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the file cannot be read on from here; the same from then on.
    #[allow(clippy::should_implement_trait)] // It is no iterator: `None` is not the end.
    pub fn next(&mut self) -> Result<Option<Frame>, FileFault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        match self.advance() {
            Ok(frame) => Ok(frame),
            Err(fault) => {
                self.buffer = BytesMut::new();
                self.fault = Some(fault.clone());
                Err(fault)
            }
        }
    }

    /// Whether the file, if it ends here, was cut off in the middle of a record.
    pub fn is_inside_record(&self) -> bool {
        self.fault.is_none() && (self.skip > 0 || !self.buffer.is_empty())
    }

    fn advance(&mut self) -> Result<Option<Frame>, FileFault> {
        loop {
            let step = match &mut self.format {
                Format::Unknown => {
                    let Some(magic) = self.buffer.first_chunk::<4>() else { return Ok(None) };
                    if ng::is_section_header(magic) {
                        self.format = Format::Ng(ng::Section::new());
                        continue;
                    }
                    let Some((head, length)) = pcap::Head::read(magic, &self.buffer)? else { return Ok(None) };
                    self.format = Format::Pcap(head);
                    Step::Pass(length)
                }
                Format::Pcap(head) => head.step(&self.buffer, self.at, &self.limits)?,
                Format::Ng(section) => section.step(&self.buffer, self.at, &self.limits)?,
            };
            match step {
                Step::Wait => return Ok(None),
                Step::Pass(length) => self.pass(length),
                Step::Frame(length, raw) => {
                    let end = raw.start.saturating_add(raw.captured);
                    let length = usize::try_from(length).unwrap_or(usize::MAX).min(self.buffer.len());
                    let record = self.buffer.split_to(length).freeze();
                    self.at += length as u64;
                    // Both lie in the record: the formats have checked it.
                    let data = if end <= record.len() { record.slice(raw.start..end) } else { Bytes::new() };
                    return Ok(Some(Frame { time: raw.time, link: raw.link, data, length: raw.length }));
                }
            }
        }
    }

    fn pass(&mut self, length: u64) {
        let here = usize::try_from(length).unwrap_or(usize::MAX).min(self.buffer.len());
        self.buffer.advance(here);
        self.at += here as u64;
        self.skip = length - here as u64;
    }
}

#[cfg(test)]
mod tests;
