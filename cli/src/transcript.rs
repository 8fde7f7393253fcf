//! Transcripts of recordings on stdout: as text, or as JSON, an object a line.

use parcacik_core::journal::text::{About, Entry, Line, Subject, Transcript, Value};
use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Serialize, Serializer};
use std::io::{self, BufWriter, Stdout, Write as _};

/// How much is written at once.
const BUFFER: usize = 64 << 10;

/// Writes a transcript. What goes wrong is kept: a replay cannot be stopped from within.
#[derive(Debug)]
pub struct Printer {
    out: BufWriter<Stdout>,
    json: bool,
    /// What is printed; `None`: everything.
    about: Option<About>,
    fault: Option<io::Error>,
}

impl Printer {
    /// One that prints what has to do with all of the subjects, or everything when there are none.
    pub fn new(json: bool, subjects: &[Subject]) -> Printer {
        let about = Some(subjects).filter(|subjects| !subjects.is_empty());
        Printer {
            out: BufWriter::with_capacity(BUFFER, io::stdout()),
            json,
            about: about.map(|subjects| About::new(subjects.to_vec())),
            fault: None,
        }
    }

    /// Prints an entry. False: stdout cannot be written any more.
    pub fn print(&mut self, transcript: &Transcript, entry: &Entry) -> bool {
        if self.fault.is_none() {
            self.fault = self.put(transcript, entry).err();
        }
        self.fault.is_none()
    }

    fn put(&mut self, transcript: &Transcript, entry: &Entry) -> io::Result<()> {
        let Some(about) = &mut self.about else {
            return if self.json { put_json(&mut self.out, entry, false) } else { write!(self.out, "{entry}") };
        };
        let Some(found) = about.pick(transcript, entry) else { return Ok(()) };
        if self.json {
            found.before.iter().try_for_each(|before| put_json(&mut self.out, before, true))?;
            return put_json(&mut self.out, &found.entry, false);
        }
        write!(self.out, "{found}")
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// When stdout could not be written, now or before.
    pub fn finish(mut self) -> io::Result<()> {
        self.fault.take().map_or_else(|| self.out.flush(), Err)
    }
}

fn put_json(out: &mut impl io::Write, entry: &Entry, before: bool) -> io::Result<()> {
    for line in &entry.lines {
        serde_json::to_writer(&mut *out, &Json { entry, line, before })?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// A line of a transcript as programs get it.
struct Json<'a> {
    entry: &'a Entry,
    line: &'a Line,
    /// Whether it only came before what was asked for.
    before: bool,
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Json { entry, line, before } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("event", &entry.event)?;
        map.serialize_entry("seconds", &(entry.at.as_micros() as f64 / 1e6))?;
        map.serialize_entry("kind", line.kind.name())?;
        if let Some(tcp) = line.tcp {
            map.serialize_entry("tcp", &tcp.0)?;
        }
        if let Some(remote) = line.remote {
            map.serialize_entry("remote", &remote)?;
        }
        if let Some(torrent) = line.torrent {
            map.serialize_entry("torrent", &torrent.0)?;
        }
        map.serialize_entry("word", line.word)?;
        map.serialize_entry("with", &Fields(&line.fields))?;
        if *before {
            map.serialize_entry("before", before)?;
        }
        map.end()
    }
}

struct Fields<'a>(&'a [(&'static str, Value)]);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(name, &JsonValue(value))?;
        }
        map.end()
    }
}

struct JsonValue<'a>(&'a Value);

impl Serialize for JsonValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Number(number) => serializer.serialize_u64(*number),
            Value::Signed(number) => serializer.serialize_i64(*number),
            Value::Flag(flag) => serializer.serialize_bool(*flag),
            Value::Word(text) => serializer.serialize_str(text),
            Value::Text(text) | Value::Id(text) => serializer.serialize_str(text),
            Value::Span(span) => serializer.serialize_f64(span.as_secs_f64()),
            Value::Addr(addr) => serializer.collect_str(addr),
            Value::Ip(ip) => serializer.collect_str(ip),
            Value::Piece(piece) => serializer.serialize_u32(*piece),
            Value::Torrent(torrent) => serializer.serialize_u32(torrent.0),
            Value::Hash(hash) => serializer.collect_str(hash),
            Value::PeerId(id) => serializer.serialize_str(&format!("{id:?}")),
            Value::Bytes { length, crc32c } => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("length", length)?;
                map.serialize_entry("crc32c", &format!("{crc32c:08x}"))?;
                map.end()
            }
            Value::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| list.serialize_element(&JsonValue(item)))?;
                list.end()
            }
            other => serializer.collect_str(other),
        }
    }
}
