//! Whole clients on loopback: real sockets, real files.

use futures_lite::future::block_on;
use parcacik_core::border::{Notice, SeedGoal, Target};
use parcacik_driver_smol::{AddOptions, Client, ClientConfig};
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
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        state_dir: state.map(Path::to_owned),
        ..ClientConfig::default()
    };
    Client::start(config).unwrap()
}

/// Waits for a notice.
fn wait_for(notices: &mut parcacik_driver_smol::NoticeReceiver, mut wanted: impl FnMut(&Notice) -> bool) {
    let start = Instant::now();
    let mut seen = Vec::new();
    while start.elapsed() < Duration::from_secs(60) {
        match notices.recv_blocking() {
            Ok(notice) if wanted(&notice) => return,
            Ok(notice) => seen.push(notice),
            Err(error) => panic!("{error}; {seen:#?}"),
        }
    }
    panic!("it did not come; {seen:#?}");
}

#[test]
fn one_client_downloads_from_another() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = [("a", pattern(3_000_001, 1)), ("b", pattern(70_000, 2)), ("empty", Vec::new()), ("c", pattern(5, 3))];
    let metainfo = torrent(there.path(), "thing", &files);

    let seed = client(None);
    let mut notices = seed.notices();
    let options =
        AddOptions { seed_only: true, goal: SeedGoal::Forever, ..AddOptions::new(metainfo.clone(), there.path()) };
    let seeding = block_on(seed.add(options)).unwrap();
    wait_for(&mut notices, |notice| {
        matches!(
            notice,
            Notice::Finished { .. } | Notice::State { state: parcacik_core::border::TorrentState::Seeding, .. }
        )
    });

    let leech = client(Some(&here.path().join("state")));
    let mut notices = leech.notices();
    let peers = vec![Target::Addr(seed.listening()[0].addr)];
    let torrent = block_on(leech.add(AddOptions { peers, ..AddOptions::new(metainfo, here.path()) })).unwrap();
    wait_for(&mut notices, |notice| matches!(notice, Notice::Done { .. }));

    for (path, content) in &files {
        assert!(std::fs::read(here.path().join("thing").join(path)).unwrap() == *content, "{path} differs");
    }
    let stats = block_on(leech.stats(torrent)).unwrap();
    assert_eq!(stats.missing_bytes, 0);
    let size: usize = files.iter().map(|(_, content)| content.len()).sum();
    assert_eq!(block_on(seed.stats(seeding)).unwrap().uploaded, size as u64);

    block_on(leech.shutdown()).unwrap();
    block_on(seed.shutdown()).unwrap();
}
