//! What a scripted peer can say.

use crate::content::Content;
use crate::hostile::{BLOCK, bitfield};
use crate::second::{GREETING, Range, Word};
use parcacik_core::wire::{Extension, METADATA_BLOCK, UtMetadata};

/// The bytes of one message of a script, by the second encoder. `letter` is the peer, `our_id` what our side calls itself.
pub(super) fn bytes(text: &str, letter: char, content: &Content, our_id: [u8; 20]) -> Result<Vec<u8>, String> {
    let word = match text {
        "keep-alive" => Word::KeepAlive,
        "choke" => Word::Choke,
        "unchoke" => Word::Unchoke,
        "interested" => Word::Interested,
        "not interested" => Word::NotInterested,
        "have all" => Word::HaveAll,
        "have none" => Word::HaveNone,
        _ => return with_numbers(text, letter, content, our_id),
    };
    Ok(word.bytes())
}

fn with_numbers(text: &str, letter: char, content: &Content, our_id: [u8; 20]) -> Result<Vec<u8>, String> {
    if let Some(with) = text.strip_prefix("start of handshake") {
        return handshake(with.trim(), letter, content, our_id).map(|bytes| bytes[..48].to_vec());
    }
    if let Some(with) = text.strip_prefix("rest of handshake") {
        return handshake(with.trim(), letter, content, our_id).map(|bytes| bytes[48..].to_vec());
    }
    if let Some(with) = text.strip_prefix("handshake") {
        return handshake(with.trim(), letter, content, our_id);
    }
    if let Some(rest) = text.strip_prefix("bytes ") {
        return quoted(rest);
    }
    if let Some(rest) = text.strip_prefix("bitfield ") {
        let rest = rest.trim();
        if rest.starts_with('"') {
            return Ok(Word::Bitfield(quoted(rest)?).bytes());
        }
        let have = pieces(rest, content.pieces())?;
        return Ok(Word::Bitfield(bitfield(content.pieces(), |piece| have.contains(&piece))).bytes());
    }
    if let Some(rest) = text.strip_prefix("metadata ") {
        return metadata(rest, content);
    }
    if let Some(payload) = text.strip_prefix("extended handshake ") {
        let payload = if payload.starts_with('"') { quoted(payload)? } else { payload.as_bytes().to_vec() };
        return Ok(Word::Extended(0, payload).bytes());
    }
    for (name, extended) in [("extended ", true), ("message ", false)] {
        if let Some(rest) = text.strip_prefix(name) {
            let (number, payload) = rest.split_once(' ').unwrap_or((rest, "\"\""));
            let number = number.parse().map_err(|_| format!("no number: {number}"))?;
            let payload = quoted(payload)?;
            return Ok(if extended { Word::Extended(number, payload) } else { Word::Other(number, payload) }.bytes());
        }
    }
    let one = |rest: &str| rest.trim().parse::<u32>().map_err(|_| format!("no number: {rest}"));
    for name in ["have ", "suggest piece ", "allowed fast "] {
        if let Some(piece) = text.strip_prefix(name) {
            let piece = one(piece)?;
            return Ok(match name {
                "have " => Word::Have(piece),
                "allowed fast " => Word::AllowedFast(piece),
                _ => Word::Suggest(piece),
            }
            .bytes());
        }
    }
    if let Some(rest) = text.strip_prefix("port ") {
        return Ok(Word::Port(rest.trim().parse().map_err(|_| format!("no port: {rest}"))?).bytes());
    }
    for name in ["request ", "cancel ", "reject request "] {
        if let Some(rest) = text.strip_prefix(name) {
            let range = range(rest)?;
            return Ok(match name {
                "request " => Word::Request(range),
                "cancel " => Word::Cancel(range),
                _ => Word::Reject(range),
            }
            .bytes());
        }
    }
    if let Some(rest) = text.strip_prefix("piece ") {
        let (rest, damaged) = match rest.strip_suffix(" damaged") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        return Ok(block(range(rest)?, content, damaged).bytes());
    }
    Err(format!("no such message: {text}"))
}

/// The `piece` message for a range, or one like it with other bytes. Outside of the torrent the bytes are zeros.
pub(super) fn block(range: Range, content: &Content, damaged: bool) -> Word {
    let Range { piece, begin, length } = range;
    match content.block(range) {
        Some(Word::Piece(_, _, mut data)) => {
            if damaged {
                data.iter_mut().for_each(|byte| *byte = !*byte);
            }
            Word::Piece(piece, begin, data)
        }
        _ => Word::Piece(piece, begin, vec![0; length as usize]),
    }
}

/// The number under which a scripted peer takes messages of BEP 9.
const THEIRS: u8 = 3;

/// What is said of the info dictionary: `offer` (an extended handshake with its size), `wanted` (one without), `request N`, `reject N`,
/// `data N`, `data N damaged`.
fn metadata(text: &str, content: &Content) -> Result<Vec<u8>, String> {
    let info = content.info();
    let ours = Extension::Metadata.our_id();
    let (what, damaged) = text.strip_suffix(" damaged").map_or((text, false), |what| (what, true));
    let (name, number) = what.split_once(' ').unwrap_or((what, "0"));
    let piece: u32 = number.parse().map_err(|_| format!("no number: {number}"))?;
    let message = match name {
        "offer" | "wanted" => {
            let size = if name == "offer" { format!("13:metadata_sizei{}e", info.len()) } else { String::new() };
            return Ok(Word::Extended(0, format!("d1:md11:ut_metadatai{THEIRS}ee{size}e").into_bytes()).bytes());
        }
        "request" => UtMetadata::Request { piece },
        "reject" => UtMetadata::Reject { piece },
        "data" => {
            let begin = piece as usize * METADATA_BLOCK as usize;
            let part = info.get(begin..info.len().min(begin + METADATA_BLOCK as usize)).ok_or("no such block")?;
            let data = part.iter().map(|byte| if damaged { !byte } else { *byte }).collect();
            UtMetadata::Data { piece, total_size: Some(info.len() as u32), data }
        }
        other => return Err(format!("no such message of metadata: {other}")),
    };
    Ok(Word::Extended(ours, message.emit()).bytes())
}

fn handshake(with: &str, letter: char, content: &Content, our_id: [u8; 20]) -> Result<Vec<u8>, String> {
    let (mut reserved, mut hash) = ([0, 0, 0, 0, 0, 0x10, 0, 0x04], content.info_hash);
    let mut id = *b"-XX0000-............";
    id[8..].fill(letter as u8);
    for part in with.split(", ").filter(|part| !part.is_empty()) {
        match part {
            "no fast" => reserved[7] &= !0x04,
            "no extended" => reserved[5] &= !0x10,
            "dht" => reserved[7] |= 0x01,
            "other torrent" => hash[0] ^= 0xff,
            "our id" => id = our_id,
            other => match other.strip_prefix("id of ").and_then(|letter| letter.chars().next()) {
                Some(letter) => id[8..].fill(letter as u8),
                None => return Err(format!("no such handshake: {other}")),
            },
        }
    }
    Ok([&GREETING[..], &reserved, &hash, &id].concat())
}

/// `PIECE`, `PIECE begin N`, `PIECE begin N length N`.
pub(super) fn range(text: &str) -> Result<Range, String> {
    let mut range = Range { piece: 0, begin: 0, length: BLOCK };
    let mut words = text.split_whitespace();
    let number = |name: &str, word: Option<&str>| -> Result<u32, String> {
        word.and_then(|word| word.parse().ok()).ok_or(format!("{name}: no number in {text}"))
    };
    range.piece = number("piece", words.next())?;
    while let Some(name) = words.next() {
        match name {
            "begin" => range.begin = number(name, words.next())?,
            "length" => range.length = number(name, words.next())?,
            other => return Err(format!("unknown: {other}")),
        }
    }
    Ok(range)
}

/// `all`, `none`, `0,2-4`.
pub(super) fn pieces(text: &str, count: u32) -> Result<Vec<u32>, String> {
    match text {
        "all" => return Ok((0..count).collect()),
        "none" => return Ok(Vec::new()),
        _ => {}
    }
    let mut pieces = Vec::new();
    for run in text.split(',') {
        let (first, last) = run.split_once('-').unwrap_or((run, run));
        let number = |text: &str| text.trim().parse::<u32>().map_err(|_| format!("no piece: {text}"));
        pieces.extend(number(first)?..=number(last)?);
    }
    match pieces.iter().find(|&&piece| piece >= count) {
        Some(piece) => Err(format!("there is no piece {piece}")),
        None => Ok(pieces),
    }
}

/// Text in quotes; `\x01` is a byte, `\"` and `\\` are themselves.
pub(super) fn quoted(text: &str) -> Result<Vec<u8>, String> {
    let inside = text.trim().strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let mut rest = inside.ok_or(format!("not in quotes: {text}"))?;
    let mut bytes = Vec::new();
    while let Some(next) = rest.chars().next() {
        rest = &rest[next.len_utf8()..];
        if next != '\\' {
            bytes.extend_from_slice(next.encode_utf8(&mut [0; 4]).as_bytes());
        } else if let Some(byte) = rest.strip_prefix('x').and_then(|hex| u8::from_str_radix(hex.get(..2)?, 16).ok()) {
            bytes.push(byte);
            rest = &rest[3..];
        } else if let Some(kept) = rest.chars().next().filter(|kept| "\"\\".contains(*kept)) {
            bytes.push(kept as u8);
            rest = &rest[1..];
        } else {
            return Err(format!("a lonely backslash: {text}"));
        }
    }
    Ok(bytes)
}
