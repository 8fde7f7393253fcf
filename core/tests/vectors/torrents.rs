//! Torrent files: our own good and hostile ones, and ones of both versions over known content.

use super::{Cases, content, ensure, hex, number, same, text, unhex};
use parcacik_core::bencode::encode_dict;
use parcacik_core::metainfo::builder::{BuildOptions, Builder, SourceFile};
use parcacik_core::metainfo::{Metainfo, MetainfoLimits, merkle};
use serde_json::Value;
use sha1::{Digest, Sha1};
use sha2::Sha256;
use std::collections::BTreeSet;

fn strings(value: &Value) -> BTreeSet<String> {
    value.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

/// What another client reads, against ours. Paths and names are its own sanitised ones, and are compared elsewhere.
fn compare(torrent: &Metainfo, bytes: &[u8], case: &Value) -> Result<(), String> {
    let raw = &bytes[torrent.info_span()];
    if let Some(sha1) = case["sha1_info"].as_str() {
        same("SHA-1 of info", hex(&Sha1::digest(raw)), sha1.to_owned())?;
        same("SHA-256 of info", hex(&Sha256::digest(raw)), text(case, "sha256_info").to_owned())?;
        let hashes = torrent.hashes();
        ensure(hashes.v1.is_none_or(|hash| hex(&hash) == sha1), || "the v1 hash is another".to_owned())?;
        ensure(hashes.v2.is_none_or(|hash| hex(&hash) == text(case, "sha256_info")), || "v2 hash".to_owned())?;
    }
    let Some(due) = case.get("is") else { return Ok(()) };
    same("v1", torrent.hashes().v1.map(|hash| hex(&hash)).as_deref(), due["v1"].as_str())?;
    same("v2", torrent.hashes().v2.map(|hash| hex(&hash)).as_deref(), due["v2"].as_str())?;
    same("piece length", Some(u64::from(torrent.geometry().piece_length())), due["piece_length"].as_u64())?;
    same("pieces", Some(u64::from(torrent.geometry().pieces())), due["num_pieces"].as_u64())?;
    same("private", torrent.private(), due["private"].as_bool().unwrap_or(false))?;
    // Of version 2 alone, libtorrent has a gap behind the last file too.
    let is_gap =
        |file: &&Value| !torrent.is_v1() && file["flags"].as_array().is_some_and(|f| f.contains(&"pad".into()));
    let gap = due["files"].as_array().and_then(|files| files.last()).filter(is_gap);
    let gap = gap.map_or(0, |file| number(file, "length"));
    same("total", torrent.geometry().total_length(), number(due, "total_size") - gap)?;
    let kept: Vec<u64> = torrent.files().iter().map(|file| file.length).collect();
    let theirs: Vec<u64> =
        due["files"].as_array().into_iter().flatten().filter_map(|file| file["length"].as_u64()).collect();
    same("lengths of files", &kept[..], &theirs[..theirs.len() - usize::from(gap > 0)])?;
    let tiers = torrent.trackers().iter().enumerate();
    let ours: BTreeSet<(u64, String)> =
        tiers.flat_map(|(tier, urls)| urls.iter().map(move |url| (tier as u64, url.clone()))).collect();
    let theirs = due["trackers"].as_array().into_iter().flatten();
    let theirs: BTreeSet<(u64, String)> =
        theirs.filter_map(|entry| Some((entry[0].as_u64()?, entry[1].as_str()?.to_owned()))).collect();
    same("trackers", ours, theirs)?;
    let seeds: BTreeSet<String> = torrent.web_seeds().iter().cloned().collect();
    same("web seeds", seeds, strings(&due["url_seeds"]))
}

#[test]
fn good_and_hostile_torrents() {
    Cases::read("synthetic_torrents", include_str!("data/synthetic_torrents.json")).check(|case| {
        let bytes = match case["pieces"].as_u64() {
            Some(pieces) => encode_dict(|file| {
                file.dict("info", |info| {
                    info.int("length", pieces as i64 * 16_384).bytes("name", "temp").int("piece length", 16_384);
                    info.bytes("pieces", vec![b'a'; pieces as usize * 20]);
                });
            }),
            None => unhex(text(case, "torrent_hex")),
        };
        match (text(case, "expect"), Metainfo::parse(&bytes, &MetainfoLimits::default())) {
            ("accept", Ok(torrent)) => compare(&torrent, &bytes, case),
            ("reject", Err(_)) | ("either", _) => Ok(()),
            (expect, Ok(_)) => Err(format!("{expect}, but taken")),
            (expect, Err(error)) => Err(format!("{expect}, but {error}")),
        }
    });
}

#[test]
fn torrents_of_known_content() {
    Cases::read("bep52_torrents", include_str!("data/bep52_torrents.json")).check(|case| {
        let bytes = unhex(text(case, "torrent_file_hex"));
        let torrent = Metainfo::parse(&bytes, &MetainfoLimits::default()).map_err(|error| error.to_string())?;
        same("v1", torrent.hashes().v1.map(|hash| hex(&hash)).as_deref(), case["info_hash_v1"].as_str())?;
        same("v2", torrent.hashes().v2.map(|hash| hex(&hash)).as_deref(), case["info_hash_v2"].as_str())?;
        same("pieces", u64::from(torrent.geometry().pieces()), number(case, "num_pieces"))?;
        let files: Vec<(&str, Vec<u8>)> = case["files"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|file| (text(file, "path"), content(text(file, "seed"), number(file, "length") as usize)))
            .collect();
        for (path, data) in &files {
            // BEP 52: a tree of nothing but one file is that file, without a folder around it.
            let alone = !torrent.is_v1() && files.len() == 1;
            let whole = if alone { (*path).to_owned() } else { format!("{}/{path}", text(case, "root_name")) };
            let entry = torrent.files().iter().find(|file| !file.pad && file.path.to_string() == whole);
            let entry = entry.ok_or_else(|| format!("{whole} is missing"))?;
            same("length", entry.length, data.len() as u64)?;
            if torrent.is_v2() {
                check_tree(&torrent, entry.pieces_root, data, &case["pieces_roots"][path])?;
            }
        }
        if torrent.is_v1() {
            check_pieces(&torrent, &files, text(case, "root_name"))?;
        }
        if text(case, "version") == "v1" { rebuild(case, &torrent, &files) } else { Ok(()) }
    });
}

/// The root is the content's, and the piece layer is the one below it.
fn check_tree(torrent: &Metainfo, root: Option<[u8; 32]>, data: &[u8], due: &Value) -> Result<(), String> {
    same("root", root.map(|root| hex(&root)).as_deref(), due.as_str())?;
    let Some(root) = root else { return ensure(data.is_empty(), || "only empty files have no root".to_owned()) };
    let blocks = torrent.geometry().piece_length() as usize / 16_384;
    let leaves: Vec<merkle::Node> = data.chunks(16_384).map(|block| Sha256::digest(block).into()).collect();
    same("root of the content", merkle::root(leaves.iter().copied(), 0), Some(root))?;
    let layer: Vec<u8> = leaves
        .chunks(blocks)
        .flat_map(|piece| {
            let padding = std::iter::repeat_n([0; 32], blocks - piece.len());
            merkle::root(piece.iter().copied().chain(padding), 0).expect("a piece has blocks")
        })
        .collect();
    let due = (leaves.len() > blocks).then_some(&layer[..]);
    same("piece layer", torrent.piece_layer(&root), due)
}

/// The SHA-1 of each piece of what lies in the files, pads between them.
fn check_pieces(torrent: &Metainfo, files: &[(&str, Vec<u8>)], root: &str) -> Result<(), String> {
    let mut all = Vec::new();
    for entry in torrent.files() {
        let data = files.iter().find(|(path, _)| !entry.pad && entry.path.to_string() == format!("{root}/{path}"));
        match data {
            Some((_, data)) => all.extend_from_slice(data),
            None => all.resize(all.len() + entry.length as usize, 0),
        }
    }
    for (piece, data) in torrent.geometry().iter().zip(all.chunks(torrent.geometry().piece_length() as usize)) {
        same("piece", torrent.piece_hashes().get(piece), Some(Sha1::digest(data).into()))?;
    }
    Ok(())
}

/// Our builder makes the same info dictionary of the same files.
fn rebuild(case: &Value, torrent: &Metainfo, files: &[(&str, Vec<u8>)]) -> Result<(), String> {
    let sources = files.iter().map(|(path, data)| SourceFile {
        path: path.split('/').map(str::to_owned).collect(),
        length: data.len() as u64,
        executable: false,
    });
    let options = BuildOptions {
        name: text(case, "root_name").to_owned(),
        piece_length: Some(torrent.geometry().piece_length()),
        ..BuildOptions::default()
    };
    let mut builder = Builder::new(sources.collect(), options).map_err(|error| error.to_string())?;
    while let Some(job) = builder.next_job() {
        let mut hash = Sha1::new();
        for range in &job.ranges {
            let start = range.offset as usize;
            hash.update(&files[range.file].1[start..start + range.length as usize]);
        }
        builder.piece_hashed(job.piece, hash.finalize().into());
    }
    let built = builder.finish().map_err(|error| error.to_string())?;
    let built = Metainfo::parse(&built, &MetainfoLimits::default()).map_err(|error| error.to_string())?;
    same("built anew", built.hashes(), torrent.hashes())
}
