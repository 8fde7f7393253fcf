//! A node: takes part in the DHT, for others and for whoever runs it. It stands alone.
//!
//! There is one for each UDP endpoint, and so for each family of addresses: IPv4 and IPv6 are two networks (BEP 32), each with a
//! table of its own. They may name each other's nodes ([`Node::datagram`] takes the other's table, and
//! [`NodeSaid::OtherFamily`] is for the other).
//!
//! # What it is told
//! | call | when |
//! |---|---|
//! | [`datagram`](Node::datagram) | a datagram came that [looks like one of the DHT](Node::is_for) |
//! | [`tick`](Node::tick) | the moment that [`deadline`](Node::deadline) named has come |
//! | [`job_done`](Node::job_done) | a name was looked up |
//! | [`bootstrap`](Node::bootstrap), [`hint`](Node::hint), [`add_node`](Node::add_node), [`restart`](Node::restart) | there is somebody to begin with: the user's, a torrent file's; a PORT message; another network |
//! | [`find_peers`](Node::find_peers), [`announce`](Node::announce), [`keep_announced`](Node::keep_announced) | peers are wanted, or we are one |
//! | [`get`](Node::get), [`put`](Node::put), [`keep_put`](Node::keep_put) | an item is wanted, or to be stored (BEP 44) |
//! | [`find_node`](Node::find_node), [`ping`](Node::ping), [`sample`](Node::sample), [`crawl`](Node::crawl) | the network itself is looked at |
//! | [`own_address`](Node::own_address), [`set_read_only`](Node::set_read_only), [`filter_changed`](Node::filter_changed) | things are other than they were |
//!
//! # What it says
//! Actions, as everybody: [`SendDatagrams`](crate::border::Action::SendDatagrams) on its socket, and
//! [`Resolve`](crate::border::Work::Resolve) for the names of routers. Its meaning goes by [`said`](Node::said), to be emptied after each call.
//!
//! # Rules
//! 1. An answer counts once, from the address that was asked, with the transaction id of the question: 32 bits from a stream of
//!    secrets. Everything else that calls itself an answer is counted and dropped.
//! 2. Who has answered may enter the table; who asks is asked back first, if there is a place, and never when it is read-only (BEP 43).
//! 3. A question that nobody answered counts against the node that was asked only if somebody else has answered since: without a
//!    network nobody is to blame, and the table is still there when the network is back.
//! 4. Each query is answered at most once, within limits for its source and for all, with no more bytes than
//!    [`MAX_RESPONSE`](super::krpc::MAX_RESPONSE). A read-only node answers none.
//! 5. Our id follows our address (BEP 42) when [`id_votes`](crate::border::DhtConfig::id_votes) networks have named the same one in their
//!    answers, or when it is [told](Node::own_address).
//! 6. What is put or announced goes to the `k` closest nodes that are trusted (see [`lookup`](super::lookup)) and gave a token.
//!
//! # Limits
//! Those of [`DhtConfig`](crate::border::DhtConfig) and of its [stores](super::store). In memory, a node with a full table (288 contacts, as
//! many that wait) takes 70 KB without what it stores.
//!
//! ```
//! use parcacik_core::border::{Action, Actions, Config, IpFilter, SocketId, Target};
//! use parcacik_core::cx::{Cx, IdSource};
//! use parcacik_core::dht::node::{Node, NodeOptions, NodeSaid, PeerWish};
//! use parcacik_core::{border::InfoHash, rng::Seeds, time::Time};
//! use std::collections::VecDeque;
//!
//! // Two nodes on one machine; `sent` are the datagrams between them.
//! let (config, filter, mut ids, mut out) = (Config::default(), IpFilter::new(), IdSource::default(), Actions::new());
//! let seeds = [Seeds::for_tests(1), Seeds::for_tests(2)];
//! let addr = ["127.0.0.1:7001".parse().unwrap(), "127.0.0.1:7002".parse().unwrap()];
//! let mut now = Time::ZERO;
//! macro_rules! cx { ($n:expr) => {
//!     &mut Cx { now, config: &config, filter: &filter, seeds: &seeds[$n], out: &mut out, ids: &mut ids, owner: 0 }
//! } }
//! let options = NodeOptions { sock: SocketId(1), v6: false, number: 0, saved: None };
//! let mut nodes = [Node::new(cx!(0), options.clone()), Node::new(cx!(1), options)];
//! nodes[0].bootstrap(cx!(0), [Target::Addr(addr[1])]);
//! let task = nodes[0].find_peers(cx!(0), InfoHash([7; 20]), PeerWish::default());
//! let mut ended = None;
//! for _ in 0..1000 {
//!     let sent: Vec<Action> = out.list.drain(..).collect();
//!     for action in sent {
//!         let Action::SendDatagrams { to, bytes, .. } = action else { continue };
//!         let (from, to) = if to == addr[1] { (0, 1) } else { (1, 0) };
//!         nodes[to].datagram(cx!(to), None, addr[from], &bytes);
//!     }
//!     now = now + std::time::Duration::from_millis(20);
//!     for n in 0..2 {
//!         nodes[n].tick(cx!(n));
//!     }
//!     while let Some(said) = nodes[0].said() {
//!         if let NodeSaid::Ended { outcome, .. } = said { ended = Some(outcome) }
//!     }
//!     if ended.is_some() { break }
//! }
//! assert_eq!(ended.unwrap().closest[0].id, nodes[1].id());
//! ```

mod bootstrap;
mod crawl;
mod items;
mod kept;
mod queries;
mod said;
mod serve;
mod sources;
mod tasks;
mod upkeep;

pub(crate) use bootstrap::{MAX_TARGETS, keep_target};
pub use crawl::{MAX_QUEUE, MAX_SAMPLED};
pub use said::{Announce, NodeSaid, NodeView, Outcome, PeerWish, Stats, TaskId};

use super::item::Item;
use super::krpc::{Body, Contact, Message, Method, Response, Role, Want};
use super::lookup::patience::Patience;
use super::store::{ItemLimits, ItemStore, PeerLimits, PeerStore};
use super::table::saved::Saved;
use super::table::{Entry, Standing, Table};
use super::{NodeId, Tokens};
use crate::border::{Action, ExternalConfig, InfoHash, SocketId};
use crate::cx::Cx;
use crate::external::ExternalAddresses;
use crate::journal::canon::canon_struct;
use crate::net_policy::Word;
use crate::rng::{Rng, Stream};
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bootstrap::Bootstrap;
use core::net::{IpAddr, SocketAddr};
use crawl::Crawls;
use kept::Kept;
use queries::{Purpose, Queries, Query};
use sources::{Sources, Verdict};
use tasks::{Aim, Peers, Tasks};
use upkeep::Upkeep;

/// What we call ourselves (BEP 5, `v`): two letters of the program and two bytes of its version.
const VERSION: &[u8; 4] = b"Pk\x00\x01";

/// What a node begins with.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// The socket that it sends by.
    pub sock: SocketId,
    /// Whether it is one of IPv6.
    pub v6: bool,
    /// Tells its chance from that of other nodes with the same seeds.
    pub number: u64,
    /// What it was in an earlier run.
    pub saved: Option<Saved>,
}

/// The machine. See the [module](self).
#[derive(Clone, Debug)]
pub struct Node {
    sock: SocketId,
    v6: bool,
    table: Table,
    queries: Queries,
    patience: Patience,
    sources: Sources,
    external: ExternalAddresses,
    tokens: Tokens,
    peers: PeerStore,
    items: ItemStore,
    tasks: Tasks,
    crawls: Crawls,
    bootstrap: Bootstrap,
    upkeep: Upkeep,
    kept: Kept,
    said: VecDeque<NodeSaid>,
    stats: Stats,
    /// What anybody may know.
    rng: Rng,
    /// For ids.
    secret: Rng,
    /// When the last answer came.
    last_answer: Option<Time>,
    read_only: bool,
    wants_other_family: bool,
    /// When something was changed that is worth saving; and when it was saved, or said to be worth it.
    changed: bool,
    saved_at: Time,
}

// What it has to say is fetched after each call.
canon_struct!(out Node {
    sock,
    v6,
    table,
    queries,
    patience,
    sources,
    external,
    tokens,
    peers,
    items,
    tasks,
    crawls,
    bootstrap,
    upkeep,
    kept,
    stats,
    rng,
    secret,
    last_answer,
    read_only,
    wants_other_family,
    changed,
    saved_at,
} | said);

impl Node {
    /// A node that knows nobody yet but whom it knew in an earlier run.
    pub fn new(cx: &mut Cx<'_>, options: NodeOptions) -> Node {
        let NodeOptions { sock, v6, number, saved } = options;
        let stream = |n: u64| cx.seeds.secrets(Stream::Dht, number * 4 + n);
        let (mut secret, rng) = (stream(0), cx.seeds.decisions(Stream::Dht, number));
        let saved = saved.filter(|saved| saved.v6 == v6);
        let id = saved.as_ref().map_or_else(|| NodeId::random(&mut secret), |saved| saved.id);
        let nodes = saved.map(|saved| saved.nodes).unwrap_or_default();
        Node {
            sock,
            v6,
            table: Table::new(id),
            queries: Queries::new(stream(1)),
            patience: Patience::default(),
            sources: Sources::default(),
            external: ExternalAddresses::default(),
            tokens: Tokens::new(stream(2)),
            peers: PeerStore::new(PeerLimits::default()),
            items: ItemStore::new(ItemLimits::default()),
            tasks: Tasks::default(),
            crawls: Crawls::default(),
            bootstrap: Bootstrap::new(cx.now, nodes),
            upkeep: Upkeep::default(),
            kept: Kept::default(),
            said: VecDeque::new(),
            stats: Stats::default(),
            rng,
            secret,
            last_answer: None,
            read_only: cx.config.dht.read_only,
            wants_other_family: false,
            changed: false,
            saved_at: cx.now,
        }
    }

    /// Whether a datagram is for a node: a bencoded dictionary. Those of uTP and of UDP trackers begin otherwise.
    pub fn is_for(datagram: &[u8]) -> bool {
        datagram.first() == Some(&b'd') && datagram.last() == Some(&b'e')
    }

    /// A datagram came. `other`: the table of the other family's node, for who asks for nodes of both.
    pub fn datagram(&mut self, cx: &mut Cx<'_>, other: Option<&Table>, from: SocketAddr, datagram: &[u8]) {
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        self.stats.received += 1;
        self.stats.bytes_received += datagram.len() as u64;
        let usable = from.is_ipv6() == self.v6 && from.port() != 0 && !cx.filter.blocks(from.ip());
        if !usable || self.sources.is_blocked(cx.now, from.ip()) {
            self.stats.ignored += 1;
            return;
        }
        match Message::parse(datagram) {
            Ok(Message { transaction, version, body: Body::Response(response), ip, .. }) => {
                match self.queries.close(transaction, from) {
                    Some(query) => self.answered(cx, query, from, &response, (version, ip)),
                    None => self.stray(cx, from),
                }
            }
            Ok(Message { transaction, body: Body::Error(error), ip, .. }) => {
                match self.queries.close(transaction, from) {
                    Some(query) => {
                        self.stats.errors += 1;
                        self.last_answer = Some(cx.now);
                        self.vote(cx, from, ip);
                        match query.purpose {
                            Purpose::Store(task) => self.stored(cx, task, from, Some(Err(error.code))),
                            _ => self.gave_nothing(cx, &query),
                        }
                    }
                    None => self.stray(cx, from),
                }
            }
            Ok(Message { transaction, body: Body::Query(query), read_only, .. }) => {
                self.stats.asked += 1;
                match self.judge(cx, from) {
                    Verdict::Ignore => {}
                    verdict => {
                        if !read_only && self.table.asked(cx.now, &cx.config.dht, query.id, from) {
                            self.upkeep.newcomer(query.id, from);
                        }
                        if verdict == Verdict::Answer && !self.read_only {
                            let reply = self.serve(cx, other, from, transaction, &query);
                            self.reply(cx, from, reply);
                        }
                    }
                }
            }
            Err(refused) => {
                self.stats.malformed += 1;
                // A malformed answer fails its query, and no other.
                let failed = matches!(refused.role, Some(Role::Response | Role::Error));
                if failed && let Some(query) = refused.transaction.and_then(|t| self.queries.close(t, from)) {
                    self.gave_nothing(cx, &query);
                } else if self.judge(cx, from) == Verdict::Answer
                    && !self.read_only
                    && let Some(mut answer) = refused.answer()
                {
                    answer.ip = Some(from);
                    let reply = answer.encode();
                    self.reply(cx, from, reply);
                }
            }
        }
        self.go_on(cx);
    }

    /// The moment that [`deadline`](Node::deadline) named has come.
    pub fn tick(&mut self, cx: &mut Cx<'_>) {
        let config = &cx.config.dht;
        while let Some(query) = self.queries.expire(cx.now, config.query_life) {
            self.stats.timeouts += 1;
            if let Some(id) = query.id
                && self.last_answer.is_some_and(|last| last > query.sent)
            {
                self.table.failed(cx.now, config, id, query.to);
                self.changed = true;
                self.see_doubts(cx, id);
            }
            self.gave_nothing(cx, &query);
        }
        self.peers.tick(cx.now);
        self.items.tick(cx.now);
        self.tick_tasks(cx);
        self.seek(cx);
        self.renew(cx);
        self.go_on(cx);
    }

    /// When [`tick`](Node::tick) is due.
    pub fn deadline(&self, config: &crate::border::DhtConfig) -> Option<Time> {
        crate::time::earliest([
            self.queries.deadline(config.query_life),
            self.tasks.deadline(),
            self.bootstrap.deadline(self.table.len(), config),
            self.upkeep.deadline(self.table.refresh_at(), self.table.is_empty()),
            self.kept.deadline(),
            self.peers.deadline(),
            self.items.deadline(),
            self.changed.then(|| self.saved_at + config.save_interval),
        ])
    }

    /// What there is to say, oldest first. To be emptied after each call.
    pub fn said(&mut self) -> Option<NodeSaid> {
        self.said.pop_front()
    }

    /// Its id.
    pub fn id(&self) -> NodeId {
        self.table.own()
    }

    /// Whom it knows.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// How it is.
    pub fn view(&self, now: Time, config: &crate::border::DhtConfig) -> NodeView {
        let good = self.table.contacts().filter(|contact| contact.standing(now, config) == Standing::Good).count();
        NodeView {
            id: self.id(),
            external: self.external.get(self.v6),
            contacts: self.table.len(),
            good,
            waiting: self.table.waiting().count(),
            tasks: self.tasks.len() + self.crawls.len(),
            queries: self.queries.len(),
            sources: self.sources.len(),
            torrents: self.peers.torrents(),
            peers: self.peers.peers(),
            items: self.items.len(),
            network: self.table.network(config),
            stats: self.stats,
        }
    }

    /// What is worth keeping of it for the next run.
    pub fn save(&self, config: &crate::border::DhtConfig) -> Saved {
        let contacts = self.table.contacts().filter(|contact| u32::from(contact.failures) < config.max_failures);
        // Those that have been there for longest: they will be there again.
        let mut contacts: Vec<_> = contacts.map(|contact| (contact.since, contact.id, contact.addr)).collect();
        contacts.sort_unstable();
        contacts.truncate(config.max_saved as usize);
        let nodes = contacts.into_iter().map(|(_, id, addr)| (id, addr)).collect();
        Saved { id: self.id(), v6: self.v6, nodes }
    }

    /// A peer says that it has a node there (BEP 5, PORT): it is asked, "if a response to the ping is received, the node should attempt to
    /// insert the new contact information into their routing table".
    pub fn add_node(&mut self, cx: &mut Cx<'_>, addr: SocketAddr) {
        // With nobody to ask anything, everybody is welcome; else those for whom there may be a place.
        let few = self.table.len() < cx.config.dht.enough_contacts as usize;
        let known = self.table.contacts().any(|contact| contact.addr == addr);
        let busy = self.queries.len() >= cx.config.dht.max_queries as usize / 2;
        if known || busy || !self.usable(cx, addr, Word::Local) || self.queries.asks(addr) {
            return;
        }
        let (purpose, target) =
            if few { (Purpose::Bootstrap, self.id()) } else { (Purpose::Table, NodeId::random(&mut self.rng)) };
        self.query(cx, addr, None, purpose, Method::FindNode { target, want: None });
    }

    /// Looks for the nodes that are closest to a key.
    pub fn find_node(&mut self, cx: &mut Cx<'_>, target: NodeId) -> TaskId {
        self.take_on(cx, target, Aim::Find)
    }

    /// Looks for peers of a torrent.
    pub fn find_peers(&mut self, cx: &mut Cx<'_>, info_hash: InfoHash, wish: PeerWish) -> TaskId {
        self.take_on(cx, info_hash.into(), Aim::Peers(Box::new(Peers::new(wish, None))))
    }

    /// Looks for peers of a torrent, and then announces us as one of them, once.
    pub fn announce(&mut self, cx: &mut Cx<'_>, info_hash: InfoHash, announce: Announce, wish: PeerWish) -> TaskId {
        self.take_on(cx, info_hash.into(), Aim::Peers(Box::new(Peers::new(wish, Some(announce)))))
    }

    /// Looks for an item. `salt`: that of a mutable one. `newer_than`: only a mutable one with a greater number.
    pub fn get(&mut self, cx: &mut Cx<'_>, target: NodeId, salt: Vec<u8>, newer_than: Option<i64>) -> TaskId {
        self.take_on(cx, target, Aim::Get(items::Get::new(salt, newer_than)))
    }

    /// Stores an item. `cas`: only over this number, where there is one already.
    pub fn put(&mut self, cx: &mut Cx<'_>, item: Item, cas: Option<i64>) -> TaskId {
        self.take_on(cx, item.target(), Aim::Put(Box::new(items::Put::new(item, cas))))
    }

    /// Asks whether a node is there.
    pub fn ping(&mut self, cx: &mut Cx<'_>, addr: SocketAddr) -> TaskId {
        let id = self.tasks.new_id();
        self.take_on_single(id, self.id(), Aim::Ping);
        if !self.usable(cx, addr, Word::User) || !self.query(cx, addr, None, Purpose::Single(id), Method::Ping) {
            self.single_done(cx, id, None);
        }
        id
    }

    /// Our address on the internet is known to be this one: the id follows it (BEP 42).
    pub fn own_address(&mut self, cx: &mut Cx<'_>, ip: IpAddr) {
        if ip.is_ipv6() != self.v6 || self.id().is_valid_for(ip) {
            return;
        }
        let last = self.secret.next_u32().to_be_bytes()[0];
        let id = NodeId::for_address(ip, last, &mut self.secret);
        self.table.set_own(cx.now, &cx.config.dht, id);
        self.changed = true;
        self.said.push_back(NodeSaid::OwnAddress { ip, id });
        // Our neighbours are others now.
        self.bootstrap.moved();
        self.look_around(cx);
    }

    /// Whether to take part without answering (BEP 43).
    pub fn set_read_only(&mut self, read_only: bool) {
        self.read_only = read_only;
    }

    /// Whether to ask for nodes of the other family as well, for [`NodeSaid::OtherFamily`] (BEP 32, `want`).
    pub fn want_other_family(&mut self, wanted: bool) {
        self.wants_other_family = wanted;
    }

    /// The list of blocked addresses is another one.
    pub fn filter_changed(&mut self, cx: &mut Cx<'_>) {
        self.table.retain(cx.now, &cx.config.dht, |contact| !cx.filter.blocks(contact.addr.ip()));
    }

    /// One of our questions was answered.
    fn answered(
        &mut self,
        cx: &mut Cx<'_>,
        query: Query,
        from: SocketAddr,
        response: &Response<'_>,
        (version, ip): (Option<&[u8]>, Option<SocketAddr>),
    ) {
        let config = &cx.config.dht;
        let rtt = cx.now.since(query.sent);
        self.stats.answers += 1;
        self.last_answer = Some(cx.now);
        self.patience.heard(rtt);
        if let Some(id) = query.id.filter(|id| *id != response.id) {
            self.table.failed(cx.now, config, id, from);
        }
        if !self.bootstrap.is_router(from) || self.table.len() < config.k as usize {
            match self.table.answered(cx.now, config, response.id, from, rtt) {
                Entry::Added => self.changed = true,
                Entry::Known | Entry::Waiting => self.see_doubts(cx, response.id),
                Entry::Refused(_) => {}
            }
        }
        self.vote(cx, from, ip);
        let word = Node::word_of(from);
        let own = if self.v6 { &response.nodes6 } else { &response.nodes };
        let nodes = own.iter().flatten().take(cx.config.dht.max_nodes_per_answer as usize);
        let usable = |contact: &&Contact| contact.id != self.id() && self.usable(cx, contact.addr, word);
        let nodes: Vec<(NodeId, SocketAddr)> = nodes.filter(usable).map(|contact| (contact.id, contact.addr)).collect();
        self.take_note(cx.now, &cx.config.dht, &nodes);
        self.say_other_family(cx, word, response);
        match query.purpose {
            Purpose::Table => {}
            Purpose::Bootstrap => self.bootstrap_answered(cx, &nodes),
            Purpose::Lookup(task) => self.lookup_answered(cx, task, from, response, &nodes),
            Purpose::Store(task) => self.stored(cx, task, from, Some(Ok(()))),
            Purpose::Single(task) => {
                self.say_samples(cx.now, task, from, response);
                self.single_done(cx, task, Some((Contact { id: response.id, addr: from }, rtt, version)));
            }
            Purpose::Crawl(task) => self.crawl_heard(cx, task, from, Some((response, &nodes))),
        }
        // With the first contact there is something to begin with.
        if !self.table.is_empty() {
            self.look_around(cx);
        }
    }

    fn say_other_family(&mut self, cx: &Cx<'_>, word: Word, response: &Response<'_>) {
        if !self.wants_other_family {
            return;
        }
        let other = if self.v6 { &response.nodes } else { &response.nodes6 };
        let allowed = |contact: &&Contact| crate::net_policy::NetRules::of(cx).may_dial(contact.addr, word).is_ok();
        let nodes = other.iter().flatten().filter(allowed).take(cx.config.dht.max_nodes_per_answer as usize);
        let nodes: Vec<Contact> = nodes.copied().collect();
        if !nodes.is_empty() {
            self.said.push_back(NodeSaid::OtherFamily(nodes));
        }
    }

    /// A question has come to nothing.
    fn gave_nothing(&mut self, cx: &mut Cx<'_>, query: &Query) {
        match query.purpose {
            Purpose::Table | Purpose::Bootstrap => {}
            Purpose::Lookup(task) => self.lookup_failed(cx, task, query.to),
            Purpose::Store(task) => self.stored(cx, task, query.to, None),
            Purpose::Single(task) => self.single_done(cx, task, None),
            Purpose::Crawl(task) => self.crawl_heard(cx, task, query.to, None),
        }
    }

    /// Somebody says where it sees us.
    fn vote(&mut self, cx: &mut Cx<'_>, from: SocketAddr, ip: Option<SocketAddr>) {
        let Some(ip) = ip else { return };
        let config = ExternalConfig { min_networks: cx.config.dht.id_votes, ..cx.config.external.clone() };
        if self.external.vote(cx.now, &config, ip.ip(), from.ip()) {
            self.own_address(cx, ip.ip());
        }
    }

    fn see_doubts(&mut self, cx: &Cx<'_>, id: NodeId) {
        if let Some(contact) = self.table.doubtful(cx.now, &cx.config.dht, id) {
            self.upkeep.doubt(contact.id, contact.addr);
        }
    }

    fn stray(&mut self, cx: &Cx<'_>, from: SocketAddr) {
        self.stats.strays += 1;
        self.judge(cx, from);
    }

    /// Counts a datagram that nobody had asked for.
    fn judge(&mut self, cx: &Cx<'_>, from: SocketAddr) -> Verdict {
        let verdict = self.sources.heard(cx.now, &cx.config.dht, from.ip());
        match verdict {
            Verdict::Answer => {}
            Verdict::Silence => self.stats.silenced += 1,
            Verdict::Ignore => self.stats.ignored += 1,
        }
        verdict
    }

    fn want(&self) -> Option<Want> {
        self.wants_other_family.then_some(Want { v4: true, v6: true })
    }

    /// Sends a question. `false`: too many are under way.
    fn query(
        &mut self,
        cx: &mut Cx<'_>,
        to: SocketAddr,
        id: Option<NodeId>,
        purpose: Purpose,
        method: Method<'_>,
    ) -> bool {
        if self.queries.len() >= cx.config.dht.max_queries as usize {
            return false;
        }
        let transaction = self.queries.open(Query { to, id, sent: cx.now, purpose });
        let mut message = Message::query(&transaction, self.table.own(), method);
        message.read_only = self.read_only;
        message.version = (!cx.config.announce.hide_client).then_some(VERSION);
        let bytes = message.encode();
        self.stats.queries += 1;
        self.send(cx, to, bytes);
        true
    }

    fn reply(&mut self, cx: &mut Cx<'_>, to: SocketAddr, bytes: Vec<u8>) {
        if self.sources.may_send(cx.now, &cx.config.dht, bytes.len()) {
            self.stats.replies += 1;
            self.send(cx, to, bytes);
        } else {
            self.stats.silenced += 1;
        }
    }

    fn send(&mut self, cx: &mut Cx<'_>, to: SocketAddr, bytes: Vec<u8>) {
        self.stats.sent += 1;
        self.stats.bytes_sent += bytes.len() as u64;
        // Messages have less than 1,500 bytes.
        let segment = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        cx.act(Action::SendDatagrams { sock: self.sock, to, segment, bytes: bytes.into(), dont_fragment: false });
    }

    /// What is to be done after each event.
    fn go_on(&mut self, cx: &mut Cx<'_>) {
        self.start_tasks(cx);
        self.keep_up(cx);
        self.see_whether_ready(&cx.config.dht);
        if self.changed && cx.now >= self.saved_at + cx.config.dht.save_interval {
            (self.changed, self.saved_at) = (false, cx.now);
            self.said.push_back(NodeSaid::SaveDue);
        }
    }
}

#[cfg(test)]
mod tests;
