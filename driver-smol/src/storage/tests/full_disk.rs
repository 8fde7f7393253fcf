//! A disk that fills up.
//!
//! The test needs a file system of 60 KiB, which only a mount namespace of its own can give it: it runs itself again in one. Where the
//! system does not allow that, it says so.

use super::*;

const FOLDER: &str = "PARCACIK_TEST_FULL_DISK";

#[test]
fn a_full_disk_is_told_and_what_was_written_stays_good() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return on_a_small_disk(PathBuf::from(folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let name = "storage::tests::full_disk::a_full_disk_is_told_and_what_was_written_stays_good";
    let script = "mount -t tmpfs -o size=60k none \"$0\" || exit 77; exec \"$1\" --exact \"$2\" --nocapture";
    let namespace = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(FOLDER, folder.path())
        .output();
    match namespace {
        Ok(output) if String::from_utf8_lossy(&output.stdout).contains("1 passed") => {}
        Ok(output) if output.status.code() == Some(77) || output.stderr.starts_with(b"unshare:") => {
            println!("skipped: no mount namespace allowed here");
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => println!("skipped: there is no unshare here"),
        other => panic!("{other:?}"),
    }
}

fn on_a_small_disk(folder: PathBuf) {
    let lab = Lab::at(folder.join("downloads"), StorageOptions::default());
    lab.storage.set_state_dir(&folder.join("state")).unwrap();
    let save = |byte, length| lab.run(Work::Save { torrent: TORRENT, bytes: Bytes::from(vec![byte; length]) });
    lab.open(layout(&[("a", 200_000)], 20_000));
    assert_eq!(save(1, 100), Ok(JobResult::Done));
    assert_eq!(lab.write(0, 0, &content(20_000)), Ok(JobResult::Done));
    assert_eq!(lab.write(1, 0, &content(20_000)), Ok(JobResult::Done));
    // As much as fits is written, and it is no success.
    assert_eq!(lab.write(2, 0, &content(20_000)), Err(IoFault::NoSpace));
    assert_eq!(lab.verify(2, &content(20_000)), Ok(false));
    assert_eq!(lab.verify(1, &content(20_000)), Ok(true));
    assert_eq!(lab.read(0, 0, 20_000), Ok(content(20_000)));
    let Ok(JobResult::Checked { free, .. }) = lab.run(Work::Sync { torrent: TORRENT }) else { panic!() };
    assert_eq!(free, Some(0));
    // Resume data that do not fit leave those before as they were, and no rest that takes up room.
    assert_eq!(save(2, 30_000), Err(IoFault::NoSpace));
    let first = JobResult::Loaded(vec![Bytes::from(vec![1; 100])]);
    assert_eq!(lab.run(Work::Load { torrent: TORRENT }), Ok(first));
    let left = std::fs::read_dir(folder.join("state")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!left.into_iter().any(|name| name.to_string_lossy().ends_with(".tmp")));
}
