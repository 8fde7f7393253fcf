//! Announces of local discovery (BEP 14), with every hash and text replaced.

use super::mapper::Mapper;
use crate::lsd::LsdMessage;
use alloc::vec::Vec;

/// An announce of the length that it had; `None`: it is none that anybody reads.
///
/// The group and the port stay. So does a cookie that looks like one of ours: it comes from the decision seed, and says no more.
pub(super) fn announce(mapper: &mut Mapper, datagram: &[u8]) -> Option<Vec<u8>> {
    let mut hashes = LsdMessage::parse(datagram).ok()?.hashes.into_iter();
    let mut new = Vec::with_capacity(datagram.len());
    for (number, line) in datagram.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let colon = line.iter().position(|&byte| byte == b':').filter(|_| number > 0);
        let Some(colon) = colon else {
            // The first line, and empty ones; behind those anything may stand.
            let stays = number == 0 || line.iter().all(u8::is_ascii_whitespace);
            new.extend(line.iter().map(|&byte| if stays { byte } else { 0 }));
            continue;
        };
        let (name, value) = line.split_at(colon + 1);
        let (start, text) = (value.len() - value.trim_ascii_start().len(), value.trim_ascii());
        new.extend_from_slice(name);
        new.extend_from_slice(value.get(..start).unwrap_or_default());
        let name = name.strip_suffix(b":").unwrap_or(name).trim_ascii();
        if name.eq_ignore_ascii_case(b"Port") || is_kept(name, text) {
            new.extend_from_slice(text);
        } else if name.eq_ignore_ascii_case(b"Infohash") {
            match hashes.next() {
                Some(hash) => new.extend_from_slice(mapper.hash(hash).to_hex().as_bytes()),
                None => new.resize(new.len() + text.len(), b'0'),
            }
        } else {
            new.extend_from_slice(&mapper.letters("text of a neighbour", text));
        }
        new.extend_from_slice(value.get(start + text.len()..).unwrap_or_default());
    }
    Some(new)
}

fn is_kept(name: &[u8], text: &[u8]) -> bool {
    let is_ours = |text: &[u8]| text.len() == 10 && text.starts_with(b"pk");
    let is_group = |text: &[u8]| text == b"239.192.152.143:6771" || text == b"[ff15::efc0:988f]:6771";
    (name.eq_ignore_ascii_case(b"cookie") && is_ours(text)) || (name.eq_ignore_ascii_case(b"Host") && is_group(text))
}
