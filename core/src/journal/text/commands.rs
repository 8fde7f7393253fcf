//! Commands.

use super::trackers::event_word;
use super::value::{Kind, Line, Value};
use crate::border::{
    AddTorrent, AnnounceOnce, Command, CommandId, QueuePlace, RemoveFiles, SeedGoal, TorrentId, TorrentSource,
};
use crate::metainfo::{Metainfo, MetainfoLimits};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The line of a command.
pub(super) fn line(id: CommandId, command: &Command) -> Line {
    let line = |what| Line::new(Kind::Event, "command").with("id", id.0).with("what", Value::Word(what));
    let of = |what, torrent: TorrentId| line(what).with("torrent", torrent);
    match command {
        Command::Listen { tcp, udp, lsd, dht, addr, device } => line("listen")
            .with("tcp-socket", *tcp)
            .maybe("udp-socket", *udp)
            .maybe("lsd-socket", *lsd)
            .maybe("dht", dht.then_some(true))
            .with("local", *addr)
            .maybe("device", device.as_ref()),
        Command::Add(add) => added(line("add"), add),
        Command::AddPeers { torrent, peers } => of("add peers", *torrent).with("peers", Value::list(peers)),
        Command::Reannounce { torrent, force } => of("reannounce", *torrent).with("force", *force),
        Command::AddTrackers { torrent, tiers: urls } => of("add trackers", *torrent).with("tiers", tiers(urls)),
        Command::ReplaceTrackers { torrent, tiers: urls } => {
            of("replace trackers", *torrent).with("tiers", tiers(urls))
        }
        Command::ScrapeTorrent { torrent } => of("scrape torrent", *torrent),
        Command::Scrape { trackers, torrents } => {
            line("scrape").with("trackers", Value::list(trackers)).with("info-hashes", Value::list(torrents))
        }
        Command::Announce(once) => {
            let AnnounceOnce { trackers, info_hash, event, left, num_want } = &**once;
            line("announce")
                .with("trackers", Value::list(trackers))
                .with("info-hash", *info_hash)
                .maybe("event", event.map(event_word))
                .with("left", *left)
                .maybe("num-want", *num_want)
        }
        Command::Remove { torrent, files } => {
            let files = match files {
                RemoveFiles::Keep => "keep",
                RemoveFiles::Delete => "delete",
            };
            of("remove", *torrent).with("files", Value::Word(files))
        }
        Command::Pause { torrent, graceful } => of("pause", *torrent).with("graceful", *graceful),
        Command::Resume { torrent } => of("resume", *torrent),
        Command::Recheck { torrent } => of("recheck", *torrent),
        Command::Move { torrent, root } => of("move", *torrent).with("root", root.0),
        Command::SetGoal { torrent, goal: until } => of("set goal", *torrent).with("goal", goal(*until)),
        Command::SetManaged { torrent, managed } => of("set managed", *torrent).with("on", *managed),
        Command::SetPlace { torrent, place } => {
            let place = match place {
                QueuePlace::Top => Value::Word("top"),
                QueuePlace::Up => Value::Word("up"),
                QueuePlace::Down => Value::Word("down"),
                QueuePlace::Bottom => Value::Word("bottom"),
                QueuePlace::At(before) => Value::Number((*before).into()),
            };
            of("set place", *torrent).with("place", place)
        }
        Command::SetPriorities { torrent, files } => {
            let files = files.iter().map(|(file, priority)| Value::Id(format!("{file}:{priority}")));
            of("set priorities", *torrent).with("files", Value::List(files.collect()))
        }
        Command::SetSequential { torrent, on } => of("set sequential", *torrent).with("on", *on),
        Command::SetIpFilter { filter } => line("set ip filter").with("ranges", Value::count(filter.len())),
        Command::SetLimits { torrent, download, upload } => {
            let line = line("set limits").maybe("torrent", *torrent);
            line.with("download", limit(*download)).with("upload", limit(*upload))
        }
        Command::SetSuperSeed { torrent, on } => of("set super seed", *torrent).with("on", *on),
        Command::AddDhtNodes { nodes } => line("add dht nodes").with("nodes", Value::list(nodes)),
        Command::Shutdown => line("shutdown"),
    }
}

fn described(line: Line, file: &[u8]) -> Line {
    match Metainfo::parse(file, &MetainfoLimits::default()) {
        Ok(parsed) => line
            .with("info-hash", parsed.hashes().best())
            .with("name", parsed.name())
            .with("pieces", parsed.geometry().pieces())
            .with("piece-length", parsed.geometry().piece_length())
            .with("total-length", parsed.geometry().total_length()),
        // The session says what is wrong with it.
        Err(_) => line,
    }
}

fn added(line: Line, add: &AddTorrent) -> Line {
    let AddTorrent {
        source,
        root,
        extra_trackers,
        use_trackers,
        peers,
        goal: until,
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
    } = add;
    let line = match source {
        TorrentSource::Magnet(link) => line.with("magnet", &**link),
        TorrentSource::Metainfo(file) => described(line, file),
    };
    let switches = [
        (!use_trackers, "no trackers"),
        (*overwrite, "overwrite"),
        (*recheck, "recheck"),
        (*seed_only, "seed only"),
        (*super_seed, "super seed"),
        (*paused, "paused"),
        (!managed, "unmanaged"),
        (*hold_at_metadata, "hold at metadata"),
    ];
    let switches: Vec<Value> = switches.into_iter().filter(|(on, _)| *on).map(|(_, word)| Value::Word(word)).collect();
    let line = match source {
        TorrentSource::Metainfo(file) => line.with("metainfo", Value::bytes(file)),
        TorrentSource::Magnet(_) => line,
    };
    line.with("root", root.0)
        .maybe("extra-trackers", Some(extra_trackers).filter(|list| !list.is_empty()).map(Value::list))
        .maybe("peers", Some(peers).filter(|list| !list.is_empty()).map(Value::list))
        .with("goal", goal(*until))
        .maybe("priorities", priorities.as_ref().map(|list| Value::list(list.iter().copied())))
        .maybe("sequential", *sequential)
        .maybe("download-limit", limits.download)
        .maybe("upload-limit", limits.upload)
        .maybe("with", Some(switches).filter(|list| !list.is_empty()).map(Value::List))
}

fn tiers(tiers: &[Vec<String>]) -> Value {
    Value::List(tiers.iter().map(Value::list).collect())
}

fn limit(limit: Option<u64>) -> Value {
    limit.map_or(Value::Word("none"), Value::Number)
}

fn goal(goal: SeedGoal) -> Value {
    match goal {
        SeedGoal::None => Value::Word("none"),
        SeedGoal::Ratio(thousandths) => Value::Id(format!("ratio {thousandths}/1000")),
        SeedGoal::Time(span) => Value::Span(span),
        SeedGoal::Forever => Value::Word("forever"),
        SeedGoal::Either { thousandths, time } => {
            Value::Id(format!("ratio {thousandths}/1000 or {}", Value::Span(time)))
        }
    }
}
