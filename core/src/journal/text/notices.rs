//! Notices.

use super::Transcript;
use super::trackers::{announced, as_value};
use super::value::{Kind, Line, Value};
use crate::border::{Notice, SocketId, StorageState, TorrentId, TorrentState};
use alloc::format;
use alloc::vec::Vec;

impl Transcript {
    /// The notice's line.
    pub(super) fn notice(&mut self, notice: &Notice, lines: &mut Vec<Line>) {
        if let Notice::Added { torrent, hashes, .. } = notice {
            self.torrents.extend(hashes.names().map(|name| (name, *torrent)));
        }
        lines.push(line(notice));
    }
}

fn line(notice: &Notice) -> Line {
    let line = |word| Line::new(Kind::Notice, word);
    let of = |word, torrent: TorrentId| line(word).with("torrent", torrent);
    match notice {
        Notice::CommandFailed { command, error } => line("command failed").with("id", command.0).why(error),
        Notice::CommandDone { command } => line("command done").with("id", command.0),
        Notice::Listening { command, sock, local } => {
            line("listening").with("command", command.0).with("socket", *sock).with("local", *local)
        }
        Notice::DiscoveryFailed { sock, fault } => line("discovery failed").with("socket", *sock).why(fault),
        Notice::DhtReady { sock, v6, nodes } => dht(line("dht ready"), *sock, *v6).with("nodes", *nodes),
        Notice::DhtUnreachable { sock, v6, retry } => dht(line("dht unreachable"), *sock, *v6).with("retry", *retry),
        Notice::Added { command, torrent, hashes, name } => of("added", *torrent)
            .with("command", command.0)
            .with("info-hash", hashes.best())
            .with("hashes", Value::Id(format!("{hashes:?}")))
            .with("name", name),
        Notice::State { torrent, state } => torrent_state(of("state", *torrent), state),
        Notice::MetadataProgress { torrent, have, size } => {
            of("metadata progress", *torrent).with("bytes", *have).with("of", *size)
        }
        Notice::Metadata { torrent, hashes, name, info } => of("metadata", *torrent)
            .with("info-hash", hashes.best())
            .with("hashes", Value::Id(format!("{hashes:?}")))
            .with("name", name)
            .with("bytes", Value::count(info.len())),
        Notice::MetadataFailed { torrent, why } => of("metadata failed", *torrent).why(why),
        Notice::PieceDone { torrent, piece } => of("piece done", *torrent).piece(*piece),
        Notice::PieceFailed { torrent, piece } => of("piece failed", *torrent).piece(*piece),
        Notice::Finished { torrent } => of("finished", *torrent),
        Notice::Done { torrent } => of("done", *torrent),
        Notice::Removed { torrent } => of("removed", *torrent),
        Notice::PeerConnected { torrent, peer, addr, id, incoming } => of("peer connected", *torrent)
            .with("peer", peer.0)
            .with("addr", *addr)
            .with("peer-id", *id)
            .with("incoming", *incoming),
        Notice::PeerClosed { torrent, addr, reason } => of("peer closed", *torrent).with("addr", *addr).why(reason),
        Notice::PeersRefused { torrent, filtered, refused } => {
            of("peers refused", *torrent).with("filtered", *filtered).with("refused", *refused)
        }
        Notice::PeerBanned { torrent, addr } => of("peer banned", *torrent).with("addr", *addr),
        Notice::TrackerAnswered { torrent, url, peers, interval, warning } => of("tracker answered", *torrent)
            .with("url", url)
            .with("peers", *peers)
            .with("interval", *interval)
            .maybe("warning", warning.as_ref()),
        Notice::TrackerFailed { torrent, url, why, retry } => of("tracker failed", *torrent)
            .with("url", url)
            .why(why)
            .with("retry", retry.map_or(Value::Word("never"), Value::Span)),
        Notice::Scraped { command, url, counts, failure } => {
            let counts = counts.iter().map(|(hash, counts)| Value::List([hash.into(), as_value(counts)].into()));
            line("scraped")
                .with("command", command.0)
                .with("url", url)
                .with("counts", Value::List(counts.collect()))
                .maybe("failure", failure.as_ref())
        }
        Notice::Announced { command, url, from, answer } => {
            let line = line("announced").with("command", command.0).with("url", url).maybe("from", *from);
            match answer {
                Ok(answer) => line.all(announced(answer).fields),
                Err(why) => line.with("failure", why),
            }
        }
        Notice::ExternalAddress { v6, ip } => {
            line("external address").with("kind", family(*v6)).with("ip", ip.map_or(Value::Word("unknown"), Value::Ip))
        }
        Notice::ForeignFile { torrent, file } => of("foreign file", *torrent).with("file", *file),
        Notice::Checked { torrent, done, total } => of("checked", *torrent).with("pieces", *done).with("of", *total),
        Notice::StorageFailed { torrent, fault } => of("storage failed", *torrent).why(fault),
        Notice::Storage { torrent, state } => storage_state(of("storage", *torrent), state),
        Notice::Saved { torrent, pieces } => of("saved", *torrent).with("pieces", *pieces),
        Notice::Stopped => line("stopped"),
    }
}

fn family(v6: bool) -> Value {
    Value::Word(if v6 { "IPv6" } else { "IPv4" })
}

fn dht(line: Line, sock: SocketId, v6: bool) -> Line {
    line.with("socket", sock).with("kind", family(v6))
}

fn torrent_state(line: Line, state: &TorrentState) -> Line {
    let word = match state {
        TorrentState::Checking => "checking",
        TorrentState::Metadata => "metadata",
        TorrentState::Downloading => "downloading",
        TorrentState::Seeding => "seeding",
        TorrentState::Failed(fault) => return line.with("what", Value::Word("failed")).why(fault),
        TorrentState::Paused => "paused",
        TorrentState::Queued => "queued",
        TorrentState::Moving => "moving",
        TorrentState::Stopping => "stopping",
        TorrentState::Stopped => "stopped",
    };
    line.with("what", Value::Word(word))
}

fn storage_state(line: Line, state: &StorageState) -> Line {
    match state {
        StorageState::Good => line.with("what", Value::Word("good")),
        StorageState::Full { needed, free } => {
            line.with("what", Value::Word("full")).with("needed", *needed).maybe("free", *free)
        }
        StorageState::Failing(fault) => line.with("what", Value::Word("failing")).why(fault),
    }
}
