//! What a session tells of others: peer exchange (BEP 11), local discovery (BEP 14) and the DHT (BEP 5); and nothing of a private torrent.
//!
//! Of peer exchange the books keep what each peer has been told; who may be named at all is known from the handshakes and the ports
//! that were heard. Announces to the local network are read by their lines.

use super::node::NodeModel;
use super::{Oracle, Tally};
use crate::Breach;
use crate::second::Value;
use parcacik_core::border::{TcpId, TorrentId};
use parcacik_core::time::Time;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// What a peer was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// When last.
    at: Option<Time>,
    /// Whom it takes to be connected.
    live: BTreeSet<SocketAddr>,
}

/// Where somebody has gone through a handshake with the session, by torrent.
pub(super) type Met = BTreeSet<(TorrentId, SocketAddr)>;

fn contacts(dict: &Value, key: &str, v6: bool) -> Result<Vec<SocketAddr>, Breach> {
    let Some(bytes) = dict.get(key) else { return Ok(Vec::new()) };
    let Value::Bytes(bytes) = bytes else { return Err(Oracle::Decodable.breach(format!("{key} is no string"))) };
    let length = if v6 { 18 } else { 6 };
    if bytes.len() % length != 0 || bytes.is_empty() {
        return Err(Oracle::Decodable.breach(format!("{key} of {} bytes", bytes.len())));
    }
    let each = bytes.chunks(length).map(|contact| {
        let (ip, port) = contact.split_at(length - 2);
        let ip: IpAddr = match <[u8; 4]>::try_from(ip) {
            Ok(ip) => ip.into(),
            Err(_) => <[u8; 16]>::try_from(ip).expect("18 less 2").into(),
        };
        SocketAddr::new(ip, u16::from_be_bytes([port[0], port[1]]))
    });
    Ok(each.collect())
}

impl NodeModel {
    /// A peer has said something of itself: where it can be reached.
    pub(super) fn meets(&mut self, tcp: TcpId, port: Option<u16>) {
        let Some(stream) = self.streams.get(&tcp) else { return };
        let addr = match (stream.incoming, port) {
            (false, _) => stream.remote,
            (true, Some(port)) => SocketAddr::new(stream.remote.ip(), port),
            (true, None) => return,
        };
        if let Some(torrent) = stream.torrent {
            self.met.insert((torrent, addr));
        }
    }

    /// The session says something by an extension.
    pub(super) fn exchanges(&mut self, tcp: TcpId, id: u8, payload: &[u8], tally: &mut Tally) -> Result<(), Breach> {
        let now = self.now;
        let Some(stream) = self.streams.get_mut(&tcp) else { return Ok(()) };
        let Some(torrent) = stream.torrent else { return Ok(()) };
        let private = self.torrents.get(&torrent).is_some_and(|torrent| torrent.private);
        if id == 0 {
            let offers = private && payload.windows(6).any(|part| part == b"ut_pex");
            return tally.judge(Oracle::PrivateApart, !offers, || "peer exchange is offered");
        }
        if stream.audit.number_of(b"ut_pex") != Some(id) {
            return Ok(());
        }
        tally.judge(Oracle::PrivateApart, !private, || "peers of a private torrent are exchanged")?;
        let dict = Value::read(payload).map_err(|wrong| Oracle::Decodable.breach(wrong))?;
        let added = [contacts(&dict, "added", false)?, contacts(&dict, "added6", true)?].concat();
        let dropped = [contacts(&dict, "dropped", false)?, contacts(&dict, "dropped6", true)?].concat();
        let mut modest = |holds: bool, wrong: String| tally.judge(Oracle::PexModest, holds, || wrong);
        modest(!added.is_empty() || !dropped.is_empty(), "it says nothing".into())?;
        let told = &mut stream.told;
        let often = told.at.is_some_and(|last| now.since(last) < Duration::from_secs(60));
        modest(!often, "twice within a minute".into())?;
        let most = if told.at.is_none() { 100 } else { 50 };
        modest(
            added.len() <= most && dropped.len() <= 50,
            format!("{} added, {} dropped", added.len(), dropped.len()),
        )?;
        told.at = Some(now);
        for addr in dropped {
            modest(told.live.remove(&addr), format!("{addr} is dropped, and was not added"))?;
            modest(!added.contains(&addr), format!("{addr} is added and dropped"))?;
        }
        for addr in added {
            modest(told.live.insert(addr), format!("{addr} is added twice"))?;
            modest(addr != stream.remote, format!("{addr} is told of itself"))?;
            modest(self.met.contains(&(torrent, addr)), format!("nobody was met at {addr}"))?;
        }
        Ok(())
    }

    /// The session sends a datagram of the DHT. A private torrent's info-hash is in none, whatever is said by it.
    pub(super) fn asks_nodes(&self, bytes: &[u8], tally: &mut Tally) -> Result<(), Breach> {
        let dict = Value::read(bytes).map_err(|wrong| Oracle::Decodable.breach(wrong))?;
        let known = matches!(dict.get("y"), Some(Value::Bytes(kind)) if [&b"q"[..], b"r", b"e"].contains(&&kind[..]));
        tally.judge(Oracle::Decodable, known && bytes.len() <= 1_400, || "no message of the DHT")?;
        let told = |torrent: &&super::torrent::TorrentModel| {
            torrent.private && bytes.windows(20).any(|part| part == torrent.hash)
        };
        let leak = self.torrents.values().find(told);
        tally.judge(Oracle::PrivateApart, leak.is_none(), || "a private torrent is told to the DHT")
    }

    /// The session sends a datagram to a group.
    pub(super) fn announces_locally(&self, bytes: &[u8], tally: &mut Tally) -> Result<(), Breach> {
        let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
        for line in text.lines() {
            let Some(hash) = line.strip_prefix("infohash:") else { continue };
            let private = self.torrents.values().find(|torrent| {
                let hex: String = torrent.hash.iter().map(|byte| format!("{byte:02x}")).collect();
                torrent.private && hex == hash.trim()
            });
            tally.judge(Oracle::PrivateApart, private.is_none(), || "a private torrent is announced to neighbours")?;
        }
        Ok(())
    }
}
