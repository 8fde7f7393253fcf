//! A whole session by a script: torrents come and go, peers connect and say what makes sense to a part, every job and dial ends as the
//! script says, in any order, and time passes.
//!
//! What must hold is said in `host.rs`; at the end the session is told to stop, everything ends well from then on, and it has to be at
//! rest within its time (oracle 53). A part of the inputs is run twice, and has to come to the same digest (oracle 55).

use super::host::Host;
use super::operations;
use super::saying::Saying;
use crate::Content;
use arbitrary::Arbitrary;
use bytes::Bytes;
use parcacik_core::border::{
    AddTorrent, Command, Config, Event, HttpResponse, InfoHash, IoFault, IpFilter, JobResult, PeerId, QueuePlace,
    RemoveFiles, RootId, SeedGoal, SocketId, Target, TcpId, TorrentId, Work,
};
use parcacik_core::journal::Digest;
use parcacik_core::net_policy::FilterLimits;
use parcacik_core::wire::{Handshake, Reserved};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Op<'i> {
    Listen,
    Add {
        which: u8,
        flags: u8,
    },
    Accept {
        from: u8,
        about: u8,
    },
    /// Somebody connects and shakes hands.
    Join {
        from: u8,
        about: u8,
        flags: u8,
    },
    Connect {
        which: u8,
        about: u8,
    },
    DialFails {
        which: u8,
        fault: u8,
    },
    Greets {
        stream: u8,
        flags: u8,
    },
    Says {
        stream: u8,
        saying: Saying<'i>,
    },
    SaysTwo {
        stream: u8,
        one: Saying<'i>,
        other: Saying<'i>,
    },
    Flush {
        stream: u8,
        bytes: u16,
    },
    Drops {
        stream: u8,
        broken: bool,
    },
    /// A job ends well.
    Done {
        which: u8,
    },
    /// So many jobs end well, the oldest first.
    DoneAll {
        most: u8,
    },
    JobFails {
        which: u8,
        fault: u8,
    },
    /// What a tracker answers.
    Http {
        status: u8,
        body: &'i [u8],
    },
    Packet {
        which: u8,
        action: u8,
        body: &'i [u8],
    },
    Wait {
        tenths: u16,
    },
    ToDeadline,
    WallClock(u16),
    InterfacesChanged,
    Order {
        torrent: u8,
        what: u8,
        number: u16,
    },
    Limits {
        torrent: Option<u8>,
        down: u16,
        up: u16,
    },
    Filter,
    Shutdown,
}

static CONTENTS: LazyLock<Vec<Arc<Content>>> = LazyLock::new(|| {
    let trackers = ["http://192.0.2.200/announce", "udp://192.0.2.201:6969"];
    vec![
        Arc::new(Content::new("one", 2 * 32_768 + 500, 32_768, 1)),
        Arc::new(Content::with_files("three", &[("a", 20_000), ("b/c", 30_000), ("d", 25_000)], 16_384, 2, &trackers)),
    ]
});

/// One input.
pub fn run(input: &[u8]) {
    let Some((&first, input)) = input.split_first() else { return };
    let ops: Vec<Op<'_>> = operations(input, 150).collect();
    let digest = play(&ops);
    if first.is_multiple_of(4) {
        assert_eq!(play(&ops), digest, "the same script does not do the same");
    }
}

fn play(ops: &[Op<'_>]) -> Digest {
    let config = Config::default();
    let limit = config.session.shutdown_limit;
    let mut host = Host::new(config, CONTENTS.clone());
    for &op in ops {
        step(&mut host, op);
        if host.stopped {
            return host.digest();
        }
    }
    host.command(Command::Shutdown);
    let by = host.now + limit;
    while !host.stopped {
        assert!(host.now <= by, "it does not stop");
        while !host.jobs.is_empty() {
            host.end_job(0, |host, work| host.do_well(work));
        }
        while let Some((dial, _)) = host.dials.pop() {
            host.tell(Event::DialFailed { dial, fault: IoFault::Cancelled });
        }
        if host.jobs.is_empty() && !host.stopped {
            let due = host.session.deadline().expect("it waits for nothing, for ever");
            host.wait(due);
        }
    }
    host.digest()
}

fn step(host: &mut Host, op: Op<'_>) {
    match op {
        Op::Listen => {
            let addr = SocketAddr::from(([10, 0, 0, 1], 6881));
            host.command(Command::Listen {
                tcp: SocketId(1),
                udp: Some(SocketId(2)),
                lsd: None,
                dht: false,
                addr,
                device: None,
            });
        }
        Op::Add { which, flags } => add(host, which, flags),
        Op::Accept { from, about } => _ = host.accept(address(from), usize::from(about) % CONTENTS.len()),
        Op::Join { from, about, flags } => {
            if let Some(tcp) = host.accept(address(from), usize::from(about) % CONTENTS.len()) {
                greet(host, tcp, usize::from(about) % CONTENTS.len(), flags);
            }
        }
        Op::Connect { which, about } => {
            if let Some(at) = usize::from(which).checked_rem(host.dials.len()) {
                let about = usize::from(about) % CONTENTS.len();
                let tcp = host.connect(at, about);
                greet(host, tcp, about, which);
            }
        }
        Op::DialFails { which, fault } => {
            if let Some(at) = usize::from(which).checked_rem(host.dials.len()) {
                let (dial, _) = host.dials.remove(at);
                host.tell(Event::DialFailed { dial, fault: fault_of(fault) });
            }
        }
        Op::Greets { stream, flags } => {
            if let Some(tcp) = stream_of(host, stream) {
                greet(host, tcp, usize::from(flags >> 4) % CONTENTS.len(), flags);
            }
        }
        Op::Says { stream, saying } => says(host, stream, &[saying]),
        Op::SaysTwo { stream, one, other } => says(host, stream, &[one, other]),
        Op::Flush { stream, bytes } => {
            if let Some(tcp) = stream_of(host, stream) {
                host.flush(tcp, bytes.into());
            }
        }
        Op::Drops { stream, broken } => {
            if let Some(tcp) = stream_of(host, stream) {
                host.drop_stream(tcp, broken.then_some(IoFault::Reset));
            }
        }
        Op::Done { which } => {
            if let Some(at) = usize::from(which).checked_rem(host.jobs.len()) {
                host.end_job(at, well);
            }
        }
        Op::DoneAll { most } => {
            for _ in 0..most {
                if host.jobs.is_empty() {
                    break;
                }
                host.end_job(0, well);
            }
        }
        Op::JobFails { which, fault } => {
            if let Some(at) = usize::from(which).checked_rem(host.jobs.len()) {
                host.end_job(at, |_, _| Err(fault_of(fault)));
            }
        }
        Op::Http { status, body } => {
            if let Some(at) = host.jobs.iter().position(|(_, work)| matches!(work, Work::Http(_))) {
                host.end_job(at, |_, _| Ok(http(status, body)));
            }
        }
        Op::Packet { which, action, body } => packet(host, which, action, body),
        Op::Wait { tenths } => host.wait(host.now + Duration::from_millis(u64::from(tenths) * 100)),
        Op::ToDeadline => {
            if let Some(due) = host.session.deadline().filter(|due| due.since(host.now) < Duration::from_secs(86_400)) {
                host.wait(due);
            }
        }
        Op::WallClock(days) => host.tell(Event::WallClock { unix_seconds: i64::from(days) * 86_400 }),
        Op::InterfacesChanged => host.tell(Event::InterfacesChanged),
        Op::Order { torrent, what, number } => order(host, torrent, what, number),
        Op::Limits { torrent, down, up } => {
            let torrent = torrent.map(|torrent| TorrentId(u32::from(torrent % 3)));
            let limit = |number: u16| (number > 0).then(|| u64::from(number) * 16);
            host.command(Command::SetLimits { torrent, download: limit(down), upload: limit(up) });
        }
        Op::Filter => {
            let list = IpFilter::parse(b"192.0.2.0-192.0.2.9\n", &FilterLimits::default());
            let (filter, _) = list.expect("a good list");
            host.command(Command::SetIpFilter { filter: Arc::new(filter) });
        }
        Op::Shutdown => host.command(Command::Shutdown),
    }
}

fn add(host: &mut Host, which: u8, flags: u8) {
    let content = &CONTENTS[usize::from(which) % CONTENTS.len()];
    let mut add = AddTorrent::new(content.metainfo.clone(), RootId(u32::from(flags & 1)));
    add.goal = SeedGoal::Forever;
    add.overwrite = flags & 2 != 0;
    add.sequential = Some(flags & 4 != 0);
    add.super_seed = flags & 8 != 0;
    add.paused = flags & 16 != 0;
    add.seed_only = flags & 32 != 0;
    if flags & 64 != 0 {
        add.priorities = Some(vec![4, 0, 4][..if which.is_multiple_of(2) { 1 } else { 3 }].to_vec());
    }
    if flags & 128 != 0 {
        add.peers = (0..4).map(|peer| Target::Addr(address(peer))).collect();
    }
    // A seed, sometimes.
    if which & 0x80 != 0 && host.torrents.is_empty() && flags & 1 == 0 {
        host.disk.put("one", CONTENTS[0].bytes.clone());
    }
    host.command(Command::Add(Box::new(add)));
}

fn address(from: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1 + from % 16], 6881 + u16::from(from / 16)))
}

fn fault_of(number: u8) -> IoFault {
    use IoFault::{
        Busy, Denied, Device, Exists, NoSpace, NotFound, ReadOnly, Refused, Reset, ShortRead, TimedOut, TooManyOpen,
    };
    let all =
        [NoSpace, NotFound, Denied, TimedOut, Refused, Reset, TooManyOpen, Device, ReadOnly, ShortRead, Exists, Busy];
    all[usize::from(number) % all.len()]
}

fn stream_of(host: &Host, number: u8) -> Option<TcpId> {
    host.streams.keys().nth(usize::from(number).checked_rem(host.streams.len())?).copied()
}

fn greet(host: &mut Host, tcp: TcpId, about: usize, flags: u8) {
    let reserved = if flags & 1 == 0 { Reserved::OURS } else { Reserved::default() };
    let info_hash = InfoHash(CONTENTS[about].info_hash);
    let hello = Handshake { reserved, info_hash, peer_id: PeerId([flags >> 2; 20]) };
    host.hear(tcp, &hello.emit(), usize::MAX);
}

fn says(host: &mut Host, stream: u8, sayings: &[Saying<'_>]) {
    let Some(tcp) = stream_of(host, stream) else { return };
    let remote = &mut host.streams.get_mut(&tcp).expect("it is there").remote;
    let bytes: Vec<u8> = sayings.iter().flat_map(|&saying| remote.bytes(saying)).collect();
    // The upper bits say how finely it is read.
    host.hear(tcp, &bytes, 1 << (8 + (stream >> 5)));
}

fn well(host: &mut Host, work: &Work) -> Result<JobResult, IoFault> {
    match work {
        Work::Resolve { .. } => Ok(JobResult::Resolved(vec![IpAddr::from([192, 0, 2, 201])])),
        Work::Http(_) => Ok(http(0, b"d8:intervali900e5:peers6:\xc0\x00\x02\x05\x1a\xe1e")),
        work => host.do_well(work),
    }
}

fn http(status: u8, body: &[u8]) -> JobResult {
    let status = [200, 200, 200, 301, 404, 503][usize::from(status) % 6];
    let location = (status == 301).then(|| String::from_utf8_lossy(body).into_owned());
    JobResult::Http(HttpResponse { status, location, retry_after: None, body: Bytes::copy_from_slice(body) })
}

/// A UDP tracker answers the last that it was told.
fn packet(host: &mut Host, which: u8, action: u8, body: &[u8]) {
    let Some(at) = usize::from(which).checked_rem(host.packets.len()) else { return };
    let (sock, from, asked) = host.packets[at].clone();
    let transaction = asked.get(12..16).unwrap_or_default();
    let bytes = [&[0, 0, 0, action % 4], transaction, body].concat();
    host.tell(Event::Datagrams { sock, from, segment: bytes.len() as u16, bytes: Bytes::from(bytes) });
}

fn order(host: &mut Host, torrent: u8, what: u8, number: u16) {
    let torrent = TorrentId(u32::from(torrent % 3));
    let small = (number % 8) as u8;
    host.command(match what % 14 {
        0 => Command::Pause { torrent, graceful: number.is_multiple_of(2) },
        1 => Command::Resume { torrent },
        2 => Command::Recheck { torrent },
        3 => Command::Remove {
            torrent,
            files: if number.is_multiple_of(2) { RemoveFiles::Keep } else { RemoveFiles::Delete },
        },
        4 => Command::Move { torrent, root: RootId(u32::from(number % 3)) },
        5 => Command::SetPriorities { torrent, files: vec![(u32::from(number >> 8) % 4, small)] },
        6 => Command::SetSequential { torrent, on: number.is_multiple_of(2) },
        7 => Command::SetSuperSeed { torrent, on: number.is_multiple_of(2) },
        8 => Command::SetManaged { torrent, managed: number.is_multiple_of(2) },
        9 => Command::SetPlace {
            torrent,
            place: [
                QueuePlace::Top,
                QueuePlace::Up,
                QueuePlace::Down,
                QueuePlace::Bottom,
                QueuePlace::At(number.into()),
            ][usize::from(small) % 5],
        },
        10 => Command::SetGoal {
            torrent,
            goal: [
                SeedGoal::None,
                SeedGoal::Forever,
                SeedGoal::Ratio(number.into()),
                SeedGoal::Time(Duration::from_secs(number.into())),
            ][usize::from(small) % 4],
        },
        11 => Command::Reannounce { torrent, force: number.is_multiple_of(2) },
        12 => Command::AddPeers { torrent, peers: vec![Target::Addr(address(number as u8))] },
        _ => Command::ReplaceTrackers { torrent, tiers: vec![vec!["http://192.0.2.202/announce".to_owned()]] },
    });
}
