//! Whoever is in the world without being a session: a script with streams.
//!
//! A [`Stranger`] hears of its streams and answers through a [`Desk`]. Its end of a stream behaves like a socket: while it does
//! not read, what is sent to it stays unflushed once the buffers of both kernels are full.

use super::queue::Happening;
use super::{End, Host, Moment, NodeId, PORT, Party, World};
use bytes::Bytes;
use parcacik_core::border::{DialId, Event, TcpId};
use parcacik_core::rng::Rng;
use parcacik_core::time::Time;
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// A stranger of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StrangerId(pub usize);

/// One of a stranger's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// What the buffers of both kernels hold of what nobody reads, in bytes.
const UNREAD: u64 = 256 * 1024;

/// Somebody who speaks raw bytes.
pub trait Stranger: Any + Debug {
    /// The world has taken it in.
    fn start(&mut self, desk: &mut Desk<'_>) {
        _ = desk;
    }
    /// A stream is open: one that it dialled itself, or one by which somebody came.
    fn opened(&mut self, desk: &mut Desk<'_>, link: LinkId, dialled: bool);
    /// Bytes came.
    fn received(&mut self, desk: &mut Desk<'_>, link: LinkId, bytes: &[u8]);
    /// The other side has ended a stream, or the dial came to nothing.
    fn closed(&mut self, desk: &mut Desk<'_>, link: LinkId);
    /// A moment has come that was asked for by [`Desk::wake`].
    fn woken(&mut self, desk: &mut Desk<'_>, token: u64) {
        _ = (desk, token);
    }
}

/// What a stranger can see and order when it is called.
#[derive(Debug)]
pub struct Desk<'a> {
    /// The time it is.
    pub now: Time,
    /// Its own chance, by the world's seed.
    pub rng: &'a mut Rng,
    next_link: &'a mut u64,
    orders: Vec<Order>,
}

#[derive(Debug)]
enum Order {
    Send(LinkId, Vec<u8>),
    Close(LinkId),
    Reset(LinkId),
    Dial(LinkId, SocketAddr),
    Wake(Time, u64),
    Reading(LinkId, bool),
}

impl Desk<'_> {
    /// Sends bytes.
    pub fn send(&mut self, link: LinkId, bytes: Vec<u8>) {
        self.orders.push(Order::Send(link, bytes));
    }

    /// Ends a stream in order, after what was sent.
    pub fn close(&mut self, link: LinkId) {
        self.orders.push(Order::Close(link));
    }

    /// Breaks a stream.
    pub fn reset(&mut self, link: LinkId) {
        self.orders.push(Order::Reset(link));
    }

    /// Dials; answered by [`Stranger::opened`] or [`Stranger::closed`].
    pub fn dial(&mut self, to: SocketAddr) -> LinkId {
        *self.next_link += 1;
        let link = LinkId(*self.next_link);
        self.orders.push(Order::Dial(link, to));
        link
    }

    /// Asks to be woken after a while.
    pub fn wake(&mut self, after: Duration, token: u64) {
        self.orders.push(Order::Wake(self.now + after, token));
    }

    /// Stops reading a stream, or goes on with it. At first it reads.
    pub fn read(&mut self, link: LinkId, reading: bool) {
        self.orders.push(Order::Reading(link, reading));
    }
}

/// What was seen of a stranger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Streams that were opened.
    pub opened: u64,
    /// Streams that the other side ended.
    pub ended: u64,
    /// Bytes that it sent.
    pub sent: u64,
    /// Bytes that came to it.
    pub received: u64,
    /// The most streams at a time.
    pub most_open: usize,
}

/// A stranger, and what the world keeps beside it.
#[derive(Debug)]
pub(super) struct Guest {
    who: Option<Box<dyn Stranger>>,
    ip: Ipv4Addr,
    listens: bool,
    rng: Rng,
    next_link: u64,
    links: BTreeMap<LinkId, Link>,
    uplink_free: Time,
    upload: u64,
    seen: Seen,
}

#[derive(Debug)]
struct Link {
    node: NodeId,
    tcp: TcpId,
    reading: bool,
    /// What came while it did not read.
    unread: Vec<Bytes>,
    /// Bytes that were sent to it while it did not read, and how many of them have not left the sender.
    waiting: u64,
    unflushed: u64,
    /// Nothing gets through any more.
    silent: bool,
}

impl World {
    /// Takes a stranger in, at an address of its own. `listens`: at port 6881, for whoever dials.
    pub fn add_stranger(&mut self, listens: bool, who: impl Stranger) -> StrangerId {
        let number = self.strangers.len();
        let ip = Ipv4Addr::new(45, 66, (number / 200) as u8, 1 + (number % 200) as u8);
        self.strangers.push(Guest {
            who: Some(Box::new(who)),
            ip,
            listens,
            rng: self.seed.rng(&format!("stranger/{number}")),
            next_link: 0,
            links: BTreeMap::new(),
            uplink_free: Time::ZERO,
            upload: self.limits.upload,
            seen: Seen::default(),
        });
        let id = StrangerId(number);
        self.call_stranger(id, |who, desk| who.start(desk));
        id
    }

    /// Lets a stranger send so many bytes a second instead of what everybody may.
    pub fn set_stranger_upload(&mut self, who: StrangerId, upload: u64) {
        self.strangers[who.0].upload = upload;
    }

    /// Where a stranger listens.
    pub fn stranger_address(&self, who: StrangerId) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.strangers[who.0].ip), PORT)
    }

    /// A stranger, to look at.
    ///
    /// # Panics
    /// When it is of another type.
    pub fn stranger<T: Stranger>(&self, who: StrangerId) -> &T {
        let who: &dyn Any = self.strangers[who.0].who.as_deref().expect("it is not being called");
        who.downcast_ref().expect("it is of this type")
    }

    /// What was seen of a stranger.
    pub fn seen(&self, who: StrangerId) -> Seen {
        self.strangers[who.0].seen
    }

    /// How many streams a stranger has now.
    pub fn open_links(&self, who: StrangerId) -> usize {
        self.strangers[who.0].links.len()
    }

    fn call_stranger(&mut self, id: StrangerId, call: impl FnOnce(&mut dyn Stranger, &mut Desk<'_>)) {
        let guest = &mut self.strangers[id.0];
        let Some(mut who) = guest.who.take() else { return };
        let mut desk = Desk { now: self.now, rng: &mut guest.rng, next_link: &mut guest.next_link, orders: Vec::new() };
        call(&mut *who, &mut desk);
        let orders = desk.orders;
        guest.who = Some(who);
        for order in orders {
            self.stranger_orders(id, order);
        }
    }

    fn stranger_orders(&mut self, id: StrangerId, order: Order) {
        let latency = self.limits.latency;
        let now = self.now;
        let guest = &mut self.strangers[id.0];
        match order {
            Order::Send(link, bytes) => {
                let Some(&Link { node, tcp, silent, .. }) = guest.links.get(&link) else { return };
                guest.seen.sent += bytes.len() as u64;
                let span = Duration::from_micros((bytes.len() as u64).saturating_mul(1_000_000) / guest.upload.max(1));
                guest.uplink_free = guest.uplink_free.max(now) + span;
                let when = guest.uplink_free + latency;
                if !bytes.is_empty() && !silent {
                    self.schedule(when, Happening::Arrive { node, tcp, bytes: bytes.into() });
                }
            }
            Order::Close(link) | Order::Reset(link) => {
                let Some(Link { node, tcp, silent, .. }) = guest.links.remove(&link) else { return };
                if silent {
                    return;
                }
                let when = guest.uplink_free.max(now) + latency;
                let what = match order {
                    Order::Close(_) => Happening::End { node, tcp },
                    _ => Happening::Reset { node, tcp },
                };
                self.schedule(when, what);
            }
            Order::Dial(link, to) => self.schedule(now + latency * 2, Happening::LinkDials { who: id, link, to }),
            Order::Wake(when, token) => self.schedule(when, Happening::Wake { who: id, token }),
            Order::Reading(number, reading) => {
                let Some(link) = guest.links.get_mut(&number) else { return };
                link.reading = reading;
                if !reading {
                    return;
                }
                let (node, tcp, unflushed) = (link.node, link.tcp, std::mem::take(&mut link.unflushed));
                link.waiting = 0;
                for bytes in std::mem::take(&mut link.unread) {
                    self.schedule(now, Happening::LinkArrives { who: id, link: number, bytes });
                }
                if unflushed > 0 {
                    self.schedule(now, Happening::Left { node, tcp, bytes: unflushed });
                }
            }
        }
    }

    pub(super) fn wake_stranger(&mut self, who: StrangerId, token: u64) {
        self.call_stranger(who, |who, desk| who.woken(desk, token));
    }

    /// Who listens at an address.
    pub(super) fn stranger_at(&self, to: SocketAddr) -> Option<StrangerId> {
        let here = |guest: &Guest| guest.listens && SocketAddr::new(IpAddr::V4(guest.ip), PORT) == to;
        self.strangers.iter().position(here).map(StrangerId)
    }

    /// Nothing that a stranger sends gets through before this: it is sent behind what was held up.
    pub(super) fn hold_stranger(&mut self, who: StrangerId, until: Time) {
        let guest = &mut self.strangers[who.0];
        guest.uplink_free = guest.uplink_free.max(until);
    }

    pub(super) fn silence_link(&mut self, who: StrangerId, link: LinkId) {
        if let Some(link) = self.strangers[who.0].links.get_mut(&link) {
            link.silent = true;
        }
    }

    pub(super) fn link_node(&self, who: StrangerId, link: LinkId) -> Option<NodeId> {
        self.link_stream(who, link).map(|(node, _)| node)
    }

    pub(super) fn link_stream(&self, who: StrangerId, link: LinkId) -> Option<(NodeId, TcpId)> {
        self.strangers[who.0].links.get(&link).map(|link| (link.node, link.tcp))
    }

    /// A session has dialled the address of a stranger, perhaps.
    pub(super) fn meet_stranger(&mut self, node: NodeId, dial: DialId, to: SocketAddr, from_port: u16) -> bool {
        let Some(StrangerId(number)) = self.stranger_at(to) else { return false };
        let (who, tcp) = (StrangerId(number), self.new_tcp(node));
        let guest = &mut self.strangers[number];
        guest.next_link += 1;
        let link = LinkId(guest.next_link);
        let local = SocketAddr::new(IpAddr::V4(self.nodes[node.0].ip), from_port);
        self.join(who, link, node, tcp);
        self.call_stranger(who, |stranger, desk| stranger.opened(desk, link, false));
        self.tell(node, Event::Connected { dial, tcp, local, remote: to });
        true
    }

    /// A stranger dials a session.
    pub(super) fn link_dials(&mut self, who: StrangerId, link: LinkId, to: SocketAddr) {
        let listening = self
            .nodes
            .iter()
            .position(|node| node.alive && node.nat.is_none() && node.sockets.values().any(|&address| address == to));
        let here = Host::Stranger(who);
        let reached = |&node: &NodeId| self.reaches(here, Host::Node(node)) && self.reaches(Host::Node(node), here);
        let Some(node) = listening.map(NodeId).filter(reached) else {
            return self.call_stranger(who, |stranger, desk| stranger.closed(desk, link));
        };
        let tcp = self.new_tcp(node);
        let sock = *self.nodes[node.0].sockets.keys().next().expect("it listens");
        let port = 20_000 + (link.0 % 40_000) as u16;
        let remote = SocketAddr::new(IpAddr::V4(self.strangers[who.0].ip), port);
        self.join(who, link, node, tcp);
        self.tell(node, Event::Accepted { sock, tcp, local: to, remote });
        self.call_stranger(who, |stranger, desk| stranger.opened(desk, link, true));
    }

    fn join(&mut self, who: StrangerId, link: LinkId, node: NodeId, tcp: TcpId) {
        self.open(node, tcp, End::Stranger(who, link));
        let guest = &mut self.strangers[who.0];
        guest.links.insert(
            link,
            Link { node, tcp, reading: true, unread: Vec::new(), waiting: 0, unflushed: 0, silent: false },
        );
        guest.seen.opened += 1;
        guest.seen.most_open = guest.seen.most_open.max(guest.links.len());
    }

    pub(super) fn has_link(&self, who: StrangerId, link: LinkId) -> bool {
        self.strangers[who.0].links.contains_key(&link)
    }

    /// How many of the bytes that are being sent to a stranger leave the sender.
    pub(super) fn link_takes(&mut self, who: StrangerId, link: LinkId, count: u64) -> u64 {
        let Some(link) = self.strangers[who.0].links.get_mut(&link) else { return count };
        if link.reading {
            return count;
        }
        let taken = count.min(UNREAD.saturating_sub(link.waiting));
        link.waiting += count;
        link.unflushed += count - taken;
        taken
    }

    pub(super) fn link_arrives(&mut self, who: StrangerId, link: LinkId, bytes: &Bytes) {
        let guest = &mut self.strangers[who.0];
        let Some(at) = guest.links.get_mut(&link) else { return };
        if !at.reading {
            return at.unread.push(bytes.clone());
        }
        guest.seen.received += bytes.len() as u64;
        let from = Party::Node(at.node, at.tcp);
        self.moment(&Moment::Arrived { from, to: Party::Stranger(who), bytes });
        self.call_stranger(who, |stranger, desk| stranger.received(desk, link, bytes));
    }

    pub(super) fn link_ends(&mut self, who: StrangerId, link: LinkId) {
        let guest = &mut self.strangers[who.0];
        if guest.links.remove(&link).is_some() {
            guest.seen.ended += 1;
            self.call_stranger(who, |stranger, desk| stranger.closed(desk, link));
        }
    }
}
