//! Metainfo with every name replaced.
//!
//! Sizes, the number and order of files, attributes and flags stay, and so does the length of each string where it can: a name is
//! replaced by letters, another one by others. In the tree of a version 2 torrent names keep their order, for that is the order of the
//! files; a name too short for that becomes longer. Hashes of pieces are drawn anew, equal ones equal, and the roots of Merkle
//! trees are made from them.

use super::bencoded::{Rules, rewrite};
use super::mapper::{Mapper, START};
use crate::bencode::{Dict, Document, Limits, Mode, Value};
use crate::metainfo::{MetainfoLimits, merkle};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::vec::Vec;
use bytes::Bytes;

/// The metainfo as it is to be. `nonce`: another one makes other hashes of pieces, and so another info-hash.
pub(super) fn rewritten(mapper: &mut Mapper, bytes: &Bytes, nonce: u64) -> Bytes {
    let limits = MetainfoLimits::default();
    let limits = Limits { bytes: limits.bytes, depth: limits.depth, tokens: limits.tokens };
    let Ok(document) = Document::decode_prefix(bytes, Mode::Lenient, &limits) else {
        // Not bencoded: refused before, and refused then.
        return Bytes::from(alloc::vec![0; bytes.len()]);
    };
    let root = document.root().dict();
    let info = root.and_then(|root| root.get("info")?.dict());
    let mut rules = Names { mapper, nonce, names: BTreeMap::new(), used: BTreeSet::new(), roots: BTreeMap::new() };
    if let Some(tree) = info.and_then(|info| info.get("file tree")?.dict()) {
        rules.sorted(&tree);
    }
    if let (Some(root), Some(info)) = (root, info) {
        rules.layers(&root, &info);
    }
    let mut out = Vec::with_capacity(bytes.len());
    rewrite(document.root(), &mut Vec::new(), &mut rules, &mut out);
    Bytes::from(out)
}

/// The elements of a folder's path, each with its length in front.
type Folder = Vec<u8>;

struct Names<'m> {
    mapper: &'m mut Mapper,
    nonce: u64,
    names: BTreeMap<(Folder, Vec<u8>), Vec<u8>>,
    used: BTreeSet<(Folder, Vec<u8>)>,
    /// Merkle roots that have a layer.
    roots: BTreeMap<Vec<u8>, [u8; 32]>,
}

fn folder(elements: &[&[u8]]) -> Folder {
    let mut out = Vec::new();
    for element in elements {
        out.extend_from_slice(&(element.len() as u64).to_be_bytes());
        out.extend_from_slice(element);
    }
    out
}

/// What pad files are called: it says nothing.
fn is_padding(elements: &[&[u8]]) -> bool {
    match elements {
        [b".pad", number] => number.iter().all(u8::is_ascii_digit),
        [.., last] => last.starts_with(b"_____padding_file_"),
        [] => false,
    }
}

impl Names<'_> {
    /// Gives the names in each folder of a tree letters in their order.
    fn sorted(&mut self, tree: &Dict<'_, '_>) {
        let mut open = alloc::vec![(Vec::<&[u8]>::new(), *tree)];
        while let Some((path, node)) = open.pop() {
            let names: Vec<&[u8]> = node.iter().map(|(name, _)| name).filter(|name| !name.is_empty()).collect();
            let mut digits = 1;
            while 26u64.checked_pow(digits).is_some_and(|most| most < names.len() as u64) {
                digits += 1;
            }
            let folder = folder(&path);
            let mut in_order: Vec<&[u8]> = names.clone();
            in_order.sort_unstable();
            for (rank, name) in in_order.into_iter().enumerate() {
                let mut new: Vec<u8> =
                    (0..digits).rev().map(|digit| b'a' + (rank as u64 / 26u64.pow(digit) % 26) as u8).collect();
                let rest = self.mapper.key.letters("name", name);
                new.extend(rest.into_iter().skip(new.len()));
                self.put(&folder, name, new);
            }
            for (name, value) in node.iter().filter(|(name, _)| !name.is_empty()) {
                if let Some(child) = value.dict() {
                    let path = path.iter().copied().chain([name]).collect();
                    open.push((path, child));
                }
            }
        }
    }

    fn put(&mut self, folder: &[u8], name: &[u8], new: Vec<u8>) {
        self.mapper.hide("name", name, &new);
        self.used.insert((folder.to_vec(), new.clone()));
        self.names.insert((folder.to_vec(), name.to_vec()), new);
    }

    /// The name that stands for another in a folder.
    fn name(&mut self, folder: &[u8], name: &[u8]) -> Vec<u8> {
        if let Some(new) = self.names.get(&(folder.to_vec(), name.to_vec())) {
            return new.clone();
        }
        let mut salted = name.to_vec();
        let mut new = self.mapper.key.letters("name", name);
        for turn in 0..u8::MAX {
            if !self.used.contains(&(folder.to_vec(), new.clone())) {
                break;
            }
            // Two names of one letter may have the same: after some tries it becomes longer.
            salted.push(turn);
            new = self.mapper.key.letters("name", &salted);
            new.truncate(name.len() + usize::from(turn / 32));
        }
        self.put(folder, name, new.clone());
        new
    }

    fn path(&mut self, elements: &[&[u8]]) -> Vec<Vec<u8>> {
        if is_padding(elements) {
            return elements.iter().map(|element| element.to_vec()).collect();
        }
        (0..elements.len())
            .map(|at| {
                let (above, rest) = elements.split_at(at);
                rest.first().map(|name| self.name(&folder(above), name)).unwrap_or_default()
            })
            .collect()
    }

    /// Draws the layers of all files that have one, and makes their roots.
    fn layers(&mut self, root: &Dict<'_, '_>, info: &Dict<'_, '_>) {
        let length = info.get("piece length").and_then(|value| u32::try_from(value.int()?).ok()).unwrap_or(0);
        let level = (length / crate::metainfo::BLOCK_LENGTH).max(1).trailing_zeros();
        let Some(layers) = root.get("piece layers").and_then(|value| value.dict()) else { return };
        for (root, layer) in layers.iter() {
            let layer = layer.bytes().unwrap_or_default();
            // One that does not fit its root is refused, and has to be refused then.
            let fits = |layer: &[u8]| merkle::root(layer.as_chunks::<32>().0.iter().copied(), level);
            if fits(layer).is_some_and(|made| made == root)
                && let Some(new) = fits(&self.layer(layer))
            {
                self.roots.insert(root.to_vec(), new);
            }
        }
    }

    fn layer(&self, layer: &[u8]) -> Vec<u8> {
        layer.chunks(32).flat_map(|node| self.mapper.key.bytes("layer", node, node.len())).collect()
    }

    fn root(&self, root: &[u8]) -> Vec<u8> {
        match self.roots.get(root) {
            Some(new) => new.to_vec(),
            None => self.mapper.key.bytes("root", root, root.len()),
        }
    }

    fn url(&mut self, value: &[u8]) -> Vec<u8> {
        match core::str::from_utf8(value) {
            Ok(url) => self.mapper.url(url).into_bytes(),
            Err(_) => self.mapper.letters("URL", value),
        }
    }
}

const TREE: &[u8] = b"file tree";

impl Rules for Names<'_> {
    fn string(&mut self, path: &[&[u8]], value: &[u8]) -> Vec<u8> {
        match path {
            [b"announce" | b"announce-list" | b"url-list" | b"httpseeds"] => self.url(value),
            [b"nodes"] => match core::str::from_utf8(value).map(|node| node.rsplit_once(':')) {
                Ok(Some((host, port))) if !port.contains(']') && !host.contains(':') => {
                    alloc::format!("{}:{port}", self.mapper.host(host)).into_bytes()
                }
                Ok(_) => self.mapper.host(&alloc::string::String::from_utf8_lossy(value)).into_bytes(),
                Err(_) => self.mapper.letters("node", value),
            },
            [b"encoding"] | [b"info", b"attr"] | [b"info", b"files", b"attr"] => value.to_vec(),
            [b"info", b"name" | b"name.utf-8"] => self.name(&[], value),
            [b"info", b"pieces"] => {
                let nonce = self.nonce.to_be_bytes();
                let drawn = |hash: &[u8]| match self.nonce {
                    0 => self.mapper.key.bytes("piece", hash, hash.len()),
                    _ => self.mapper.key.bytes("piece", &[hash, &nonce].concat(), hash.len()),
                };
                value.chunks(20).flat_map(drawn).collect()
            }
            [b"piece layers", _] => self.layer(value),
            [b"info", TREE, .., b"pieces root"] if value.len() == 32 => self.root(value),
            [b"info", TREE, .., b"", b"attr"] => value.to_vec(),
            _ => self.mapper.letters("text in a torrent", value),
        }
    }

    fn key(&mut self, path: &[&[u8]], key: &[u8]) -> Vec<u8> {
        match path {
            [b"piece layers"] if key.len() == 32 => self.root(key),
            [b"info", TREE, above @ ..] if !above.contains(&&b""[..]) && !key.is_empty() => {
                self.name(&folder(above), key)
            }
            _ => key.to_vec(),
        }
    }

    fn integer(&mut self, path: &[&[u8]], digits: &[u8]) -> Vec<u8> {
        match path {
            [b"creation date"] if self.mapper.is_settled() => START.to_string().into_bytes(),
            _ => digits.to_vec(),
        }
    }

    fn whole(&mut self, path: &[&[u8]], value: &Value<'_, '_>) -> Option<Vec<u8>> {
        let lists = matches!(path, [b"info", b"files", b"path" | b"path.utf-8" | b"symlink path"])
            || matches!(path, [b"info", TREE, .., b"", b"symlink path"]);
        let list = value.list().filter(|_| lists)?;
        let elements: Option<Vec<&[u8]>> = list.map(|element| element.bytes()).collect();
        let new = self.path(&elements?);
        Some(crate::bencode::encode_list(|list| new.iter().for_each(|element| _ = list.bytes(element))))
    }
}
