//! Who gives nothing, and why: every second each peer that sends nothing is asked.

use super::node::Node;
use super::tracker::node_at;
use parcacik_core::border::PeerSummary;
use parcacik_core::time::Time;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often is looked.
pub(super) const EVERY: Duration = Duration::from_secs(1);

/// How it stood with the uplinks at one moment; free riders and those who are not there are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// When.
    pub at: Time,
    /// Bytes that all have sent until then.
    pub sent: u64,
    /// Those who are sending.
    pub busy: u32,
    /// Nobody who is connected wants anything of them.
    pub unwanted: u32,
    /// Those who want something are all choked.
    pub choking: u32,
    /// Some are unchoked, but none of those asks for anything: it has what it asks for asked of others.
    pub unasked: u32,
    /// A request, or the next one after a block, is on its way: the queue was too short for that.
    pub waiting: u32,
    /// The pieces of who has the fewest, and of who has the most, of those who had none in the beginning.
    pub fewest: u32,
    /// See [`fewest`](Sample::fewest).
    pub most: u32,
}

impl Sample {
    /// All that were looked at.
    pub fn all(&self) -> u32 {
        self.busy + self.unwanted + self.choking + self.unasked + self.waiting
    }

    /// The shares of [`unwanted`](Sample::unwanted), [`choking`](Sample::choking), [`unasked`](Sample::unasked) and
    /// [`waiting`](Sample::waiting).
    pub fn idle(&self) -> [f64; 4] {
        let all = f64::from(self.all().max(1));
        [self.unwanted, self.choking, self.unasked, self.waiting].map(|count| f64::from(count) / all)
    }
}

/// The views of a moment, each made when it is first needed.
struct Views<'n> {
    nodes: &'n [Node],
    of: BTreeMap<u32, Vec<PeerSummary>>,
    now: Time,
}

impl Views<'_> {
    fn of(&mut self, node: u32) -> &[PeerSummary] {
        let (nodes, now) = (self.nodes, self.now);
        self.of.entry(node).or_insert_with(|| {
            let there = nodes.get(node as usize).and_then(|node| Some((node.session.as_ref()?, node.torrent?)));
            let torrent = there.and_then(|(session, torrent)| session.torrent(torrent));
            torrent.map(|torrent| torrent.peer_list(now)).unwrap_or_default()
        })
    }

    /// How many requests of one are under way to another.
    fn requests(&mut self, from: u32, to: u32) -> u32 {
        let to_it = |peer: &&PeerSummary| node_at(peer.addr) == Some(to);
        self.of(from).iter().find(to_it).map_or(0, |peer| peer.requests_out)
    }
}

/// Looks at all peers that could send something.
pub(super) fn sample(now: Time, nodes: &[Node], counts: impl Fn(u32) -> bool) -> Sample {
    let pieces = || nodes.iter().filter(|node| !node.has_come_whole).map(|node| node.pieces);
    let (fewest, most) = (pieces().min().unwrap_or(0), pieces().max().unwrap_or(0));
    let mut sample = Sample { at: now, fewest, most, ..Sample::default() };
    let mut views = Views { nodes, of: BTreeMap::new(), now };
    for (id, node) in (0..).zip(nodes) {
        sample.sent += node.sent;
        if !counts(id) || node.torrent.is_none() || node.left {
            continue;
        }
        if node.is_sending() {
            sample.busy += 1;
            continue;
        }
        let all = views.of(id);
        let wanting = || all.iter().filter(|peer| peer.interested);
        let none_wants = wanting().next().is_none();
        let served: Vec<u32> = wanting().filter(|peer| !peer.choked).filter_map(|peer| node_at(peer.addr)).collect();
        if none_wants {
            sample.unwanted += 1;
        } else if served.is_empty() {
            sample.choking += 1;
        } else if served.into_iter().any(|peer| views.requests(peer, id) > 0) {
            sample.waiting += 1;
        } else {
            sample.unasked += 1;
        }
    }
    sample
}
