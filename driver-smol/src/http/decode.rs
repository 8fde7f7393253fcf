//! The coding of a body: gzip and deflate, never beyond the limit.
//!
//! Labels lie both ways: servers send gzip without a label, and plain bytes (a tracker's error, mostly) under the label. So gzip is known by
//! its first two bytes, which begin no bencoded value, and the label only tells deflate, which has no such mark. The label is not asked
//! for anything else: values as `utf-8` and `none` are seen under it.

use bytes::Bytes;
use flate2::bufread::GzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use futures_lite::future::yield_now;
use parcacik_core::border::IoFault;
use std::io::Read;

/// RFC 1952, 2.3.1: "ID1 = 31, ID2 = 139".
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Bytes decoded between two looks at the other tasks of the thread.
const STEP: usize = 64 * 1024;

/// The most bytes of a body on the wire, given the most after decoding. Coding can make a body longer, but not by much; a server that
/// sends what decodes to nothing must find an end too.
pub(super) fn wire_limit(limit: usize) -> usize {
    limit.saturating_add(limit / 8).saturating_add(4096)
}

/// Whether a body with this start, under this `Content-Encoding`, has to be decoded.
pub(super) fn is_coded(start: &[u8], label: &[u8]) -> bool {
    start.starts_with(&GZIP_MAGIC) || says_deflate(label)
}

/// The decoded body, of at most `limit` bytes.
///
/// # Errors
/// `TooLarge` beyond the limit, `Protocol` when it is cut or broken.
pub(super) async fn decode(body: Vec<u8>, label: &[u8], limit: usize) -> Result<Bytes, IoFault> {
    let decoded = if body.starts_with(&GZIP_MAGIC) {
        gunzip(&body, limit).await?
    } else if says_deflate(label) && !body.is_empty() {
        inflate(&body, limit).await?
    } else {
        body
    };
    if decoded.len() > limit {
        return Err(IoFault::TooLarge);
    }
    Ok(Bytes::from(decoded))
}

fn says_deflate(label: &[u8]) -> bool {
    label.trim_ascii().eq_ignore_ascii_case(b"deflate")
}

/// RFC 1952, 2.2: "A gzip file consists of a series of 'members'". What follows the last one is padding.
async fn gunzip(mut rest: &[u8], limit: usize) -> Result<Vec<u8>, IoFault> {
    let mut out = Vec::new();
    while rest.starts_with(&GZIP_MAGIC) {
        let mut member = GzDecoder::new(rest);
        loop {
            let before = out.len();
            let step = STEP.min((limit - before).saturating_add(1));
            // Cut or broken, the checksum at the end included.
            (&mut member).take(step as u64).read_to_end(&mut out).map_err(|_| IoFault::Protocol)?;
            if out.len() > limit {
                return Err(IoFault::TooLarge);
            }
            if out.len() == before {
                break;
            }
            yield_now().await;
        }
        rest = member.into_inner();
    }
    Ok(out)
}

/// RFC 9110, 8.4.1.2: "The "deflate" coding is a "zlib" data format [...] Some non-conformant implementations send the "deflate"
/// compressed data without the zlib wrapper."
async fn inflate(body: &[u8], limit: usize) -> Result<Vec<u8>, IoFault> {
    // RFC 1950, 2.2: method 8 in the first byte; the first two, as a number, are a multiple of 31.
    let wrapped = match *body {
        [cmf, flg, ..] => cmf & 0x0f == 8 && u16::from_be_bytes([cmf, flg]).is_multiple_of(31),
        _ => false,
    };
    let mut decoder = Decompress::new(wrapped);
    let mut out = Vec::new();
    let mut rest = body;
    loop {
        let before = (decoder.total_in(), out.len());
        out.reserve(STEP);
        let status = decoder.decompress_vec(rest, &mut out, FlushDecompress::None).map_err(|_| IoFault::Protocol)?;
        // At most the length of `rest`: bytes taken from it.
        let taken = usize::try_from(decoder.total_in() - before.0).unwrap_or(rest.len()).min(rest.len());
        rest = &rest[taken..];
        if out.len() > limit {
            return Err(IoFault::TooLarge);
        }
        if status == Status::StreamEnd {
            return Ok(out);
        }
        if taken == 0 && out.len() == before.1 {
            // No more input and no end: it was cut.
            return Err(IoFault::Protocol);
        }
        yield_now().await;
    }
}
