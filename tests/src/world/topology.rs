//! Who can reach whom: cuts in the network, and translators of addresses.
//!
//! A cut lets nothing through from one side to the other. For streams that is what a lost route is: nothing breaks, what
//! was under way is sent again after the cut is mended, and until then nobody hears anything. A translator (NAT) lets nobody
//! in, and forgets a stream over which nothing has gone for a while.

use super::queue::{Happening, Scheduled};
use super::{LinkId, NodeId, StrangerId, World};
use parcacik_core::border::TcpId;
use parcacik_core::time::Time;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

/// Somewhere in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// A node.
    Node(NodeId),
    /// A stranger.
    Stranger(StrangerId),
    /// All trackers.
    Trackers,
}

/// Which way is cut, as the one side sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Both.
    Both,
    /// What leaves it.
    Out,
    /// What comes to it.
    In,
}

/// A cut, while it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CutId(u64);

#[derive(Clone, Debug)]
pub(super) struct Cut {
    id: CutId,
    side: BTreeSet<Host>,
    way: Way,
    /// Those of the side do not reach each other either.
    inside: bool,
    since: Time,
}

impl Cut {
    fn blocks(&self, from: Host, to: Host) -> bool {
        match (self.side.contains(&from), self.side.contains(&to)) {
            (true, true) => self.inside,
            (true, false) => self.way != Way::In,
            (false, true) => self.way != Way::Out,
            (false, false) => false,
        }
    }
}

/// One direction of a stream: whose order the network keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stream {
    ToNode(NodeId, TcpId),
    ToStranger(StrangerId, LinkId),
}

impl Stream {
    /// That of something that is about to arrive.
    fn of(what: &Happening) -> Option<Stream> {
        match *what {
            Happening::Arrive { node, tcp, .. } | Happening::End { node, tcp } => Some(Stream::ToNode(node, tcp)),
            Happening::LinkArrives { who, link, .. } | Happening::LinkEnds { who, link } => {
                Some(Stream::ToStranger(who, link))
            }
            _ => None,
        }
    }
}

/// A translator of addresses in front of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nat {
    /// After how long without traffic it forgets a stream.
    pub forgets: Duration,
    /// Whether it says so when somebody dials in, or says nothing.
    pub refuses: bool,
}

/// A retransmission comes this long after the way is open again, at the most.
const RETRANSMIT_MAX: Duration = Duration::from_secs(3);

impl World {
    /// Cuts one side off from everybody else; `inside`: from each other, too.
    pub fn cut(&mut self, side: impl IntoIterator<Item = Host>, way: Way, inside: bool) -> CutId {
        self.next_cut += 1;
        let id = CutId(self.next_cut);
        self.cuts.push(Cut { id, side: side.into_iter().collect(), way, inside, since: self.now });
        id
    }

    /// Mends a cut: what was lost meanwhile is sent again after a while, and what was sent behind it on the same stream is read behind it.
    pub fn mend(&mut self, id: CutId) {
        let Some(at) = self.cuts.iter().position(|cut| cut.id == id) else { return };
        let cut = self.cuts.remove(at);
        let again = self.now + self.now.since(cut.since).min(RETRANSMIT_MAX);
        let (mut free, mut blocked) = (Vec::new(), Vec::new());
        for what in std::mem::take(&mut self.held) {
            match self.way_of(&what) {
                Some((from, to)) if !self.reaches(from, to) => blocked.push(what),
                Some(_) => free.push(what),
                None => {}
            }
        }
        self.held = blocked;
        let streams: BTreeSet<Stream> = free.iter().filter_map(Stream::of).collect();
        free.extend(self.under_way(&streams, again));
        for what in free {
            if let Some((Host::Stranger(who), _)) = self.way_of(&what) {
                self.hold_stranger(who, again);
            } else if let Some((node, tcp)) = self.sender_of(&what)
                && let Some(pipe) = self.nodes[node.0].pipes.get_mut(&tcp)
            {
                pipe.arrives = pipe.arrives.max(again);
            }
            self.schedule(again, what);
        }
    }

    /// Takes out what would arrive on these streams before a moment, in its order.
    fn under_way(&mut self, streams: &BTreeSet<Stream>, before: Time) -> Vec<Happening> {
        if streams.is_empty() {
            return Vec::new();
        }
        let is_early =
            |due: Time, what: &Happening| due < before && Stream::of(what).is_some_and(|one| streams.contains(&one));
        let queue = std::mem::take(&mut self.queue).into_vec();
        let (mut early, rest): (Vec<_>, Vec<_>) = queue.into_iter().partition(|Reverse(one)| is_early(one.0, &one.2));
        self.queue = rest.into();
        early.sort_by_key(|Reverse(Scheduled(due, number, _))| (*due, *number));
        early.into_iter().map(|Reverse(Scheduled(_, _, what))| what).collect()
    }

    /// Mends all cuts.
    pub fn mend_all(&mut self) {
        for id in self.cuts.iter().map(|cut| cut.id).collect::<Vec<_>>() {
            self.mend(id);
        }
    }

    /// Whether what one sends gets to the other.
    pub fn reaches(&self, from: Host, to: Host) -> bool {
        self.cuts.is_empty() || from == to || !self.cuts.iter().any(|cut| cut.blocks(from, to))
    }

    /// Puts a node behind a translator of addresses, or takes that away.
    pub fn set_nat(&mut self, node: NodeId, nat: Option<Nat>) {
        self.nodes[node.0].nat = nat;
    }

    /// From where to where something goes that is about to arrive; `None`: nobody waits for it any more.
    pub(super) fn way_of(&self, what: &Happening) -> Option<(Host, Host)> {
        match what {
            Happening::Arrive { node, tcp, .. } | Happening::End { node, tcp } => {
                let stream = self.nodes[node.0].streams.get(tcp)?;
                Some((stream.other.host(), Host::Node(*node)))
            }
            Happening::LinkArrives { who, link, .. } | Happening::LinkEnds { who, link } => {
                let node = self.link_node(*who, *link)?;
                Some((Host::Node(node), Host::Stranger(*who)))
            }
            _ => None,
        }
    }

    /// Keeps what cannot get through now; gives back what can.
    pub(super) fn hold(&mut self, what: Happening) -> Option<Happening> {
        if self.cuts.is_empty() {
            return Some(what);
        }
        match self.way_of(&what) {
            Some((from, to)) if !self.reaches(from, to) => {
                self.held.push(what);
                None
            }
            _ => Some(what),
        }
    }
}
