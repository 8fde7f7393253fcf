//! The list of addresses under any news, dials and ends of connections: it names only who may be dialled and is not, not sooner than it
//! says, knows how many are under way, keeps its limits, and lets nobody in too often.

use super::operations;
use arbitrary::Arbitrary;
use parcacik_core::border::{CandidateConfig, CloseReason, IoFault, IpFilter, PeerFault};
use parcacik_core::net_policy::FilterLimits;
use parcacik_core::rng::{Seeds, Stream};
use parcacik_core::time::Time;
use parcacik_core::torrent::candidates::{Candidates, Source};
use parcacik_core::wire::PexFlags;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Op {
    Hear {
        addr: u16,
        source: u8,
    },
    /// Another peer tells of it.
    HearOf {
        addr: u16,
        flags: u8,
    },
    IsGone {
        addr: u16,
    },
    /// Dials whoever is next.
    Dial,
    Postpone {
        which: u8,
        seconds: u8,
    },
    Connected {
        which: u8,
    },
    /// A dial, or the connection that it became, ends.
    Ends {
        which: u8,
        reason: u8,
        was_ready: bool,
    },
    Incoming {
        addr: u16,
    },
    ListenPort {
        which: u8,
        port: u8,
    },
    IncomingEnds {
        which: u8,
        reason: u8,
        was_ready: bool,
    },
    IsSeed {
        which: u8,
    },
    Seeding(bool),
    External {
        v4: bool,
        addr: u16,
    },
    IsSelf {
        addr: u16,
    },
    Ban {
        addr: u16,
    },
    Block {
        addr: u16,
    },
    ForgetStrangers,
    Wait {
        seconds: u16,
    },
}

/// A few addresses of every kind that matters, and a few ports of each.
fn address(number: u16) -> SocketAddr {
    let last = (number >> 4) as u8;
    let ip = match number % 16 {
        0..=7 => IpAddr::V4(Ipv4Addr::new(80, 4, 4, last % 32)),
        8 => IpAddr::V4(Ipv4Addr::new(127, 0, 0, last % 4)),
        9 => IpAddr::V4(Ipv4Addr::new(192, 168, 0, last % 4)),
        10 => IpAddr::V6(Ipv4Addr::new(80, 4, 4, last % 32).to_ipv6_mapped()),
        11 | 12 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, u16::from(last % 4), 0, 0, 0, u16::from(last))),
        13 => IpAddr::V4(Ipv4Addr::new(224, 0, 0, last)),
        14 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        _ => IpAddr::V4(Ipv4Addr::BROADCAST),
    };
    SocketAddr::new(ip, [6881, 6882, 80, 0][usize::from(number >> 12) % 4])
}

fn reason_of(number: u8) -> CloseReason {
    match number % 10 {
        0 => CloseReason::ClosedByPeer,
        1 => CloseReason::Fault(PeerFault::CorruptData),
        2 => CloseReason::DialFailed(IoFault::Refused),
        3 => CloseReason::DialFailed(IoFault::TooManyOpen),
        4 => CloseReason::BothSeeds,
        5 => CloseReason::Duplicate,
        6 => CloseReason::Paused,
        7 => CloseReason::Broken(IoFault::Reset),
        8 => CloseReason::ToSelf,
        _ => CloseReason::LimitReached,
    }
}

#[derive(Default)]
struct Books {
    dialling: BTreeSet<SocketAddr>,
    /// Dials that became connections.
    dialled: BTreeSet<SocketAddr>,
    incoming: BTreeMap<SocketAddr, Option<SocketAddr>>,
    banned: BTreeSet<IpAddr>,
    ours: BTreeSet<SocketAddr>,
    external: [Option<SocketAddr>; 2],
    /// Not before then, where the list has said so and nothing of it was forgotten since.
    not_before: BTreeMap<SocketAddr, Time>,
    /// When somebody was let in.
    let_in: BTreeMap<IpAddr, Vec<Time>>,
}

/// One input.
pub fn run(input: &[u8]) {
    let config =
        CandidateConfig { max_known: 20, max_hearsay: 6, max_banned: 4, max_knocks: 3, ..CandidateConfig::default() };
    let mut list = Candidates::new(Seeds::for_tests(1).decisions(Stream::Candidates, 0));
    let (mut books, mut now) = (Books::default(), Time::from_secs(1));
    for op in operations(input, 300) {
        books.step(&mut list, &mut now, &config, op);
        let counts = list.counts();
        assert!(counts.known <= config.max_known as usize, "more addresses than there may be");
        assert_eq!(counts.dialling, books.dialling.len());
        assert!(counts.linked <= books.dialled.len() + books.incoming.len());
        assert!(counts.linked >= books.dialled.len());
        let sources = list.by_source();
        assert!(
            sources.known(Source::Pex) <= counts.known as u32 && sources.known(Source::User) <= counts.known as u32
        );
        assert!(counts.ready + counts.resting + counts.dialling <= counts.known);
    }
}

fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

fn nth<T: Copy>(items: impl IntoIterator<Item = T>, which: u8) -> Option<T> {
    let items: Vec<T> = items.into_iter().collect();
    items.get(usize::from(which).checked_rem(items.len())?).copied()
}

impl Books {
    fn step(&mut self, list: &mut Candidates, now: &mut Time, config: &CandidateConfig, op: Op) {
        match op {
            Op::Hear { addr, source } => {
                let source = [Source::Tracker, Source::User, Source::Incoming, Source::Lsd][usize::from(source) % 4];
                let addr = address(addr);
                // The user's word ends a rest, the first time.
                if source == Source::User && !list.standing(addr).0 {
                    self.not_before.remove(&canonical(addr));
                }
                if list.add(*now, config, addr, source) {
                    self.not_before.remove(&canonical(addr));
                    self.may_be_known(addr);
                }
            }
            Op::HearOf { addr, flags } => {
                let addr = address(addr);
                if list.hear_of(*now, config, addr, PexFlags(flags)) {
                    self.not_before.remove(&canonical(addr));
                    self.may_be_known(addr);
                }
            }
            Op::IsGone { addr } => list.is_gone(address(addr)),
            Op::Dial => self.dial(list, *now, config),
            Op::Postpone { which, seconds } => {
                if let Some(addr) = nth(self.dialling.iter().copied(), which) {
                    let until = *now + Duration::from_secs(seconds.into());
                    list.postpone(addr, until);
                    self.dialling.remove(&addr);
                    self.not_before.insert(addr, until);
                }
            }
            Op::Connected { which } => {
                if let Some(addr) = nth(self.dialling.iter().copied(), which) {
                    list.connected(*now, addr);
                    self.dialling.remove(&addr);
                    self.dialled.insert(addr);
                }
            }
            Op::Ends { which, reason, was_ready } => {
                if let Some(addr) = nth(self.dialling.union(&self.dialled).copied(), which) {
                    let was_dialled = self.dialled.contains(&addr);
                    self.ends(list, *now, config, addr, reason_of(reason), was_ready && was_dialled);
                    self.dialling.remove(&addr);
                    self.dialled.remove(&addr);
                }
            }
            Op::Incoming { addr } => self.incoming(list, *now, config, address(addr)),
            Op::ListenPort { which, port } => {
                if let Some(from) = nth(self.incoming.keys().copied(), which) {
                    let mut addr = from;
                    addr.set_port([6881, 6882, 80, 0][usize::from(port) % 4]);
                    list.listen_port(config, from, addr.port());
                    if self.incoming[&from].is_none() {
                        self.incoming.insert(from, Some(addr));
                    }
                }
            }
            Op::IncomingEnds { which, reason, was_ready } => {
                if let Some(from) = nth(self.incoming.keys().copied(), which) {
                    let reason = reason_of(reason);
                    list.closed(*now, config, from, reason, was_ready);
                    let told = self.incoming.remove(&from).flatten();
                    if let Some(told) = told {
                        self.not_before.remove(&told);
                    }
                    if reason == CloseReason::ToSelf {
                        // Which address that is, the list knows; here it is taken for both.
                        self.ours.extend(told);
                    }
                }
            }
            Op::IsSeed { which } => {
                if let Some(addr) = nth(self.dialled.iter().chain(self.incoming.keys()).copied(), which) {
                    list.peer_is_seed(addr);
                }
            }
            Op::Seeding(on) => list.set_seeding(on),
            Op::External { v4, addr } => {
                let addr = canonical(address(addr));
                let at = usize::from(!v4);
                self.external[at] = (addr.is_ipv4() == v4).then_some(addr);
                list.set_external(self.external);
            }
            Op::IsSelf { addr } => {
                let addr = canonical(address(addr));
                list.is_self(addr);
                self.ours.insert(addr);
            }
            Op::Ban { addr } => {
                let ip = address(addr).ip().to_canonical();
                list.ban(config, ip);
                self.banned.insert(ip);
                // The oldest ban gives way.
                self.banned.retain(|&ip| list.is_banned(ip));
                assert!(self.banned.contains(&ip) && self.banned.len() <= config.max_banned as usize);
            }
            Op::Block { addr } => {
                let text = address(addr).ip().to_canonical().to_string();
                let (filter, _) = IpFilter::parse(text.as_bytes(), &FilterLimits::default()).expect("a good list");
                list.forget_blocked(&filter);
            }
            Op::ForgetStrangers => list.forget_strangers(),
            Op::Wait { seconds } => *now = *now + Duration::from_secs(seconds.into()),
        }
    }

    fn may_be_known(&self, addr: SocketAddr) {
        let addr = canonical(addr);
        assert!(
            addr.port() != 0 && !addr.ip().is_multicast() && !addr.ip().is_unspecified(),
            "nobody can be dialled at {addr}"
        );
        assert_ne!(addr.ip(), IpAddr::V4(Ipv4Addr::BROADCAST));
        assert!(!self.banned.contains(&addr.ip()), "{addr} is banned");
        assert!(!self.external.contains(&Some(addr)), "{addr} is ourselves");
    }

    fn dial(&mut self, list: &mut Candidates, now: Time, config: &CandidateConfig) {
        let due = list.deadline(now);
        let next = list.next(now, config);
        assert_eq!(next.is_some(), due.is_some_and(|due| due <= now), "it says when, and keeps to it");
        let Some(addr) = next else { return };
        self.may_be_known(addr);
        assert_eq!(addr, canonical(addr));
        assert!(!self.ours.contains(&addr), "{addr} is ourselves");
        assert!(self.not_before.get(&addr).is_none_or(|&at| at <= now), "{addr} was to rest");
        assert!(!self.dialled.contains(&addr), "{addr} has a connection");
        assert!(self.dialling.insert(addr), "{addr} is being dialled");
    }

    fn ends(
        &mut self,
        list: &mut Candidates,
        now: Time,
        config: &CandidateConfig,
        addr: SocketAddr,
        reason: CloseReason,
        was_ready: bool,
    ) {
        list.closed(now, config, addr, reason, was_ready);
        match reason {
            CloseReason::Paused => _ = self.not_before.remove(&addr),
            CloseReason::ToSelf => _ = self.ours.insert(addr),
            // However it ended: a second at least, and where it is kept on the list, not before.
            _ => _ = self.not_before.insert(addr, now + config.user_retry_min),
        }
    }

    fn incoming(&mut self, list: &mut Candidates, now: Time, config: &CandidateConfig, addr: SocketAddr) {
        let from = canonical(addr);
        let result = list.incoming(now, config, addr);
        let known = self.incoming.contains_key(&from) || self.dialled.contains(&from) || self.dialling.contains(&from);
        if self.banned.contains(&from.ip()) {
            assert_eq!(result, Err(CloseReason::Banned));
        } else if result.is_ok() {
            assert!(!known, "a second connection to {from}");
            self.incoming.insert(from, None);
            if !from.ip().is_loopback() {
                let times = self.let_in.entry(from.ip()).or_default();
                times.push(now);
                // Minutes are counted from the first of them; two may touch.
                times.retain(|&at| now.since(at) < Duration::from_secs(60));
                assert!(times.len() <= 2 * config.max_knocks as usize, "{from} is let in too often");
            }
        } else {
            assert!(matches!(result, Err(CloseReason::Duplicate | CloseReason::ToSelf | CloseReason::LimitReached)));
        }
    }
}
