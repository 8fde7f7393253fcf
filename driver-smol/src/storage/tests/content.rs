//! Bytes go where they belong and come back the same; hashes say what lies on the disk.

use super::*;
use crate::sha1_lanes::LANES;
use parcacik_core::border::FileState;
use proptest::prelude::*;
use std::os::unix::fs::PermissionsExt;

const KIB: usize = 1024;

#[test]
fn blocks_wait_for_their_neighbours_and_go_out_as_one_batch() {
    let lab = Lab::new(patient());
    let bytes = content(512 * KIB);
    lab.open(layout(&[("one", 512 * 1024)], 512 * 1024));
    // All of the first batch but one, in an order of no use.
    let order = [3, 1, 2, 15, 14, 0, 7, 8, 4, 5, 6, 13, 12, 11, 10];
    let block = |n: usize| write(0, (n * 16 * KIB) as u32, &bytes[n * 16 * KIB..(n + 1) * 16 * KIB]);
    let mut jobs: Vec<JobId> = order.into_iter().map(|n| lab.start(block(n))).collect();
    let Ok(JobResult::Checked { files, .. }) = lab.run(Work::Check { torrent: TORRENT }) else { panic!() };
    assert_eq!(files, [None], "written before the batch was whole");
    jobs.push(lab.start(block(9)));
    for job in jobs {
        assert_eq!(lab.wait(job), Ok(JobResult::Done));
    }
    assert_eq!(lab.on_disk("one"), bytes[..256 * KIB]);
}

#[test]
fn a_block_without_neighbours_is_written_after_a_moment() {
    let lab = Lab::new(StorageOptions::default());
    lab.open(layout(&[("one", 100_000)], 65_536));
    assert_eq!(lab.write(0, 16_384, &content(16_384)), Ok(JobResult::Done));
    assert_eq!(lab.on_disk("one").len(), 32_768);
}

#[test]
fn reading_and_verifying_wait_for_the_blocks_before_them() {
    let lab = Lab::new(patient());
    let bytes = content(300 * KIB);
    lab.open(layout(&[("one", 300 * 1024)], 150 * 1024));
    let jobs: Vec<JobId> =
        [0, 150 * KIB - 10].into_iter().map(|at| lab.start(write(0, at as u32, &bytes[at..at + 10]))).collect();
    assert_eq!(lab.read(0, 150 * 1024 - 10, 10).unwrap(), bytes[150 * KIB - 10..150 * KIB]);
    jobs.into_iter().for_each(|job| assert_eq!(lab.wait(job), Ok(JobResult::Done)));
    let job = lab.start(write(1, 0, &bytes[150 * KIB..]));
    assert_eq!(lab.verify(1, &bytes[150 * KIB..]), Ok(true));
    assert_eq!(lab.wait(job), Ok(JobResult::Done));
}

#[test]
fn pieces_span_files_and_pad_files_are_zeros_that_are_never_written() {
    let lab = Lab::new(StorageOptions::default());
    let files =
        [("t/a", 10_000), ("t/.pad", 6_384), ("t/sub/b", 20_000), ("t/empty", 0), ("t/sub/deep/c", 5), ("t/d", 100)];
    lab.open(layout(&files, 16_384));
    let mut whole = content(36_489);
    whole[10_000..16_384].fill(0);
    // What is sent for the padding is thrown away, whatever it is.
    let mut sent = whole.clone();
    sent[10_000..16_384].fill(9);
    for (piece, bytes) in sent.chunks(16_384).enumerate() {
        assert_eq!(lab.write(piece as u32, 0, bytes), Ok(JobResult::Done));
    }
    assert_eq!(lab.on_disk("t/a"), whole[..10_000]);
    assert_eq!(lab.on_disk("t/sub/b"), whole[16_384..36_384]);
    assert_eq!(lab.on_disk("t/sub/deep/c"), whole[36_384..36_389]);
    assert_eq!(lab.on_disk("t/d"), whole[36_389..]);
    assert!(!lab.root.join("t/.pad").exists());
    for (piece, bytes) in whole.chunks(16_384).enumerate() {
        assert_eq!(lab.read(piece as u32, 0, bytes.len() as u32).unwrap(), bytes);
        assert!(lab.verdict(piece as u32, bytes, true).unwrap().matches);
    }
    // Only now is the empty file there, and none of them may be run, though the torrent asks for it.
    assert!(!lab.root.join("t/empty").exists());
    assert_eq!(lab.run(Work::CreateEmpty { torrent: TORRENT, files: vec![3] }), Ok(JobResult::Done));
    assert!(lab.on_disk("t/empty").is_empty());
    // Not to be run, and with nobody else's rights.
    assert_eq!(std::fs::metadata(lab.root.join("t/a")).unwrap().permissions().mode() & 0o7111, 0);
}

#[test]
fn a_wrong_byte_in_padding_that_was_sent_does_not_reach_the_hash() {
    let lab = Lab::new(StorageOptions::default());
    lab.open(layout(&[("a", 10), (".pad", 6), ("b", 4)], 20));
    let mut whole = content(20);
    whole[10..16].fill(0);
    let mut sent = whole.clone();
    sent[12] = 1;
    lab.write(0, 0, &sent).unwrap();
    assert_eq!(lab.verify(0, &whole), Ok(true));
    assert_eq!(lab.verify(0, &sent), Ok(false));
}

#[test]
fn missing_and_short_files_are_mismatches_and_short_reads() {
    let lab = Lab::new(StorageOptions::default());
    let bytes = content(50_000);
    lab.open(layout(&[("a", 30_000), ("b", 20_000)], 50_000));
    assert_eq!(lab.verify(0, &bytes), Ok(false));
    assert_eq!(lab.read(0, 0, 10), Err(IoFault::ShortRead));
    std::fs::write(lab.root.join("a"), &bytes[..20_000]).unwrap();
    std::fs::write(lab.root.join("b"), &bytes[30_000..]).unwrap();
    let verdict = lab.verdict(0, &bytes, true).unwrap();
    assert!(!verdict.matches);
    // The block that ends before the hole can be told; the others cannot.
    assert_eq!(verdict.blocks, [<[u8; 20]>::from(Sha1::digest(&bytes[..16_384]))]);
    assert_eq!(lab.read(0, 19_990, 10).unwrap(), bytes[19_990..20_000]);
    assert_eq!(lab.read(0, 19_991, 10), Err(IoFault::ShortRead));
    assert_eq!(lab.read(0, 30_000, 20_000).unwrap(), bytes[30_000..]);
    std::fs::write(lab.root.join("a"), &bytes[..30_000]).unwrap();
    let verdict = lab.verdict(0, &bytes, true).unwrap();
    assert!(verdict.matches);
    let blocks: Vec<[u8; 20]> = bytes.chunks(16_384).map(|block| Sha1::digest(block).into()).collect();
    assert_eq!(verdict.blocks, blocks);
}

#[test]
fn ranges_outside_the_torrent_are_refused() {
    let lab = Lab::new(StorageOptions::default());
    lab.open(layout(&[("a", 100)], 64));
    assert_eq!(lab.write(1, 0, &[1; 37]), Err(IoFault::Other));
    assert_eq!(lab.write(u32::MAX, u32::MAX, &[1]), Err(IoFault::Other));
    assert_eq!(lab.read(1, 30, 7), Err(IoFault::ShortRead));
    assert_eq!(lab.read(0, 0, u32::MAX), Err(IoFault::TooLarge));
    assert_eq!(lab.verify(9, &[1; 64]), Ok(false));
    assert_eq!(lab.write(0, 0, &[]), Ok(JobResult::Done));
    assert!(!lab.root.join("a").exists());
}

#[test]
fn a_longer_file_keeps_its_end_and_is_reported_as_it_is() {
    let lab = Lab::new(StorageOptions::default());
    std::fs::write(lab.root.join("a"), [5; 200]).unwrap();
    lab.open(layout(&[("a", 100), ("b", 0)], 100));
    lab.write(0, 0, &[6; 100]).unwrap();
    let Ok(JobResult::Checked { files, free, part: None }) = lab.run(Work::Sync { torrent: TORRENT }) else { panic!() };
    let [Some(FileState { length: 200, modified }), None] = files[..] else { panic!("{files:?}") };
    let told = std::fs::metadata(lab.root.join("a")).unwrap().modified().unwrap();
    assert_eq!(modified as u128, told.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos());
    assert!(free.unwrap() > 0);
    assert_eq!(lab.on_disk("a")[100..], [5; 100]);
}

#[test]
fn a_sync_covers_what_was_written_created_or_vouched_for() {
    let lab = Lab::new(StorageOptions::default());
    std::fs::create_dir_all(lab.root.join("t/old")).unwrap();
    std::fs::write(lab.root.join("t/old/b"), [1; 64]).unwrap();
    lab.open(layout(&[("t/new/a", 64), ("t/old/b", 64), ("t/old/c", 64), ("t/e", 0)], 64));
    let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
    lab.write(0, 0, &[2; 64]).unwrap();
    assert_eq!(lab.files().unsynced(), (vec![0], paths(&["", "t", "t/new"])));
    // Written by an earlier run that was killed before its sync, for all we know.
    assert_eq!(lab.verify(1, &[1; 64]), Ok(true));
    assert_eq!(lab.files().unsynced(), (vec![0, 1], paths(&["", "t", "t/new", "t/old"])));
    assert!(matches!(lab.run(Work::Sync { torrent: TORRENT }), Ok(JobResult::Checked { .. })));
    assert_eq!(lab.files().unsynced(), (vec![], vec![]));
    assert_eq!(lab.verify(1, &[1; 64]), Ok(true));
    assert_eq!(lab.files().unsynced(), (vec![], vec![]), "once is enough");
    lab.write(0, 3, &[2; 6]).unwrap();
    assert_eq!(lab.files().unsynced(), (vec![0], vec![]));
    lab.run(Work::CreateEmpty { torrent: TORRENT, files: vec![3] }).unwrap();
    assert_eq!(lab.files().unsynced(), (vec![0, 3], paths(&["", "t"])));
    std::fs::remove_dir_all(lab.root.join("t")).unwrap();
    assert!(
        matches!(lab.run(Work::Sync { torrent: TORRENT }), Ok(JobResult::Checked { files, .. }) if files == [None; 4])
    );
}

#[test]
fn a_failed_write_fails_only_the_blocks_that_are_not_on_the_disk() {
    let lab = Lab::new(patient());
    lab.open(layout(&[("a", 100), ("b/c", 100), ("d", 100)], 300));
    std::fs::write(lab.root.join("b"), []).unwrap();
    let jobs = [(0, 100), (100, 60), (160, 40), (200, 100)];
    let jobs = jobs.map(|(begin, length)| lab.start(write(0, begin, &[1; 100][..length])));
    // Has them written, all in one batch.
    assert_eq!(lab.read(0, 0, 100), Ok(vec![1; 100]));
    assert_eq!(
        jobs.map(|job| lab.wait(job)),
        [Ok(JobResult::Done), Err(IoFault::Exists), Err(IoFault::Exists), Err(IoFault::Exists)]
    );
    assert_eq!(lab.on_disk("a"), [1; 100]);
    std::fs::remove_file(lab.root.join("b")).unwrap();
    let job = lab.start(write(0, 100, &[1; 200]));
    assert_eq!(lab.verify(0, &[1; 300]), Ok(true));
    assert_eq!(lab.wait(job), Ok(JobResult::Done));
}

#[test]
fn five_thousand_files_need_few_handles() {
    let options = StorageOptions { max_open_files: 16, ..StorageOptions::default() };
    let lab = Lab::new(options);
    let names: Vec<String> = (0..5_000).map(|n| format!("t/{}/{n}", n % 10)).collect();
    let files: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 100)).collect();
    lab.open(layout(&files, 65_536));
    let whole = content(500_000);
    let jobs: Vec<JobId> =
        whole.chunks(65_536).enumerate().map(|(n, bytes)| lab.start(write(n as u32, 0, bytes))).collect();
    jobs.into_iter().for_each(|job| assert_eq!(lab.wait(job), Ok(JobResult::Done)));
    for (piece, bytes) in whole.chunks(65_536).enumerate() {
        assert!(lab.verdict(piece as u32, bytes, true).unwrap().matches);
    }
    let Ok(JobResult::Checked { files, .. }) = lab.run(Work::Check { torrent: TORRENT }) else { panic!() };
    assert!(files.iter().all(|file| file.is_some_and(|file| file.length == 100)));
    assert!((1..=16).contains(&lab.storage.handles.len()));
    assert_eq!(lab.run(Work::Release { torrent: TORRENT }), Ok(JobResult::Done));
    assert_eq!(lab.storage.handles.len(), 0);
}

#[test]
fn a_release_finishes_what_came_before_it_and_forgets_the_torrent() {
    let lab = Lab::new(patient());
    lab.open(layout(&[("a", 100)], 100));
    let job = lab.start(write(0, 0, &[1; 50]));
    assert_eq!(lab.run(Work::Release { torrent: TORRENT }), Ok(JobResult::Done));
    assert_eq!(lab.wait(job), Ok(JobResult::Done));
    assert_eq!(lab.on_disk("a"), [1; 50]);
    assert_eq!(lab.read(0, 0, 1), Err(IoFault::NotFound));
    assert_eq!(lab.run(Work::Release { torrent: TORRENT }), Err(IoFault::NotFound));
    // Opened again elsewhere, nothing of the old one is left in any cache.
    lab.open(layout(&[("z", 100)], 100));
    assert_eq!(lab.verify(0, &[1; 100]), Ok(false));
    assert_eq!(lab.read(0, 0, 1), Err(IoFault::ShortRead));
    let elsewhere =
        Work::Open { torrent: TORRENT, root: RootId(5), key: KEY, layout: Arc::new(layout(&[("a", 1)], 1)) };
    assert_eq!(lab.run(elsewhere), Err(IoFault::NotFound));
    assert_eq!(lab.run(Work::Resolve { host: "localhost".into() }), Err(IoFault::Unsupported));
}

#[test]
fn a_job_that_nobody_has_begun_can_be_cancelled() {
    let lab = Lab::new(patient());
    lab.open(layout(&[("a", 100)], 100));
    let job = lab.start(write(0, 0, &[1; 50]));
    lab.storage.cancel(job);
    lab.storage.cancel(job);
    lab.storage.cancel(JobId(999));
    assert_eq!(lab.wait(job), Err(IoFault::Cancelled));
    assert_eq!(lab.read(0, 0, 1), Err(IoFault::ShortRead));
    assert!(!lab.root.join("a").exists());
}

#[test]
fn stopping_finishes_the_writes_and_answers_everything() {
    let lab = Lab::new(patient());
    lab.open(layout(&[("a", 1 << 20)], 1 << 20));
    let jobs: Vec<JobId> = (0..20).map(|n| lab.start(write(0, n * 20_000, &[n as u8; 20_000]))).collect();
    let Lab { storage, results, root, _folder, .. } = lab;
    assert!(storage.stop());
    let mut answers = BTreeMap::new();
    while let Ok((job, result)) = results.try_recv() {
        assert_eq!(answers.insert(job, result), None);
    }
    assert!(jobs.iter().all(|job| answers.get(job) == Some(&Ok(JobResult::Done))));
    assert_eq!(std::fs::metadata(root.join("a")).unwrap().len(), 400_000);
    assert!(results.is_closed(), "a thread is left");
}

/// Verifications wait for others for ever.
fn sociable() -> StorageOptions {
    StorageOptions { verify_linger: Duration::from_secs(3600), ..patient() }
}

fn verify(piece: u32, length: usize, expect: &[u8]) -> Work {
    let expect = PieceHash::Sha1(Sha1::digest(expect).into());
    Work::Verify { torrent: TORRENT, piece, length: length as u32, expect, blocks: false }
}

fn verified(matches: bool) -> Result<JobResult, IoFault> {
    Ok(JobResult::Verified(Verdict { matches, blocks: Vec::new() }))
}

#[test]
fn as_many_verifications_as_there_are_lanes_wait_for_nothing() {
    let lab = Lab::new(sociable());
    let whole = content(LANES * 20_000 - 7_000);
    lab.open(layout(&[("a", whole.len() as u64 - 20_000), ("b", 20_000)], 20_000));
    std::fs::write(lab.root.join("a"), &whole[..whole.len() - 20_000]).unwrap();
    std::fs::write(lab.root.join("b"), &whole[whole.len() - 20_000..][..13_000]).unwrap();
    // From the disk and from memory; the last one, whose file was short before, partly from each.
    let job = lab.start(write(2, 0, &whole[40_000..60_000]));
    assert_eq!(lab.read(2, 0, 1), Ok(vec![whole[40_000]]));
    assert_eq!(lab.wait(job), Ok(JobResult::Done));
    let last = LANES as u32 - 1;
    let job = lab.start(write(last, 5_000, &whole[last as usize * 20_000 + 5_000..]));
    let jobs: Vec<JobId> = whole
        .chunks(20_000)
        .enumerate()
        .map(|(piece, bytes)| lab.start(verify(piece as u32, bytes.len(), if piece == 4 { b"x" } else { bytes })))
        .collect();
    assert_eq!(lab.wait(job), Ok(JobResult::Done));
    for (piece, job) in jobs.into_iter().enumerate() {
        assert_eq!(lab.wait(job), verified(piece != 4), "piece {piece}");
    }
}

#[test]
fn a_verification_that_waits_does_not_see_what_is_written_after_it() {
    let lab = Lab::new(sociable());
    let bytes = content(100);
    lab.open(layout(&[("a", 300)], 100));
    let early = lab.start(write(0, 0, &bytes));
    let whole = lab.start(verify(0, 100, &bytes));
    // What is asked for ends inside what was written.
    let part = lab.start(verify(0, 60, &bytes[..60]));
    let other = lab.start(write(1, 0, &bytes));
    let late = lab.start(write(0, 50, &[0; 50]));
    assert_eq!(lab.wait(early), Ok(JobResult::Done));
    assert_eq!(lab.wait(whole), verified(true));
    assert_eq!(lab.wait(part), verified(true));
    let mut now = bytes.clone();
    now[50..].fill(0);
    let after = lab.start(verify(0, 100, &now));
    assert_eq!(lab.run(Work::Release { torrent: TORRENT }), Ok(JobResult::Done));
    // Those that wait are not left behind by a release.
    assert_eq!(lab.wait(after), verified(true));
    assert_eq!([lab.wait(late), lab.wait(other)], [Ok(JobResult::Done), Ok(JobResult::Done)]);
}

#[test]
fn stopping_ends_the_verifications_that_wait() {
    let lab = Lab::new(sociable());
    lab.open(layout(&[("a", 200)], 100));
    let job = lab.start(write(0, 0, &[1; 100]));
    let check = lab.start(verify(0, 100, &[1; 100]));
    // Once this has ended, the one before it was begun.
    assert_eq!(lab.read(0, 0, 1), Ok(vec![1]));
    assert_eq!(lab.wait(job), Ok(JobResult::Done));
    let Lab { storage, results, .. } = lab;
    assert!(storage.stop());
    assert_eq!(results.try_recv(), Ok((check, verified(true))));
}

#[test]
fn a_sync_that_fails_says_so_and_the_next_one_tries_again() {
    // With room for one handle, the files are opened anew to be synced.
    let lab = Lab::new(StorageOptions { max_open_files: 1, ..patient() });
    lab.open(layout(&[("a", 100), ("b", 100), ("c", 100)], 300));
    let job = lab.start(write(0, 0, &[1; 300]));
    assert_eq!(lab.read(0, 0, 1), Ok(vec![1]));
    assert_eq!(lab.wait(job), Ok(JobResult::Done));
    std::fs::rename(lab.root.join("b"), lab.root.join("kept")).unwrap();
    std::os::unix::fs::symlink("kept", lab.root.join("b")).unwrap();
    assert_eq!(lab.run(Work::Sync { torrent: TORRENT }), Err(IoFault::Exists));
    // The others were synced all the same, and their folder.
    assert_eq!(lab.files().unsynced(), (vec![1], vec![]));
    assert_eq!(lab.run(Work::Sync { torrent: TORRENT }), Err(IoFault::Exists));
    std::fs::rename(lab.root.join("kept"), lab.root.join("b")).unwrap();
    assert!(matches!(lab.run(Work::Sync { torrent: TORRENT }), Ok(JobResult::Checked { .. })));
    assert_eq!(lab.files().unsynced(), (vec![], vec![]));
}

#[test]
fn dropping_finishes_the_writes_too() {
    let lab = Lab::new(patient());
    lab.open(layout(&[("a", 100)], 100));
    let job = lab.start(write(0, 0, &[1; 50]));
    let Lab { storage, results, .. } = lab;
    drop(storage);
    assert_eq!(results.recv_blocking(), Ok((job, Ok(JobResult::Done))));
    assert!(results.recv_blocking().is_err());
}

/// Which bytes a write covers: any range of the torrent.
fn ranges(total: usize) -> impl Strategy<Value = Vec<(usize, usize, u8)>> {
    prop::collection::vec((0..total, 1..total / 2, any::<u8>()), 1..30)
        .prop_map(move |list| list.into_iter().map(|(at, length, byte)| (at, length.min(total - at), byte)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Writes that overlap in any way, with verifications between them: the verdict is that of the bytes on the disk.
    #[test]
    fn a_hash_made_on_the_way_is_the_hash_of_what_lies_there(
        list in ranges(1_000),
        piece_length in prop::sample::select(vec![100u32, 333, 1_000]),
        limit in 0usize..4,
        max_unhashed in prop::sample::select(vec![0usize, 300, 10_000]),
        split in 1u64..999,
    ) {
        let lab = Lab::new(StorageOptions {
            hash_cache_pieces: limit,
            max_unhashed,
            write_linger: Duration::ZERO,
            verify_linger: Duration::ZERO,
            ..StorageOptions::default()
        });
        lab.open(layout(&[("a", split), ("b/c", 1_000 - split)], piece_length));
        let mut model = vec![None; 1_000];
        for (at, length, byte) in list {
            let length = length.min(piece_length as usize - at % piece_length as usize);
            let (piece, begin) = (at as u32 / piece_length, at as u32 % piece_length);
            prop_assert_eq!(lab.write(piece, begin, &vec![byte; length]), Ok(JobResult::Done));
            model[at..at + length].fill(Some(byte));
            // What was never written but lies before something that was is a hole of zeros; beyond it the file is short.
            let start = (piece * piece_length) as usize;
            let end = 1_000.min(start + piece_length as usize);
            let bounds = [(0, split as usize), (split as usize, 1_000)];
            let short = bounds.iter().any(|&(from, to)| {
                let written = model[from..to].iter().rposition(Option::is_some).map_or(from, |last| from + last + 1);
                start.max(from) < end.min(to) && written < end.min(to)
            });
            let bytes: Vec<u8> = model[start..end].iter().map(|byte| byte.unwrap_or(0)).collect();
            prop_assert_eq!(lab.verify(piece, &bytes), Ok(!short));
        }
    }

    /// Blocks of many pieces in any order, none waited for: all lie where they belong, and every piece is right.
    #[test]
    fn blocks_in_any_order_make_the_same_files(
        order in Just((0..40usize).collect::<Vec<_>>()).prop_shuffle(),
        workers in 1usize..4,
        piece_blocks in 1u32..9,
        max_unhashed in prop::sample::select(vec![0usize, 5_000, 1 << 20]),
    ) {
        let lab = Lab::new(StorageOptions { workers, max_unhashed, ..StorageOptions::default() });
        let whole = content(40 * 1_000 - 17);
        let piece_length = piece_blocks * 1_000;
        lab.open(layout(&[("a", 12_345), ("b", 0), ("c", 27_655 - 17)], piece_length));
        let jobs: Vec<JobId> = order.into_iter().map(|n| {
            let at = n * 1_000;
            let bytes = &whole[at..whole.len().min(at + 1_000)];
            lab.start(write(at as u32 / piece_length, at as u32 % piece_length, bytes))
        }).collect();
        for job in jobs {
            prop_assert_eq!(lab.wait(job), Ok(JobResult::Done));
        }
        // All at once, so that they are hashed in lockstep; every third is expected to be something else.
        let checks: Vec<JobId> = whole.chunks(piece_length as usize).enumerate().map(|(piece, bytes)| {
            lab.start(verify(piece as u32, bytes.len(), &[bytes, &b"!"[..usize::from(piece % 3 == 2)]].concat()))
        }).collect();
        for (piece, job) in checks.into_iter().enumerate() {
            prop_assert_eq!(lab.wait(job), verified(piece % 3 != 2));
        }
        for (piece, bytes) in whole.chunks(piece_length as usize).enumerate() {
            prop_assert_eq!(lab.read(piece as u32, 0, bytes.len() as u32), Ok(bytes.to_vec()));
        }
        prop_assert_eq!(lab.on_disk("c"), &whole[12_345..]);
    }
}
