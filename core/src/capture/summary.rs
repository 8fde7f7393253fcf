//! Counting what was said.

use super::said::{Heard, HttpAnswered, HttpAsked, Item, Said, Side, StreamFacts, StreamId};
use crate::border::InfoHash;
use crate::tracker::Reply;
use crate::wire::Message;
use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use core::net::SocketAddr;

/// The most torrents that are remembered of a tracker, and names of extensions of a side: for counts, not for a list of them.
const MAX_NAMES: usize = 1000;

/// The name of a message: as BEP 3, 5, 6, 10 and 52 have it, in lower case with `_` for a space. `unknown_N` for any other number.
pub fn message_name(message: &Message) -> Cow<'static, str> {
    Cow::Borrowed(match message {
        Message::KeepAlive => "keep_alive",
        Message::Choke => "choke",
        Message::Unchoke => "unchoke",
        Message::Interested => "interested",
        Message::NotInterested => "not_interested",
        Message::Have(_) => "have",
        Message::Bitfield(_) => "bitfield",
        Message::Request(_) => "request",
        Message::Piece { .. } => "piece",
        Message::Cancel(_) => "cancel",
        Message::Port(_) => "port",
        Message::Suggest(_) => "suggest",
        Message::HaveAll => "have_all",
        Message::HaveNone => "have_none",
        Message::Reject(_) => "reject",
        Message::AllowedFast(_) => "allowed_fast",
        Message::Extended { .. } => "extended",
        Message::Unknown { id: 21, .. } => "hash_request",
        Message::Unknown { id: 22, .. } => "hashes",
        Message::Unknown { id: 23, .. } => "hash_reject",
        Message::Unknown { id, .. } => return Cow::Owned(format!("unknown_{id}")),
    })
}

/// Counts of a whole capture. It grows with the connections, not with what they say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Of TCP connections that said anything.
    pub streams: BTreeMap<StreamId, StreamSummary>,
    /// Datagrams, by [kind](super::DatagramKind::name).
    pub udp: BTreeMap<&'static str, u64>,
    /// Trackers that were asked by HTTP.
    pub http_trackers: BTreeMap<SocketAddr, HttpTracker>,
}

/// Counts of a TCP connection, of A and of B.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamSummary {
    /// Messages by [name](message_name), and `handshake`.
    pub messages: [BTreeMap<Cow<'static, str>, u64>; 2],
    /// Of `extended` messages, how many there were of each extension; `unknown` where its name was not heard.
    pub extensions: [BTreeMap<String, u64>; 2],
    /// Messages of which bytes are missing.
    pub damaged: [u64; 2],
    /// How often bytes made no message.
    pub faults: [u64; 2],
    /// Requests and answers by HTTP.
    pub http: [u64; 2],
    /// Whether a tracker was asked.
    pub is_tracker: bool,
}

/// Counts of a tracker that was asked by HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpTracker {
    /// Announces.
    pub announces: u64,
    /// Answers to announces; refusals not counted.
    pub announced: u64,
    /// Scrapes.
    pub scrapes: u64,
    /// Answers to scrapes; refusals not counted.
    pub scraped: u64,
    /// Refusals: answers with a failure reason.
    pub failures: u64,
    /// Requests and answers that cannot be read.
    pub unreadable: u64,
    /// What was asked about, a thousand at most.
    pub info_hashes: BTreeSet<InfoHash>,
}

impl Summary {
    /// Counts one thing that was heard; `facts` are those of its connection.
    pub fn count(&mut self, heard: &Heard, facts: Option<&StreamFacts>) {
        match heard {
            Heard::Datagram(datagram) => *self.udp.entry(datagram.kind.name()).or_default() += 1,
            Heard::Stream(id, item) => {
                let stream = self.streams.entry(*id).or_default();
                stream.count(item);
                if let Some(facts) = facts
                    && let Some(tracker) = tracker_of(&item.said, item.from, facts)
                {
                    stream.is_tracker = true;
                    self.http_trackers.entry(tracker).or_default().count(&item.said);
                }
            }
        }
    }
}

/// The tracker that asks or is asked.
fn tracker_of(said: &Said, from: Side, facts: &StreamFacts) -> Option<SocketAddr> {
    match said {
        Said::Request(request) if request.asked != HttpAsked::Other => Some(facts.addr(from.other())),
        Said::Response(response) if response.answered != HttpAnswered::Other => Some(facts.addr(from)),
        _ => None,
    }
}

impl StreamSummary {
    fn count(&mut self, item: &Item) {
        let side = item.from.index();
        match &item.said {
            Said::Handshake(_) => *self.messages[side].entry(Cow::Borrowed("handshake")).or_default() += 1,
            Said::Message { message, extension } => {
                *self.messages[side].entry(message_name(message)).or_default() += 1;
                if matches!(message, Message::Extended { .. }) {
                    let names = &mut self.extensions[side];
                    let name = extension.as_deref().unwrap_or("unknown");
                    if names.len() < MAX_NAMES || names.contains_key(name) {
                        *names.entry(name.into()).or_default() += 1;
                    }
                }
            }
            Said::Damaged(_) => self.damaged[side] += 1,
            Said::Fault(_) => self.faults[side] += 1,
            Said::Request(_) | Said::Response(_) => self.http[side] += 1,
            Said::Undecoded | Said::Gap | Said::End(_) => {}
        }
    }
}

impl HttpTracker {
    fn count(&mut self, said: &Said) {
        match said {
            Said::Request(request) => match &request.asked {
                HttpAsked::Announce(announce) => {
                    self.announces += 1;
                    self.remember(announce.request.info_hash);
                }
                HttpAsked::Scrape(torrents) => {
                    self.scrapes += 1;
                    torrents.iter().for_each(|torrent| self.remember(*torrent));
                }
                HttpAsked::Bad(_) => self.unreadable += 1,
                HttpAsked::Other => {}
            },
            Said::Response(response) => match &response.answered {
                HttpAnswered::Announced(Reply::Answer(_)) => self.announced += 1,
                HttpAnswered::Scraped(Reply::Answer(_)) => self.scraped += 1,
                HttpAnswered::Announced(Reply::Failure { .. }) | HttpAnswered::Scraped(Reply::Failure { .. }) => {
                    self.failures += 1;
                }
                HttpAnswered::Bad(_) | HttpAnswered::Encoded(_) => self.unreadable += 1,
                HttpAnswered::Other => {}
            },
            _ => {}
        }
    }

    fn remember(&mut self, torrent: InfoHash) {
        if self.info_hashes.len() < MAX_NAMES {
            self.info_hashes.insert(torrent);
        }
    }
}
