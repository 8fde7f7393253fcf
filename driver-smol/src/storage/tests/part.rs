//! Files that are kept apart, and the part file.

use super::*;
use parcacik_core::bitfield::Bitfield;
use parcacik_core::border::FileState;

const PIECE: u32 = 16_384;

/// Three files that share pieces 1 and 3; of 80,000 bytes, 5 pieces.
fn shared() -> (StorageLayout, Vec<u8>) {
    (layout(&[("t/a", 25_000), ("t/sub/b", 30_000), ("t/c", 25_000)], PIECE), content(80_000))
}

fn part() -> String {
    format!("t/.{KEY}.parts")
}

impl Lab {
    fn place(&self, apart: &[u32], pieces: &[u32]) -> Result<JobResult, IoFault> {
        self.run(self.placing(apart, pieces))
    }

    fn placing(&self, apart: &[u32], pieces: &[u32]) -> Work {
        let mut set = Bitfield::none(self.files().layout.files().len() as u32);
        apart.iter().for_each(|&file| _ = set.insert(file));
        Work::Place { torrent: TORRENT, apart: set, pieces: pieces.to_vec() }
    }

    fn write_pieces(&self, whole: &[u8], pieces: &[u32]) {
        for &piece in pieces {
            let start = piece as usize * PIECE as usize;
            let bytes = &whole[start..whole.len().min(start + PIECE as usize)];
            assert_eq!(self.write(piece, 0, bytes), Ok(JobResult::Done));
        }
    }

    fn holds(&self, whole: &[u8], piece: u32) -> bool {
        let start = piece as usize * PIECE as usize;
        self.verify(piece, &whole[start..whole.len().min(start + PIECE as usize)]).unwrap()
    }

    fn part_state(&self) -> Option<FileState> {
        match self.run(Work::Check { torrent: TORRENT }) {
            Ok(JobResult::Checked { part, .. }) => part,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn bytes_of_a_file_that_is_apart_go_to_the_part_file() {
    let lab = Lab::new(StorageOptions::default());
    let (layout, whole) = shared();
    lab.open(layout);
    lab.place(&[1], &[]).unwrap();
    lab.write_pieces(&whole, &[0, 1, 3, 4]);
    for piece in [0, 1, 3, 4] {
        assert!(lab.holds(&whole, piece), "{piece}");
    }
    assert_eq!(lab.read(1, 8_000, 2_000).unwrap(), whole[24_384..26_384], "over the border of a file");
    assert_eq!((lab.on_disk("t/a"), lab.on_disk("t/c")), (whole[..25_000].to_vec(), whole[55_000..].to_vec()));
    assert!(!lab.root.join("t/sub").exists(), "nobody wants it");
    // A slot for each of the two shared pieces; the last ends where the file does.
    assert_eq!(lab.part_state().unwrap().length, u64::from(PIECE) + 55_000 - 3 * u64::from(PIECE));
    assert_eq!(lab.on_disk(&part())[25_000 - PIECE as usize..PIECE as usize], whole[25_000..2 * PIECE as usize]);
    let (unsynced, folders) = lab.files().unsynced();
    assert_eq!(unsynced, [0, 2, 3], "the part file is the one behind the last");
    assert!(folders.contains(&PathBuf::from("t")));
    assert!(matches!(lab.run(Work::Sync { torrent: TORRENT }), Ok(JobResult::Checked { part: Some(_), .. })));
    assert!(lab.files().unsynced().0.is_empty());
}

#[test]
fn a_file_that_is_wanted_after_all_gets_its_bytes_from_the_part_file() {
    // Several workers: each has its own pieces.
    let lab = Lab::new(StorageOptions { workers: 3, ..StorageOptions::default() });
    let (layout, whole) = shared();
    lab.open(layout);
    lab.place(&[1], &[]).unwrap();
    lab.write_pieces(&whole, &[0, 1, 3, 4]);
    // What is started behind it sees it, whether it has ended or not.
    let placing = lab.start(lab.placing(&[], &[1, 3]));
    assert_eq!(lab.read(3, 0, 5_000).unwrap(), whole[49_152..54_152]);
    lab.write_pieces(&whole, &[2]);
    assert_eq!(lab.wait(placing), Ok(JobResult::Done));
    for piece in 0..5 {
        assert!(lab.holds(&whole, piece), "{piece}");
    }
    assert_eq!(lab.on_disk("t/sub/b"), whole[25_000..55_000]);
    assert!(lab.part_state().is_some(), "durable resume data may still rely on it");
    assert_eq!(lab.run(Work::DropPart { torrent: TORRENT }), Ok(JobResult::Done));
    assert_eq!(lab.part_state(), None);
    assert_eq!(lab.run(Work::DropPart { torrent: TORRENT }), Ok(JobResult::Done), "also when there is none");
    assert!(lab.holds(&whole, 1));
}

#[test]
fn a_block_that_waits_is_written_where_it_belonged_when_it_came() {
    let lab = Lab::new(patient());
    let (layout, whole) = shared();
    lab.open(layout);
    lab.place(&[1], &[]).unwrap();
    let half = PIECE as usize / 2;
    let waits = lab.start(write(1, 0, &whole[PIECE as usize..PIECE as usize + half]));
    lab.place(&[], &[1]).unwrap();
    assert_eq!(lab.wait(waits), Ok(JobResult::Done));
    // The other half comes later, and goes to the file.
    let later = lab.start(write(1, half as u32, &whole[PIECE as usize + half..2 * PIECE as usize]));
    assert!(lab.holds(&whole, 1));
    assert_eq!(lab.wait(later), Ok(JobResult::Done));
}

#[test]
fn a_part_file_that_is_lost_or_cut_loses_its_pieces_only() {
    let lab = Lab::new(StorageOptions::default());
    let (layout, whole) = shared();
    lab.open(layout.clone());
    lab.place(&[1], &[]).unwrap();
    lab.write_pieces(&whole, &[0, 1, 3, 4]);
    assert_eq!(lab.run(Work::Release { torrent: TORRENT }), Ok(JobResult::Done));
    let file = std::fs::OpenOptions::new().write(true).open(lab.root.join(part())).unwrap();
    file.set_len(u64::from(PIECE)).unwrap();
    lab.open(layout.clone());
    lab.place(&[1], &[]).unwrap();
    assert_eq!([0, 1, 3, 4].map(|piece| lab.holds(&whole, piece)), [true, true, false, true]);
    assert_eq!(lab.read(3, 0, 100), Err(IoFault::ShortRead));
    // What it lacks is left out when it is copied.
    lab.place(&[], &[1, 3]).unwrap();
    assert_eq!([1, 3].map(|piece| lab.holds(&whole, piece)), [true, false]);
    assert_eq!(lab.run(Work::Release { torrent: TORRENT }), Ok(JobResult::Done));
    std::fs::remove_file(lab.root.join(part())).unwrap();
    std::fs::remove_file(lab.root.join("t/sub/b")).unwrap();
    lab.open(layout);
    lab.place(&[1], &[]).unwrap();
    assert_eq!([0, 1, 3, 4].map(|piece| lab.holds(&whole, piece)), [true, false, false, true]);
    lab.place(&[], &[1, 3]).unwrap();
    assert!(!lab.root.join("t/sub/b").exists(), "there was nothing to copy");
}

#[test]
fn a_file_that_is_apart_is_read_in_its_place_where_it_shares_nothing() {
    let lab = Lab::new(StorageOptions::default());
    let (layout, whole) = shared();
    // Somebody else's good copy of the unwanted file, at its place.
    std::fs::create_dir_all(lab.root.join("t/sub")).unwrap();
    std::fs::write(lab.root.join("t/sub/b"), &whole[25_000..55_000]).unwrap();
    lab.open(layout);
    lab.place(&[1], &[]).unwrap();
    assert!(lab.holds(&whole, 2));
    lab.write_pieces(&[9; 80_000], &[1, 3]);
    assert_eq!(lab.on_disk("t/sub/b"), whole[25_000..55_000], "it is not written to");
}

#[test]
fn files_that_begin_at_pieces_have_no_part_file() {
    let lab = Lab::new(StorageOptions::default());
    let whole = content(3 * PIECE as usize);
    lab.open(layout(&[("t/a", 16_384), ("t/b", 20_000), ("t/.pad", 12_768)], PIECE));
    lab.place(&[0, 1], &[]).unwrap();
    lab.write_pieces(&whole, &[0]);
    assert_eq!(lab.on_disk("t/a"), whole[..PIECE as usize]);
    assert!(!lab.root.join(part()).exists());
}

#[test]
fn copying_that_fails_is_owed_and_done_later() {
    let lab = Lab::new(StorageOptions { workers: 1, ..StorageOptions::default() });
    let (layout, whole) = shared();
    lab.open(layout);
    lab.place(&[1], &[]).unwrap();
    lab.write_pieces(&whole, &[1, 3]);
    // Something stands in the way of the folder.
    std::fs::write(lab.root.join("t/sub"), b"in the way").unwrap();
    assert!(lab.place(&[], &[1, 3]).is_err());
    assert!(lab.read(1, 0, PIECE).is_err(), "it belongs to the file, which cannot be had");
    assert!(lab.write(1, 0, &whole[PIECE as usize..2 * PIECE as usize]).is_err());
    std::fs::remove_file(lab.root.join("t/sub")).unwrap();
    assert!(lab.holds(&whole, 3), "copied when it is needed");
    lab.place(&[], &[1, 3]).unwrap();
    assert!(lab.holds(&whole, 1));
}

#[test]
fn the_part_file_is_moved_and_deleted_with_the_files() {
    let lab = Lab::new(StorageOptions::default());
    let (layout, whole) = shared();
    lab.open(layout);
    lab.place(&[1], &[]).unwrap();
    lab.write_pieces(&whole, &[0, 1, 3, 4]);
    let other = lab.root.with_file_name("elsewhere");
    lab.storage.add_root(RootId(1), &other).unwrap();
    let moved = lab.run(Work::Move { torrent: TORRENT, root: RootId(1) });
    assert!(matches!(moved, Ok(JobResult::Checked { part: Some(_), .. })), "{moved:?}");
    assert!(other.join(part()).exists() && !lab.root.join("t").exists());
    assert!(lab.holds(&whole, 1) && lab.holds(&whole, 3), "what is apart is still apart");
    lab.place(&[], &[1, 3]).unwrap();
    assert!(lab.holds(&whole, 1) && other.join("t/sub/b").exists());
    assert_eq!(lab.run(Work::Delete { torrent: TORRENT, spare: vec![] }), Ok(JobResult::Done));
    assert!(!other.join("t").exists());
}
