//! What a node of the DHT may do: oracles 28, 31, 44 and 45, judged at every call, from the datagrams alone and from a look at the
//! table.

use super::{HostId, Real};
use crate::Breach;
use crate::oracles::{Oracle, Tally};
use parcacik_core::dht::NodeId;
use parcacik_core::dht::krpc::{Body, Message, Method};
use parcacik_core::dht::table::{Host, network_of};
use parcacik_core::time::Time;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// BEP 5: "tokens up to ten minutes old are accepted".
const TOKEN_LIFE: Duration = Duration::from_secs(600);
/// Who has sent so many within ten seconds has been over the limit in one window of ten seconds, wherever that begins.
const CERTAINLY_TOO_MANY: usize = 101;
const MAX_REPLY: usize = 1200;
const REPLIES_PER_SECOND: usize = 5;
/// As often as a table is looked at: it is the same in most calls.
const LOOK_EVERY: u64 = 16;

/// Looks on at the nodes of a network.
#[derive(Debug, Default)]
pub struct Judge {
    nodes: BTreeMap<HostId, Books>,
    tally: Tally,
}

/// What is known of one node from outside.
#[derive(Debug, Default)]
struct Books {
    calls: u64,
    /// Its queries: to whom, and when.
    asked: BTreeMap<(SocketAddr, Vec<u8>), Time>,
    /// Tokens that it gave, to whom, and when last.
    tokens: BTreeMap<(IpAddr, Vec<u8>), Time>,
    /// When it last answered somebody.
    replies: BTreeMap<IpAddr, VecDeque<Time>>,
    /// When somebody sent it what it had not asked for.
    unasked: BTreeMap<IpAddr, VecDeque<Time>>,
    /// Who is to be ignored, since when.
    flooding: BTreeMap<IpAddr, Time>,
    /// Where networks see it.
    votes: BTreeMap<u64, IpAddr>,
    contradicted: bool,
}

impl Judge {
    /// How often each oracle had something to judge.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// A node is told its address by its application: it need not be where networks see it.
    pub(super) fn told_its_address(&mut self, id: HostId) {
        self.nodes.entry(id).or_default().contradicted = true;
    }

    pub(super) fn look(
        &mut self,
        now: Time,
        id: HostId,
        real: &Real,
        input: Option<(SocketAddr, &[u8])>,
        out: &[(SocketAddr, Vec<u8>)],
    ) -> Result<(), Breach> {
        let books = self.nodes.entry(id).or_default();
        let tally = &mut self.tally;
        let said = input.and_then(|(from, bytes)| Some((from, Message::parse(bytes).ok()?)));
        books.hear(now, input, said.as_ref());
        books.replies(now, said.as_ref(), out, tally)?;
        for (to, bytes) in out {
            if let Ok(Message { transaction, body: Body::Query(_), .. }) = Message::parse(bytes) {
                books.asked.insert((*to, transaction.to_vec()), now);
            }
        }
        books.asked.retain(|_, at| now.since(*at) < Duration::from_secs(30));
        books.calls += 1;
        if books.calls.is_multiple_of(LOOK_EVERY) {
            books.table(now, real, tally)?;
        }
        Ok(())
    }
}

impl Books {
    fn hear(&mut self, now: Time, input: Option<(SocketAddr, &[u8])>, said: Option<&(SocketAddr, Message<'_>)>) {
        let Some((from, _)) = input else { return };
        if let Some((from, Message { transaction, body: Body::Response(_), ip, .. })) = said
            && self.asked.remove(&(*from, transaction.to_vec())).is_some()
        {
            if let (Some(ip), Some(network)) = (ip, network_of(*from)) {
                self.contradicted |= self.votes.values().any(|other| *other != ip.ip());
                self.votes.insert(network, ip.ip());
            }
            return;
        }
        let times = self.unasked.entry(from.ip()).or_default();
        times.push_back(now);
        while times.front().is_some_and(|at| now.since(*at) >= Duration::from_secs(10)) {
            times.pop_front();
        }
        if times.len() >= CERTAINLY_TOO_MANY {
            self.flooding.entry(from.ip()).or_insert(now);
        }
    }

    fn replies(
        &mut self,
        now: Time,
        said: Option<&(SocketAddr, Message<'_>)>,
        out: &[(SocketAddr, Vec<u8>)],
        tally: &mut Tally,
    ) -> Result<(), Breach> {
        let mut given = 0;
        for (to, bytes) in out {
            let message = Message::parse(bytes);
            let message =
                message.as_ref().map_err(|refused| Oracle::DhtPolite.breach(format!("it sends {refused}")))?;
            if matches!(message.body, Body::Query(_)) {
                continue;
            }
            given += 1;
            let fits = said.is_none_or(|(from, query)| {
                let query_or_not = !matches!(query.body, Body::Response(_) | Body::Error(_));
                from == to && query.transaction == message.transaction && query_or_not
            });
            tally.judge(Oracle::DhtPolite, fits && given == 1, || format!("an answer to nothing, to {to}"))?;
            tally.judge(Oracle::DatagramsModest, bytes.len() <= MAX_REPLY, || {
                format!("an answer of {} bytes to {to}", bytes.len())
            })?;
            let times = self.replies.entry(to.ip()).or_default();
            times.push_back(now);
            while times.front().is_some_and(|at| now.since(*at) >= SECOND) {
                times.pop_front();
            }
            let count = times.len();
            tally.judge(Oracle::DatagramsModest, count <= REPLIES_PER_SECOND, || {
                format!("{count} answers to {} within a second", to.ip())
            })?;
            let ignored = self.flooding.get(&to.ip()).is_none_or(|since| now.since(*since) > Duration::from_secs(280));
            tally.judge(Oracle::DhtLimits, ignored, || format!("{} floods it, and is answered", to.ip()))?;
            if ignored {
                self.flooding.remove(&to.ip());
            }
            let Body::Response(response) = &message.body else { continue };
            if let Some(token) = response.token {
                self.tokens.insert((to.ip(), token.to_vec()), now);
            }
            let Some((from, Message { body: Body::Query(query), .. })) = said else { continue };
            if let Method::AnnouncePeer { token, .. } | Method::Put { token, .. } = query.method {
                let issued = self.tokens.get(&(from.ip(), token.to_vec()));
                let good = issued.is_some_and(|at| now.since(*at) <= TOKEN_LIFE);
                tally.judge(Oracle::DhtPolite, good, || format!("{from} stores by a token given at {issued:?}"))?;
            }
        }
        Ok(())
    }

    fn table(&mut self, now: Time, real: &Real, tally: &mut Tally) -> Result<(), Breach> {
        let (table, config) = (real.node.table(), &real.config.dht);
        let mut hosts = BTreeSet::new();
        let mut networks: BTreeMap<u64, u32> = BTreeMap::new();
        for contact in table.contacts().chain(table.waiting()) {
            let fresh = hosts.insert(Host::of(contact.addr));
            tally.judge(Oracle::DhtPolite, fresh, || format!("{} is in the table twice", contact.addr))?;
            if let Some(network) = network_of(contact.addr) {
                *networks.entry(network).or_default() += 1;
            }
        }
        let most = networks.values().copied().max().unwrap_or(0);
        let cap = config.max_per_network;
        tally.judge(Oracle::DhtPolite, most <= cap, || format!("{most} of one network are in the table"))?;
        let view = real.node.view(now, config);
        let ranges = (1 << config.root_bits) as usize + 28;
        let bounded = view.contacts <= ranges * config.k as usize
            && view.waiting <= ranges * config.replacements as usize
            && view.queries <= config.max_queries as usize
            && view.sources <= config.max_sources as usize;
        tally.judge(Oracle::QueuesBounded, bounded, || format!("{view:?}"))?;
        if let Some(ip) = self.votes.values().next().filter(|_| self.votes.len() >= 3 && !self.contradicted) {
            let id: NodeId = real.node.id();
            tally.judge(Oracle::DhtPolite, id.is_valid_for(*ip), || {
                format!("{} networks see it at {ip}, and its id is {id}", self.votes.len())
            })?;
        }
        Ok(())
    }
}
