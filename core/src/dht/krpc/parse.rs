//! Reading.

use super::{
    Body, ErrorCode, ErrorReply, MAX_DATAGRAM, MAX_ERROR_TEXT, MAX_INTERVAL, MAX_METHOD, MAX_NODES, MAX_SALT,
    MAX_SAMPLES, MAX_TOKEN, MAX_TRANSACTION, MAX_VALUE, MAX_VALUES, MAX_VERSION, Message, Method, Query, Response,
    Signed, Want, compact,
};
use crate::bencode::{DecodeError, Dict, Document, FieldError, FieldFault, Kind, Limits, Mode, Value};
use crate::border::InfoHash;
use crate::dht::NodeId;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

/// What a message may cost: each value takes two bytes at least. Messages are three deep; an item may be as deep as it likes, up to
/// what we have for everything.
const MESSAGE: Limits = Limits { bytes: MAX_DATAGRAM, depth: 100, tokens: MAX_DATAGRAM / 2 };
/// What an item may cost.
const ITEM: Limits = Limits { bytes: MAX_VALUE, depth: 100, tokens: MAX_VALUE / 2 };

/// The kinds of messages, without what they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `q`.
    Query,
    /// `r`.
    Response,
    /// `e`.
    Error,
}

/// A datagram that is no message, or a message of which nothing can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused<'a> {
    /// Its transaction id, if that could be read: of an answer it tells which query has failed.
    pub transaction: Option<&'a [u8]>,
    /// What it wanted to be, if that could be read.
    pub role: Option<Role>,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not bencoded, or longer or deeper than is allowed.
    Bencoding(DecodeError),
    /// It is bencoded and no dictionary.
    NotADictionary,
    /// A field that is not as it must be.
    Field(FieldError),
    /// An error that is no list with a number in it.
    BadError,
    /// A `put` of more than [`MAX_VALUE`] bytes (BEP 44).
    ValueTooBig,
    /// A `put` with a salt of more than [`MAX_SALT`] bytes (BEP 44).
    SaltTooBig,
}

impl From<FieldError> for Fault {
    fn from(error: FieldError) -> Fault {
        Fault::Field(error)
    }
}

impl<'a> Refused<'a> {
    /// What to answer: nothing to what is not a query, and nothing where there is no transaction id to repeat.
    pub fn answer(&self) -> Option<Message<'a>> {
        if self.role != Some(Role::Query) {
            return None;
        }
        Some(Message::error(self.transaction?, self.fault.code()))
    }
}

impl Fault {
    /// The code to answer a query with.
    pub fn code(&self) -> ErrorCode {
        match self {
            Fault::ValueTooBig => ErrorCode::TOO_BIG,
            Fault::SaltTooBig => ErrorCode::SALT_TOO_BIG,
            _ => ErrorCode::PROTOCOL,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Bencoding(error) => write!(f, "{error}"),
            Fault::NotADictionary => f.write_str("not a dictionary"),
            Fault::Field(error) => write!(f, "{error}"),
            Fault::BadError => f.write_str("an error without a code"),
            Fault::ValueTooBig => write!(f, "an item of more than {MAX_VALUE} bytes"),
            Fault::SaltTooBig => write!(f, "a salt of more than {MAX_SALT} bytes"),
        }
    }
}

impl fmt::Display for Refused<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.fault)
    }
}

impl core::error::Error for Refused<'_> {}

impl<'a> Message<'a> {
    /// Reads a datagram.
    ///
    /// # Errors
    /// When it is none of the three kinds of messages, or a query that cannot be served as it is.
    pub fn parse(datagram: &'a [u8]) -> Result<Message<'a>, Refused<'a>> {
        let mut refused = Refused { transaction: None, role: None, fault: Fault::NotADictionary };
        let message = Document::decode_prefix(datagram, Mode::Tolerant, &MESSAGE)
            .map_err(Fault::Bencoding)
            .and_then(|document| read(&document, &mut refused));
        message.map_err(|fault| Refused { fault, ..refused })
    }
}

/// Reads a message; what of it is known when that fails goes into `known`.
fn read<'a>(document: &Document<'a>, known: &mut Refused<'a>) -> Result<Message<'a>, Fault> {
    let dict = document.root().dict().ok_or(Fault::NotADictionary)?;
    let kind = dict.require_bytes("y")?;
    let role = match kind {
        b"q" => Role::Query,
        b"r" => Role::Response,
        b"e" => Role::Error,
        _ => return Err(dict.error("y", FieldFault::Bad("neither q nor r nor e")).into()),
    };
    known.role = Some(role);
    let transaction = bounded(&dict, "t", MAX_TRANSACTION)?;
    known.transaction = Some(transaction);
    let body = match role {
        Role::Query => Body::Query(query(&dict)?),
        Role::Response => Body::Response(response(&dict.require_dict("r")?)?),
        Role::Error => Body::Error(error(&dict)?),
    };
    // What comes with a message without being asked for is taken when it is right, and nothing when it is not.
    let optional = |key| dict.get(key).and_then(|value| value.bytes());
    Ok(Message {
        transaction,
        version: optional("v").filter(|version| version.len() <= MAX_VERSION),
        ip: optional("ip").and_then(seen_at),
        read_only: role == Role::Query && is_one(&dict, "ro"),
        body,
    })
}

/// BEP 42's `ip`: "the compact binary representation of the IP address and port"; before its last revision without the port.
fn seen_at(bytes: &[u8]) -> Option<SocketAddr> {
    compact::ip(bytes).map(|ip| SocketAddr::new(ip, 0)).or_else(|| compact::address(bytes))
}

fn query<'a>(message: &Dict<'a, '_>) -> Result<Query<'a>, Fault> {
    let name = message.require_bytes("q")?;
    let args = message.require_dict("a")?;
    let id = node_id(&args, "id")?;
    let want = || want(&args);
    let method = match name {
        b"ping" => Method::Ping,
        b"find_node" => Method::FindNode { target: node_id(&args, "target")?, want: want() },
        b"get_peers" => Method::GetPeers {
            info_hash: node_id(&args, "info_hash")?.into(),
            want: want(),
            no_seed: is_one(&args, "noseed"),
            scrape: is_one(&args, "scrape"),
        },
        b"announce_peer" => {
            let info_hash = node_id(&args, "info_hash")?.into();
            let token = bounded(&args, "token", MAX_TOKEN)?;
            let (port, implied_port) = announced_port(&args)?;
            Method::AnnouncePeer { info_hash, port, implied_port, seed: is_one(&args, "seed"), token }
        }
        b"get" => Method::Get { target: node_id(&args, "target")?, seq: args.int("seq")?, want: want() },
        b"put" => put(&args)?,
        b"sample_infohashes" => Method::SampleInfohashes { target: node_id(&args, "target")?, want: want() },
        _ => {
            let target = ["target", "info_hash"].into_iter().find_map(|key| node_id(&args, key).ok());
            Method::Unknown { name: name.get(..MAX_METHOD).unwrap_or(name), target }
        }
    };
    Ok(Query { id, method })
}

/// BEP 5: "If it is present and non-zero, the port argument should be ignored and the source port of the UDP packet should be
/// used as the peer's port instead."
fn announced_port(args: &Dict<'_, '_>) -> Result<(u16, bool), FieldError> {
    let port = args.get("port").and_then(|value| value.int()).and_then(|port| u16::try_from(port).ok());
    if args.get("implied_port").and_then(|value| value.int()).is_some_and(|implied| implied != 0) {
        return Ok((port.unwrap_or(0), true));
    }
    args.require_int("port")?;
    match port {
        Some(port) if port != 0 => Ok((port, false)),
        _ => Err(args.error("port", FieldFault::Bad("not a port"))),
    }
}

fn put<'a>(args: &Dict<'a, '_>) -> Result<Method<'a>, Fault> {
    let token = bounded(args, "token", MAX_TOKEN)?;
    let value = args.get("v").ok_or_else(|| args.error("v", FieldFault::Missing))?.raw();
    if value.len() > MAX_VALUE {
        return Err(Fault::ValueTooBig);
    }
    if !is_canonical(value) {
        return Err(args.error("v", FieldFault::Bad("not canonical")).into());
    }
    let signed = match args.bytes("k")? {
        None => None,
        Some(_) => {
            let salt = args.bytes("salt")?.unwrap_or_default();
            if salt.len() > MAX_SALT {
                return Err(Fault::SaltTooBig);
            }
            // BEP 44: "A client MAY also reject any message with a negative sequence number."
            let seq = args.require_int("seq")?;
            if seq < 0 {
                return Err(args.error("seq", FieldFault::Bad("negative")).into());
            }
            Some(Signed { key: exact(args, "k")?, signature: exact(args, "sig")?, seq, salt, cas: args.int("cas")? })
        }
    };
    Ok(Method::Put { token, value, signed })
}

/// Whether these bytes are one value in the one form that it has.
pub(in crate::dht) fn is_canonical(value: &[u8]) -> bool {
    Document::decode(value, Mode::Strict, &ITEM).is_ok()
}

fn error<'a>(message: &Dict<'a, '_>) -> Result<ErrorReply<'a>, Fault> {
    let mut list = message.require_list("e")?;
    let code = list.next().and_then(|code| code.int()).ok_or(Fault::BadError)?;
    let text = list.next().and_then(|text| text.bytes()).unwrap_or_default();
    Ok(ErrorReply { code: ErrorCode(code), text: text.get(..MAX_ERROR_TEXT).unwrap_or(text) })
}

/// Reads the fields of a response, each by itself.
fn response<'a>(dict: &Dict<'a, '_>) -> Result<Response<'a>, Fault> {
    let mut faults = Vec::new();
    let response = Response {
        nodes: note(&mut faults, |faults| nodes(dict, "nodes", false, faults)),
        nodes6: note(&mut faults, |faults| nodes(dict, "nodes6", true, faults)),
        values: note(&mut faults, |faults| values(dict, faults)),
        token: note(&mut faults, |_| present(dict, "token", |key| bounded(dict, key, MAX_TOKEN))),
        value: note(&mut faults, |_| item(dict)),
        key: note(&mut faults, |_| present(dict, "k", |key| exact(dict, key))),
        signature: note(&mut faults, |_| present(dict, "sig", |key| exact(dict, key))),
        seq: note(&mut faults, |_| in_range(dict, "seq", i64::MAX)),
        seed_filter: note(&mut faults, |_| present(dict, "BFsd", |key| exact(dict, key))),
        peer_filter: note(&mut faults, |_| present(dict, "BFpe", |key| exact(dict, key))),
        samples: note(&mut faults, |faults| samples(dict, faults)),
        num: note(&mut faults, |_| in_range(dict, "num", i64::MAX)).map(i64::unsigned_abs),
        interval: note(&mut faults, |_| in_range(dict, "interval", i64::from(MAX_INTERVAL)))
            .and_then(|seconds| seconds.try_into().ok()),
        faults: Vec::new(),
        ..Response::new(node_id(dict, "id")?)
    };
    Ok(Response { faults, ..response })
}

/// A field that is there and right; what is wrong with it is noted. `read` may note more that is wrong with what it yields.
fn note<T>(
    faults: &mut Vec<FieldError>,
    read: impl FnOnce(&mut Vec<FieldError>) -> Result<Option<T>, FieldError>,
) -> Option<T> {
    read(faults).unwrap_or_else(|fault| {
        faults.push(fault);
        None
    })
}

/// A field that may be missing, and is read by `read` when it is there.
fn present<T>(
    dict: &Dict<'_, '_>,
    key: &'static str,
    read: impl FnOnce(&'static str) -> Result<T, FieldError>,
) -> Result<Option<T>, FieldError> {
    dict.get(key).map(|_| read(key)).transpose()
}

/// Nodes of a family: whole entries; those that cannot be reached are left out.
fn nodes(
    dict: &Dict<'_, '_>,
    key: &str,
    v6: bool,
    faults: &mut Vec<FieldError>,
) -> Result<Option<Vec<super::Contact>>, FieldError> {
    let Some(bytes) = dict.bytes(key)? else { return Ok(None) };
    let entries = bytes.chunks_exact(20 + compact::address_length(v6));
    if !entries.remainder().is_empty() {
        faults.push(dict.error(key, FieldFault::Bad("ends inside a node")));
    }
    let contacts = entries.filter_map(compact::contact).filter(|contact| compact::is_place(&contact.addr));
    Ok(Some(contacts.take(MAX_NODES).collect()))
}

/// Peers: "a list of strings. Each string containing "compact" format peer information for a single peer", of either family (BEP 32:
/// "must be able to properly parse hybrid "values" lists").
///
/// The first client had all of them in one string; what cannot be one peer is read as that.
fn values(dict: &Dict<'_, '_>, faults: &mut Vec<FieldError>) -> Result<Option<Vec<SocketAddr>>, FieldError> {
    let Some(list) = dict.list("values")? else { return Ok(None) };
    let mut peers = Vec::new();
    let mut bad = None;
    for value in list {
        if peers.len() >= MAX_VALUES {
            break;
        }
        match value.bytes() {
            Some(bytes) if bytes.len() == compact::address_length(true) => peers.extend(compact::address(bytes)),
            Some(bytes) if !bytes.is_empty() && bytes.len() % compact::address_length(false) == 0 => {
                peers.extend(bytes.chunks_exact(compact::address_length(false)).filter_map(compact::address));
            }
            _ => bad = bad.or(Some(value.span().start)),
        }
    }
    if let Some(offset) = bad {
        faults.push(FieldError { offset, ..dict.error("values", FieldFault::Bad("not a peer")) });
    }
    peers.retain(compact::is_place);
    peers.truncate(MAX_VALUES);
    Ok(Some(peers))
}

/// An item: one canonical value that is not too big.
fn item<'a>(dict: &Dict<'a, '_>) -> Result<Option<&'a [u8]>, FieldError> {
    let Some(value) = dict.get("v").map(|value| value.raw()) else { return Ok(None) };
    if value.len() > MAX_VALUE {
        return Err(dict.error("v", FieldFault::Bad("too big")));
    }
    match is_canonical(value) {
        true => Ok(Some(value)),
        false => Err(dict.error("v", FieldFault::Bad("not canonical"))),
    }
}

/// Info-hashes: whole ones.
fn samples(dict: &Dict<'_, '_>, faults: &mut Vec<FieldError>) -> Result<Option<Vec<InfoHash>>, FieldError> {
    let Some(bytes) = dict.bytes("samples")? else { return Ok(None) };
    let (hashes, rest) = bytes.as_chunks::<20>();
    if !rest.is_empty() {
        faults.push(dict.error("samples", FieldFault::Bad("ends inside an info-hash")));
    }
    Ok(Some(hashes.iter().take(MAX_SAMPLES).map(|hash| InfoHash(*hash)).collect()))
}

/// An integer from 0 to `most`.
fn in_range(dict: &Dict<'_, '_>, key: &str, most: i64) -> Result<Option<i64>, FieldError> {
    match dict.int(key)? {
        Some(value) if !(0..=most).contains(&value) => Err(dict.error(key, FieldFault::Bad("out of range"))),
        value => Ok(value),
    }
}

/// BEP 32: "other strings may be present in the list, and must be silently ignored on reception". What is no list is nothing.
fn want(args: &Dict<'_, '_>) -> Option<Want> {
    let list = args.get("want")?.list()?;
    // Two strings are known; whoever says more is not read for ever.
    let said = |name: &[u8]| list.clone().take(8).any(|value: Value<'_, '_>| value.bytes() == Some(name));
    Some(Want { v4: said(b"n4"), v6: said(b"n6") })
}

/// Whether a field is 1: what a switch that is on looks like. Whatever else it is, it is off.
fn is_one(dict: &Dict<'_, '_>, key: &str) -> bool {
    dict.get(key).and_then(|value| value.int()) == Some(1)
}

fn node_id(dict: &Dict<'_, '_>, key: &str) -> Result<NodeId, FieldError> {
    exact(dict, key).map(|bytes| NodeId(*bytes))
}

/// A string of exactly `N` bytes that must be there.
fn exact<'a, const N: usize>(dict: &Dict<'a, '_>, key: &str) -> Result<&'a [u8; N], FieldError> {
    let bytes = dict.require_bytes(key)?;
    bytes.try_into().map_err(|_| dict.error(key, FieldFault::Bad("of the wrong length")))
}

/// A string of at most `most` bytes that must be there.
fn bounded<'a>(dict: &Dict<'a, '_>, key: &str, most: usize) -> Result<&'a [u8], FieldError> {
    match dict.get(key).map(|value| value.bytes()) {
        None => Err(dict.error(key, FieldFault::Missing)),
        Some(None) => Err(dict.error(key, FieldFault::Not(Kind::Bytes))),
        Some(Some(bytes)) if bytes.len() > most => Err(dict.error(key, FieldFault::Bad("too long"))),
        Some(Some(bytes)) => Ok(bytes),
    }
}
