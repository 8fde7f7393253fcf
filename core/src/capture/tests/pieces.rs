//! Pieces that went by.

use super::{emitted, handshake};
use crate::border::InfoHash;
use crate::capture::testing::{connection, segments};
use crate::capture::{CaptureLimits, Dissector, Heard, PieceCheck};
use crate::metainfo::{Metainfo, MetainfoLimits};
use crate::wire::{Handshake, Message};
use alloc::format;
use alloc::vec::Vec;
use sha1::{Digest as _, Sha1};

/// A torrent of 70,000 bytes in pieces of 32 KiB, and its content.
fn torrent() -> (Metainfo, Vec<u8>) {
    let content: Vec<u8> = (0..70_000u32).map(|at| (at ^ at >> 8) as u8).collect();
    let hashes: Vec<u8> = content.chunks(32_768).flat_map(|piece| <[u8; 20]>::from(Sha1::digest(piece))).collect();
    let mut bytes = b"d4:infod6:lengthi70000e4:name1:a12:piece lengthi32768e6:pieces60:".to_vec();
    bytes.extend(hashes);
    bytes.extend(b"ee");
    (Metainfo::parse(&bytes, &MetainfoLimits::default()).expect("it is good"), content)
}

/// What A is sent by B: these blocks, by number, of which some are damaged.
fn check<'t>(torrent: &'t Metainfo, content: &[u8], blocks: &[(usize, bool)], limits: CaptureLimits) -> PieceCheck<'t> {
    let say = |id| {
        let mut bytes = handshake(id);
        let hash = torrent.hashes().best();
        bytes[28..48].copy_from_slice(&hash.0);
        assert_eq!(Handshake::parse(&bytes).ok().flatten().map(|handshake| handshake.info_hash), Some(hash));
        bytes
    };
    let messages: Vec<Message> = blocks
        .iter()
        .map(|&(number, good)| {
            let mut data = content[number * 16_384..].chunks(16_384).next().unwrap_or_default().to_vec();
            data[0] ^= u8::from(!good);
            Message::Piece { piece: number as u32 / 2, begin: (number as u32 % 2) * 16_384, data: data.into() }
        })
        .collect();
    let file = segments(connection(&say(1), &[say(2), emitted(&messages)].concat(), 1400));
    let mut check = PieceCheck::new(torrent, &limits);
    let mut dissector = Dissector::new(CaptureLimits::default());
    dissector.feed(&file);
    while let Some(heard) = dissector.heard() {
        let Heard::Stream(id, _) = &heard else { continue };
        check.look(&heard, dissector.stream(*id));
    }
    check
}

#[test]
fn whole_pieces_are_hashed() {
    let (torrent, content) = torrent();
    let limits = CaptureLimits::default;
    let counts = |check: PieceCheck<'_>| (check.seen(), check.good(), check.bad());
    let good = |numbers: &[usize]| -> Vec<(usize, bool)> { numbers.iter().map(|number| (*number, true)).collect() };
    assert_eq!(counts(check(&torrent, &content, &good(&[3, 0, 4, 2, 1]), limits())), (3, 3, 0));
    assert_eq!(counts(check(&torrent, &content, &good(&[0, 0, 3, 2]), limits())), (1, 1, 0));
    // One that is bad, and is sent again.
    let bad = [(0, true), (1, false), (2, true), (3, false)];
    assert_eq!(counts(check(&torrent, &content, &bad, limits())), (2, 0, 2));
    let again = [&bad[..], &good(&[0, 1])].concat();
    assert_eq!(counts(check(&torrent, &content, &again, limits())), (2, 1, 2));
    // All of them may wait at the same time, and no more.
    let few = CaptureLimits { max_pieces_held: 70_000, ..limits() };
    let check = check(&torrent, &content, &good(&[0, 2, 4, 1, 3]), few);
    assert_eq!((check.seen(), check.dropped()), (3, 0));
}

#[test]
fn pieces_that_do_not_fit_are_given_up() {
    let (torrent, content) = torrent();
    let one = CaptureLimits { max_pieces_held: 40_000, ..CaptureLimits::default() };
    let check = check(&torrent, &content, &[(0, true), (2, true), (1, true), (3, true)], one);
    assert!(check.dropped() > 0 && check.seen() < 2 && check.bad() == 0, "{check:?}");
}

#[test]
fn blocks_of_other_torrents_and_outside_are_not_looked_at() {
    let (torrent, content) = torrent();
    let other = Metainfo::parse(
        &format!("d4:infod6:lengthi70000e4:name1:b12:piece lengthi32768e6:pieces60:{}ee", "x".repeat(60)).into_bytes(),
        &MetainfoLimits::default(),
    )
    .expect("it is good");
    assert_ne!(other.hashes().best(), torrent.hashes().best());
    let mut wrong = PieceCheck::new(&other, &CaptureLimits::default());
    let file = {
        let mut a = handshake(1);
        a[28..48].copy_from_slice(&torrent.hashes().best().0);
        let mut b = a.clone();
        let outside = [
            Message::Piece { piece: 9, begin: 0, data: content[..16_384].to_vec().into() },
            Message::Piece { piece: 2, begin: u32::MAX, data: content[..16_384].to_vec().into() },
            Message::Piece { piece: 2, begin: 0, data: content[65_536..].to_vec().into() },
        ];
        b.extend(emitted(&outside));
        segments(connection(&a, &b, 5000))
    };
    let mut right = PieceCheck::new(&torrent, &CaptureLimits::default());
    let mut dissector = Dissector::new(CaptureLimits::default());
    dissector.feed(&file);
    while let Some(heard) = dissector.heard() {
        let Heard::Stream(id, _) = &heard else { continue };
        wrong.look(&heard, dissector.stream(*id));
        right.look(&heard, dissector.stream(*id));
    }
    assert_eq!((wrong.seen(), right.seen(), right.good()), (0, 1, 1));
    assert_eq!(
        dissector.streams().next().and_then(|(_, facts)| facts.info_hash()),
        Some(InfoHash(torrent.hashes().best().0))
    );
}
