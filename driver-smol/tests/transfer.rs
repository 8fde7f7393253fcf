//! Whole clients on loopback: real sockets, real files.

use futures_lite::future::{block_on, or};
use parcacik_core::border::{Notice, SeedGoal, Target, TorrentId, TorrentState};
use parcacik_driver_smol::tracker_server::TrackerHost;
use parcacik_driver_smol::{AddOptions, Client, ClientConfig, ClientError, NoticeReceiver};
use sha1::{Digest, Sha1};
use std::path::Path;
use std::time::{Duration, Instant};

const PIECE: usize = 64 << 10;

/// Bytes of which no two places look alike.
fn pattern(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|i| ((i + seed).wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// A torrent of these files in a folder `name`, and the files under `dir`.
fn torrent(dir: &Path, name: &str, files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut list = Vec::new();
    for (path, content) in files {
        std::fs::create_dir_all(dir.join(name)).unwrap();
        std::fs::write(dir.join(name).join(path), content).unwrap();
        list.extend(format!("d6:lengthi{}e4:pathl{}:{path}ee", content.len(), path.len()).bytes());
    }
    let whole: Vec<u8> = files.iter().flat_map(|(_, content)| content.iter().copied()).collect();
    let hashes: Vec<u8> = whole.chunks(PIECE).flat_map(|piece| Sha1::digest(piece).to_vec()).collect();
    let mut metainfo = b"d4:infod5:filesl".to_vec();
    metainfo.extend(&list);
    metainfo.extend(format!("e4:name{}:{name}12:piece lengthi{PIECE}e6:pieces{}:", name.len(), hashes.len()).bytes());
    metainfo.extend(&hashes);
    metainfo.extend(b"ee");
    metainfo
}

fn client(state: Option<&Path>) -> Client {
    let config = ClientConfig {
        listen: vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()],
        state_dir: state.map(Path::to_owned),
        ..ClientConfig::default()
    };
    Client::start(config).unwrap()
}

/// A client that has the whole torrent, and seeds it until it is dropped.
fn seed(metainfo: &[u8], dir: &Path, tracker: Option<&str>) -> (Client, TorrentId) {
    let seed = client(None);
    let mut notices = seed.notices();
    let options = AddOptions {
        seed_only: true,
        goal: SeedGoal::Forever,
        extra_trackers: tracker.map(str::to_owned).into_iter().collect(),
        ..AddOptions::new(metainfo.to_vec(), dir)
    };
    let torrent = block_on(seed.add(options)).unwrap();
    wait_for(&mut notices, |notice| matches!(notice, Notice::State { state: TorrentState::Seeding, .. }));
    (seed, torrent)
}

fn assert_there(dir: &Path, name: &str, files: &[(&str, Vec<u8>)]) {
    for (path, content) in files {
        assert!(std::fs::read(dir.join(name).join(path)).unwrap() == *content, "{path} differs");
    }
}

/// Waits for a notice.
fn wait_for(notices: &mut NoticeReceiver, mut wanted: impl FnMut(&Notice) -> bool) {
    let mut seen = Vec::new();
    let limit = Instant::now() + Duration::from_secs(60);
    loop {
        let too_late = async {
            async_io::Timer::at(limit).await;
            None
        };
        match block_on(or(async { Some(notices.recv().await) }, too_late)) {
            Some(Ok(notice)) if wanted(&notice) => return,
            Some(Ok(notice)) => seen.push(notice),
            Some(Err(error)) => panic!("{error}; {seen:#?}"),
            None => panic!("it did not come; {seen:#?}"),
        }
    }
}

#[test]
fn one_client_downloads_from_another() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = [("a", pattern(3_000_001, 1)), ("b", pattern(70_000, 2)), ("empty", Vec::new()), ("c", pattern(5, 3))];
    let metainfo = torrent(there.path(), "thing", &files);

    let (seed, seeding) = seed(&metainfo, there.path(), None);

    let leech = client(Some(&here.path().join("state")));
    let mut notices = leech.notices();
    let peers = vec![Target::Addr(seed.listening()[0].addr)];
    let torrent = block_on(leech.add(AddOptions { peers, ..AddOptions::new(metainfo, here.path()) })).unwrap();
    wait_for(&mut notices, |notice| matches!(notice, Notice::Done { .. }));

    assert_there(here.path(), "thing", &files);
    let stats = block_on(leech.stats(torrent)).unwrap();
    assert_eq!(stats.missing_bytes, 0);
    let size: usize = files.iter().map(|(_, content)| content.len()).sum();
    assert_eq!(block_on(seed.stats(seeding)).unwrap().uploaded, size as u64);

    block_on(leech.shutdown()).unwrap();
    block_on(seed.shutdown()).unwrap();
}

#[test]
fn clients_find_each_other_by_trackers() {
    for scheme in ["http", "udp"] {
        let tracker = TrackerHost::start("127.0.0.1:0".parse().unwrap()).unwrap();
        let url = format!("{scheme}://{}/announce", tracker.local_addr());
        let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let files = [("a", pattern(1_000_001, 1))];
        let metainfo = torrent(there.path(), "thing", &files);
        let (seed, _) = seed(&metainfo, there.path(), Some(&url));
        // The leech must not come first, or it would not ask again for half an hour.
        let start = Instant::now();
        while tracker.peers() == 0 {
            assert!(start.elapsed() < Duration::from_secs(30), "the seed does not announce");
            std::thread::yield_now();
        }
        let leech = client(None);
        let mut notices = leech.notices();
        let options = AddOptions { extra_trackers: vec![url], ..AddOptions::new(metainfo, here.path()) };
        block_on(leech.add(options)).unwrap();
        wait_for(&mut notices, |notice| matches!(notice, Notice::Done { .. }));
        assert_there(here.path(), "thing", &files);
        block_on(leech.shutdown()).unwrap();
        block_on(seed.shutdown()).unwrap();
        // Both have said that they stop.
        assert_eq!(tracker.peers(), 0, "{scheme}");
    }
}

#[test]
fn a_download_that_was_stopped_goes_on_where_it_was() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let state = here.path().join("state");
    let files = [("a", pattern(20 << 20, 1)), ("b", pattern(12_345, 2))];
    let metainfo = torrent(there.path(), "thing", &files);
    let (seed, _) = seed(&metainfo, there.path(), None);
    let peers = vec![Target::Addr(seed.listening()[0].addr)];
    let add = AddOptions { peers, ..AddOptions::new(metainfo, here.path()) };

    // Once in order, once abruptly.
    for in_order in [true, false] {
        let leech = client(Some(&state));
        let mut notices = leech.notices();
        block_on(leech.add(add.clone())).unwrap();
        let mut pieces = 0;
        wait_for(&mut notices, |notice| {
            pieces += u32::from(matches!(notice, Notice::PieceDone { .. }));
            // On a fast machine all may be there before anybody can stop it.
            pieces >= 20 || matches!(notice, Notice::Done { .. })
        });
        if in_order {
            block_on(leech.shutdown()).unwrap();
        } else {
            drop(leech);
        }
        // The end is told when the disk is done and the state is free for another client.
        let end = std::iter::repeat_with(|| notices.recv_blocking()).find_map(Result::err);
        assert_eq!(end, Some(ClientError::Stopped));
    }

    let leech = client(Some(&state));
    let mut notices = leech.notices();
    let torrent = block_on(leech.add(add)).unwrap();
    wait_for(&mut notices, |notice| matches!(notice, Notice::Done { .. }));
    assert_there(here.path(), "thing", &files);
    // What was stopped in order was not fetched again.
    let fetched = block_on(leech.stats(torrent)).unwrap().downloaded;
    assert!(fetched <= (20 << 20) + 12_345 - 20 * PIECE as u64, "{fetched}");
    block_on(leech.shutdown()).unwrap();
    block_on(seed.shutdown()).unwrap();
}
