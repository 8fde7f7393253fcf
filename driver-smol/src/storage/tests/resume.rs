//! Resume data: two generations, whole at every moment, for one process at a time.

use super::super::state::{self, Step};
use super::*;
use crate::dht::state::StateFiles;
use parcacik_core::dht::NodeId;
use parcacik_core::dht::table::saved::Saved;
use parcacik_core::rng::{Seeds, Stream};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, symlink};

fn lab() -> (Lab, PathBuf) {
    let lab = Lab::new(StorageOptions { max_state: 1_000, ..StorageOptions::default() });
    let dir = lab.root.parent().unwrap().join("state/parcacik");
    lab.storage.set_state_dir(&dir).unwrap();
    lab.open(layout(&[("a", 1)], 1));
    (lab, dir)
}

impl Lab {
    /// What its torrent's files in the state folder begin with.
    fn state_name(&self) -> StateName {
        StateName::new(KEY, &self.root.canonicalize().unwrap())
    }

    fn save(&self, bytes: &[u8]) -> Result<JobResult, IoFault> {
        self.run(Work::Save { torrent: TORRENT, bytes: Bytes::copy_from_slice(bytes) })
    }

    fn load(&self) -> Result<Vec<Vec<u8>>, IoFault> {
        match self.run(Work::Load { torrent: TORRENT })? {
            JobResult::Loaded(list) => Ok(list.iter().map(|bytes| bytes.to_vec()).collect()),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_last_two_generations_are_kept() {
    let (lab, dir) = lab();
    assert_eq!(lab.load(), Ok(vec![]));
    for (saved, loaded) in [("one", &["one"][..]), ("two", &["two", "one"]), ("three", &["three", "two"])] {
        assert_eq!(lab.save(saved.as_bytes()), Ok(JobResult::Done));
        assert_eq!(lab.load().unwrap(), loaded.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>());
    }
    let hex = lab.state_name();
    assert!(hex.to_string().starts_with(&"ab".repeat(20)));
    let mut names: Vec<String> =
        std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names.len(), 3);
    assert_eq!(names[..2], [format!("{hex}.resume"), format!("{hex}.resume.1")]);
    assert!(names[2].contains("lock"), "{names:?}");
    for name in names {
        assert_eq!(std::fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_crash_before_any_step_leaves_a_whole_generation() {
    for step in [Step::Write, Step::Sync, Step::KeepOld, Step::Publish, Step::SyncDir] {
        let (lab, path) = lab();
        let dir = state::open_state_dir(&path).unwrap();
        lab.save(b"one").unwrap();
        lab.save(b"two").unwrap();
        let mut steps = Vec::new();
        let crashed = state::save(&dir, &lab.state_name(), b"three", |next| {
            steps.push(next);
            if next == step { Err(io::Error::other("crash")) } else { Ok(()) }
        });
        assert!(crashed.is_err());
        assert_eq!(steps.last(), Some(&step));
        let expect: &[&[u8]] = match step {
            Step::Write | Step::Sync | Step::KeepOld => &[b"two", b"one"],
            Step::Publish => &[b"two"],
            Step::SyncDir => &[b"three", b"two"],
        };
        assert_eq!(lab.load().unwrap(), expect, "{step:?}");
        // And whatever the crash left does not hinder the next one.
        assert_eq!(lab.save(b"four"), Ok(JobResult::Done));
        assert_eq!(lab.load().unwrap()[0], b"four");
    }
}

#[test]
fn what_a_crash_left_half_written_is_not_read() {
    let (lab, dir) = lab();
    std::fs::write(dir.join(format!("{}.resume.tmp", lab.state_name())), "ha").unwrap();
    assert_eq!(lab.load(), Ok(vec![]));
    std::fs::write(dir.join(format!("{}.resume.1", lab.state_name())), "old").unwrap();
    assert_eq!(lab.load(), Ok(vec![b"old".to_vec()]));
}

#[test]
fn a_generation_that_cannot_be_used_is_left_out() {
    let (lab, dir) = lab();
    let newest = dir.join(format!("{}.resume", lab.state_name()));
    std::fs::write(&newest, [0; 1_001]).unwrap();
    assert_eq!(lab.load(), Err(IoFault::TooLarge));
    std::fs::write(dir.join(format!("{}.resume.1", lab.state_name())), [0; 1_000]).unwrap();
    assert_eq!(lab.load(), Ok(vec![vec![0; 1_000]]));
    std::fs::remove_file(&newest).unwrap();
    symlink("/etc/passwd", &newest).unwrap();
    assert_eq!(lab.load(), Ok(vec![vec![0; 1_000]]));
}

#[test]
fn a_torrent_that_another_has_is_refused_until_it_is_released() {
    let (lab, dir) = lab();
    let other = Lab::at(lab.root.clone(), StorageOptions { state_dir: Some(dir.clone()), ..StorageOptions::default() });
    other.open(layout(&[("a", 1)], 1));
    lab.save(b"mine").unwrap();
    assert_eq!(other.load(), Err(IoFault::Busy));
    assert_eq!(other.save(b"theirs"), Err(IoFault::Busy));
    assert_eq!(lab.run(Work::Release { torrent: TORRENT }), Ok(JobResult::Done));
    assert_eq!(other.load(), Ok(vec![b"mine".to_vec()]));
    lab.open(layout(&[("a", 1)], 1));
    assert_eq!(lab.load(), Err(IoFault::Busy));
    assert!(other.storage.stop());
    assert_eq!(lab.load(), Ok(vec![b"mine".to_vec()]));
}

#[test]
fn the_same_torrent_in_another_folder_has_resume_data_of_its_own() {
    let (lab, dir) = lab();
    lab.save(b"here").unwrap();
    let other = Lab::new(StorageOptions { state_dir: Some(dir), ..StorageOptions::default() });
    other.open(layout(&[("a", 1)], 1));
    assert_eq!(other.load(), Ok(vec![]), "neither locked nor known");
    other.save(b"there").unwrap();
    assert_eq!(lab.load(), Ok(vec![b"here".to_vec()]));
}

#[test]
fn without_a_state_folder_nothing_is_stored() {
    let lab = Lab::new(StorageOptions::default());
    lab.open(layout(&[("a", 1)], 1));
    assert_eq!(lab.save(b"one"), Ok(JobResult::Done));
    assert_eq!(lab.load(), Ok(vec![]));
    assert!(lab.storage.set_state_dir(Path::new("/dev/null/state")).is_err());
}

#[test]
fn a_node_of_the_dht_is_kept_for_one_process_at_a_time() {
    let (lab, dir) = lab();
    let load = |lab: &Lab, v6| match lab.run(Work::LoadDht { v6 }) {
        Ok(JobResult::Loaded(all)) => all.first().map(|bytes| Saved::parse(bytes, 10).unwrap()),
        other => panic!("{other:?}"),
    };
    let save = |lab: &Lab, saved: &Saved| lab.run(Work::SaveDht { v6: saved.v6, bytes: saved.encode().into() });
    let node = |n| Saved {
        id: NodeId([n; 20]),
        v6: false,
        nodes: vec![(NodeId([n + 1; 20]), SocketAddr::from(([127, 0, 0, n], 6881)))],
    };
    assert_eq!(load(&lab, false), None);
    for saved in [node(1), node(2)] {
        assert_eq!(save(&lab, &saved), Ok(JobResult::Done));
        assert_eq!(load(&lab, false), Some(saved));
    }
    assert_eq!(load(&lab, true), None, "each family has its own");
    let mode = std::fs::metadata(dir.join("dht-4.node")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!dir.join("dht-4.node.tmp").exists());

    // A second one has the nodes, another id, and saves nothing: another session, or a client of the DHT alone.
    let other = Lab::new(StorageOptions::default());
    other.storage.set_state_dir(&dir).unwrap();
    let found = load(&other, false).unwrap();
    assert!(found.nodes == node(2).nodes && found.id != node(2).id);
    assert_eq!(save(&other, &node(3)), Err(IoFault::Busy));
    let local = [SocketAddr::from(([127, 0, 0, 1], 1))];
    let client = StateFiles::open(&dir, &local).unwrap();
    assert!(!client.is_ours());
    let mut rng = Seeds::for_tests(1).secrets(Stream::Dht, 0);
    assert_eq!(client.load(10, &mut rng)[0].as_ref().map(|found| &found.nodes), Some(&node(2).nodes));
    client.store(1, &[node(4)]).unwrap();
    assert_eq!(load(&lab, false), Some(node(2)));
    // And the other way round.
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().to_owned();
    let client = StateFiles::open(&dir, &local).unwrap();
    client.store(1, &[node(4)]).unwrap();
    let later = Lab::new(StorageOptions { state_dir: Some(dir.clone()), ..StorageOptions::default() });
    assert_eq!(load(&later, false).map(|found| (found.nodes, found.id == node(4).id)), Some((node(4).nodes, false)));
    assert_eq!(save(&later, &node(5)), Err(IoFault::Busy));
    // What is broken is nothing, and so is what a link leads to.
    std::fs::write(dir.join("dht-4.node"), b"PkDhtNod and no more").unwrap();
    symlink(dir.join("dht-4.node"), dir.join("dht-6.node")).unwrap();
    assert_eq!((load(&later, false), load(&later, true)), (None, None));
}
