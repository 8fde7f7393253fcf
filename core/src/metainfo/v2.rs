//! The info dictionary of version 2 (BEP 52), and its agreement with version 1 in a hybrid.

use super::error::Within;
use super::files::Attributes;
use super::geometry::BLOCK_LENGTH;
use super::{FileEntry, MetainfoError, MetainfoLimits, info, merkle, top};
use crate::bencode::{Dict, DictIter, FieldError, FieldFault, Kind};
use crate::path::SafePath;
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

/// Whether the info dictionary is of version 2.
///
/// "Implementations must check this field first and indicate that a torrent is of a newer version than they can handle
/// before performing other validations". "Version 1 is not assigned", and is taken for no version at all.
pub(super) fn is_v2(dict: &Dict<'_, '_>) -> Result<bool, MetainfoError> {
    match dict.int("meta version").within(info::info)? {
        None | Some(1) => Ok(false),
        Some(2) => Ok(true),
        Some(_) => {
            let error = dict.error("meta version", FieldFault::Bad("a version that is not known here"));
            Err(MetainfoError::Field { within: info::info(), error })
        }
    }
}

/// "It must be a power of two and at least 16KiB."
pub(super) fn check_piece_length(dict: &Dict<'_, '_>, length: u32) -> Result<(), MetainfoError> {
    if length.is_power_of_two() && length >= BLOCK_LENGTH {
        return Ok(());
    }
    let error = dict.error("piece length", FieldFault::Bad("not a power of two of at least 16 KiB"));
    Err(MetainfoError::Field { within: info::info(), error })
}

/// The name of the only file, when the tree is `{name.ext: {"": {...}}}`, "a single-file torrent".
pub(super) fn single_name<'a>(dict: &Dict<'a, '_>) -> Option<&'a [u8]> {
    let mut entries = dict.dict("file tree").ok().flatten()?.iter();
    let (name, node) = entries.next()?;
    let (leaf, _) = node.dict()?.iter().next()?;
    (entries.next().is_none() && leaf.is_empty()).then_some(name)
}

/// The files of the tree, in its order. `folder` is what they lie in; `None` for a single file.
pub(super) fn files(
    dict: &Dict<'_, '_>,
    folder: Option<&str>,
    limits: &MetainfoLimits,
) -> Result<Vec<FileEntry>, MetainfoError> {
    let tree = dict.require_dict("file tree").within(info::info)?;
    let place = || "info.file tree".to_owned();
    // Depth first, with a stack of our own: the dictionaries that are open, and the path they make.
    let mut open: Vec<(Dict<'_, '_>, DictIter<'_, '_>)> = alloc::vec![(tree, tree.iter())];
    let mut elements: Vec<&[u8]> = Vec::new();
    let mut files = Vec::new();
    let mut total = 0u64;
    while let Some((node, entries)) = open.last_mut() {
        let Some((key, value)) = entries.next() else {
            open.pop();
            elements.pop();
            continue;
        };
        let Some(child) = value.dict() else {
            // Made safe, for it goes into a message.
            let field = crate::path::sanitize_element(key).unwrap_or_default();
            let error = FieldError { field, offset: value.span().start, fault: FieldFault::Not(Kind::Dict) };
            return Err(error).within(place);
        };
        if !key.is_empty() {
            elements.push(key);
            open.push((child, child.iter()));
            continue;
        }
        // "The file tree root dictionary itself must not be a file", and a file "must not have any sibling entries".
        if elements.is_empty() {
            return Err(node.error("", FieldFault::Bad("the root of the tree is a file"))).within(place);
        }
        if node.iter().nth(1).is_some() {
            return Err(node.error("", FieldFault::Bad("a file has siblings"))).within(place);
        }
        if files.len() >= limits.files {
            return Err(MetainfoError::TooManyFiles(limits.files));
        }
        let place = || alloc::format!("info.file tree.{}", SafePath::sanitize(elements.iter().copied()));
        let file = file(&child, folder, &elements, limits).within(place)?;
        total = total
            .checked_add(file.length)
            .filter(|&total| i64::try_from(total).is_ok())
            .ok_or_else(|| child.error("length", FieldFault::Bad("the lengths add up to more than 64 bits")))
            .within(place)?;
        files.push(file);
    }
    Ok(files)
}

fn file(
    leaf: &Dict<'_, '_>,
    folder: Option<&str>,
    elements: &[&[u8]],
    limits: &MetainfoLimits,
) -> Result<FileEntry, FieldError> {
    let attributes = info::attributes(leaf);
    if attributes.pad {
        return Err(leaf.error("attr", FieldFault::Bad("version 2 has no pad files")));
    }
    let length = if attributes.symlink { 0 } else { info::length(leaf)? };
    let path = match folder {
        Some(folder) => info::rooted(folder, elements),
        None => SafePath::sanitize(elements.iter().copied()),
    };
    info::check_path(&path, elements.len(), limits).map_err(|problem| FieldError {
        field: "path".to_owned(),
        offset: leaf.as_value().span().start,
        fault: FieldFault::Bad(problem),
    })?;
    let mut entry = info::entry(path, length, attributes);
    if attributes.symlink {
        let own = &entry.path;
        entry.symlink = Some(folder.map_or_else(|| own.clone(), |folder| info::link_target(leaf, folder, own)));
    }
    // "For non-empty files this is the the root hash of a merkle tree".
    if length > 0 {
        let root = leaf.require_bytes("pieces root")?;
        let root = root.try_into().map_err(|_| leaf.error("pieces root", FieldFault::Bad("not 32 bytes")))?;
        entry.pieces_root = Some(root);
    }
    Ok(entry)
}

/// Puts pad files where version 2 has gaps: "Files are mapped into this piece address space so that each non-empty file
/// is aligned to a piece boundary". `None` when the sizes overflow.
pub(super) fn with_gaps(files: Vec<FileEntry>, name: &str, piece_length: u32) -> Option<Vec<FileEntry>> {
    let mut padded = Vec::with_capacity(files.len());
    let mut offset = 0u64;
    for file in files {
        let over = offset % u64::from(piece_length);
        if file.length > 0 && over > 0 {
            let gap = u64::from(piece_length) - over;
            let number = alloc::format!("{gap}");
            let attributes = Attributes { pad: true, ..Attributes::default() };
            padded.push(info::entry(info::rooted(name, &[b".pad", number.as_bytes()]), gap, attributes));
            offset = offset.checked_add(gap)?;
        }
        offset = offset.checked_add(file.length)?;
        padded.push(file);
    }
    i64::try_from(offset).is_ok().then_some(padded)
}

/// Checks that both file lists of a hybrid say the same, and takes over the roots of version 2.
pub(super) fn agree(v1: &mut [FileEntry], v2: &[FileEntry], piece_length: u32) -> Result<(), MetainfoError> {
    let mut tree = v2.iter();
    let mut offset = 0u64;
    let mut count = 0;
    for file in v1.iter_mut() {
        if !file.pad {
            let twin = tree.next().ok_or(MetainfoError::HybridMismatch(count))?;
            let aligned = file.length == 0 || offset.is_multiple_of(u64::from(piece_length));
            let same = file.path == twin.path
                && file.length == twin.length
                && file.symlink.is_some() == twin.symlink.is_some();
            if !same || !aligned {
                return Err(MetainfoError::HybridMismatch(count));
            }
            file.pieces_root = twin.pieces_root;
            count += 1;
        }
        offset = offset.saturating_add(file.length);
    }
    if tree.next().is_some() { Err(MetainfoError::HybridMismatch(count)) } else { Ok(()) }
}

/// The hashes of each file's pieces, by the file's root.
pub(super) type PieceLayers = BTreeMap<merkle::Node, Bytes>;

/// Reads `piece layers`, which lies beside the info dictionary, and checks it against the roots inside.
///
/// "When verifying an infohash implementations must also check that the `piece layers` hashes outside the info
/// dictionary match the `pieces root` fields." A layer that is not there can be had from peers, so that is a warning.
pub(super) fn piece_layers(
    root: Option<&Dict<'_, '_>>,
    files: &[FileEntry],
    piece_length: u32,
    warnings: &mut Vec<String>,
) -> Result<PieceLayers, MetainfoError> {
    const KEY: &str = "piece layers";
    let given: BTreeMap<&[u8], &[u8]> = match root.map(|root| root.dict(KEY)).transpose().within(String::new)?.flatten()
    {
        // What is not a string has the wrong length, too.
        Some(layers) => layers.iter().map(|(key, value)| (key, value.bytes().unwrap_or(&[]))).collect(),
        None => BTreeMap::new(),
    };
    let level = (piece_length / BLOCK_LENGTH).trailing_zeros();
    let mut layers = PieceLayers::new();
    for file in files {
        // "For each file in the file tree that is larger than the piece size it contains one string value."
        let Some(pieces_root) = file.pieces_root.filter(|_| file.length > u64::from(piece_length)) else { continue };
        let Some(layer) = given.get(pieces_root.as_slice()) else {
            top::warn(warnings, || alloc::format!("\"{KEY}\" lacks the hashes of {}", file.path));
            continue;
        };
        let bytes = file.length.div_ceil(u64::from(piece_length)).saturating_mul(32);
        let wrong = || MetainfoError::PieceLayer(alloc::format!("{}", file.path));
        if layer.len() as u64 != bytes {
            return Err(wrong());
        }
        // Files of equal content share a root, and are checked once.
        if let Entry::Vacant(place) = layers.entry(pieces_root) {
            if merkle::root(merkle::nodes(layer), level) != Some(pieces_root) {
                return Err(wrong());
            }
            place.insert(Bytes::copy_from_slice(layer));
        }
    }
    Ok(layers)
}
