//! Checksums, orders, sets, trees and the arithmetic of pieces.

use super::{Cases, array, content, hex, number, same, text, unhex};
use parcacik_core::border::{InfoHash, LayoutFile, StorageLayout};
use parcacik_core::crc32c::crc32c;
use parcacik_core::metainfo::{Geometry, merkle};
use parcacik_core::path::SafePath;
use parcacik_core::torrent::candidates::canonical_priority;
use parcacik_core::wire::allowed_fast_set;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::net::{IpAddr, SocketAddr};

#[test]
fn checksums() {
    Cases::read("crc32c", include_str!("data/crc32c.json")).check(|case| {
        same("crc32c", format!("{:08x}", crc32c(&unhex(text(case, "input_hex")))), text(case, "crc32c").to_owned())
    });
}

#[test]
fn canonical_priorities_of_peers() {
    Cases::read("bep40_priority", include_str!("data/bep40_priority.json")).check(|case| {
        let end = |ip: &str, port: &str| {
            SocketAddr::new(text(case, ip).parse::<IpAddr>().expect("an address"), number(case, port) as u16)
        };
        let (a, b) = (end("a", "a_port"), end("b", "b_port"));
        let due = text(case, "priority").to_owned();
        same("priority", format!("{:08x}", canonical_priority(a, b)), due.clone())?;
        same("priority from the other end", format!("{:08x}", canonical_priority(b, a)), due)
    });
}

#[test]
fn allowed_fast_sets() {
    Cases::read("bep6_allowed_fast", include_str!("data/bep6_allowed_fast.json")).check(|case| {
        let geometry = match Geometry::new(number(case, "pieces") * 16_384, 16_384) {
            Ok(geometry) => geometry,
            // More pieces than are handled: there is no such torrent to make a set of.
            Err(_) => return same("pieces", number(case, "pieces"), 3_000_000),
        };
        let ip = text(case, "ip").parse().expect("an address");
        let set = allowed_fast_set(ip, &InfoHash(array(text(case, "info_hash"))), &geometry, number(case, "k") as u32);
        let due: Vec<u64> = case["expect"].as_array().expect("a list").iter().filter_map(Value::as_u64).collect();
        same("set", set.iter().map(|piece| u64::from(piece.get())).collect::<Vec<_>>(), due)
    });
}

#[test]
fn merkle_trees() {
    Cases::read("bep52_merkle", include_str!("data/bep52_merkle.json")).check(|case| {
        if let Some(heights) = case["heights"].as_array() {
            for (level, due) in heights.iter().enumerate() {
                same("padding", hex(&merkle::padding(level as u32)), due.as_str().unwrap_or_default().to_owned())?;
            }
            return Ok(());
        }
        let data = content(text(case, "seed"), number(case, "size") as usize);
        same("data", hex(&Sha256::digest(&data)), text(case, "data_sha256").to_owned())?;
        let leaves: Vec<merkle::Node> = data.chunks(16_384).map(|block| Sha256::digest(block).into()).collect();
        same("leaves", leaves.len() as u64, number(case, "leaf_count"))?;
        same("first leaf", hex(&leaves[0]), text(case, "first_leaf").to_owned())?;
        same("last leaf", hex(&leaves[leaves.len() - 1]), text(case, "last_leaf").to_owned())?;
        let root = |leaves: &[merkle::Node], level| merkle::root(leaves.iter().copied(), level).map(|node| hex(&node));
        let due = Some(text(case, "pieces_root").to_owned());
        same("root", root(&leaves, 0), due.clone())?;
        let Some(layer) = case["piece_layer"].as_array() else { return Ok(()) };
        // Each node of the layer covers one piece, a power of two of blocks; the last one is filled with padding.
        let blocks = (number(case, "piece_length") / 16_384) as usize;
        let ours: Vec<merkle::Node> = leaves
            .chunks(blocks)
            .map(|piece| {
                let padding = std::iter::repeat_n(merkle::padding(0), blocks - piece.len());
                merkle::root(piece.iter().copied().chain(padding), 0).expect("a piece has blocks")
            })
            .collect();
        let theirs: Vec<String> = layer.iter().filter_map(|node| node.as_str().map(str::to_owned)).collect();
        same("layer", ours.iter().map(|node| hex(node)).collect::<Vec<_>>(), theirs)?;
        same("root of the layer", root(&ours, blocks.trailing_zeros()), due)
    });
}

#[test]
fn pieces_and_blocks() {
    Cases::read("layout", include_str!("data/layout.json")).check(|case| {
        let files = case["files"].as_array().expect("files");
        let piece_length = number(case, "piece_length") as u32;
        let lengths = files.iter().enumerate().map(|(at, file)| {
            let path = SafePath::sanitize([format!("{at}").as_bytes()]);
            (path, file["length"].as_u64().expect("a length"), false, false)
        });
        let layout = StorageLayout::new(lengths, piece_length);
        same("total", layout.total_length(), number(case, "total"))?;
        for (at, (ours, due)) in layout.files().iter().zip(files).enumerate() {
            let LayoutFile { offset, length, .. } = ours;
            same("offset", Some(*offset), due["offset"].as_u64())?;
            let pieces = layout.pieces_of(at);
            same("first piece", pieces.map(|(first, _)| first.into()), due["first_piece"].as_u64())?;
            same("last piece", pieces.map(|(_, last)| last.into()), due["last_piece"].as_u64())?;
            // All of the file, and nothing else, lies in the ranges of its pieces.
            let (first, last) = pieces.unwrap_or((1, 0));
            let held = (first..=last).flat_map(|piece| layout.ranges(piece, 0, piece_length));
            same("held", held.filter(|range| range.file == at).map(|range| range.length).sum::<u64>(), *length)?;
        }
        let geometry = Geometry::new(layout.total_length(), piece_length).map_err(|error| error.to_string())?;
        same("pieces", u64::from(geometry.pieces()), number(case, "num_pieces"))?;
        let last = geometry.iter().next_back().expect("a last piece");
        same("last piece", u64::from(geometry.length(last)), number(case, "last_piece_len"))?;
        let blocks: Vec<_> = geometry.blocks_of(last).collect();
        same("blocks of the last piece", blocks.len() as u64, number(case, "last_piece_blocks"))?;
        same("last block", blocks.last().map(|block| block.length().into()), case["last_block_len"].as_u64())?;
        let bitfield = parcacik_core::bitfield::Bitfield::all(geometry.pieces());
        same("bitfield", bitfield.to_wire().len() as u64, number(case, "bitfield_bytes"))
    });
}
