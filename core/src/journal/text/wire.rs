//! Streams: bytes to messages, in both directions.

use super::neighbours::contacts;
use super::value::{Kind, Line, Value};
use crate::bitfield::Bitfield;
use crate::border::{TcpId, TorrentId, hex};
use crate::wire::{
    BlockRange, ExtendedHandshake, Extension, ExtensionIds, Framer, HANDSHAKE_LENGTH, Handshake, Message, UtMetadata,
};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt::Write as _;
use core::net::{IpAddr, SocketAddr};

/// Runs of pieces of a bitfield that are written out.
const MAX_RUNS: usize = 8;

/// A stream that is open.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) remote: SocketAddr,
    /// What it is about, once a handshake has said so.
    pub(super) torrent: Option<TorrentId>,
    pub(super) inwards: Direction,
    pub(super) outwards: Direction,
}

impl Stream {
    pub(super) fn new(remote: SocketAddr, max_message: u32) -> Stream {
        let direction = || Direction {
            head: Vec::new(),
            framer: Framer::new(max_message),
            stage: Stage::Handshake,
            takes: ExtensionIds::default(),
        };
        Stream { remote, torrent: None, inwards: direction(), outwards: direction() }
    }
}

/// What is said in one direction.
#[derive(Clone, Debug)]
pub(super) struct Direction {
    /// What has come of the handshake.
    head: Vec<u8>,
    framer: Framer,
    stage: Stage,
    /// The numbers under which the speaker takes extended messages, as its handshakes said.
    takes: ExtensionIds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Handshake,
    Messages,
    /// It cannot be followed any more.
    Lost,
}

/// What a direction says next.
pub(super) enum Said {
    Handshake(Handshake),
    Message(Message),
    /// Bytes that are neither; the text says why.
    Nonsense(String),
}

impl Direction {
    pub(super) fn feed(&mut self, mut bytes: Bytes) {
        if self.stage == Stage::Handshake {
            let taken = bytes.split_to(bytes.len().min(HANDSHAKE_LENGTH - self.head.len()));
            self.head.extend_from_slice(&taken);
        }
        if self.stage != Stage::Lost && !bytes.is_empty() {
            self.framer.feed(bytes, 0);
        }
    }

    pub(super) fn next(&mut self) -> Option<Said> {
        match self.stage {
            Stage::Handshake => match Handshake::parse(&self.head) {
                Ok(None) => None,
                Ok(Some(handshake)) => {
                    self.stage = Stage::Messages;
                    self.head = Vec::new();
                    Some(Said::Handshake(handshake))
                }
                Err(error) => Some(self.lost(format!("{error}"))),
            },
            Stage::Messages => match self.framer.next(&mut Vec::new()) {
                Ok(message) => message.map(Said::Message),
                Err(error) => Some(self.lost(format!("{error}"))),
            },
            Stage::Lost => None,
        }
    }

    /// The torrent has so many pieces: its bitfield may be longer than other messages.
    pub(super) fn expect(&mut self, max_message: u32, pieces: u32) {
        let bitfield = pieces.div_ceil(8).saturating_add(1);
        if bitfield > max_message {
            // Nothing has been taken by the framer that it replaces but whole messages.
            let mut framer = Framer::new(bitfield);
            framer.feed(self.framer.take_raw(usize::MAX), 0);
            self.framer = framer;
        }
    }

    fn lost(&mut self, why: String) -> Said {
        self.stage = Stage::Lost;
        Said::Nonsense(why)
    }
}

/// A handshake's line.
pub(super) fn handshake_line(kind: Kind, handshake: &Handshake) -> Line {
    let Handshake { reserved, info_hash, peer_id } = handshake;
    let abilities =
        [(reserved.fast(), "fast"), (reserved.extended(), "extended"), (reserved.dht(), "dht"), (reserved.v2(), "v2")];
    let can = abilities.into_iter().filter(|(can, _)| *can).map(|(_, word)| Value::Word(word));
    Line::new(kind, "handshake")
        .with("info-hash", *info_hash)
        .with("can", Value::List(can.collect()))
        .with("reserved", Value::Id(hex(&reserved.0)))
        .with("peer-id", *peer_id)
}

/// What a message says, as a line. `takes` are the numbers that its receiver gave to extensions, `pieces` how many the torrent has;
/// without them less is known of some messages.
pub fn message_line(kind: Kind, message: &Message, takes: Option<&ExtensionIds>, pieces: Option<u32>) -> Line {
    let plain = |word| Line::new(kind, word);
    let range = |word, BlockRange { piece, begin, length }: &BlockRange| {
        plain(word).piece(*piece).with("begin", *begin).with("length", *length)
    };
    match message {
        Message::KeepAlive => plain("keep-alive"),
        Message::Choke => plain("choke"),
        Message::Unchoke => plain("unchoke"),
        Message::Interested => plain("interested"),
        Message::NotInterested => plain("not interested"),
        Message::Have(piece) => plain("have").piece(*piece),
        Message::Bitfield(bits) => bitfield_line(kind, bits, pieces),
        Message::Request(block) => range("request", block),
        Message::Piece { piece, begin, data } => {
            let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
            range("piece", &BlockRange { piece: *piece, begin: *begin, length })
        }
        Message::Cancel(block) => range("cancel", block),
        Message::Port(port) => plain("port").with("port", *port),
        Message::Suggest(piece) => plain("suggest piece").piece(*piece),
        Message::HaveAll => plain("have all"),
        Message::HaveNone => plain("have none"),
        Message::Reject(block) => range("reject request", block),
        Message::AllowedFast(piece) => plain("allowed fast").piece(*piece),
        Message::Extended { id: 0, payload } => match ExtendedHandshake::parse(payload) {
            Ok(handshake) => introduction_line(kind, &handshake),
            Err(error) => plain("extended handshake").with("payload", Value::bytes(payload)).why(&error),
        },
        Message::Extended { id, payload } => {
            let name = takes.and_then(|takes| {
                let known = [
                    Extension::Metadata,
                    Extension::Pex,
                    Extension::UploadOnly,
                    Extension::DontHave,
                    Extension::Holepunch,
                ];
                known.into_iter().find(|&extension| takes.get(extension) == Some(*id))
            });
            let line = plain("extended").maybe("what", name.map(|name| Value::Word(name.name()))).with("number", *id);
            match (name, &payload[..]) {
                (Some(Extension::UploadOnly), &[flag]) => line.with("on", flag != 0),
                (Some(Extension::Metadata), _) => metadata_line(line, payload),
                (Some(Extension::DontHave), &[a, b, c, d]) => line.piece(u32::from_be_bytes([a, b, c, d])),
                (Some(Extension::Pex), _) => contacts(line, payload),
                _ => line.with("payload", Value::bytes(payload)),
            }
        }
        Message::Unknown { id, payload } => {
            plain("unknown message").with("number", *id).with("payload", Value::bytes(payload))
        }
    }
}

fn bitfield_line(kind: Kind, bits: &[u8], pieces: Option<u32>) -> Line {
    let line = Line::new(kind, "bitfield");
    // Without the torrent, spare bits cannot be told from pieces.
    let length = pieces.unwrap_or_else(|| u32::try_from(bits.len()).unwrap_or(u32::MAX).saturating_mul(8));
    match Bitfield::from_wire(bits, length) {
        Ok(bitfield) => line
            .with("pieces", Value::Number(bitfield.count().into()))
            .with("of", length)
            .with("have", Value::Id(runs(&bitfield))),
        Err(_) => {
            line.with("payload", Value::bytes(bits)).with("of", length).with("why", Value::Text("malformed".into()))
        }
    }
}

/// Pieces as `0,2-5,7`; `none`, `all`.
fn runs(bitfield: &Bitfield) -> String {
    if bitfield.is_full() {
        return "all".into();
    }
    let mut text = String::new();
    let (mut open, mut count): (Option<(u32, u32)>, usize) = (None, 0);
    for piece in bitfield.iter() {
        match &mut open {
            Some((_, last)) if *last + 1 == piece => *last = piece,
            _ => {
                if count == MAX_RUNS {
                    put_run(&mut text, open.take());
                    text.push_str(",…");
                    return text;
                }
                count += 1;
                put_run(&mut text, open.replace((piece, piece)));
            }
        }
    }
    put_run(&mut text, open);
    if text.is_empty() { "none".into() } else { text }
}

fn put_run(text: &mut String, run: Option<(u32, u32)>) {
    let Some((first, last)) = run else { return };
    if !text.is_empty() {
        text.push(',');
    }
    // Writing to a string cannot fail.
    let _ = write!(text, "{first}");
    if last > first {
        let _ = write!(text, "-{last}");
    }
}

/// What a message of BEP 9 says; its data, as how many they are.
fn metadata_line(line: Line, payload: &Bytes) -> Line {
    match UtMetadata::parse(payload) {
        Ok(UtMetadata::Request { piece }) => line.with("kind", Value::Word("request")).with("block", piece),
        Ok(UtMetadata::Reject { piece }) => line.with("kind", Value::Word("reject")).with("block", piece),
        Ok(UtMetadata::Data { piece, total_size, data }) => line
            .with("kind", Value::Word("data"))
            .with("block", piece)
            .maybe("total-size", total_size)
            .with("data", Value::bytes(&data)),
        Ok(UtMetadata::Unknown { kind }) => line.with("kind", Value::Id(format!("{kind}"))),
        Err(error) => line.with("payload", Value::bytes(payload)).why(&error),
    }
}

fn introduction_line(kind: Kind, handshake: &ExtendedHandshake) -> Line {
    let ExtendedHandshake {
        extensions,
        client,
        port,
        reqq,
        your_ip,
        ipv4,
        ipv6,
        metadata_size,
        upload_only,
        encryption,
    } = handshake;
    let m = extensions.iter().map(|(extension, id)| Value::Id(format!("{} {id}", extension.name())));
    Line::new(kind, "extended handshake")
        .with("m", Value::List(m.collect()))
        .maybe("client", client.as_deref())
        .maybe("port", *port)
        .maybe("reqq", *reqq)
        .maybe("yourip", *your_ip)
        .maybe("ipv4", ipv4.map(IpAddr::from))
        .maybe("ipv6", ipv6.map(IpAddr::from))
        .maybe("metadata-size", *metadata_size)
        .maybe("upload-only", *upload_only)
        .maybe("encryption", *encryption)
}

impl super::Transcript {
    /// Bytes of a stream, as the messages that end in them.
    pub(super) fn stream(&mut self, tcp: TcpId, kind: Kind, bytes: Bytes, lines: &mut Vec<Line>) {
        let max_message = self.max_message;
        let Some(stream) = self.streams.get_mut(&tcp) else { return };
        let Stream { remote, torrent, inwards, outwards } = stream;
        let (speaker, listener) = if kind == Kind::Received { (inwards, outwards) } else { (outwards, inwards) };
        speaker.feed(bytes);
        while let Some(said) = speaker.next() {
            let pieces = torrent.and_then(|torrent| self.pieces.get(&torrent)).copied();
            let mut line = match said {
                Said::Handshake(handshake) => {
                    *torrent = self.torrents.get(&handshake.info_hash).copied().or(*torrent);
                    if let Some(pieces) = torrent.and_then(|torrent| self.pieces.get(&torrent)) {
                        speaker.expect(max_message, *pieces);
                    }
                    handshake_line(kind, &handshake)
                }
                Said::Message(message) => {
                    if let Message::Extended { id: 0, payload } = &message
                        && let Ok(handshake) = ExtendedHandshake::parse(payload)
                    {
                        speaker.takes.update(&handshake);
                    }
                    message_line(kind, &message, Some(&listener.takes), pieces)
                }
                Said::Nonsense(why) => Line::new(kind, "nonsense").why(&why),
            };
            (line.tcp, line.remote, line.torrent) = (Some(tcp), Some(*remote), *torrent);
            lines.push(line);
        }
    }
}
