use super::*;
use crate::border::{InfoHash, PeerId};
use crate::metainfo::Geometry;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use core::net::IpAddr;
use core::ops::Range;
use proptest::collection::vec as many;
use proptest::prelude::*;
use std::vec;

const MAX: u32 = 160 << 10;

fn emitted(messages: &[Message]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    messages.iter().for_each(|message| message.emit(&mut bytes));
    bytes.to_vec()
}

/// Everything that a framer makes of these parts, and the ranges of content counted from the first byte of all.
fn framed(parts: &[&[u8]]) -> (Result<Vec<Message>, WireError>, Vec<Range<u32>>) {
    let mut framer = Framer::new(MAX);
    let (mut messages, mut ranges): (Vec<Message>, Vec<Range<u32>>) = (Vec::new(), Vec::new());
    let mut base = 0;
    for part in parts {
        framer.feed(Bytes::copy_from_slice(part), 0);
        let mut opaque = Vec::new();
        let end = loop {
            match framer.next(&mut opaque) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        for range in opaque {
            let range = range.start + base..range.end + base;
            match ranges.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => ranges.push(range),
            }
        }
        if let Some(error) = end {
            return (Err(error), ranges);
        }
        base += part.len() as u32;
    }
    (Ok(messages), ranges)
}

fn bytes(length: core::ops::Range<usize>) -> impl Strategy<Value = Bytes> {
    many(any::<u8>(), length).prop_map(Bytes::from)
}

fn any_message() -> impl Strategy<Value = Message> {
    let block = (any::<u32>(), any::<u32>(), any::<u32>()).prop_map(|(piece, begin, length)| BlockRange {
        piece,
        begin,
        length,
    });
    prop_oneof![
        Just(Message::KeepAlive),
        Just(Message::Choke),
        Just(Message::Unchoke),
        Just(Message::Interested),
        Just(Message::NotInterested),
        any::<u32>().prop_map(Message::Have),
        bytes(0..200).prop_map(Message::Bitfield),
        block.clone().prop_map(Message::Request),
        (any::<u32>(), any::<u32>(), bytes(0..5000)).prop_map(|(piece, begin, data)| Message::Piece {
            piece,
            begin,
            data
        }),
        block.clone().prop_map(Message::Cancel),
        any::<u16>().prop_map(Message::Port),
        any::<u32>().prop_map(Message::Suggest),
        Just(Message::HaveAll),
        Just(Message::HaveNone),
        block.prop_map(Message::Reject),
        any::<u32>().prop_map(Message::AllowedFast),
        (any::<u8>(), bytes(0..300)).prop_map(|(id, payload)| Message::Extended { id, payload }),
        (prop_oneof![10u8..=12, 18u8..=19, 21u8..=255], bytes(0..300))
            .prop_map(|(id, payload)| Message::Unknown { id, payload }),
    ]
}

proptest! {
    #[test]
    fn what_is_emitted_is_read_again(messages in many(any_message(), 0..12)) {
        prop_assert_eq!(framed(&[&emitted(&messages)]).0, Ok(messages));
    }

    #[test]
    fn a_split_changes_neither_messages_nor_ranges(
        messages in many(any_message(), 0..8),
        wrong in many((any::<prop::sample::Index>(), any::<u8>()), 0..2),
        cut in 1usize..400,
    ) {
        let mut bytes = emitted(&messages);
        for (at, byte) in wrong {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        let whole = framed(&[&bytes]);
        prop_assert_eq!(&framed(&bytes.chunks(cut).collect::<Vec<_>>()), &whole);
        prop_assert_eq!(&framed(&bytes.chunks(1).collect::<Vec<_>>()), &whole);
    }

    #[test]
    fn garbage_never_panics(bytes in many(any::<u8>(), 0..300), cut in 1usize..40) {
        let _ = framed(&bytes.chunks(cut).collect::<Vec<_>>());
        let _ = Handshake::parse(&bytes);
        let _ = ExtendedHandshake::parse(&bytes);
    }

    #[test]
    fn a_handshake_is_read_again(reserved in any::<[u8; 8]>(), hash in any::<[u8; 20]>(), id in any::<[u8; 20]>(), cut in 0usize..68) {
        let handshake = Handshake { reserved: Reserved(reserved), info_hash: InfoHash(hash), peer_id: PeerId(id) };
        let bytes = handshake.emit();
        prop_assert_eq!(Handshake::parse(&bytes), Ok(Some(handshake)));
        prop_assert_eq!(Handshake::parse(&bytes[..cut]), Ok(None));
        let head = Handshake48 { reserved: handshake.reserved, info_hash: handshake.info_hash };
        prop_assert_eq!(Handshake48::parse(&bytes[..cut]), Ok((cut >= 48).then_some(head)));
    }

    #[test]
    fn an_extended_handshake_is_read_again(
        ids in (any::<u8>(), any::<u8>(), any::<u8>()),
        client in proptest::option::of(".{0,20}"),
        numbers in (1u16.., 1u32.., 1u32..(30 << 20)),
        flags in (proptest::option::of(any::<bool>()), proptest::option::of(any::<bool>())),
        ip in any::<IpAddr>(),
        own in (any::<[u8; 4]>(), any::<[u8; 16]>()),
    ) {
        let handshake = ExtendedHandshake {
            extensions: vec![(Extension::Metadata, ids.0), (Extension::Pex, ids.1), (Extension::UploadOnly, ids.2)],
            client,
            port: Some(numbers.0),
            reqq: Some(numbers.1),
            your_ip: Some(ip),
            ipv4: Some(own.0.into()),
            ipv6: Some(own.1.into()),
            metadata_size: Some(numbers.2),
            upload_only: flags.0,
            encryption: flags.1,
        };
        prop_assert_eq!(ExtendedHandshake::parse(&handshake.emit()), Ok(handshake));
    }
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Written by hand from BEP 3, 6, 10 and 52.
#[test]
fn known_bytes_are_the_messages_they_are() {
    let block = |piece, begin, length| BlockRange { piece, begin, length };
    for (hex, message) in [
        ("00000000", Message::KeepAlive),
        ("0000000100", Message::Choke),
        ("0000000103", Message::NotInterested),
        ("000000050400000007", Message::Have(7)),
        ("0000000305ff80", Message::Bitfield(Bytes::from_static(&[0xff, 0x80]))),
        ("0000000d06000000010000400000004000", Message::Request(block(1, 16_384, 16_384))),
        (
            "0000000c070000000100004000616263",
            Message::Piece { piece: 1, begin: 16_384, data: Bytes::from_static(b"abc") },
        ),
        ("0000000d08000000010000000000004000", Message::Cancel(block(1, 0, 16_384))),
        ("00000003091ae1", Message::Port(6881)),
        ("000000050d00000003", Message::Suggest(3)),
        ("000000010e", Message::HaveAll),
        ("000000010f", Message::HaveNone),
        ("0000000d10000000010000000000004000", Message::Reject(block(1, 0, 16_384))),
        ("000000051100000009", Message::AllowedFast(9)),
        ("0000000414006465", Message::Extended { id: 0, payload: Bytes::from_static(b"de") }),
        ("000000031500ff", Message::Unknown { id: 21, payload: Bytes::from_static(&[0, 0xff]) }),
    ] {
        assert_eq!(framed(&[&unhex(hex)]).0, Ok(vec![message.clone()]), "{hex}");
        assert_eq!(emitted(&[message]), unhex(hex));
    }
}

#[test]
fn wrong_lengths_are_told() {
    for (hex, id, length) in [
        ("000000020000", 0, 2),
        ("0000000404000000", 4, 4),
        ("0000000c060000000000000000000000", 6, 12),
        ("000000050700000000", 7, 5),
        ("000000020900", 9, 2),
        ("000000020e00", 14, 2),
        ("0000000114", 20, 1),
    ] {
        assert_eq!(framed(&[&unhex(hex)]).0, Err(WireError::WrongLength { id, length }), "{hex}");
    }
}

#[test]
fn a_length_above_the_limit_is_refused_before_anything_is_kept() {
    let mut framer = Framer::new(MAX);
    framer.feed(Bytes::from_static(&[0xff, 0xff, 0xff, 0xff]), 0);
    assert_eq!(framer.next(&mut Vec::new()), Err(WireError::TooLong { length: u32::MAX }));
    let mut framer = Framer::new(MAX);
    framer.feed(Bytes::copy_from_slice(&(MAX + 1).to_be_bytes()), 0);
    assert_eq!(framer.next(&mut Vec::new()), Err(WireError::TooLong { length: MAX + 1 }));
    // At the limit it is taken, and nothing is said until it is there.
    let mut framer = Framer::new(MAX);
    framer.feed(Bytes::copy_from_slice(&MAX.to_be_bytes()), 0);
    assert_eq!(framer.next(&mut Vec::new()), Ok(None));
}

#[test]
fn a_whole_message_is_a_slice_of_its_chunk_and_a_split_one_is_not() {
    let block = emitted(&[Message::Piece { piece: 0, begin: 0, data: vec![7; 16_384].into() }]);
    let chunk = Bytes::from(block);
    let data_at = |parts: &[Bytes]| {
        let mut framer = Framer::new(MAX);
        for part in parts {
            framer.feed(part.clone(), 0);
            if let Ok(Some(Message::Piece { data, .. })) = framer.next(&mut Vec::new()) {
                return chunk.as_ptr_range().contains(&data.as_ptr());
            }
        }
        panic!("no message");
    };
    assert!(data_at(core::slice::from_ref(&chunk)));
    assert!(data_at(&[chunk.slice(..9), chunk.slice(9..)]), "split in its head only");
    assert!(!data_at(&[chunk.slice(..100), chunk.slice(100..)]));
}

#[test]
fn bytes_that_were_left_are_not_lost() {
    let bytes = Bytes::from(emitted(&[Message::Have(1), Message::Have(2), Message::Have(3)]));
    let mut framer = Framer::new(MAX);
    framer.feed(bytes.slice(..12), 0);
    assert_eq!(framer.next(&mut Vec::new()), Ok(Some(Message::Have(1))));
    framer.feed(bytes.slice(12..), 0);
    assert_eq!(framer.next(&mut Vec::new()), Ok(Some(Message::Have(2))));
    assert_eq!(framer.next(&mut Vec::new()), Ok(Some(Message::Have(3))));
    assert_eq!(framer.next(&mut Vec::new()), Ok(None));
    assert!(!framer.is_inside_message());
}

#[test]
fn reserved_bits_are_where_the_beps_put_them() {
    let bits = |hex: &str| {
        let reserved = Reserved(unhex(hex).try_into().unwrap());
        (reserved.extended(), reserved.dht(), reserved.fast(), reserved.v2())
    };
    assert_eq!(bits("0000000000100005"), (true, true, true, false));
    assert_eq!(bits("0000000000100015"), (true, true, true, true));
    assert_eq!(bits("ffffffffffffffff"), (true, true, true, true));
    assert_eq!(bits("0000000000000000"), (false, false, false, false));
    assert_eq!(Reserved::OURS.0, [0, 0, 0, 0, 0, 0x10, 0, 4]);
}

/// The first two are BEP 6's example; the others were computed from its text.
#[test]
fn allowed_fast_sets_are_those_of_the_bep() {
    let set = |hash: &str, ip: &str, pieces: u32, count: u32| -> Vec<u32> {
        let hash = InfoHash(unhex(hash).try_into().unwrap());
        let geometry = Geometry::new(u64::from(pieces), 1).unwrap();
        allowed_fast_set(ip.parse().unwrap(), &hash, &geometry, count).iter().map(|piece| piece.get()).collect()
    };
    let a = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let rising = "000102030405060708090a0b0c0d0e0f10111213";
    assert_eq!(set(a, "80.4.4.200", 1313, 7), [1059, 431, 808, 1217, 287, 376, 1188]);
    assert_eq!(set(a, "80.4.4.200", 1313, 9), [1059, 431, 808, 1217, 287, 376, 1188, 353, 508]);
    assert_eq!(set(a, "80.4.4.1", 1313, 9), set(a, "80.4.4.200", 1313, 9), "the same network, the same set");
    assert_eq!(set(a, "::ffff:80.4.4.200", 1313, 9), set(a, "80.4.4.200", 1313, 9));
    assert_eq!(set(rising, "1.2.3.4", 5, 10), [1, 3, 0, 2, 4], "no more than there are");
    assert_eq!(set(rising, "255.255.255.255", 4096, 10), [2270, 2444, 682, 2202, 789, 894, 2958, 2326, 3021, 2960]);
    assert_eq!(set("395df8f7c51f007019cb30201c49e884b46b92fa", "198.51.100.1", 10, 10), [6, 7, 1, 0, 5, 8, 3, 2, 4, 9]);
    assert_eq!(set(a, "2001:db8::1", 1313, 10), []);
}

#[test]
fn an_extended_handshake_of_the_usual_kind() {
    let text = b"d1:md11:ut_metadatai1e6:ut_pexi2ee13:metadata_sizei31235e1:pi6881e4:reqqi250e11:upload_onlyi1e1:v5:X 1.06:yourip4:\x01\x02\x03\x04e";
    let handshake = ExtendedHandshake::parse(text).unwrap();
    assert_eq!(handshake.extensions, [(Extension::Metadata, 1), (Extension::Pex, 2)]);
    assert_eq!((handshake.metadata_size, handshake.port, handshake.reqq), (Some(31_235), Some(6881), Some(250)));
    assert_eq!((handshake.upload_only, handshake.client.as_deref()), (Some(true), Some("X 1.0")));
    assert_eq!(handshake.your_ip, Some([1, 2, 3, 4].into()));
    assert_eq!(handshake.emit(), text);
}

#[test]
fn wrong_values_are_left_out_one_by_one() {
    let text = b"d1:ei-1e4:ipv43:abc4:ipv6i1e1:md6:ut_pex1:x11:ut_metadatai300e11:upload_onlyi4ee13:metadata_sizei2147483648e1:pi0e4:reqqi-5e11:upload_only3:yes1:vi7e6:yourip5:abcdee";
    let handshake = ExtendedHandshake::parse(text).unwrap();
    let expected = ExtendedHandshake {
        extensions: vec![(Extension::UploadOnly, 4)],
        encryption: Some(true),
        ..ExtendedHandshake::default()
    };
    assert_eq!(handshake, expected);
    assert_eq!(ExtendedHandshake::parse(b"de"), Ok(ExtendedHandshake::default()));
    for nothing in [&b"not bencode"[..], b"le", b"i1e", b"", b"d"] {
        assert_eq!(ExtendedHandshake::parse(nothing), Err(NotADictionary));
    }
}

/// BEP 10: "All items in the dictionary are optional": one number that nobody can hold says nothing about the others.
#[test]
fn a_number_beyond_64_bits_is_left_out_alone() {
    let text = b"d1:md6:ut_pexi99999999999999999999e11:ut_metadatai3ee1:pi18446744073709551616e4:reqqi-9223372036854775809e1:v1:Xe";
    let handshake = ExtendedHandshake::parse(text).unwrap();
    let expected = ExtendedHandshake {
        extensions: vec![(Extension::Metadata, 3)],
        client: Some("X".into()),
        ..ExtendedHandshake::default()
    };
    assert_eq!(handshake, expected);
}

#[test]
fn extension_numbers_add_up_and_zero_turns_off() {
    let say =
        |extensions: &[(Extension, u8)]| ExtendedHandshake { extensions: extensions.to_vec(), ..Default::default() };
    let mut ids = ExtensionIds::default();
    assert_eq!(ids.get(Extension::Pex), None);
    ids.update(&say(&[(Extension::Pex, 9), (Extension::Metadata, 2)]));
    ids.update(&say(&[(Extension::Pex, 0)]));
    assert_eq!((ids.get(Extension::Pex), ids.get(Extension::Metadata)), (None, Some(2)));
    for extension in [Extension::Metadata, Extension::Pex, Extension::UploadOnly] {
        assert_eq!(Extension::from_our_id(extension.our_id()), Some(extension));
    }
    assert_eq!(Extension::from_our_id(0), None);
}

#[test]
fn names_are_cut_and_cleaned() {
    assert_eq!(clean_name("  a\u{0}b\n\u{202e}c\u{200b}  ", 64), "abc");
    assert_eq!(clean_name("Tür 1.0 ü", 5), "Tür 1");
    assert_eq!(clean_name("", 5), "");
}
