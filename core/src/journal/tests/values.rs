//! Arbitrary events.

use crate::border::{
    AddTorrent, AnnounceEvent, AnnounceOnce, Command, CommandId, DialId, Event, FileState, HttpResponse, InfoHash,
    IoFault, IpFilter, JobId, JobResult, QueuePlace, RateLimits, RemoveFiles, RootId, SeedGoal, SocketId, Target,
    TcpId, TorrentId, TorrentSource, Verdict,
};
use bytes::Bytes;
use core::net::SocketAddr;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use std::boxed::Box;
use std::net::{IpAddr, SocketAddrV6};
use std::string::String;
use std::time::Duration;
use std::vec;
use std::vec::Vec;

pub fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..200).prop_map(Bytes::from)
}

fn addr() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        (any::<std::net::Ipv4Addr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::from((ip, port))),
        (any::<std::net::Ipv6Addr>(), any::<u16>(), any::<u32>(), any::<u32>())
            .prop_map(|(ip, port, flow, scope)| SocketAddr::V6(SocketAddrV6::new(ip, port, flow, scope))),
    ]
}

fn text() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[a-zA-Z0-9:/._çğ-]{0,40}").expect("a good pattern")
}

fn span() -> impl Strategy<Value = Duration> {
    (any::<u64>(), 0..1_000_000_000u32).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos))
}

pub fn fault() -> impl Strategy<Value = IoFault> {
    use IoFault as F;
    proptest::sample::select(
        &[
            F::NoSpace,
            F::NotFound,
            F::Denied,
            F::TimedOut,
            F::Refused,
            F::Reset,
            F::Unreachable,
            F::AddressUnavailable,
            F::TooManyOpen,
            F::Device,
            F::ReadOnly,
            F::ShortRead,
            F::Exists,
            F::Protocol,
            F::Untrusted,
            F::TooLarge,
            F::Cancelled,
            F::Unsupported,
            F::Other,
            F::Busy,
        ][..],
    )
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        addr().prop_map(Target::Addr),
        (text(), any::<u16>()).prop_map(|(name, port)| Target::Host { name, port }),
    ]
}

fn goal() -> impl Strategy<Value = SeedGoal> {
    prop_oneof![
        Just(SeedGoal::None),
        any::<u32>().prop_map(SeedGoal::Ratio),
        span().prop_map(SeedGoal::Time),
        Just(SeedGoal::Forever),
        (any::<u32>(), span()).prop_map(|(thousandths, time)| SeedGoal::Either { thousandths, time }),
    ]
}

fn place() -> impl Strategy<Value = QueuePlace> {
    prop_oneof![
        proptest::sample::select(&[QueuePlace::Top, QueuePlace::Up, QueuePlace::Down, QueuePlace::Bottom][..]),
        any::<u32>().prop_map(QueuePlace::At),
    ]
}

fn add() -> impl Strategy<Value = AddTorrent> {
    let switches = any::<(bool, bool, bool, bool, bool, bool, bool, bool)>();
    let selection = (option::of(vec(any::<u8>(), 0..4)), option::of(any::<bool>()));
    let source = prop_oneof![bytes().prop_map(TorrentSource::Metainfo), text().prop_map(TorrentSource::Magnet),];
    (source, any::<u32>(), vec(text(), 0..3), vec(target(), 0..3), goal(), (switches, limits()), selection).prop_map(
        |(source, root, extra_trackers, peers, goal, (switches, limits), (priorities, sequential))| {
            let (use_trackers, overwrite, recheck, seed_only, super_seed, paused, managed, hold_at_metadata) = switches;
            AddTorrent {
                source,
                root: RootId(root),
                extra_trackers,
                use_trackers,
                peers,
                goal,
                overwrite,
                recheck,
                seed_only,
                priorities,
                sequential,
                limits,
                super_seed,
                paused,
                managed,
                hold_at_metadata,
            }
        },
    )
}

fn torrent() -> impl Strategy<Value = TorrentId> {
    any::<u32>().prop_map(TorrentId)
}

fn tiers() -> impl Strategy<Value = Vec<Vec<String>>> {
    vec(vec(text(), 0..3), 0..3)
}

fn once() -> impl Strategy<Value = AnnounceOnce> {
    use AnnounceEvent as E;
    let event = option::of(proptest::sample::select(&[E::Started, E::Completed, E::Stopped][..]));
    (vec(text(), 0..3), any::<[u8; 20]>(), event, any::<u64>(), option::of(any::<u32>())).prop_map(
        |(trackers, hash, event, left, num_want)| AnnounceOnce {
            trackers,
            info_hash: InfoHash(hash),
            event,
            left,
            num_want,
        },
    )
}

fn filter() -> impl Strategy<Value = IpFilter> {
    vec((any::<IpAddr>(), any::<IpAddr>()), 0..6).prop_map(|pairs| {
        let mut filter = IpFilter::new();
        // Pairs of two families, or the wrong way round, are none: single addresses then, the last one of all among them.
        for (first, last) in pairs {
            _ = filter.block(first, last) || filter.block(last, last);
        }
        filter
    })
}

fn limits() -> impl Strategy<Value = RateLimits> {
    (option::of(any::<u64>()), option::of(any::<u64>())).prop_map(|(download, upload)| RateLimits { download, upload })
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        (any::<u32>(), option::of(any::<u32>()), option::of(any::<u32>()), any::<bool>(), addr(), option::of(text()))
            .prop_map(|(tcp, udp, lsd, dht, addr, device)| {
                let (tcp, udp, lsd) = (SocketId(tcp), udp.map(SocketId), lsd.map(SocketId));
                Command::Listen { tcp, udp, lsd, dht, addr, device }
            }),
        add().prop_map(|add| Command::Add(Box::new(add))),
        (any::<u32>(), vec(target(), 0..4))
            .prop_map(|(torrent, peers)| Command::AddPeers { torrent: TorrentId(torrent), peers }),
        (any::<u32>(), any::<bool>())
            .prop_map(|(torrent, force)| Command::Reannounce { torrent: TorrentId(torrent), force }),
        (any::<u32>(), tiers())
            .prop_map(|(torrent, tiers)| Command::AddTrackers { torrent: TorrentId(torrent), tiers }),
        (any::<u32>(), tiers())
            .prop_map(|(torrent, tiers)| Command::ReplaceTrackers { torrent: TorrentId(torrent), tiers }),
        any::<u32>().prop_map(|torrent| Command::ScrapeTorrent { torrent: TorrentId(torrent) }),
        (vec(text(), 0..3), vec(any::<[u8; 20]>().prop_map(InfoHash), 0..4))
            .prop_map(|(trackers, torrents)| Command::Scrape { trackers, torrents }),
        once().prop_map(|once| Command::Announce(Box::new(once))),
        (option::of(any::<u32>()), limits()).prop_map(|(torrent, RateLimits { download, upload })| {
            Command::SetLimits { torrent: torrent.map(TorrentId), download, upload }
        }),
        (any::<u32>(), any::<bool>())
            .prop_map(|(torrent, on)| Command::SetSuperSeed { torrent: TorrentId(torrent), on }),
        (torrent(), proptest::sample::select(&[RemoveFiles::Keep, RemoveFiles::Delete][..]))
            .prop_map(|(torrent, files)| Command::Remove { torrent, files }),
        (torrent(), any::<bool>()).prop_map(|(torrent, graceful)| Command::Pause { torrent, graceful }),
        torrent().prop_map(|torrent| Command::Resume { torrent }),
        torrent().prop_map(|torrent| Command::Recheck { torrent }),
        (torrent(), any::<u32>()).prop_map(|(torrent, root)| Command::Move { torrent, root: RootId(root) }),
        (torrent(), goal()).prop_map(|(torrent, goal)| Command::SetGoal { torrent, goal }),
        (torrent(), any::<bool>()).prop_map(|(torrent, managed)| Command::SetManaged { torrent, managed }),
        (torrent(), place()).prop_map(|(torrent, place)| Command::SetPlace { torrent, place }),
        Just(Command::Shutdown),
        vec(target(), 0..4).prop_map(|nodes| Command::AddDhtNodes { nodes }),
        (any::<u32>(), vec(any::<(u32, u8)>(), 0..4))
            .prop_map(|(torrent, files)| Command::SetPriorities { torrent: TorrentId(torrent), files }),
        any::<(u32, bool)>().prop_map(|(torrent, on)| Command::SetSequential { torrent: TorrentId(torrent), on }),
        filter().prop_map(|filter| Command::SetIpFilter { filter: std::sync::Arc::new(filter) }),
    ]
}

fn result() -> impl Strategy<Value = JobResult> {
    let file = || (any::<u64>(), any::<i64>()).prop_map(|(length, modified)| FileState { length, modified });
    let response = (any::<u16>(), option::of(text()), option::of(any::<u32>()), bytes())
        .prop_map(|(status, location, retry_after, body)| HttpResponse { status, location, retry_after, body });
    prop_oneof![
        Just(JobResult::Done),
        bytes().prop_map(JobResult::Read),
        (any::<bool>(), vec(any::<[u8; 20]>(), 0..4))
            .prop_map(|(matches, blocks)| JobResult::Verified(Verdict { matches, blocks })),
        (vec(option::of(file()), 0..4), option::of(file()), option::of(any::<u64>()))
            .prop_map(|(files, part, free)| JobResult::Checked { files, part, free }),
        vec(bytes(), 0..3).prop_map(JobResult::Loaded),
        vec(any::<IpAddr>(), 0..4).prop_map(JobResult::Resolved),
        response.prop_map(JobResult::Http),
    ]
}

/// Any event.
pub fn event() -> impl Strategy<Value = Event> {
    let sock = || any::<u32>().prop_map(SocketId);
    let tcp = || any::<u64>().prop_map(TcpId);
    let dial = || any::<u64>().prop_map(DialId);
    let job = || any::<u64>().prop_map(JobId);
    prop_oneof![
        Just(Event::Tick),
        any::<i64>().prop_map(|unix_seconds| Event::WallClock { unix_seconds }),
        Just(Event::InterfacesChanged),
        (sock(), addr()).prop_map(|(sock, local)| Event::Bound { sock, local }),
        (sock(), fault()).prop_map(|(sock, fault)| Event::BindFailed { sock, fault }),
        (sock(), tcp(), addr(), addr()).prop_map(|(sock, tcp, local, remote)| Event::Accepted {
            sock,
            tcp,
            local,
            remote
        }),
        (dial(), tcp(), addr(), addr()).prop_map(|(dial, tcp, local, remote)| Event::Connected {
            dial,
            tcp,
            local,
            remote
        }),
        (dial(), fault()).prop_map(|(dial, fault)| Event::DialFailed { dial, fault }),
        (tcp(), bytes()).prop_map(|(tcp, bytes)| Event::Received { tcp, bytes }),
        (tcp(), any::<u64>()).prop_map(|(tcp, bytes)| Event::Flushed { tcp, bytes }),
        (tcp(), option::of(fault())).prop_map(|(tcp, fault)| Event::Closed { tcp, fault }),
        (sock(), addr(), any::<u16>(), bytes()).prop_map(|(sock, from, segment, bytes)| Event::Datagrams {
            sock,
            from,
            segment,
            bytes
        }),
        (job(), bytes()).prop_map(|(job, bytes)| Event::JobData { job, bytes }),
        (job(), result()).prop_map(|(job, result)| Event::JobDone { job, result: Ok(result) }),
        (job(), fault()).prop_map(|(job, fault)| Event::JobDone { job, result: Err(fault) }),
        (any::<u64>(), command()).prop_map(|(id, command)| Event::Command { id: CommandId(id), command }),
    ]
}

/// One event of every kind, and one of every kind of command and result.
pub fn one_of_each() -> Vec<Event> {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut found: Vec<Event> = Vec::new();
    let kind = |event: &Event| match event {
        Event::Command { command, .. } => (std::mem::discriminant(event), Some(std::mem::discriminant(command)), None),
        Event::JobDone { result: Ok(result), .. } => {
            (std::mem::discriminant(event), None, Some(std::mem::discriminant(result)))
        }
        _ => (std::mem::discriminant(event), None, None),
    };
    for _ in 0..20_000 {
        let event = event().new_tree(&mut runner).expect("events can be made").current();
        if found.iter().all(|other| kind(other) != kind(&event)) {
            found.push(event);
        }
    }
    found
}
