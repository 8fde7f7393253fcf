//! Whatever lies in the download folder, nothing outside it is touched, and nothing that is not a file.

use super::*;
use std::os::unix::fs::symlink;

/// A lab whose torrent has the files `t/a` and `t/sub/b`, and a folder beside the download folder with a file in it.
fn lab() -> (Lab, PathBuf) {
    let lab = Lab::new(StorageOptions::default());
    lab.open(layout(&[("t/a", 100), ("t/sub/b", 100)], 100));
    std::fs::create_dir(lab.root.join("t")).unwrap();
    let outside = lab.root.parent().unwrap().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("b"), "precious").unwrap();
    (lab, outside)
}

fn everything_fails_with(lab: &Lab, piece: u32, fault: IoFault) {
    assert_eq!(lab.write(piece, 0, &[1; 100]), Err(fault));
    assert_eq!(lab.read(piece, 0, 4), Err(fault));
    assert_eq!(lab.verify(piece, &[1; 100]), Err(fault));
    assert_eq!(lab.run(Work::Check { torrent: TORRENT }), Err(fault));
}

#[test]
fn a_link_in_place_of_a_file_is_not_followed() {
    let (lab, outside) = lab();
    for target in [outside.join("b"), outside.join("not there"), PathBuf::from("../../outside/b"), PathBuf::from("sub")]
    {
        symlink(&target, lab.root.join("t/a")).unwrap();
        everything_fails_with(&lab, 0, IoFault::Exists);
        std::fs::remove_file(lab.root.join("t/a")).unwrap();
    }
    assert_eq!(std::fs::read(outside.join("b")).unwrap(), b"precious");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn a_linked_folder_leads_nowhere_outside() {
    let (lab, outside) = lab();
    for target in [outside.clone(), PathBuf::from("../../outside"), PathBuf::from("/")] {
        symlink(&target, lab.root.join("t/sub")).unwrap();
        everything_fails_with(&lab, 1, IoFault::Denied);
        std::fs::remove_file(lab.root.join("t/sub")).unwrap();
    }
    assert_eq!(std::fs::read(outside.join("b")).unwrap(), b"precious");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn a_folder_pipe_or_socket_in_place_of_a_file_is_refused_at_once() {
    let (lab, _) = lab();
    let path = lab.root.join("t/a");
    std::fs::create_dir(&path).unwrap();
    everything_fails_with(&lab, 0, IoFault::Exists);
    std::fs::remove_dir(&path).unwrap();
    // To open a pipe would wait for its other end.
    let pipe = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
    rustix::fs::mknodat(rustix::fs::CWD, &path, pipe.0, pipe.1, 0).unwrap();
    everything_fails_with(&lab, 0, IoFault::Exists);
    std::fs::remove_file(&path).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    everything_fails_with(&lab, 0, IoFault::Exists);
}

#[test]
fn a_file_in_place_of_a_folder_is_refused() {
    let (lab, _) = lab();
    std::fs::write(lab.root.join("t/sub"), "mine").unwrap();
    everything_fails_with(&lab, 1, IoFault::Exists);
    assert_eq!(lab.on_disk("t/sub"), b"mine");
}

#[test]
fn a_file_that_cannot_be_written_can_be_seeded() {
    let (lab, _) = lab();
    let path = lab.root.join("t/a");
    std::fs::write(&path, [3; 100]).unwrap();
    let mut permissions = std::fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&path, permissions).unwrap();
    assert_eq!(lab.verify(0, &[3; 100]), Ok(true));
    assert_eq!(lab.read(0, 10, 5), Ok(vec![3; 5]));
    if !rustix::process::geteuid().is_root() {
        assert_eq!(lab.write(0, 0, &[1; 100]), Err(IoFault::Denied));
    }
}

#[test]
fn a_file_that_somebody_else_writes_is_left_alone() {
    let ours = Lab::new(StorageOptions::default());
    ours.open(layout(&[("one", 32_768)], 16_384));
    assert_eq!(ours.write(0, 0, &content(16_384)), Ok(JobResult::Done));
    // Another process, with its resume data elsewhere: nothing but the file tells them of each other.
    let theirs = Lab::at(ours.root.clone(), StorageOptions::default());
    theirs.open(layout(&[("one", 32_768)], 16_384));
    assert_eq!(theirs.read(0, 0, 16_384), Ok(content(16_384)), "reading does no harm");
    assert_eq!(theirs.write(1, 0, &[1; 16_384]), Err(IoFault::Busy));
    assert_eq!(ours.write(1, 0, &content(16_384)), Ok(JobResult::Done));
    assert_eq!(ours.run(Work::Release { torrent: TORRENT }), Ok(JobResult::Done));
    assert_eq!(theirs.write(1, 0, &[1; 16_384]), Ok(JobResult::Done));
}

#[test]
fn two_torrents_of_one_process_may_have_a_file_in_turn() {
    let lab = Lab::new(StorageOptions::default());
    lab.open(layout(&[("one", 16_384)], 16_384));
    assert_eq!(lab.write(0, 0, &content(16_384)), Ok(JobResult::Done));
    let second = TorrentId(8);
    let layout = Arc::new(layout(&[("one", 16_384)], 16_384));
    let open = Work::Open { torrent: second, root: RootId(0), key: InfoHash([1; 20]), layout };
    assert_eq!(lab.run(open), Ok(JobResult::Done));
    let work = Work::Write { torrent: second, piece: 0, begin: 0, bytes: Bytes::from(content(16_384)) };
    assert_eq!(lab.run(work), Ok(JobResult::Done));
}
