use super::*;
use crate::border::{PersistConfig, StorageLayout};
use crate::path::SafePath;
use crate::rng::{Rng, Seeds, Stream};
use proptest::prelude::*;
use std::vec;

fn data() -> impl Strategy<Value = ResumeData> {
    let file = proptest::option::of((any::<u64>(), any::<i64>()))
        .prop_map(|file| file.map(|(length, modified)| FileState { length, modified }));
    (
        (proptest::option::of(any::<[u8; 20]>()), proptest::option::of(any::<[u8; 32]>())),
        (any::<u64>(), any::<u64>(), any::<u64>(), any::<bool>(), any::<bool>()),
        (any::<bool>(), prop_oneof![Just(0u64), any::<u64>()], prop_oneof![Just(0u64), any::<u64>()]),
        proptest::collection::vec(any::<bool>(), 0..100),
        proptest::collection::vec((file, 0u8..8, any::<bool>()), 0..20),
        (any::<bool>(), proptest::option::of(proptest::collection::vec(any::<u8>(), 0..50))),
    )
        .prop_map(
            |(
                (v1, v2),
                (generation, uploaded, downloaded, completed, examined),
                times,
                bits,
                files,
                (sequential, info),
            )| {
                let (paused, active, seeding) = times;
                let (active, seeding) = (Duration::from_micros(active), Duration::from_micros(seeding));
                let mut pieces = Bitfield::none(bits.len() as u32);
                bits.iter().enumerate().filter(|(_, bit)| **bit).for_each(|(at, _)| _ = pieces.insert(at as u32));
                let hashes = InfoHashes { v1, v2 };
                // The last is the part file.
                let laid_out = files.get(1..).unwrap_or_default();
                let mut apart = Bitfield::none(laid_out.len() as u32);
                (0..).zip(laid_out).filter(|(_, file)| file.2).for_each(|(at, _)| _ = apart.insert(at));
                let priorities = laid_out.iter().map(|file| file.1).collect();
                let files = files.iter().map(|file| file.0).collect();
                ResumeData {
                    hashes,
                    generation,
                    uploaded,
                    downloaded,
                    paused,
                    active,
                    seeding,
                    completed,
                    examined,
                    pieces,
                    files,
                    apart,
                    priorities,
                    sequential,
                    info: info.map(Bytes::from),
                }
            },
        )
}

proptest! {
    #[test]
    fn parse_undoes_emit(data in data()) {
        prop_assert_eq!(ResumeData::parse(&data.emit()), Ok(data));
    }

    #[test]
    fn any_changed_byte_is_refused(data in data(), at in any::<prop::sample::Index>(), flip in 1u8..) {
        let mut bytes = data.emit();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(ResumeData::parse(&bytes).is_err());
    }

    #[test]
    fn any_cut_or_addition_is_refused(data in data(), cut in any::<prop::sample::Index>(), more in 1usize..40) {
        let mut bytes = data.emit();
        prop_assert!(ResumeData::parse(&bytes[..cut.index(bytes.len())]).is_err());
        bytes.extend(vec![0; more]);
        prop_assert!(ResumeData::parse(&bytes).is_err());
    }

    /// With a right checksum too, no bytes panic, and what is accepted is what would be written.
    #[test]
    fn any_content_is_read_or_refused(
        data in data(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        junk in proptest::collection::vec(any::<u8>(), 0..60),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut body = data.emit();
        body.truncate(body.len() - TRAILER_LENGTH);
        for (at, value) in changes {
            let at = at.index(body.len());
            body[at] = value;
        }
        body.truncate(16 + cut.index(body.len() - 15));
        body.extend(junk);
        let bytes = sealed(body);
        if let Ok(read) = ResumeData::parse(&bytes) {
            prop_assert_eq!(read.emit(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(ResumeData::parse(&bytes).is_err());
    }
}

/// `body` with its length and checksum put right.
fn sealed(mut body: Vec<u8>) -> Vec<u8> {
    let length = (body.len() + TRAILER_LENGTH) as u32;
    body[12..16].copy_from_slice(&length.to_be_bytes());
    let digest = Sha256::digest(&body);
    body.extend_from_slice(&digest);
    body
}

fn set(len: u32, members: &[u32]) -> Bitfield {
    let mut set = Bitfield::none(len);
    members.iter().for_each(|&member| _ = set.insert(member));
    set
}

fn sample() -> ResumeData {
    ResumeData {
        hashes: InfoHashes::v1([7; 20]),
        generation: 3,
        uploaded: 10,
        downloaded: 20,
        paused: false,
        active: Duration::ZERO,
        seeding: Duration::ZERO,
        completed: true,
        examined: true,
        pieces: Bitfield::all(4),
        files: vec![Some(FileState { length: 100, modified: 50 }), None, None],
        apart: set(2, &[1]),
        priorities: vec![4, 0],
        sequential: true,
        info: None,
    }
}

/// The format is a promise to files that users have: these are its bytes.
#[test]
fn the_bytes_are_the_ones_that_were_always_written() {
    let bytes = sample().emit();
    assert_eq!(bytes.len(), 100 + 3 * 17 + 2 + 1 + 32);
    assert_eq!(bytes[..16], *b"PkResume\0\x02\0\x4d\0\0\0\xba");
    assert_eq!(bytes[16..36], [7; 20]);
    assert_eq!(bytes[36..68], [0; 32]);
    assert_eq!(bytes[68..92], *b"\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x0a\0\0\0\0\0\0\0\x14");
    assert_eq!(bytes[92..100], *b"\0\0\0\x04\0\0\0\x03");
    assert_eq!(bytes[100..117], *b"\x01\0\0\0\0\0\0\0\x64\0\0\0\0\0\0\0\x32");
    assert_eq!(bytes[117..151], [0; 34]);
    assert_eq!(bytes[151..154], [4, 8, 0xf0]);
    let later =
        ResumeData { paused: true, active: Duration::from_secs(2), seeding: Duration::from_micros(1), ..sample() }
            .emit();
    assert_eq!(later.len(), bytes.len() + 16);
    assert_eq!(later[..16], *b"PkResume\0\x02\0\x7d\0\0\0\xca");
    assert_eq!(later[16..100], bytes[16..100]);
    assert_eq!(later[100..116], *b"\0\0\0\0\0\x1e\x84\x80\0\0\0\0\0\0\0\x01");
    assert_eq!(later[116..170], bytes[100..154]);
    let magnet = ResumeData { info: Some(Bytes::from_static(b"d1:ae")), ..sample() }.emit();
    assert_eq!(magnet[..16], *b"PkResume\0\x02\0\xcd\0\0\0\xc3");
    assert_eq!(magnet[16..153], bytes[16..153]);
    assert_eq!(magnet[153..163], *b"\0\0\0\x05d1:ae\xf0");
}

#[test]
fn errors_name_what_is_wrong() {
    let good = sample().emit();
    let changed = |at: usize, to: &[u8]| {
        let mut body = good[..good.len() - TRAILER_LENGTH].to_vec();
        body[at..at + to.len()].copy_from_slice(to);
        ResumeData::parse(&sealed(body)).unwrap_err()
    };
    assert_eq!(ResumeData::parse(b""), Err(ResumeError::NotResumeData));
    assert_eq!(ResumeData::parse(b"PkResume\0"), Err(ResumeError::NotResumeData));
    assert_eq!(changed(0, b"p"), ResumeError::NotResumeData);
    assert_eq!(changed(8, &[0, 1]), ResumeError::Version(1));
    assert_eq!(changed(10, &[0x80, 1]), ResumeError::Field("flags"));
    assert_eq!(changed(36, &[1]), ResumeError::Field("hash"));
    assert_eq!(changed(92, &u32::MAX.to_be_bytes()), ResumeError::TooManyPieces(u32::MAX));
    assert_eq!(changed(96, &u32::MAX.to_be_bytes()), ResumeError::TooManyFiles(u32::MAX));
    assert_eq!(changed(96, &1000u32.to_be_bytes()), ResumeError::Length { declared: 186, got: 186 });
    assert_eq!(changed(100, &[2]), ResumeError::Field("file"));
    assert_eq!(changed(118, &[1]), ResumeError::Field("file"));
    assert_eq!(changed(151, &[0x14]), ResumeError::Field("priority"));
    assert_eq!(changed(153, &[0xf8]), ResumeError::Bitfield(BitfieldError::SpareBits));
    let mut cut = good.clone();
    cut.pop();
    assert_eq!(ResumeData::parse(&cut), Err(ResumeError::Length { declared: 186, got: 185 }));
    let mut damaged = good;
    damaged[20] ^= 1;
    assert_eq!(ResumeData::parse(&damaged), Err(ResumeError::Checksum));
}

#[test]
fn the_newest_that_is_whole_and_ours_is_chosen() {
    let newer = ResumeData { generation: 4, ..sample() };
    let hashes = newer.hashes;
    let mut torn = newer.emit();
    torn.truncate(50);
    let choose = |stored: &[Vec<u8>]| ResumeData::choose(stored, &hashes, 4, 2);
    assert_eq!(choose(&[newer.emit(), sample().emit()]), Ok(newer));
    assert_eq!(choose(&[torn.clone(), sample().emit()]), Ok(sample()));
    assert_eq!(choose(&[torn]), Err(Some(ResumeError::Length { declared: 186, got: 50 })));
    assert_eq!(choose(&[]), Err(None));
    let other = ResumeData { hashes: InfoHashes::v1([8; 20]), ..sample() };
    assert_eq!(choose(&[other.emit()]), Err(Some(ResumeError::OtherTorrent)));
    assert_eq!(ResumeData::choose(&[sample().emit()], &hashes, 5, 2), Err(Some(ResumeError::OtherTorrent)));
    assert_eq!(ResumeData::choose(&[sample().emit()], &hashes, 4, 3), Err(Some(ResumeError::OtherTorrent)));
}

/// What is kept of a magnet link: only what has the right hash is taken for the info dictionary.
#[test]
fn the_info_dictionary_is_found_by_its_hash() {
    let info = Bytes::from_static(b"d6:lengthi1ee");
    let hash: [u8; 20] = sha1::Sha1::digest(&info).into();
    let other = ResumeData { info: Some(Bytes::from_static(b"de")), ..sample() };
    let with = ResumeData { info: Some(info.clone()), ..sample() };
    let stored = [b"rubbish".to_vec(), other.emit(), with.emit()];
    assert_eq!(ResumeData::info_of(&stored, &InfoHashes::v1(hash)), Some(info));
    assert_eq!(ResumeData::info_of(&stored[..2], &InfoHashes::v1(hash)), None);
    let mut short = with.emit();
    let body = short.len() - TRAILER_LENGTH;
    short.truncate(body);
    short[156] = 200; // Longer than what there is.
    assert_eq!(ResumeData::parse(&sealed(short)), Err(ResumeError::Length { declared: 203, got: 203 }));
}

// ---- reconcile ----

fn rng() -> Rng {
    Seeds::for_tests(1).decisions(Stream::Persist, 1)
}

/// Files of these lengths, pieces of 10 bytes; a pad file where the flag is set.
fn layout(files: &[(u64, bool)]) -> StorageLayout {
    let files = files.iter().map(|&(length, pad)| (SafePath::sanitize([&b"f"[..]]), length, pad, false));
    StorageLayout::new(files, 10)
}

fn state(length: u64, modified: i64) -> Option<FileState> {
    Some(FileState { length, modified })
}

fn resume(pieces: u32, claimed: &[u32], files: Vec<Option<FileState>>) -> ResumeData {
    let mut set = Bitfield::none(pieces);
    claimed.iter().for_each(|&piece| _ = set.insert(piece));
    ResumeData { pieces: set, files, apart: Bitfield::default(), ..sample() }
}

fn list(set: &Bitfield) -> Vec<u32> {
    set.iter().collect()
}

fn run(resume: &ResumeData, now: &[Option<FileState>], layout: &StorageLayout) -> Reconciled {
    reconcile(resume, now, layout, &PersistConfig::default(), &mut rng())
}

#[test]
fn unchanged_files_are_believed_and_not_read() {
    let (layout, then) = (layout(&[(100, false)]), vec![state(100, 5)]);
    let out = run(&resume(10, &[0, 3, 9], then.clone()), &then, &layout);
    assert_eq!((list(&out.trusted), out.to_check.count(), out.samples.count()), (vec![0, 3, 9], 0, 0));
    // Unless the last run was stopped before it had looked at everything.
    let early = ResumeData { examined: false, ..resume(10, &[0, 3, 9], then.clone()) };
    let out = run(&early, &then, &layout);
    assert_eq!((list(&out.trusted), list(&out.to_check)), (vec![0, 3, 9], vec![1, 2, 4, 5, 6, 7, 8]));
}

#[test]
fn after_a_kill_a_few_claimed_pieces_are_hashed_and_all_that_are_not_claimed() {
    let layout = layout(&[(1_000, false)]);
    let claimed: Vec<u32> = (0..90).collect();
    let resume = resume(100, &claimed, vec![state(900, 5)]);
    let mut out = run(&resume, &[state(955, 6)], &layout);
    assert_eq!(out.samples.count(), 8);
    assert_eq!(out.trusted.count(), 82);
    // 90..=94 lie within the 955 bytes that there are.
    assert_eq!(out.to_check.count(), 8 + 5);
    assert!(out.samples.iter().all(|piece| out.to_check.get(piece) && !out.trusted.get(piece) && piece < 90));
    let failed = out.samples.iter().next().unwrap();
    assert_eq!(out.sample_failed(failed, &layout, &Bitfield::default()).len(), 82);
    assert_eq!((out.trusted.count(), out.to_check.count()), (0, 95));
}

#[test]
fn files_that_became_older_shorter_or_were_unknown_are_checked() {
    let layout = layout(&[(100, false)]);
    let claimed = resume(10, &[0, 1, 2], vec![state(100, 5)]);
    // More claims than samples are drawn: not one of them is believed.
    let ten = resume(10, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], vec![state(100, 5)]);
    let older = run(&ten, &[state(100, 4)], &layout);
    assert_eq!((older.trusted.count(), older.to_check.count(), older.samples.count()), (0, 10, 0));
    let shorter = run(&claimed, &[state(25, 9)], &layout);
    assert_eq!((shorter.trusted.count(), list(&shorter.to_check)), (0, vec![0, 1]));
    let unknown = run(&resume(10, &[0, 1, 2], vec![None]), &[state(100, 5)], &layout);
    assert_eq!((unknown.trusted.count(), unknown.to_check.count()), (0, 10));
    let missing = run(&claimed, &[None], &layout);
    assert_eq!((missing.trusted.count(), missing.to_check.count()), (0, 0));
}

#[test]
fn a_piece_is_as_good_as_the_worst_of_its_files() {
    // Pieces: 0 in file 0; 1 in files 0 and 1; 2 in file 1; 3 in file 1, the pad and file 3.
    let layout = layout(&[(15, false), (17, false), (3, true), (5, false), (0, false)]);
    let then = vec![state(15, 5), state(17, 5), None, state(5, 5), state(0, 5)];
    let all = resume(4, &[0, 1, 2, 3], then.clone());
    assert_eq!(list(&run(&all, &then, &layout).trusted), [0, 1, 2, 3]);
    let mut now = then.clone();
    now[1] = state(17, 1);
    let out = run(&all, &now, &layout);
    assert_eq!((list(&out.trusted), list(&out.to_check)), (vec![0], vec![1, 2, 3]));
    now[1] = None;
    let out = run(&all, &now, &layout);
    assert_eq!((list(&out.trusted), list(&out.to_check)), (vec![0], vec![]));
    let mut now = then;
    now[3] = state(5, 6);
    let mut out = run(&all, &now, &layout);
    assert_eq!((list(&out.trusted), list(&out.samples)), (vec![0, 1, 2], vec![3]));
    assert_eq!(
        out.sample_failed(3, &layout, &Bitfield::default()),
        [1, 2],
        "of file 1 and file 3; piece 0 lies in neither"
    );
    assert_eq!(list(&out.trusted), [0]);
}

#[test]
fn every_changed_file_has_a_sample_however_many_there_are() {
    let count = 3_000;
    let layout = layout(&vec![(20, false); count]);
    let claimed: Vec<u32> = (0..2 * count as u32).collect();
    let resume = resume(2 * count as u32, &claimed, vec![state(20, 1); count]);
    let out = run(&resume, &vec![state(20, 2); count], &layout);
    assert_eq!(out.samples.count() as usize, count);
    assert!((0..count as u32).all(|file| out.samples.get(2 * file) != out.samples.get(2 * file + 1)));
}

#[test]
fn without_resume_data_all_that_can_be_there_is_checked() {
    let layout = layout(&[(15, false), (5, true), (30, false)]);
    let out = Reconciled::nothing_claimed(&[state(15, 0), None, state(22, 0)], &layout, &Bitfield::default());
    assert_eq!((out.trusted.count(), list(&out.to_check)), (0, vec![0, 1, 2, 3]));
    let out = Reconciled::nothing_claimed(&[state(14, 0), None, None], &layout, &Bitfield::default());
    assert_eq!(list(&out.to_check), [0]);
}

/// Files 0 to 2 share pieces 1 and 3 of ten bytes; the second is kept apart.
fn with_a_part_file() -> (StorageLayout, ResumeData) {
    let layout = layout(&[(15, false), (20, false), (15, false)]);
    let files = vec![state(15, 1), None, state(15, 1), state(20, 1)];
    let resume = ResumeData { apart: set(3, &[1]), ..resume(5, &[0, 1, 3, 4], files) };
    (layout, resume)
}

#[test]
fn what_lies_in_the_part_file_is_believed_as_it_is() {
    let (layout, resume) = with_a_part_file();
    let out = run(&resume, &resume.files, &layout);
    assert_eq!((list(&out.trusted), list(&out.to_check)), (vec![0, 1, 3, 4], vec![]));
    // A file that stands at its own place now has nothing to do with the shared pieces: they lie in the part file.
    let appeared = [state(15, 1), state(20, 9), state(15, 1), state(20, 1)];
    let out = run(&resume, &appeared, &layout);
    assert_eq!((list(&out.trusted), list(&out.to_check)), (vec![0, 1, 3, 4], vec![2]));
}

#[test]
fn a_part_file_that_is_lost_or_cut_loses_its_own_pieces_only() {
    let (layout, resume) = with_a_part_file();
    let lost = [state(15, 1), None, state(15, 1), None];
    let out = run(&resume, &lost, &layout);
    assert_eq!((list(&out.trusted), list(&out.to_check)), (vec![0, 4], vec![]));
    let cut = [state(15, 1), None, state(15, 1), state(10, 1)];
    let out = run(&resume, &cut, &layout);
    assert_eq!((list(&out.trusted), list(&out.to_check)), (vec![0, 4], vec![1]));
}

#[test]
fn a_bad_sample_of_the_part_file_puts_all_of_it_in_doubt() {
    let (layout, resume) = with_a_part_file();
    let later = [state(15, 1), None, state(15, 1), state(20, 2)];
    let mut out = run(&resume, &later, &layout);
    assert_eq!((list(&out.trusted), list(&out.samples)), (vec![0, 4], vec![1, 3]), "two pieces, both are samples");
    out.trusted.insert(3);
    assert_eq!(out.sample_failed(1, &layout, &resume.apart), [0, 3], "of the first file and of the part file");
}

proptest! {
    /// Whatever the files are: nothing is believed that was not claimed, nothing is believed and to be checked at once, and
    /// every claimed piece that lies within its files is believed or checked.
    #[test]
    fn no_claim_is_invented_or_forgotten(
        lengths in proptest::collection::vec((0u64..40, any::<bool>()), 1..8),
        then in proptest::collection::vec(proptest::option::of((0u64..45, 0i64..3)), 0..8),
        now in proptest::collection::vec(proptest::option::of((0u64..45, 0i64..3)), 0..8),
        bits in any::<u32>(),
        apart in any::<u8>(),
        examined in any::<bool>(),
    ) {
        let layout = layout(&lengths);
        let count = layout.total_length().div_ceil(10) as u32;
        let to_state = |file: &Option<(u64, i64)>| file.map(|(length, modified)| FileState { length, modified });
        let claimed: Vec<u32> = (0..count).filter(|piece| bits & (1 << piece) != 0).collect();
        let then: Vec<_> = then.iter().map(to_state).collect();
        let now: Vec<_> = now.iter().map(to_state).collect();
        let apart: Vec<u32> = (0..lengths.len() as u32).filter(|file| apart & (1 << file) != 0).collect();
        let apart = set(lengths.len() as u32, &apart);
        let resume = ResumeData { examined, apart, ..resume(count, &claimed, then) };
        let out = run(&resume, &now, &layout);
        let present = Reconciled::nothing_claimed(&now, &layout, &resume.apart).to_check;
        for piece in 0..count {
            let (trusted, check) = (out.trusted.get(piece), out.to_check.get(piece));
            prop_assert!(!(trusted && check));
            prop_assert!(!trusted || claimed.contains(&piece));
            prop_assert!(!out.samples.get(piece) || (check && claimed.contains(&piece)));
            prop_assert!(!(trusted || check) || present.get(piece));
            prop_assert!(!claimed.contains(&piece) || !present.get(piece) || trusted || check);
        }
    }
}
