//! A lookup as Kademlia has it, for comparison.
//!
//! At most three queries are under way; each holds its place until it is answered, or for two seconds. The closest node that is
//! known and was not asked is next. It ends when the eight closest that did not fail have answered.

use parcacik_core::dht::NodeId;
use parcacik_core::dht::krpc::{Body, Contact, Message, Method};
use parcacik_core::time::Time;
use std::net::SocketAddr;
use std::time::Duration;

const ALPHA: usize = 3;
const TIMEOUT: Duration = Duration::from_secs(2);
const K: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fresh,
    Asked(Time),
    Answered,
    Failed,
}

/// The lookup, as a host.
#[derive(Clone, Debug)]
pub struct Plain {
    me: Contact,
    target: NodeId,
    nodes: Vec<(Contact, State)>,
    /// Peers, and when each was first told of.
    pub found: Vec<(Time, SocketAddr)>,
    /// When it ended.
    pub ended: Option<Time>,
    /// How many queries it has sent.
    pub queries: u32,
}

impl Plain {
    /// One that begins with these nodes.
    pub fn new(me: Contact, target: NodeId, start: &[Contact]) -> Plain {
        let mut nodes: Vec<(Contact, State)> = start.iter().map(|contact| (*contact, State::Fresh)).collect();
        nodes.sort_by_key(|(contact, _)| contact.id.distance(target));
        Plain { me, target, nodes, found: Vec::new(), ended: None, queries: 0 }
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.me.addr
    }

    pub(super) fn begin(&mut self, now: Time) -> Vec<(SocketAddr, Vec<u8>)> {
        self.ask(now)
    }

    pub(super) fn tick(&mut self, now: Time) -> Vec<(SocketAddr, Vec<u8>)> {
        for (_, state) in &mut self.nodes {
            if matches!(state, State::Asked(at) if *at + TIMEOUT <= now) {
                *state = State::Failed;
            }
        }
        self.ask(now)
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        let asked = self.nodes.iter().filter_map(|(_, state)| match state {
            State::Asked(at) => Some(*at + TIMEOUT),
            _ => None,
        });
        asked.min().filter(|_| self.ended.is_none())
    }

    pub(super) fn datagram(&mut self, now: Time, from: SocketAddr, bytes: &[u8]) -> Vec<(SocketAddr, Vec<u8>)> {
        let Ok(Message { body: Body::Response(response), .. }) = Message::parse(bytes) else { return Vec::new() };
        let asked = |(contact, state): &&mut (Contact, State)| contact.addr == from && matches!(state, State::Asked(_));
        let Some((_, state)) = self.nodes.iter_mut().find(asked) else { return Vec::new() };
        *state = State::Answered;
        for peer in response.values.iter().flatten() {
            if !self.found.iter().any(|(_, known)| known == peer) {
                self.found.push((now, *peer));
            }
        }
        for contact in response.nodes.iter().flatten() {
            let known = |(other, _): &(Contact, State)| other == contact;
            if contact.addr != self.me.addr && !self.nodes.iter().any(known) {
                self.nodes.push((*contact, State::Fresh));
            }
        }
        self.nodes.sort_by_key(|(contact, _)| contact.id.distance(self.target));
        self.ask(now)
    }

    fn ask(&mut self, now: Time) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut out = Vec::new();
        if self.ended.is_some() {
            return out;
        }
        loop {
            let open = self.nodes.iter().filter(|(_, state)| matches!(state, State::Asked(_))).count();
            // The closest that did not fail; who is farther is not asked.
            let mut closest = self.nodes.iter_mut().filter(|(_, state)| *state != State::Failed).take(K);
            let next = closest.find(|(_, state)| *state == State::Fresh);
            match next {
                Some((contact, state)) if open < ALPHA => {
                    *state = State::Asked(now);
                    self.queries += 1;
                    let method =
                        Method::GetPeers { info_hash: self.target.into(), want: None, no_seed: false, scrape: false };
                    out.push((contact.addr, Message::query(b"pl", self.me.id, method).encode()));
                }
                Some(_) => return out,
                None => {
                    if open == 0 {
                        self.ended = Some(now);
                    }
                    return out;
                }
            }
        }
    }
}
