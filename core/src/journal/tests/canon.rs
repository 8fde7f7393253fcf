//! The canonical encoding: known bytes, there and back, holes, damage.

use super::values::{bytes, event, one_of_each};
use crate::border::{
    Action, Actions, AddressTable, CommandId, Config, Event, InfoHash, JobId, JobResult, PickOrder, TcpId, TorrentId,
    Work,
};
use crate::journal::canon::{
    DecodeError, MAX_HOLES, Problem, decode_addresses, decode_config, decode_event, encode_actions, encode_addresses,
    encode_config, encode_event, encode_number, hash_each,
};
use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr};
use core::ops::Range;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;
use xxhash_rust::xxh3::xxh3_64;

fn encoded(event: &Event, opaque: &[Range<u32>]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_event(event, opaque, &mut out);
    out
}

fn acted(list: Vec<Action>) -> Vec<u8> {
    let mut out = Vec::new();
    encode_actions(&Actions { list, ..Actions::new() }, &mut out);
    out
}

fn received(bytes: &[u8]) -> Event {
    Event::Received { tcp: TcpId(300), bytes: Bytes::copy_from_slice(bytes) }
}

fn with_zeros(bytes: &[u8], holes: &[Range<u32>]) -> Vec<u8> {
    let inside = |at: usize| holes.iter().any(|hole| (hole.start as usize..hole.end as usize).contains(&at));
    bytes.iter().enumerate().map(|(at, &byte)| if inside(at) { 0 } else { byte }).collect()
}

// The format is frozen: these bytes were worked out by hand from the table in the module's documentation.

#[test]
fn known_events_have_known_bytes() {
    assert_eq!(encoded(&Event::Tick, &[]), [0]);
    assert_eq!(encoded(&Event::WallClock { unix_seconds: -2 }, &[]), [1, 3]);
    assert_eq!(encoded(&received(b"abc"), &[]), [8, 0xac, 0x02, 3, 0, b'a', b'b', b'c']);
    let local = "192.0.2.1:6881".parse().unwrap();
    let bound = Event::Bound { sock: crate::border::SocketId(2), local };
    assert_eq!(encoded(&bound, &[]), [3, 2, 4, 192, 0, 2, 1, 0x1a, 0xe1]);
}

#[test]
fn known_holes_have_known_bytes() {
    // Two holes: one byte before the first, two between, one behind.
    assert_eq!(
        encoded(&received(b"aXXbcYYYd"), &[1..3, 5..8]),
        [8, 0xac, 0x02, 9, 2, 1, 2, 2, 3, b'a', b'b', b'c', b'd']
    );
    // All of it.
    assert_eq!(encoded(&received(b"XXXX"), std::slice::from_ref(&(0..4))), [8, 0xac, 0x02, 4, 1, 0, 4]);
}

#[test]
fn lists_of_blocked_addresses_have_one_encoding() {
    let of = |ranges: &[(&str, &str)]| {
        let mut filter = crate::border::IpFilter::new();
        ranges.iter().for_each(|(first, last)| {
            assert!(filter.block(first.parse().unwrap(), last.parse().unwrap()));
        });
        let command = crate::border::Command::SetIpFilter { filter: filter.into() };
        Event::Command { id: crate::border::CommandId(1), command }
    };
    // 0.0.0.1 to 0.0.0.3; one address later 0.0.0.5 alone; the last of all.
    let list = of(&[("0.0.0.1", "0.0.0.3"), ("0.0.0.5", "0.0.0.5"), ("255.255.255.255", "255.255.255.255")]);
    let bytes = encoded(&list, &[]);
    assert_eq!(bytes[..3], [14, 1, 6]);
    assert_eq!(bytes[3..], [3, 1, 2, 0, 0, 0xf8, 0xff, 0xff, 0xff, 0x0f, 0, 0]);
    assert_eq!(decode_event(&bytes), Ok(list));
    let six = of(&[("::1", "::2"), ("ffff::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")]);
    let bytes = encoded(&six, &[]);
    assert_eq!((bytes[3], bytes[4], bytes.len()), (0, 2, 5 + 4 * 16));
    assert_eq!(decode_event(&bytes), Ok(six));
    // Ranges that touch, overlap, are inverted or run over the end, and counts that promise more than there is.
    let v6 = |first: u8, last: u8| [&[0; 15][..], &[first], &[0; 15], &[last]].concat();
    let touching = [&[14, 1, 6, 0, 2][..], &v6(1, 2), &v6(3, 4)].concat();
    let inverted = [&[14, 1, 6, 0, 1][..], &v6(2, 1)].concat();
    let over = vec![14, 1, 6, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 0];
    let behind_the_last = vec![14, 1, 6, 2, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0];
    for bad in [touching, inverted, over, behind_the_last] {
        assert!(matches!(decode_event(&bad), Err(DecodeError { problem: Problem::Number, .. })), "{bad:?}");
    }
    let promise = [14, 1, 6, 0xff, 0xff, 0xff, 0xff, 0x7f];
    assert!(matches!(decode_event(&promise), Err(DecodeError { problem: Problem::TooShort, .. })));
}

#[test]
fn numbers_take_as_few_bytes_as_they_need() {
    for (number, bytes) in [
        (0, &[0][..]),
        (127, &[127]),
        (128, &[0x80, 1]),
        (16_383, &[0xff, 0x7f]),
        (16_384, &[0x80, 0x80, 1]),
        (u64::MAX, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
    ] {
        let mut out = Vec::new();
        encode_number(number, &mut out);
        assert_eq!(out, bytes);
    }
}

#[test]
fn actions_are_hashed_as_they_are_encoded() {
    let (tcp, torrent, job) = (TcpId(300), TorrentId(7), JobId(5 << 40 | 77));
    let bytes = Bytes::from_static(b"some bytes of some length");
    let list = vec![
        Action::Send { tcp, bytes: bytes.clone() },
        Action::Send { tcp, bytes: Bytes::new() },
        Action::SendContent { tcp, torrent, piece: 3, begin: 4, bytes: bytes.clone() },
        Action::Grant { tcp, bytes: 9 },
        Action::Close { tcp, flush: true },
        Action::Start { job, work: Work::Read { torrent, piece: 3, begin: 4, length: 5 } },
        Action::Start { job, work: Work::Write { torrent, piece: 3, begin: 4, bytes } },
        Action::Start { job, work: Work::Sync { torrent } },
        Action::Cancel { job },
    ];
    for action in list {
        let whole = acted(vec![action.clone()]);
        // How many actions there are in front, and how many notices behind.
        let encoding = &whole[1..whole.len() - 1];
        let mut hashes = Vec::new();
        let actions = Actions { list: vec![action], ..Actions::new() };
        hash_each(&actions, &mut vec![1, 2, 3], |_, hash| hashes.push(hash));
        assert_eq!(hashes, [xxh3_64(encoding)], "{:?}", actions.list);
    }
}

#[test]
fn every_kind_of_event_comes_back() {
    let events = one_of_each();
    assert_eq!(events.len(), 15 - 2 + 24 + 7 + 1, "every kind, command and result, and a failed job");
    for event in events {
        assert_eq!(decode_event(&encoded(&event, &[])), Ok(event));
    }
}

#[test]
fn content_in_actions_is_known_by_its_place() {
    let send = |fill: u8, length: usize, begin: u32| {
        acted(vec![Action::SendContent {
            tcp: TcpId(1),
            torrent: TorrentId(2),
            piece: 3,
            begin,
            bytes: vec![fill; length].into(),
        }])
    };
    let words = [5 | 2 << 8, 1, 3, 16_384u64].map(u64::to_le_bytes);
    assert_eq!(send(0, 16_384, 0), [&[1][..], words.as_flattened(), &[0]].concat());
    assert_eq!(send(0, 16_384, 0), send(7, 16_384, 0));
    assert_ne!(send(0, 16_384, 0), send(0, 16_383, 0));
    assert_ne!(send(0, 16_384, 0), send(0, 16_384, 16_384));
    let write = |fill: u8, length: usize| {
        let work = Work::Write { torrent: TorrentId(2), piece: 3, begin: 0, bytes: vec![fill; length].into() };
        acted(vec![Action::Start { job: JobId(1), work }])
    };
    assert_eq!(write(0, 100), write(9, 100));
    assert_ne!(write(0, 100), write(0, 101));
}

#[test]
fn what_is_not_content_counts_byte_for_byte() {
    let send = |byte| acted(vec![Action::Send { tcp: TcpId(1), bytes: vec![byte].into() }]);
    assert_ne!(send(0), send(1));
    let save = |byte| {
        let work = Work::Save { torrent: TorrentId(1), bytes: vec![byte].into() };
        acted(vec![Action::Start { job: JobId(1), work }])
    };
    assert_ne!(save(0), save(1));
}

#[test]
fn the_order_of_actions_counts_and_notices_count() {
    let (one, other) = (Action::Cancel { job: JobId(1) }, Action::Cancel { job: JobId(2) });
    assert_ne!(acted(vec![one.clone(), other.clone()]), acted(vec![other, one]));
    let mut told = Vec::new();
    let notices = vec![crate::border::Notice::Stopped];
    encode_actions(&Actions { notices, ..Actions::new() }, &mut told);
    assert_ne!(told, acted(vec![]));
    let done = |command| {
        let mut told = Vec::new();
        let notices = vec![crate::border::Notice::CommandDone { command }];
        encode_actions(&Actions { notices, ..Actions::new() }, &mut told);
        told
    };
    assert_ne!(done(CommandId(1)), done(CommandId(2)));
}

#[test]
fn a_configuration_comes_back_and_each_section_counts() {
    let mut config = Config::default();
    config.session.client = "çok güzel".into();
    config.peer.depth_max = 77;
    config.pick.order = PickOrder::Random;
    config.net.local_needs_announce_path = false;
    config.dht.read_only = true;
    let mut out = Vec::new();
    encode_config(&config, &mut out);
    assert_eq!(decode_config(&out), Ok(config));
    for end in 0..out.len() {
        assert_eq!(decode_config(&out[..end]).unwrap_err().problem, Problem::TooShort, "cut at {end}");
    }
}

#[test]
fn a_table_of_addresses_comes_back_in_its_order_only() {
    let [one, other, v6] = [IpAddr::from([1, 2, 3, 4]), IpAddr::from([9, 8, 7, 6]), IpAddr::from([1u16; 8])];
    let table = AddressTable {
        priorities: [((one, other), 7), ((one, v6), u32::MAX)].into(),
        fast_sets: [((Ipv4Addr::new(1, 2, 3, 0), InfoHash([4; 20])), vec![5, 300, 2])].into(),
    };
    let mut out = Vec::new();
    encode_addresses(&table, &mut out);
    assert_eq!(decode_addresses(&out), Ok(table));
    for end in 0..out.len() {
        assert_eq!(decode_addresses(&out[..end]).unwrap_err().problem, Problem::TooShort, "cut at {end}");
    }
    let twice = [&[2][..], &out[1..12], &out[1..12], &[0]].concat();
    assert_eq!(decode_addresses(&twice), Err(DecodeError { offset: 12, problem: Problem::Order }));
}

#[test]
fn what_would_not_have_been_written_is_refused_with_its_place() {
    let wrong = |bytes: &[u8]| decode_event(bytes).unwrap_err();
    assert_eq!(wrong(&[]), DecodeError { offset: 0, problem: Problem::TooShort });
    assert_eq!(wrong(&[15]), DecodeError { offset: 0, problem: Problem::Variant });
    assert_eq!(wrong(&[0, 0]), DecodeError { offset: 1, problem: Problem::TooLong });
    // A number in a longer form than it needs, and ones that do not fit.
    assert_eq!(wrong(&[1, 0x83, 0x00]), DecodeError { offset: 1, problem: Problem::Number });
    assert_eq!(
        wrong(&[[1].as_slice(), &[0xff; 9], &[2]].concat()),
        DecodeError { offset: 1, problem: Problem::Number }
    );
    assert_eq!(wrong(&[4, 0x80, 0x80, 0x80, 0x80, 0x10, 0]), DecodeError { offset: 1, problem: Problem::Number });
    // A device's name that is not UTF-8.
    let listen = [14, 1, 0, 1, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 1, 1, 0xff];
    assert_eq!(wrong(&listen), DecodeError { offset: 16, problem: Problem::Text });
    // Neither yes nor no.
    assert_eq!(wrong(&[10, 1, 2]), DecodeError { offset: 2, problem: Problem::Variant });
}

#[test]
fn holes_that_nobody_would_have_written_are_refused() {
    let holes = |tail: &[u8]| decode_event(&[&[8, 1], tail].concat()).map_err(|error| error.problem);
    assert_eq!(holes(&[4, 1, 0, 4]), Ok(Event::Received { tcp: TcpId(1), bytes: vec![0; 4].into() }));
    assert_eq!(holes(&[4, 1, 0, 0, 1, 2, 3, 4]), Err(Problem::Holes), "empty");
    assert_eq!(holes(&[4, 2, 0, 2, 0, 2]), Err(Problem::Holes), "touching");
    assert_eq!(holes(&[4, 1, 0, 5]), Err(Problem::Holes), "behind the end");
    assert_eq!(holes(&[4, 1, 5, 1]), Err(Problem::Holes), "behind the end");
}

#[test]
fn numbers_of_jobs_are_two_numbers_each_within_its_bits() {
    let done = |job| Event::JobDone { job: JobId(job), result: Ok(JobResult::Done) };
    let mut bytes = Vec::new();
    encode_event(&done(3 << 40 | 300), &[], &mut bytes);
    assert_eq!(bytes, [13, 3, 0xac, 0x02, 0, 0]);
    for job in [0, 1, u64::MAX, 1 << 40, (1 << 40) - 1] {
        let mut bytes = Vec::new();
        encode_event(&done(job), &[], &mut bytes);
        assert_eq!(decode_event(&bytes), Ok(done(job)));
    }
    for (owner, count) in [(1 << 24, 0), (0, 1 << 40)] {
        let mut bytes = vec![13];
        encode_number(owner, &mut bytes);
        encode_number(count, &mut bytes);
        bytes.extend([0, 0]);
        assert_eq!(decode_event(&bytes).unwrap_err().problem, Problem::Number);
    }
}

#[test]
fn a_few_bytes_cannot_claim_much() {
    let mut claim = vec![8, 1];
    encode_number(u64::MAX, &mut claim);
    claim.extend([1, 0]);
    encode_number(MAX_HOLES + 1, &mut claim);
    assert_eq!(decode_event(&claim).unwrap_err().problem, Problem::Holes);
    // Bytes and items that do not follow.
    let mut claim = vec![8, 1];
    encode_number(1 << 40, &mut claim);
    claim.push(0);
    assert_eq!(decode_event(&claim).unwrap_err().problem, Problem::TooShort);
    let mut claim = vec![13, 0, 1, 0, 5];
    encode_number(u64::MAX, &mut claim);
    assert_eq!(decode_event(&claim).unwrap_err().problem, Problem::TooShort);
}

#[test]
fn ranges_out_of_order_or_out_of_the_buffer_do_no_harm() {
    let plain = encoded(&received(b"aXXbcYYYd"), &[1..3, 5..8]);
    for ranges in
        [&[1..3, 2..3, 5..8][..], &[1..2, 2..3, 5..5, 5..8, 9..20], &[1..3, 0..2, 5..8, 4..6, u32::MAX - 1..u32::MAX]]
    {
        assert_eq!(encoded(&received(b"aXXbcYYYd"), ranges), plain, "{ranges:?}");
    }
    assert_eq!(decode_event(&encoded(&Event::Tick, std::slice::from_ref(&(0..7)))), Ok(Event::Tick));
}

fn holes() -> impl Strategy<Value = Vec<Range<u32>>> {
    proptest::collection::vec((0u32..40, 1u32..60), 0..5).prop_map(|steps| {
        let mut at = 0;
        let ranges = steps.into_iter().map(|(gap, length)| {
            let start = at + gap;
            at = start + length;
            start..at
        });
        ranges.collect()
    })
}

proptest! {
    #[test]
    fn events_come_back(event in event()) {
        prop_assert_eq!(decode_event(&encoded(&event, &[])), Ok(event));
    }

    #[test]
    fn different_events_have_different_bytes(one in event(), other in event()) {
        prop_assert_eq!(one == other, encoded(&one, &[]) == encoded(&other, &[]));
    }

    #[test]
    fn holes_come_back_as_zeros(bytes in bytes(), holes in holes()) {
        let event = Event::JobData { job: JobId(7), bytes: bytes.clone() };
        let zeroed = Event::JobData { job: JobId(7), bytes: with_zeros(&bytes, &holes).into() };
        let encoding = encoded(&event, &holes);
        prop_assert_eq!(&encoding, &encoded(&zeroed, &holes), "content leaks");
        prop_assert_eq!(decode_event(&encoding), Ok(zeroed));
    }

    #[test]
    fn a_cut_anywhere_is_too_short(event in event()) {
        let bytes = encoded(&event, &[]);
        for end in 0..bytes.len() {
            let error = decode_event(&bytes[..end]).unwrap_err();
            prop_assert_eq!(error.problem, Problem::TooShort);
            prop_assert!(error.offset <= end);
        }
    }

    #[test]
    fn what_is_taken_is_what_would_have_been_written(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        // Without holes, as an event alone does not know any more where they were.
        if let Ok(event) = decode_event(&bytes) {
            let again = encoded(&event, &[]);
            prop_assert!(again == bytes || again.len() >= bytes.len());
            prop_assert_eq!(decode_event(&again), Ok(event));
        }
    }
}
