//! The summary: one object for programs, a page for people.

use crate::torrent_file::TorrentFile;
use crate::values::{clean, hex, size};
use parcacik_core::border::PeerId;
use parcacik_core::capture::{Dissector, PieceCheck, Protocol, Side, StreamFacts, StreamSummary, Summary};
use parcacik_core::metainfo::Metainfo;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What programs get. The keys are a contract.
#[derive(Debug, Serialize)]
pub struct Summed {
    tcp_streams: Vec<Stream>,
    udp: BTreeMap<String, u64>,
    http_trackers: Vec<Tracker>,
    capture: CaptureCounts,
    #[serde(flatten)]
    pieces: Option<Pieces>,
}

type Counts = BTreeMap<String, u64>;

#[derive(Debug, Serialize)]
struct Stream {
    a: String,
    b: String,
    dialled: bool,
    protocol: &'static str,
    info_hash: Option<String>,
    peer_id_a: Option<String>,
    peer_id_b: Option<String>,
    messages_a: Counts,
    messages_b: Counts,
    extensions_a: Counts,
    extensions_b: Counts,
    damaged_a: u64,
    damaged_b: u64,
    faults_a: u64,
    faults_b: u64,
    bytes_a: u64,
    bytes_b: u64,
    undecoded_bytes: u64,
    lost_bytes: u64,
    conflicting_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Tracker {
    tracker: String,
    streams: u64,
    announces: u64,
    announce_responses: u64,
    scrapes: u64,
    scrape_responses: u64,
    failures: u64,
    unreadable: u64,
    undecoded_bytes: u64,
    info_hashes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct CaptureCounts {
    frames: u64,
    tcp: u64,
    udp: u64,
    fragments: u64,
    other: u64,
    unknown_link: u64,
    malformed: u64,
    unfollowed: u64,
    cut_off: bool,
    fault: Option<String>,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct Pieces {
    pieces_seen: u32,
    pieces_ok: u32,
    pieces_bad: u64,
    pieces_dropped: u64,
    piece_count: u32,
}

impl Summed {
    /// All of it.
    pub fn of(dissector: &Dissector, summary: &Summary, pieces: Option<(&PieceCheck<'_>, &TorrentFile)>) -> Summed {
        let nothing = StreamSummary::default();
        let streams = dissector.streams().filter_map(|(id, facts)| {
            let counts = summary.streams.get(&id).unwrap_or(&nothing);
            let said = facts.sides.iter().any(|side| side.counts.bytes + side.counts.lost > 0);
            (said && !counts.is_tracker).then(|| Stream::of(facts, counts))
        });
        let trackers = summary.http_trackers.iter().map(|(tracker, counts)| {
            let own: Vec<&StreamFacts> = dissector
                .streams()
                .filter(|(id, facts)| {
                    facts.b == *tracker && summary.streams.get(id).is_some_and(|stream| stream.is_tracker)
                })
                .map(|(_, facts)| facts)
                .collect();
            Tracker {
                tracker: tracker.to_string(),
                streams: own.len() as u64,
                announces: counts.announces,
                announce_responses: counts.announced,
                scrapes: counts.scrapes,
                scrape_responses: counts.scraped,
                failures: counts.failures,
                unreadable: counts.unreadable,
                undecoded_bytes: own.iter().flat_map(|facts| &facts.sides).map(|side| side.undecoded).sum(),
                info_hashes: counts.info_hashes.iter().map(|hash| hash.to_hex()).collect(),
            }
        });
        let facts = dissector.facts();
        let seconds = facts.last.unwrap_or_default().since(facts.first.unwrap_or_default()).as_secs_f64();
        Summed {
            tcp_streams: streams.collect(),
            udp: summary.udp.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect(),
            http_trackers: trackers.collect(),
            capture: CaptureCounts {
                frames: facts.frames,
                tcp: facts.tcp,
                udp: facts.udp,
                fragments: facts.fragments,
                other: facts.other,
                unknown_link: facts.unknown_link,
                malformed: facts.malformed,
                unfollowed: facts.unfollowed,
                cut_off: facts.cut_off,
                fault: facts.fault.as_ref().map(ToString::to_string),
                seconds,
            },
            pieces: pieces.map(|(pieces, torrent)| Pieces {
                pieces_seen: pieces.seen(),
                pieces_ok: pieces.good(),
                pieces_bad: pieces.bad(),
                pieces_dropped: pieces.dropped(),
                piece_count: torrent.metainfo.geometry().pieces(),
            }),
        }
    }

    /// The same for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let mut line = |line: String| _ = writeln!(text, "{line}");
        let capture = &self.capture;
        line(format!(
            "{} frames in {:.3} s: {} TCP, {} UDP, {} other",
            capture.frames,
            capture.seconds,
            capture.tcp,
            capture.udp,
            capture.other + capture.fragments + capture.unknown_link + capture.malformed
        ));
        for stream in &self.tcp_streams {
            let hash = stream.info_hash.as_deref().unwrap_or("no info-hash");
            line(format!("{} -> {}  {}  {hash}", stream.a, stream.b, stream.protocol));
            let sides = [
                ("a", &stream.peer_id_a, &stream.messages_a, &stream.extensions_a, stream.bytes_a),
                ("b", &stream.peer_id_b, &stream.messages_b, &stream.extensions_b, stream.bytes_b),
            ];
            for (name, id, messages, extensions, bytes) in sides {
                let id = clean(id.as_deref().unwrap_or("-"));
                let extensions = match counted(extensions) {
                    list if list.is_empty() => list,
                    list => format!(" ({list})"),
                };
                line(format!("  {name} {id}  {}  {}{extensions}", size(bytes), counted(messages)));
            }
            let troubles = [
                ("undecoded bytes", stream.undecoded_bytes),
                ("lost bytes", stream.lost_bytes),
                ("bytes that were sent again and differ", stream.conflicting_bytes),
                ("damaged messages", stream.damaged_a + stream.damaged_b),
                ("faults", stream.faults_a + stream.faults_b),
            ];
            for (what, count) in troubles.into_iter().filter(|(_, count)| *count > 0) {
                line(format!("  {count} {what}"));
            }
        }
        for tracker in &self.http_trackers {
            line(format!(
                "tracker http {}: {} announces ({} answered), {} scrapes ({} answered), {} refused, {} unreadable",
                tracker.tracker,
                tracker.announces,
                tracker.announce_responses,
                tracker.scrapes,
                tracker.scrape_responses,
                tracker.failures,
                tracker.unreadable
            ));
        }
        if !self.udp.is_empty() {
            line(format!("UDP: {}", counted(&self.udp)));
        }
        if let Some(pieces) = &self.pieces {
            line(told(pieces));
        }
        text
    }
}

/// What became of the pieces, in words.
pub fn pieces_text(pieces: &PieceCheck<'_>, torrent: &Metainfo) -> String {
    told(&Pieces {
        pieces_seen: pieces.seen(),
        pieces_ok: pieces.good(),
        pieces_bad: pieces.bad(),
        pieces_dropped: pieces.dropped(),
        piece_count: torrent.geometry().pieces(),
    })
}

fn told(pieces: &Pieces) -> String {
    let Pieces { pieces_seen, pieces_ok, pieces_bad, pieces_dropped, piece_count } = pieces;
    let dropped = if *pieces_dropped > 0 { format!(", {pieces_dropped} given up") } else { String::new() };
    format!(
        "pieces: {pieces_seen} of {piece_count} seen whole, {pieces_ok} right, {pieces_bad} times a wrong one{dropped}"
    )
}

impl Stream {
    fn of(facts: &StreamFacts, counts: &StreamSummary) -> Stream {
        let [a, b] = &facts.sides;
        let names = |side: Side| -> Counts {
            let messages = &counts.messages[side as usize];
            messages.iter().map(|(name, count)| (name.to_string(), *count)).collect()
        };
        let [extensions_a, extensions_b] = counts.extensions.clone();
        Stream {
            a: facts.a.to_string(),
            b: facts.b.to_string(),
            dialled: facts.dialled,
            protocol: protocol(facts.protocol),
            info_hash: facts.info_hash().map(|hash| hash.to_hex()),
            peer_id_a: a.peer_id.map(|id| peer_id(&id)),
            peer_id_b: b.peer_id.map(|id| peer_id(&id)),
            messages_a: names(Side::A),
            messages_b: names(Side::B),
            extensions_a,
            extensions_b,
            damaged_a: counts.damaged[0],
            damaged_b: counts.damaged[1],
            faults_a: counts.faults[0],
            faults_b: counts.faults[1],
            bytes_a: a.counts.bytes,
            bytes_b: b.counts.bytes,
            undecoded_bytes: a.undecoded + b.undecoded,
            lost_bytes: a.counts.lost + b.counts.lost,
            conflicting_bytes: a.counts.conflicting + b.counts.conflicting,
        }
    }
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Peer => "peer",
        Protocol::Http => "http",
        Protocol::Unknown | Protocol::Opaque => "opaque",
    }
}

fn counted(counts: &Counts) -> String {
    counts.iter().map(|(name, count)| format!("{count} {}", clean(name))).collect::<Vec<_>>().join(", ")
}

/// A peer id as text where all of it can be printed, else in hexadecimal.
pub fn peer_id(id: &PeerId) -> String {
    match std::str::from_utf8(&id.0) {
        Ok(text) if id.0.iter().all(|byte| matches!(byte, b' '..=b'~')) => text.to_owned(),
        _ => hex(&id.0),
    }
}
