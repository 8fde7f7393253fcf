//! Deleting and moving, and a download folder that becomes another one.

use super::*;
use crate::storage::state;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

fn options(state: &Path) -> StorageOptions {
    StorageOptions { state_dir: Some(state.to_owned()), ..StorageOptions::default() }
}

fn files() -> StorageLayout {
    layout(
        &[("pack/a.bin", 20_000), ("pack/.pad", 100), ("pack/sub/b.bin", 20_000), ("pack/sub/c.bin", 20_000)],
        16_384,
    )
}

fn name(lab: &Lab) -> StateName {
    StateName::new(KEY, &lab.root.canonicalize().unwrap())
}

/// Writes all of it, and saves resume data twice.
fn fill(lab: &Lab) -> Vec<u8> {
    let bytes: Vec<u8> = (0..60_100u32).map(|at| (at % 251) as u8).collect();
    for (piece, part) in bytes.chunks(16_384).enumerate() {
        assert_eq!(lab.write(piece as u32, 0, part), Ok(JobResult::Done));
    }
    for round in [&b"first"[..], b"second"] {
        let work = Work::Save { torrent: TORRENT, bytes: Bytes::from_static(round) };
        assert_eq!(lab.run(work), Ok(JobResult::Done));
    }
    bytes
}

/// What lies in a folder, sorted.
fn tree(root: &Path) -> Vec<String> {
    fn walk(at: &Path, root: &Path, out: &mut Vec<String>) {
        let Ok(entries) = std::fs::read_dir(at) else { return };
        for entry in entries {
            let path = entry.unwrap().path();
            out.push(path.strip_prefix(root).unwrap().display().to_string());
            if std::fs::symlink_metadata(&path).unwrap().is_dir() {
                walk(&path, root, out);
            }
        }
    }
    let mut out = Vec::new();
    walk(root, root, &mut out);
    out.sort();
    out
}

/// What lies in a state folder but locks, which stay for ever.
fn resume_data(dir: &Path) -> Vec<String> {
    tree(dir).into_iter().filter(|name| !name.starts_with("locks.")).collect()
}

fn delete(spare: &[u32]) -> Work {
    Work::Delete { torrent: TORRENT, spare: spare.to_vec() }
}

fn move_to(lab: &Lab, root: u32, path: &Path) -> Result<JobResult, IoFault> {
    lab.storage.add_root(RootId(root), path).unwrap();
    lab.run(Work::Move { torrent: TORRENT, root: RootId(root) })
}

#[test]
fn deleting_leaves_nothing_of_the_torrent_and_all_of_others() {
    let state_dir = tempfile::tempdir().unwrap();
    let lab = Lab::new(options(state_dir.path()));
    lab.open(files());
    fill(&lab);
    std::fs::write(lab.root.join("pack/notes.txt"), b"mine").unwrap();
    std::fs::write(lab.root.join("other.bin"), b"another's").unwrap();
    assert_eq!(lab.run(delete(&[])), Ok(JobResult::Done));
    assert_eq!(tree(&lab.root), ["other.bin", "pack", "pack/notes.txt"]);
    assert_eq!(resume_data(state_dir.path()), Vec::<String>::new());
    assert_eq!(lab.run(delete(&[])), Ok(JobResult::Done), "once more does no harm");
    std::fs::remove_file(lab.root.join("pack/notes.txt")).unwrap();
    assert_eq!(lab.run(delete(&[])), Ok(JobResult::Done));
    assert_eq!(tree(&lab.root), ["other.bin"]);
    assert_eq!(lab.run(Work::Release { torrent: TORRENT }), Ok(JobResult::Done));
    assert_eq!(lab.run(delete(&[])), Err(IoFault::NotFound), "not open");
}

#[test]
fn deleting_spares_what_it_is_told_and_whatever_is_no_file() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("precious"), b"precious").unwrap();
    let lab = Lab::new(StorageOptions::default());
    lab.open(files());
    fill(&lab);
    std::fs::remove_file(lab.root.join("pack/a.bin")).unwrap();
    symlink(outside.path().join("precious"), lab.root.join("pack/a.bin")).unwrap();
    assert_eq!(lab.run(delete(&[2])), Ok(JobResult::Done));
    assert_eq!(tree(&lab.root), ["pack", "pack/a.bin", "pack/sub", "pack/sub/b.bin"]);
    assert_eq!(std::fs::read(outside.path().join("precious")).unwrap(), b"precious");
    // A folder of it that leads outside is not followed.
    let elsewhere = outside.path().join("sub");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(elsewhere.join("b.bin"), b"not ours").unwrap();
    std::fs::remove_dir_all(lab.root.join("pack/sub")).unwrap();
    symlink(&elsewhere, lab.root.join("pack/sub")).unwrap();
    assert_eq!(lab.run(delete(&[])), Err(IoFault::Denied));
    assert_eq!(std::fs::read(elsewhere.join("b.bin")).unwrap(), b"not ours");
}

#[test]
fn deleting_waits_for_what_was_submitted_before() {
    let lab = Lab::new(StorageOptions { write_linger: Duration::from_secs(60), ..StorageOptions::default() });
    lab.open(files());
    // These wait for their neighbours; they must not come back after the files are gone.
    let writes: Vec<JobId> = (0..3).map(|piece| lab.start(write(piece, 0, &[7; 16_384]))).collect();
    assert_eq!(lab.run(delete(&[])), Ok(JobResult::Done));
    writes.into_iter().for_each(|job| assert_eq!(lab.wait(job), Ok(JobResult::Done)));
    assert_eq!(tree(&lab.root), Vec::<String>::new());
}

#[test]
fn a_move_takes_files_and_resume_data_along() {
    let (folder, state_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let lab = Lab::new(options(state_dir.path()));
    lab.open(files());
    let bytes = fill(&lab);
    std::fs::write(lab.root.join("pack/notes.txt"), b"mine").unwrap();
    let before = lab.run(Work::Check { torrent: TORRENT }).unwrap();
    let unsynced = lab.files().unsynced();
    assert!(!unsynced.0.is_empty());
    let to = folder.path().join("new/place");
    let moved = move_to(&lab, 5, &to).unwrap();
    let states = |result: &JobResult| match result {
        JobResult::Checked { files, .. } => files.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(states(&moved), states(&before), "lengths and times of change stay");
    assert_eq!(tree(&lab.root), ["pack", "pack/notes.txt"]);
    assert_eq!(tree(&to), ["pack", "pack/a.bin", "pack/sub", "pack/sub/b.bin", "pack/sub/c.bin"]);
    assert_eq!(lab.files().unsynced(), unsynced, "what was to be synced is so there");
    assert_eq!(lab.read(0, 0, 16_384).unwrap(), bytes[..16_384]);
    assert_eq!(lab.write(0, 0, &[9; 100]), Ok(JobResult::Done));
    assert_eq!(std::fs::read(to.join("pack/a.bin")).unwrap()[..100], [9; 100]);
    assert!(lab.run(Work::Sync { torrent: TORRENT }).is_ok());
    // Whoever opens it there finds its resume data, both of them; at the old place there are none.
    assert_eq!(lab.run(Work::Release { torrent: TORRENT }), Ok(JobResult::Done));
    for (root, found) in [(RootId(5), vec![&b"second"[..], b"first"]), (RootId(0), vec![])] {
        let open = Work::Open { torrent: TORRENT, root, key: KEY, layout: Arc::new(files()) };
        assert_eq!(lab.run(open), Ok(JobResult::Done));
        let loaded = lab.run(Work::Load { torrent: TORRENT }).unwrap();
        assert_eq!(loaded, JobResult::Loaded(found.into_iter().map(Bytes::from_static).collect()));
    }
}

#[test]
fn a_move_replaces_nothing_and_leaves_all_as_it_was() {
    let (folder, state_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let lab = Lab::new(options(state_dir.path()));
    lab.open(files());
    let bytes = fill(&lab);
    let (before, states) = (tree(&lab.root), resume_data(state_dir.path()));
    for (round, make) in [
        (|path| std::fs::write(path, b"theirs").unwrap()) as fn(&Path),
        |path| symlink("/nowhere", path).unwrap(),
        |path| std::fs::create_dir(path).unwrap(),
    ]
    .into_iter()
    .enumerate()
    {
        let to = folder.path().join(round.to_string());
        std::fs::create_dir_all(to.join("pack/sub")).unwrap();
        make(&to.join("pack/sub/c.bin"));
        let there = tree(&to);
        assert_eq!(move_to(&lab, 10 + round as u32, &to), Err(IoFault::Exists));
        assert_eq!((tree(&lab.root), tree(&to)), (before.clone(), there));
    }
    // What is in its own way cannot be moved either.
    std::fs::rename(lab.root.join("pack/a.bin"), lab.root.join("elsewhere")).unwrap();
    symlink("../elsewhere", lab.root.join("pack/a.bin")).unwrap();
    assert_eq!(move_to(&lab, 20, &folder.path().join("last")), Err(IoFault::Exists));
    std::fs::rename(lab.root.join("elsewhere"), lab.root.join("pack/a.bin")).unwrap();
    assert_eq!(lab.run(Work::Move { torrent: TORRENT, root: RootId(99) }), Err(IoFault::NotFound));
    assert_eq!(lab.read(0, 0, 16_384).unwrap(), bytes[..16_384]);
    assert_eq!(resume_data(state_dir.path()), states);
    let dir = Dir::open_ambient_dir(state_dir.path(), ambient_authority()).unwrap();
    assert_eq!(state::load(&dir, &name(&lab), 100).unwrap().len(), 2);
}

/// Two folders on different file systems, where this machine has them.
fn two_file_systems() -> Option<(tempfile::TempDir, tempfile::TempDir)> {
    let one = tempfile::tempdir().unwrap();
    let other = ["/dev/shm", "/var/tmp", "/run"].into_iter().find_map(|place| {
        let dir = tempfile::tempdir_in(place).ok()?;
        let device = |dir: &Path| std::fs::metadata(dir).unwrap().dev();
        (device(dir.path()) != device(one.path())).then_some(dir)
    });
    if other.is_none() {
        eprintln!("skipped: this machine has one file system only");
    }
    Some((one, other?))
}

#[test]
fn a_move_to_another_file_system_copies_holes_times_and_permissions() {
    let Some((one, two)) = two_file_systems() else { return };
    let lab = Lab::at(one.path().join("from"), StorageOptions::default());
    let big = layout(&[("sparse.bin", 64 << 20), ("small.bin", 5)], 1 << 20);
    lab.open(big);
    assert_eq!(lab.write(63, 0, &[5; 16_384]), Ok(JobResult::Done));
    assert_eq!(lab.write(64, 0, b"small"), Ok(JobResult::Done));
    std::fs::set_permissions(lab.root.join("small.bin"), std::fs::Permissions::from_mode(0o640)).unwrap();
    let before = std::fs::metadata(lab.root.join("sparse.bin")).unwrap();
    let to = two.path().join("to");
    assert!(matches!(move_to(&lab, 1, &to), Ok(JobResult::Checked { .. })));
    assert_eq!(tree(&lab.root), Vec::<String>::new());
    let after = std::fs::metadata(to.join("sparse.bin")).unwrap();
    assert_eq!((after.len(), after.modified().unwrap()), (before.len(), before.modified().unwrap()));
    assert!(after.blocks() * 512 < 4 << 20, "holes stay holes: {} blocks", after.blocks());
    assert_eq!(std::fs::metadata(to.join("small.bin")).unwrap().mode() & 0o777, 0o640);
    assert_eq!(lab.read(63, 0, 16_384).unwrap(), [5; 16_384]);
    assert_eq!(lab.read(64, 0, 5).unwrap(), b"small");
    // And back, with something in the way of the second file: the copy of the first is taken away again.
    std::fs::write(lab.root.join("small.bin"), b"theirs").unwrap();
    let back = Work::Move { torrent: TORRENT, root: RootId(0) };
    assert_eq!(lab.run(back), Err(IoFault::Exists));
    assert_eq!((tree(&lab.root), tree(&to)), (vec!["small.bin".into()], vec!["small.bin".into(), "sparse.bin".into()]));
}

#[test]
fn a_copy_that_fails_or_is_called_off_leaves_nothing_behind() {
    let Some((one, two)) = two_file_systems() else { return };
    let lab = Lab::at(one.path().join("from"), StorageOptions::default());
    lab.open(files());
    fill(&lab);
    let (before, files) = (tree(&lab.root), lab.files());
    std::fs::create_dir_all(two.path().join("to")).unwrap();
    let dir = Arc::new(Dir::open_ambient_dir(two.path().join("to"), ambient_authority()).unwrap());
    // Called off at each of its looks in turn, until it is through.
    for looks in 0..100u32 {
        let left = Cell::new(looks);
        let halt = || left.replace(left.get().saturating_sub(1)) == 0;
        let place = Place { dir: Arc::clone(&dir), path: two.path().join("to") };
        match relocate::relocate(&files, place, &halt) {
            Err(fault) => {
                assert_eq!(fault, IoFault::Cancelled);
                assert_eq!(tree(&two.path().join("to")), Vec::<String>::new());
                assert_eq!(tree(&lab.root), before);
            }
            Ok(()) => {
                assert!(looks >= 5, "it looked {looks} times only");
                assert_eq!(tree(&two.path().join("to")), before);
                return;
            }
        }
    }
    panic!("it never came to an end");
}

#[test]
fn a_chore_of_a_storage_that_stops_is_answered() {
    let lab = Lab::new(StorageOptions::default());
    lab.open(files());
    lab.storage.close();
    assert_eq!(lab.run(delete(&[])), Err(IoFault::Cancelled));
}

/// A disk that is mounted after the start: the folder of that path is another one from then on.
#[test]
fn a_look_finds_the_folder_that_is_there_now() {
    let lab = Lab::new(StorageOptions::default());
    lab.open(layout(&[("a.bin", 100)], 16_384));
    assert_eq!(lab.write(0, 0, &[1; 100]), Ok(JobResult::Done));
    let aside = lab.root.with_extension("aside");
    std::fs::rename(&lab.root, &aside).unwrap();
    assert_eq!(lab.run(Work::Check { torrent: TORRENT }), Err(IoFault::NotFound));
    std::fs::create_dir(&lab.root).unwrap();
    std::fs::write(lab.root.join("a.bin"), [2; 100]).unwrap();
    let looked = lab.run(Work::Check { torrent: TORRENT });
    assert!(matches!(looked, Ok(JobResult::Checked { ref files, .. }) if files[0].is_some()), "{looked:?}");
    assert_eq!(lab.read(0, 0, 100).unwrap(), [2; 100]);
    assert_eq!(lab.write(0, 0, &[3; 10]), Ok(JobResult::Done));
    assert_eq!(std::fs::read(aside.join("a.bin")).unwrap(), [1; 100]);
}
