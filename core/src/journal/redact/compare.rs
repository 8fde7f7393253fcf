//! Whether two sessions did the same, one with originals and one with pseudonyms.
//!
//! Every action of the new session must be that of the old one, in the same order, with pseudonyms where the old one has
//! originals. Not compared are texts for people, and secrets that each session drew for itself (tracker keys, transactions); they are
//! learned where they come back in answers. An action or notice that is not known here has to be equal as it is: one that is new and
//! names an address makes the redaction fail, and does not slip through.

use super::events;
use super::mapper::Mapper;
use super::wire::{Kind, Part, Walker, contacts, numbers_in_front, replaced};
use crate::border::{
    Action, Actions, AnnounceResponse, CommandError, HttpRequest, Notice, StorageLayout, Target, TcpId, Work,
};
use crate::torrent::resume::ResumeData;
use crate::tracker::udp::UdpRequest;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Debug;
use percent_encoding::percent_decode_str;

/// What both sessions have said, by stream.
#[derive(Debug, Default)]
pub(super) struct Said {
    streams: BTreeMap<TcpId, (Walker, Walker)>,
}

type Same = Result<(), String>;

/// Both are equal, else a text that says where not.
fn same<T: PartialEq + Debug>(what: &str, expected: T, got: T) -> Same {
    if expected == got { Ok(()) } else { Err(format!("{what}: {got:?} in place of {expected:?}")) }
}

impl Said {
    /// Compares what came of one event, and learns what was drawn.
    pub fn compare(&mut self, mapper: &mut Mapper, old: &Actions, new: &Actions) -> Same {
        for (old, new) in old.list.iter().zip(&new.list) {
            self.action(mapper, old, new)?;
        }
        same("number of actions", old.list.len(), new.list.len())?;
        for (old, new) in old.notices.iter().zip(&new.notices) {
            notice(mapper, old, new)?;
        }
        same("number of notices", old.notices.len(), new.notices.len())?;
        same("ranges of content", &old.opaque, &new.opaque)
    }

    fn action(&mut self, mapper: &mut Mapper, old: &Action, new: &Action) -> Same {
        match (old, new) {
            (Action::Bind { sock, kind, addr, device }, Action::Bind { .. }) => {
                let device = device.as_ref().map(|device| mapper.text("device", device));
                let expected = Action::Bind { sock: *sock, kind: *kind, addr: mapper.addr(*addr), device };
                same("action", &expected, new)
            }
            (Action::Dial { dial, to, from, via }, Action::Dial { .. }) => {
                let to = events::target(mapper, to);
                same("action", &Action::Dial { dial: *dial, to, from: *from, via: via.clone() }, new)
            }
            (Action::Send { tcp, bytes }, Action::Send { tcp: new_tcp, bytes: new_bytes }) => {
                same("stream", tcp, new_tcp)?;
                same("length of what is sent", bytes.len(), new_bytes.len())?;
                self.sent(mapper, *tcp, bytes, new_bytes)
            }
            (
                Action::SendContent { tcp, torrent, piece, begin, bytes },
                Action::SendContent { tcp: t, torrent: to, piece: p, begin: b, bytes: new_bytes },
            ) => {
                same("block", (tcp, torrent, piece, begin, bytes.len()), (t, to, p, b, new_bytes.len()))?;
                self.sent(mapper, *tcp, bytes, new_bytes)
            }
            (
                Action::SendDatagrams { sock, to, segment, bytes, dont_fragment },
                Action::SendDatagrams { sock: s, to: t, segment: g, bytes: new_bytes, dont_fragment: d },
            ) => {
                // The groups of local discovery are everybody's.
                let to = if to.ip().is_multicast() { *to } else { mapper.addr(*to) };
                same("datagrams", (sock, &to, segment, dont_fragment), (s, t, g, d))?;
                same("length of datagrams", bytes.len(), new_bytes.len())?;
                let length = usize::from(*segment).max(1);
                bytes.chunks(length).zip(new_bytes.chunks(length)).try_for_each(|(old, new)| datagram(mapper, old, new))
            }
            (Action::Start { job, work: old }, Action::Start { job: new_job, work: new }) => {
                same("job", job, new_job)?;
                work(mapper, old, new)
            }
            _ => same("action", old, new),
        }
    }

    fn sent(&mut self, mapper: &mut Mapper, tcp: TcpId, old: &[u8], new: &[u8]) -> Same {
        let (before, after) = self.streams.entry(tcp).or_insert_with(|| (Walker::new(), Walker::new()));
        let (mut olds, mut news) = (Vec::new(), Vec::new());
        before.feed(old, &mut olds);
        after.feed(new, &mut news);
        // Content, which neither session looks at.
        olds.retain(|part| part.kind != Kind::Ignored);
        news.retain(|part| part.kind != Kind::Ignored);
        olds.iter().zip(&news).try_for_each(|(old, new)| said(mapper, old, new))?;
        same("number of messages", olds.len(), news.len())
    }
}

fn said(mapper: &mut Mapper, old: &Part, new: &Part) -> Same {
    same("message", (old.at, old.kind, old.length), (new.at, new.kind, new.length))?;
    match (old.kind, old.bytes.first()) {
        // What is answered about metadata: numbers, and a part of another file.
        (Kind::Message(20), Some(1..)) => {
            let [old, new] = [old, new].map(|part| part.bytes.get(1..).unwrap_or_default());
            if let Some(expected) = contacts(mapper, old) {
                return same("peer exchange", &expected[..], new);
            }
            let [front, new_front] = [old, new].map(|payload| payload.get(..numbers_in_front(payload)));
            if old == new { Ok(()) } else { same("extended message", front, new_front) }
        }
        _ => {
            let expected = replaced(mapper, old, None).unwrap_or_else(|| old.bytes.clone());
            same("message", (old.kind, expected), (new.kind, new.bytes.clone()))
        }
    }
}

/// A packet to a UDP tracker, or to the neighbours.
fn datagram(mapper: &mut Mapper, old: &[u8], new: &[u8]) -> Same {
    if let Some(expected) = super::local::announce(mapper, old) {
        return same("local announce", &expected[..], new);
    }
    use UdpRequest::{Announce, Connect, Scrape};
    match (UdpRequest::decode(old), UdpRequest::decode(new)) {
        (Some(Connect { transaction }), Some(Connect { transaction: new })) => {
            mapper.transactions.insert(transaction, new);
            Ok(())
        }
        (
            Some(Announce { connection, transaction, request, ip, url_data }),
            Some(Announce { connection: c, transaction: t, request: r, ip: i, url_data: u }),
        ) => {
            mapper.transactions.insert(transaction, t);
            same("connection of a tracker", mapper.connection(connection), c)?;
            same("torrent of an announce", mapper.hash(request.info_hash), r.info_hash)?;
            same("peer id of an announce", mapper.id(request.peer_id), r.peer_id)?;
            let told = (request.ledger, request.event, request.num_want, request.port, ip, url_data.len());
            same("announce", told, (r.ledger, r.event, r.num_want, r.port, i, u.len()))
        }
        (
            Some(Scrape { connection, transaction, torrents }),
            Some(Scrape { connection: c, transaction: t, torrents: n }),
        ) => {
            mapper.transactions.insert(transaction, t);
            let torrents: Vec<_> = torrents.into_iter().map(|torrent| mapper.hash(torrent)).collect();
            same("scrape", (mapper.connection(connection), torrents), (c, n))
        }
        _ => same("datagram", old, new),
    }
}

fn work(mapper: &mut Mapper, old: &Work, new: &Work) -> Same {
    match (old, new) {
        (Work::Open { torrent, root, key, layout }, Work::Open { torrent: t, root: r, key: k, layout: new }) => {
            same("work", (*torrent, *root, mapper.hash(*key)), (*t, *r, *k))?;
            same("layout", sizes(layout), sizes(new))
        }
        // The hash is a part of the metainfo, and goes with it.
        (
            Work::Verify { torrent, piece, length, expect: _, blocks },
            Work::Verify { torrent: t, piece: p, length: l, expect: _, blocks: b },
        ) => same("work", (torrent, piece, length, blocks), (t, p, l, b)),
        (Work::Write { torrent, piece, begin, bytes }, Work::Write { torrent: t, piece: p, begin: b, bytes: new }) => {
            same("work", (torrent, piece, begin, bytes.len()), (t, p, b, new.len()))
        }
        (Work::Save { torrent, bytes }, Work::Save { torrent: t, bytes: new }) => {
            let expected = ResumeData::parse(&events::resume(mapper, bytes));
            same("work", (*torrent, expected), (*t, ResumeData::parse(new)))
        }
        (Work::Resolve { host }, Work::Resolve { host: new }) => same("name", &mapper.host(host), new),
        (Work::Http(old), Work::Http(new)) => request(mapper, old, new),
        _ => same("work", old, new),
    }
}

/// What of a layout does not depend on names.
fn sizes(layout: &StorageLayout) -> Vec<(u64, u64, bool, bool)> {
    layout.files().iter().map(|file| (file.offset, file.length, file.pad, file.executable)).collect()
}

fn request(mapper: &mut Mapper, old: &HttpRequest, new: &HttpRequest) -> Same {
    let HttpRequest { to, tls, host, port, path, user_agent, from, body_limit, time_limit } = old;
    let expected = (mapper.addr(*to), *tls, mapper.host(host), *port);
    same("request", expected, (new.to, new.tls, new.host.clone(), new.port))?;
    let from = from.map(|ip| mapper.ip(ip));
    let expected = (from, user_agent.is_some(), *body_limit, *time_limit);
    same("request", expected, (new.from, new.user_agent.is_some(), new.body_limit, new.time_limit))?;
    let [(old_path, old_query), (new_path, new_query)] =
        [path, &new.path].map(|path| path.split_once('?').unwrap_or((path, "")));
    same("length of a path", old_path.len(), new_path.len())?;
    let mut parameters = old_query.split('&').zip(new_query.split('&'));
    parameters.try_for_each(|(old, new)| parameter(mapper, old, new))?;
    same("number of parameters", old_query.split('&').count(), new_query.split('&').count())
}

fn parameter(mapper: &mut Mapper, old: &str, new: &str) -> Same {
    let [(name, value), (new_name, new_value)] = [old, new].map(|one| one.split_once('=').unwrap_or((one, "")));
    same("length of a parameter", name.len(), new_name.len())?;
    let decoded = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    match name {
        "port" | "uploaded" | "downloaded" | "left" | "event" | "compact" | "no_peer_id" | "numwant" => {
            same("parameter", old, new)
        }
        "info_hash" | "peer_id" | "ipv4" | "ipv6" => {
            let expected = mapper.tail(&format!("?{old}"));
            let expected = expected.split_once('=').map_or("", |(_, value)| value);
            same("parameter", decoded(expected), decoded(new_value))
        }
        _ => same("length of a parameter", decoded(value).len(), decoded(new_value).len()),
    }
}

fn notice(mapper: &mut Mapper, old: &Notice, new: &Notice) -> Same {
    match (old, new) {
        (Notice::CommandFailed { command, error }, Notice::CommandFailed { command: c, error: e }) => {
            same("command", command, c)?;
            match (error, e) {
                (CommandError::BadMetainfo(_), CommandError::BadMetainfo(_))
                | (CommandError::BadUrl(_), CommandError::BadUrl(_)) => Ok(()),
                _ => same("error", error, e),
            }
        }
        (Notice::Listening { command, sock, local }, Notice::Listening { .. }) => {
            let expected = Notice::Listening { command: *command, sock: *sock, local: mapper.addr(*local) };
            same("notice", &expected, new)
        }
        (Notice::Added { command, torrent, hashes, .. }, Notice::Added { command: c, torrent: t, hashes: h, .. }) => {
            same("torrent", (command, torrent, &mapper.info_hashes(*hashes)), (c, t, h))
        }
        (Notice::PeerConnected { torrent, peer, addr, id, incoming }, Notice::PeerConnected { .. }) => {
            let (addr, id) = (mapper.addr(*addr), mapper.id(*id));
            let expected = Notice::PeerConnected { torrent: *torrent, peer: *peer, addr, id, incoming: *incoming };
            same("notice", &expected, new)
        }
        (Notice::PeerClosed { torrent, addr, reason }, Notice::PeerClosed { .. }) => {
            let expected = Notice::PeerClosed { torrent: *torrent, addr: mapper.addr(*addr), reason: *reason };
            same("notice", &expected, new)
        }
        (Notice::PeerBanned { torrent, addr }, Notice::PeerBanned { .. }) => {
            same("notice", &Notice::PeerBanned { torrent: *torrent, addr: mapper.addr(*addr) }, new)
        }
        (
            Notice::TrackerAnswered { torrent, url: _, peers, interval, warning },
            Notice::TrackerAnswered { torrent: t, url: _, peers: p, interval: i, warning: w },
        ) => same("tracker", (torrent, peers, interval, warning.is_some()), (t, p, i, w.is_some())),
        (
            Notice::TrackerFailed { torrent, url: _, why: _, retry },
            Notice::TrackerFailed { torrent: t, url: _, why: _, retry: r },
        ) => same("tracker", (torrent, retry), (t, r)),
        (
            Notice::Scraped { command, url: _, counts, failure },
            Notice::Scraped { command: c, url: _, counts: new_counts, failure: f },
        ) => {
            let counts: Vec<_> = counts.iter().map(|(hash, counts)| (mapper.hash(*hash), *counts)).collect();
            same("scrape", (command, &counts, failure.is_some()), (c, new_counts, f.is_some()))
        }
        (
            Notice::Announced { command, url: _, from, answer },
            Notice::Announced { command: c, url: _, from: f, answer: a },
        ) => {
            same("announce", (*command, from.map(|ip| mapper.ip(ip))), (*c, *f))?;
            match (answer, a) {
                (Ok(old), Ok(new)) => answered(mapper, old, new),
                _ => same("answer", answer.is_ok(), a.is_ok()),
            }
        }
        (Notice::ExternalAddress { v6, ip }, Notice::ExternalAddress { .. }) => {
            let ip = ip.map(|ip| mapper.ip(ip));
            same("notice", &Notice::ExternalAddress { v6: *v6, ip }, new)
        }
        _ => same("notice", old, new),
    }
}

fn answered(mapper: &mut Mapper, old: &AnnounceResponse, new: &AnnounceResponse) -> Same {
    let peers: Vec<Target> = old.peers.iter().map(|peer| events::target(mapper, peer)).collect();
    same("peers of an answer", &peers, &new.peers)?;
    same("address of an answer", old.external_ip.map(|ip| mapper.ip(ip)), new.external_ip)?;
    let told = |one: &AnnounceResponse| {
        let ids = (one.tracker_id.as_ref().map(Vec::len), one.warning.is_some());
        (one.interval, one.min_interval, ids, one.complete, one.incomplete, one.downloaded)
    };
    same("answer", told(old), told(new))
}
