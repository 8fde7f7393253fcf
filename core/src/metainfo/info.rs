//! The info dictionary of version 1 (BEP 3, BEP 47), and what both versions share.

use super::error::Within;
use super::files::Attributes;
use super::{FileEntry, MetainfoError, MetainfoLimits};
use crate::bencode::{Dict, FieldError, FieldFault, List};
use crate::path::{self, SafePath};
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

/// The place of fields of the info dictionary in error messages.
pub(super) fn info() -> String {
    "info".to_owned()
}

/// BEP 3: "`piece length` maps to the number of bytes in each piece the file is split into."
pub(super) fn piece_length(dict: &Dict<'_, '_>, limits: &MetainfoLimits) -> Result<u32, MetainfoError> {
    const KEY: &str = "piece length";
    let length = dict.require_int(KEY).within(info)?;
    let bad = |problem| MetainfoError::Field { within: info(), error: dict.error(KEY, FieldFault::Bad(problem)) };
    match u32::try_from(length) {
        Ok(0) => Err(bad("0")),
        Ok(length) if length <= limits.piece_length => Ok(length),
        _ if length < 0 => Err(bad("negative")),
        _ => Err(bad("greater than is handled")),
    }
}

/// The torrent's name, which is the file's or the folder's: `name.utf-8` where it is there and a string, else `name`. A
/// name of which nothing is left when it is made safe is replaced by `instead`.
pub(super) fn name(dict: &Dict<'_, '_>, instead: impl FnOnce() -> String) -> Result<String, MetainfoError> {
    let utf8 = dict.bytes("name.utf-8").ok().flatten().filter(|name| !name.is_empty());
    let name = match utf8 {
        Some(name) => name,
        None => dict.require_bytes("name").within(info)?,
    };
    if name.is_empty() {
        return Err(MetainfoError::Field { within: info(), error: dict.error("name", FieldFault::Bad("empty")) });
    }
    Ok(path::sanitize_element(name).unwrap_or_else(instead))
}

/// A field that counts bytes.
pub(super) fn length(dict: &Dict<'_, '_>) -> Result<u64, FieldError> {
    let length = dict.require_int("length")?;
    u64::try_from(length).map_err(|_| dict.error("length", FieldFault::Bad("negative")))
}

pub(super) fn attributes(dict: &Dict<'_, '_>) -> Attributes {
    dict.bytes("attr").ok().flatten().map(Attributes::read).unwrap_or_default()
}

/// The files of a v1 torrent, pad files included, in order. Offsets are not counted yet.
pub(super) fn v1_files(
    dict: &Dict<'_, '_>,
    name: &str,
    limits: &MetainfoLimits,
) -> Result<Vec<FileEntry>, MetainfoError> {
    // BEP 3: "There is also a key `length` or a key `files`, but not both or neither." Where both are there, the list
    // counts, as other clients have it.
    let Some(list) = dict.list("files").within(info)? else {
        let length = length(dict).within(info)?;
        let attributes = attributes(dict);
        let path = SafePath::sanitize([name.as_bytes()]);
        return Ok(alloc::vec![entry(path, length, attributes)]);
    };
    let mut files = Vec::new();
    let mut total = 0u64;
    for (at, value) in list.enumerate() {
        if at >= limits.files {
            return Err(MetainfoError::TooManyFiles(limits.files));
        }
        let place = || alloc::format!("info.files[{at}]");
        let Some(file) = value.dict() else {
            let fault = FieldFault::Not(crate::bencode::Kind::Dict);
            let error = FieldError { field: alloc::format!("files[{at}]"), offset: value.span().start, fault };
            return Err(MetainfoError::Field { within: info(), error });
        };
        let file = v1_file(&file, name, limits).within(place)?;
        total = total
            .checked_add(file.length)
            .filter(|&total| i64::try_from(total).is_ok())
            .ok_or_else(|| dict.error("files", FieldFault::Bad("the lengths add up to more than 64 bits")))
            .within(info)?;
        files.push(file);
    }
    if files.is_empty() {
        return Err(MetainfoError::Field { within: info(), error: dict.error("files", FieldFault::Bad("empty")) });
    }
    Ok(files)
}

fn v1_file(file: &Dict<'_, '_>, name: &str, limits: &MetainfoLimits) -> Result<FileEntry, FieldError> {
    let mut attributes = attributes(file);
    let elements = elements(file)?;
    // What BitComet wrote before BEP 47 gave pad files an attribute.
    let name_of_pad =
        |elements: &Vec<&[u8]>| elements.last().is_some_and(|name| name.starts_with(b"_____padding_file_"));
    attributes.pad |= elements.as_ref().is_some_and(name_of_pad);
    // BEP 47: writers should put length 0 to a link, readers must not require it.
    let length = if attributes.symlink { 0 } else { length(file)? };
    let elements = match elements {
        Some(elements) => elements,
        // BEP 47: a pad file's path should be `.pad` and its length, but readers must not require one.
        None if attributes.pad => {
            let number = alloc::format!("{length}");
            let path = SafePath::sanitize([name.as_bytes(), b".pad", number.as_bytes()]);
            return Ok(entry(path, length, attributes));
        }
        None => return Err(file.error("path", FieldFault::Missing)),
    };
    let path = rooted(name, &elements);
    check_path(&path, elements.len(), limits).map_err(|problem| file.error("path", FieldFault::Bad(problem)))?;
    let mut entry = entry(path, length, attributes);
    if attributes.symlink {
        entry.symlink = Some(link_target(file, name, &entry.path));
    }
    Ok(entry)
}

/// The elements of `path.utf-8`, where it is a list of strings, or of `path`. `None` when there is neither.
fn elements<'a>(file: &Dict<'a, '_>) -> Result<Option<Vec<&'a [u8]>>, FieldError> {
    if let Some(elements) = file.list("path.utf-8").ok().flatten().and_then(strings)
        && !elements.is_empty()
    {
        return Ok(Some(elements));
    }
    let Some(list) = file.list("path")? else { return Ok(None) };
    match strings(list) {
        Some(elements) if elements.is_empty() => Err(file.error("path", FieldFault::Bad("empty"))),
        Some(elements) => Ok(Some(elements)),
        None => Err(file.error("path", FieldFault::Bad("an element is not a string"))),
    }
}

fn strings<'a>(list: List<'a, '_>) -> Option<Vec<&'a [u8]>> {
    list.map(|element| element.bytes()).collect()
}

/// Where a link points to; itself, when it does not say. Whether that is a file is checked when all are known.
pub(super) fn link_target(file: &Dict<'_, '_>, name: &str, own: &SafePath) -> SafePath {
    match file.list("symlink path").ok().flatten().and_then(strings) {
        Some(elements) if !elements.is_empty() && elements.len() < path::MAX_DEPTH => rooted(name, &elements),
        _ => own.clone(),
    }
}

pub(super) fn rooted(name: &str, elements: &[&[u8]]) -> SafePath {
    SafePath::sanitize(core::iter::once(name.as_bytes()).chain(elements.iter().copied()))
}

pub(super) fn check_path(path: &SafePath, elements: usize, limits: &MetainfoLimits) -> Result<(), &'static str> {
    if elements >= path::MAX_DEPTH {
        return Err("more elements than are allowed");
    }
    let bytes: usize = path.elements().iter().map(|element| element.len() + 1).sum();
    if bytes > limits.path_bytes { Err("longer than is allowed") } else { Ok(()) }
}

pub(super) fn entry(path: SafePath, length: u64, attributes: Attributes) -> FileEntry {
    FileEntry {
        path,
        length,
        offset: 0,
        pad: attributes.pad,
        executable: attributes.executable,
        hidden: attributes.hidden,
        symlink: None,
        pieces_root: None,
        layout: None,
    }
}

/// BEP 3: "`pieces` maps to a string whose length is a multiple of 20. It is to be subdivided into strings of length 20,
/// each of which is the SHA1 hash of the piece at the corresponding index."
pub(super) fn v1_pieces(dict: &Dict<'_, '_>, pieces: u32) -> Result<Bytes, MetainfoError> {
    let hashes = dict.require_bytes("pieces").within(info)?;
    if hashes.len() as u64 != u64::from(pieces) * 20 {
        let problem = if hashes.len() % 20 != 0 {
            "its length is not a multiple of 20"
        } else {
            "it does not have one hash for each piece"
        };
        return Err(MetainfoError::Field { within: info(), error: dict.error("pieces", FieldFault::Bad(problem)) });
    }
    Ok(Bytes::copy_from_slice(hashes))
}
