//! Lines, and the values in them.

use crate::border::{DialId, InfoHash, JobId, PeerId, SocketId, Target, TcpId, TorrentId};
use crate::crc32c::crc32c;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// The longest text of a stranger in a line, in characters. An info-hash or a URL fits, and a line can still be read.
const MAX_TEXT: usize = 160;
/// The most items of a list that are written out in text; the rest is counted.
const MAX_ITEMS: usize = 8;

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The event.
    Event,
    /// Something that it brought.
    Received,
    /// Something that is to be done.
    Action,
    /// Something that goes out by it.
    Sent,
    /// Something that the application is told.
    Notice,
}

impl Kind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Event => "event",
            Kind::Received => "received",
            Kind::Action => "action",
            Kind::Sent => "sent",
            Kind::Notice => "notice",
        }
    }

    /// What stands in front of such lines in text.
    pub fn mark(self) -> char {
        match self {
            Kind::Event => '@',
            Kind::Received => '<',
            Kind::Action => '-',
            Kind::Sent => '>',
            Kind::Notice => '*',
        }
    }
}

/// A value in a line.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A count, or bytes.
    Number(u64),
    /// A number that may be negative.
    Signed(i64),
    /// Yes or no.
    Flag(bool),
    /// One of a closed list of words.
    Word(&'static str),
    /// Text, often a stranger's: not escaped, cut to a line's length.
    Text(String),
    /// A span of time.
    Span(Duration),
    /// An address and port.
    Addr(SocketAddr),
    /// An address.
    Ip(IpAddr),
    /// A piece's number.
    Piece(u32),
    /// A torrent of this session.
    Torrent(TorrentId),
    /// A torrent by its hash.
    Hash(InfoHash),
    /// What a peer calls itself.
    PeerId(PeerId),
    /// A name or a number in a form of its own, without spaces at its ends or anything to escape.
    Id(String),
    /// Bytes that are not written out.
    Bytes {
        /// How many.
        length: u64,
        /// Their CRC-32C.
        crc32c: u32,
    },
    /// Several.
    List(Vec<Value>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => number.fmt(f),
            Value::Signed(number) => number.fmt(f),
            Value::Flag(flag) => f.write_str(if *flag { "yes" } else { "no" }),
            Value::Word(word) => f.write_str(word),
            Value::Text(text) => {
                f.write_str("\"")?;
                for c in text.chars() {
                    match c {
                        '\'' => f.write_str("'")?,
                        c => c.escape_debug().try_for_each(|c| write!(f, "{c}"))?,
                    }
                }
                f.write_str("\"")
            }
            Value::Span(span) if span.subsec_nanos() == 0 => write!(f, "{}s", span.as_secs()),
            Value::Span(span) => write!(f, "{}.{:06}s", span.as_secs(), span.subsec_micros()),
            Value::Addr(addr) => addr.fmt(f),
            Value::Ip(ip) => ip.fmt(f),
            Value::Piece(piece) => piece.fmt(f),
            Value::Torrent(TorrentId(id)) => id.fmt(f),
            Value::Hash(hash) => hash.fmt(f),
            Value::PeerId(id) => write!(f, "\"{id:?}\""),
            Value::Id(id) => f.write_str(id),
            Value::Bytes { length, crc32c } => write!(f, "{length} bytes (crc {crc32c:08x})"),
            Value::List(items) => {
                f.write_str("[")?;
                for (at, item) in items.iter().take(MAX_ITEMS).enumerate() {
                    write!(f, "{}{item}", if at == 0 { "" } else { ", " })?;
                }
                match items.len().checked_sub(MAX_ITEMS) {
                    Some(more @ 1..) => write!(f, " and {more} more]"),
                    _ => f.write_str("]"),
                }
            }
        }
    }
}

impl Value {
    /// Text, cut.
    pub(super) fn text(text: &str) -> Value {
        let mut cut: String = text.chars().take(MAX_TEXT).collect();
        if cut.len() < text.len() {
            cut.push('…');
        }
        Value::Text(cut)
    }

    /// What something says of itself.
    pub(super) fn said(what: &impl fmt::Display) -> Value {
        Value::text(&what.to_string())
    }

    /// Bytes that are not written out.
    pub(super) fn bytes(bytes: &[u8]) -> Value {
        Value::Bytes { length: bytes.len() as u64, crc32c: crc32c(bytes) }
    }

    /// A count in memory.
    pub(super) fn count(count: usize) -> Value {
        Value::Number(count as u64)
    }

    /// A list.
    pub(super) fn list<T: Into<Value>>(items: impl IntoIterator<Item = T>) -> Value {
        Value::List(items.into_iter().map(Into::into).collect())
    }
}

macro_rules! value_from {
    ($($from:ty => $make:expr),* $(,)?) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Value {
                let make: fn($from) -> Value = $make;
                make(value)
            }
        }
    )*};
}

value_from! {
    u8 => |number| Value::Number(number.into()),
    u16 => |number| Value::Number(number.into()),
    u32 => |number| Value::Number(number.into()),
    u64 => Value::Number,
    i64 => Value::Signed,
    bool => Value::Flag,
    &str => |text| Value::text(text),
    &String => |text| Value::text(text),
    Duration => Value::Span,
    SocketAddr => Value::Addr,
    IpAddr => Value::Ip,
    TorrentId => Value::Torrent,
    InfoHash => Value::Hash,
    PeerId => Value::PeerId,
    &InfoHash => |hash| Value::Hash(*hash),
    JobId => |id| Value::Id(id.to_string()),
    DialId => |id| Value::Id(id.to_string()),
    SocketId => |id| Value::Number(id.0.into()),
    &Target => |target| match target {
        Target::Addr(addr) => Value::Addr(*addr),
        Target::Host { name, port } => Value::text(&format!("{name}:{port}")),
    },
}

/// Names and values, in the order in which they are written.
pub(super) type Fields = Vec<(&'static str, Value)>;

/// Names that are not written in text, as the value says what it is; nor is one that ends the line's word.
const SILENT: [&str; 5] = ["work", "what", "why", "id", "kind"];

/// One line of a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is.
    pub kind: Kind,
    /// The stream that it is about.
    pub tcp: Option<TcpId>,
    /// The other end of that stream, where it is known.
    pub remote: Option<SocketAddr>,
    /// The torrent that the stream is about, where it is known.
    pub torrent: Option<TorrentId>,
    /// What happens: `request`, `dial`, `peer closed`.
    pub word: &'static str,
    /// With which numbers, names and so on.
    pub fields: Vec<(&'static str, Value)>,
}

impl Line {
    pub(super) fn new(kind: Kind, word: &'static str) -> Line {
        Line { kind, tcp: None, remote: None, torrent: None, word, fields: Vec::new() }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Line {
        self.fields.push((name, value.into()));
        self
    }

    /// Adds a field if there is something to say.
    pub(super) fn maybe(mut self, name: &'static str, value: Option<impl Into<Value>>) -> Line {
        if let Some(value) = value {
            self.fields.push((name, value.into()));
        }
        self
    }

    pub(super) fn piece(self, piece: u32) -> Line {
        self.with("piece", Value::Piece(piece))
    }

    pub(super) fn why(self, why: &impl fmt::Display) -> Line {
        self.with("why", Value::said(why))
    }

    pub(super) fn all(mut self, fields: impl IntoIterator<Item = (&'static str, Value)>) -> Line {
        self.fields.extend(fields);
        self
    }
}

impl fmt::Display for Line {
    /// The line without its mark. What came on a stream stands below an event that names the stream, and does not name it again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(TcpId(tcp)) = self.tcp
            && self.kind != Kind::Received
        {
            write!(f, "tcp {tcp} ")?;
            if let Some(remote) = self.remote {
                write!(f, "({remote}) ")?;
            }
        }
        self.fmt_plain(f)
    }
}

impl Line {
    fn fmt_plain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word)?;
        for (name, value) in &self.fields {
            if !self.word.ends_with(name) && !SILENT.contains(name) {
                write!(f, " {name}")?;
            }
            write!(f, " {value}")?;
        }
        Ok(())
    }

    /// The text without the stream that it is about, for where that is clear.
    pub fn plain(&self) -> String {
        struct Plain<'a>(&'a Line);
        impl fmt::Display for Plain<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt_plain(f)
            }
        }
        Plain(self).to_string()
    }
}
