//! The core under its second driver, the example of threads and blocking calls: it downloads from the first one's
//! client, is found by trackers, and serves. Real sockets on loopback, real files.

#[path = "../../core/examples/blocking/driver/mod.rs"]
mod driver;

use driver::{Driver, random_seeds};
use parcacik_core::border::{
    AddTorrent, Command, Config, IoFault, Notice, SeedGoal, SocketId, Target, TorrentId, TorrentState,
};
use parcacik_driver_smol::tracker_server::TrackerHost;
use parcacik_driver_smol::{AddOptions, Client, ClientConfig, NoticeReceiver};
use parcacik_testkit::Content;
use smol::block_on;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

const PIECE: u32 = 64 << 10;
const FILES: [(&str, usize); 4] = [("a", 2_000_001), ("deep/down/b", 70_000), ("c", 5), ("empty", 0)];

fn content(salt: u64) -> Content {
    Content::with_files("thing", &FILES, PIECE, salt, &[])
}

/// Puts the content's files under a folder.
fn lay_down(content: &Content, dir: &Path) {
    let mut rest = &content.bytes[..];
    for (name, length) in FILES {
        let path = dir.join("thing").join(name);
        let (part, behind) = rest.split_at(length);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, part).unwrap();
        rest = behind;
    }
}

fn assert_there(content: &Content, dir: &Path) {
    let found: Vec<u8> =
        FILES.iter().flat_map(|(name, _)| std::fs::read(dir.join("thing").join(name)).unwrap()).collect();
    assert!(found == content.bytes, "the files differ");
}

fn client() -> Client {
    let listen = vec!["127.0.0.1:0".parse().unwrap()];
    Client::start(ClientConfig { listen, ..ClientConfig::default() }).unwrap()
}

/// A client that has everything and serves it.
fn seed(content: &Content, dir: &Path, tracker: Option<&str>) -> (Client, TorrentId) {
    lay_down(content, dir);
    let seed = client();
    let mut notices = seed.notices();
    let torrent = block_on(seed.add(AddOptions {
        seed_only: true,
        goal: SeedGoal::Forever,
        extra_trackers: tracker.map(str::to_owned).into_iter().collect(),
        ..AddOptions::new(content.metainfo.clone(), dir)
    }))
    .unwrap();
    wait_for(&mut notices, |notice| matches!(notice, Notice::State { state: TorrentState::Seeding, .. }));
    (seed, torrent)
}

fn wait_for(notices: &mut NoticeReceiver, wanted: impl Fn(&Notice) -> bool) {
    while !wanted(&notices.recv_blocking().expect("the client runs on")) {}
}

/// Runs the second driver until its torrent is done or has failed; gives back everything it was told.
fn download(content: &Content, dir: &Path, change: impl FnOnce(&mut AddTorrent)) -> Vec<Notice> {
    let mut driver = Driver::new(Config::default(), random_seeds()).unwrap();
    let addr = "127.0.0.1:0".parse().unwrap();
    driver.command(Command::Listen {
        tcp: SocketId(1),
        udp: Some(SocketId(2)),
        lsd: None,
        dht: false,
        addr,
        device: None,
    });
    let mut add = AddTorrent::new(content.metainfo.clone(), driver.add_root(dir.to_owned()).unwrap());
    change(&mut add);
    driver.command(Command::Add(Box::new(add)));

    let start = Instant::now();
    let mut told = Vec::new();
    driver.run(|_, notice| {
        assert!(start.elapsed() < Duration::from_secs(60), "it takes too long: {told:#?}");
        let over = matches!(
            notice,
            Notice::Done { .. } | Notice::CommandFailed { .. } | Notice::State { state: TorrentState::Failed(_), .. }
        );
        told.push(notice);
        over.then_some(Command::Shutdown)
    });
    told
}

fn is_done(told: &[Notice]) -> bool {
    told.iter().any(|notice| matches!(notice, Notice::Done { .. }))
}

fn pieces(told: &[Notice]) -> usize {
    told.iter().filter(|notice| matches!(notice, Notice::PieceDone { .. })).count()
}

#[test]
fn it_downloads_whole_from_the_first_driver() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let content = content(1);
    let (seed, seeding) = seed(&content, there.path(), None);
    let peer = Target::Addr(seed.listening()[0].addr);

    let told = download(&content, here.path(), |add| add.peers = vec![peer]);
    assert!(is_done(&told), "{told:#?}");
    assert_there(&content, here.path());
    assert_eq!(pieces(&told), content.bytes.len().div_ceil(PIECE as usize));
    assert_eq!(block_on(seed.stats(seeding)).unwrap().uploaded, content.bytes.len() as u64);
    block_on(seed.shutdown()).unwrap();

    // Again, with nobody to ask: what was saved is believed, and nothing is fetched or hashed.
    let again = download(&content, here.path(), |_| {});
    assert!(is_done(&again), "{again:#?}");
    assert_eq!(pieces(&again), 0);
    assert!(!again.iter().any(|notice| matches!(notice, Notice::Checked { .. })), "{again:#?}");

    // A byte of the data changes behind its back: told to distrust, it sees that, and has nobody to ask but itself.
    let path = here.path().join("thing/a");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100_000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let (seed, seeding) = self::seed(&content, there.path(), None);
    let peer = Target::Addr(seed.listening()[0].addr);
    let mended = download(&content, here.path(), |add| {
        add.peers = vec![peer];
        add.recheck = true;
    });
    assert!(is_done(&mended), "{mended:#?}");
    assert_eq!(pieces(&mended), 1);
    assert_eq!(block_on(seed.stats(seeding)).unwrap().uploaded, u64::from(PIECE));
    assert_there(&content, here.path());
    block_on(seed.shutdown()).unwrap();
}

#[test]
fn trackers_tell_it_of_peers() {
    for scheme in ["http", "udp"] {
        let tracker = TrackerHost::start("127.0.0.1:0".parse().unwrap()).unwrap();
        let url = format!("{scheme}://{}/announce", tracker.local_addr());
        let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let content = content(2);
        let (seed, _) = seed(&content, there.path(), Some(&url));
        // The second must not come first, or it would not ask again for half an hour.
        let start = Instant::now();
        while tracker.peers() == 0 {
            assert!(start.elapsed() < Duration::from_secs(30), "the seed does not announce");
            thread::yield_now();
        }
        let told = download(&content, here.path(), |add| add.extra_trackers = vec![url]);
        assert!(is_done(&told), "{scheme}: {told:#?}");
        assert_there(&content, here.path());
        block_on(seed.shutdown()).unwrap();
        // Both have said that they stop.
        assert_eq!(tracker.peers(), 0, "{scheme}");
    }
}

#[test]
fn it_serves_the_first_driver() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let content = content(3);
    lay_down(&content, there.path());

    let mut driver = Driver::new(Config::default(), random_seeds()).unwrap();
    let addr: SocketAddr = "127.0.0.1:0".parse().unwrap();
    driver.command(Command::Listen { tcp: SocketId(1), udp: None, lsd: None, dht: false, addr, device: None });
    let mut add = AddTorrent::new(content.metainfo.clone(), driver.add_root(there.path().to_owned()).unwrap());
    add.seed_only = true;
    // Served once, it is done, and still delivers what it has counted.
    add.goal = SeedGoal::Ratio(1000);
    driver.command(Command::Add(Box::new(add)));
    let (tells, listening) = channel();
    let serving = thread::spawn(move || {
        driver.run(|_, notice| match notice {
            Notice::Listening { local, .. } => {
                tells.send(local).unwrap();
                None
            }
            Notice::Done { .. } => Some(Command::Shutdown),
            _ => None,
        });
    });

    let leech = client();
    let mut notices = leech.notices();
    let peers = vec![Target::Addr(listening.recv().unwrap())];
    block_on(leech.add(AddOptions { peers, ..AddOptions::new(content.metainfo.clone(), here.path()) })).unwrap();
    wait_for(&mut notices, |notice| matches!(notice, Notice::Done { .. }));
    assert_there(&content, here.path());
    block_on(leech.shutdown()).unwrap();
    serving.join().unwrap();
}

#[test]
fn what_stands_in_the_way_is_not_overwritten() {
    let here = tempfile::tempdir().unwrap();
    let content = content(4);
    std::fs::create_dir_all(here.path().join("thing")).unwrap();
    std::fs::write(here.path().join("thing/a"), vec![7; 3_000_000]).unwrap();
    let told = download(&content, here.path(), |_| {});
    let failed = |notice: &Notice| matches!(notice, Notice::State { state: TorrentState::Failed(IoFault::Exists), .. });
    assert!(told.iter().any(failed), "{told:#?}");
    assert_eq!(std::fs::read(here.path().join("thing/a")).unwrap(), vec![7; 3_000_000]);
}
