//! What a session says to trackers, and what it takes from them (36, 40 to 43); UDP packets as such are in [`udp`](super::udp).
//!
//! A tracker goes by its URL without what an announce adds, the port written out. What was asked is read from the requests
//! themselves, what came of it from the notices and from the answers' bytes.

use super::torrent::TorrentModel;
use super::udp::Udp;
use super::{Oracle, Tally};
use crate::Breach;
use crate::second::Value;
use bytes::Bytes;
use parcacik_core::border::{
    Actions, AddTorrent, Config, IoFault, JobId, JobResult, Notice, TorrentId, TorrentSource, Work,
};
use parcacik_core::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// How much what was sent may differ from what is told: what is on its way in one call.
const ON_ITS_WAY: u64 = 256 * 1024;

/// What an announce tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Tells {
    #[default]
    Nothing,
    Started,
    Completed,
    Stopped,
}

/// The trackers of one session.
#[derive(Debug, Default)]
pub(super) struct Trackers {
    books: BTreeMap<TorrentId, Book>,
    /// Announces by HTTP that are under way.
    asked: BTreeMap<JobId, (TorrentId, String)>,
    /// Names that are being looked up.
    resolving: BTreeMap<JobId, String>,
    resolved: BTreeMap<String, Vec<IpAddr>>,
    udp: BTreeMap<SocketAddr, Udp>,
    /// Where peers that came in say that they listen.
    met: BTreeSet<SocketAddr>,
    /// What a tracker said in this call.
    said: Option<Said>,
    /// Whether the user has ever wanted an announce before its time: packets may follow each other closely then.
    unpaced: bool,
    /// Scrapes that the user has wanted. Each may go on beside an announce.
    scrapes: usize,
}

#[derive(Debug)]
enum Said {
    Http(Bytes),
    Udp(Bytes),
}

/// A torrent and its trackers.
#[derive(Debug)]
struct Book {
    hash: [u8; 20],
    private: bool,
    /// The tiers, where they are as they were at first.
    tiers: Option<Vec<Vec<String>>>,
    trackers: BTreeMap<String, Tracker>,
    /// The tracker that answered last.
    in_use: Option<String>,
    /// Whom it named, and those before if they are the same tracker's.
    peers: BTreeSet<SocketAddr>,
    /// It named some in a way that is not followed.
    unclear: bool,
    stopping: bool,
    finished: bool,
    completed: bool,
    uploaded: u64,
    downloaded: u64,
}

#[derive(Debug, Default)]
struct Tracker {
    /// Whether it knows of us.
    started: bool,
    /// Whether it may be told that we have started though it was told before: we were about to stop.
    anew: bool,
    tells: Tells,
    not_before: Time,
    retry_at: Time,
    fails: u32,
    gone: bool,
    /// How the last announce went.
    works: Option<bool>,
    answered_at: Time,
    under_way: u32,
}

impl Trackers {
    pub fn added(&mut self, torrent: TorrentId, hash: [u8; 20], add: &AddTorrent, private: bool) {
        let book = Book {
            hash,
            private,
            tiers: tiers_of(add),
            trackers: BTreeMap::new(),
            in_use: None,
            peers: BTreeSet::new(),
            unclear: false,
            stopping: false,
            finished: false,
            completed: false,
            uploaded: 0,
            downloaded: 0,
        };
        self.books.insert(torrent, book);
        // What another torrent waits for is not its own.
        self.udp.values_mut().for_each(Udp::forget);
    }

    pub fn stops(&mut self, torrent: Option<TorrentId>) {
        let chosen = self.books.iter_mut().filter(|(id, _)| torrent.is_none_or(|torrent| torrent == **id));
        for (_, book) in chosen {
            book.stopping = true;
            book.trackers.values_mut().for_each(|tracker| tracker.anew = true);
        }
    }

    pub fn forced(&mut self, torrent: TorrentId, force: bool) {
        // What was forced and fails is tried again later, and forced still.
        let book = self.books.get_mut(&torrent).filter(|_| force);
        for tracker in book.into_iter().flat_map(|book| book.trackers.values_mut()) {
            (tracker.not_before, tracker.retry_at) = (Time::ZERO, Time::ZERO);
        }
        self.unpaced |= force;
    }

    /// The user wants to know the counts of trackers.
    pub fn scrapes(&mut self) {
        self.scrapes += 1;
    }

    /// The list of trackers is another one.
    pub fn changed(&mut self, torrent: TorrentId) {
        if let Some(book) = self.books.get_mut(&torrent) {
            book.tiers = None;
            // Some may be taken out and put in again.
            book.trackers.clear();
        }
    }

    pub fn finished(&mut self, torrent: TorrentId) {
        if let Some(book) = self.books.get_mut(&torrent) {
            book.finished = true;
        }
    }

    pub fn met(&mut self, addr: SocketAddr) {
        self.met.insert(addr);
    }

    /// Work begins that is not the disk's.
    pub fn starts(
        &mut self,
        now: Time,
        job: JobId,
        work: &Work,
        torrents: &BTreeMap<TorrentId, TorrentModel>,
        tally: &mut Tally,
    ) -> Result<(), Breach> {
        match work {
            Work::Resolve { host } => _ = self.resolving.insert(job, host.clone()),
            Work::Http(request) => {
                let scheme = if request.tls { "https" } else { "http" };
                let Some((path, query)) = request.path.split_once("info_hash=") else { return Ok(()) };
                let parameters: BTreeMap<&str, &str> =
                    query.split('&').skip(1).filter_map(|parameter| parameter.split_once('=')).collect();
                if !parameters.contains_key("peer_id") {
                    return Ok(());
                }
                let hash = unescape(query.split('&').next().unwrap_or_default());
                let key = format!("{scheme}://{}:{}{}", request.host, request.port, path.trim_end_matches(['?', '&']));
                let number = |name: &str| parameters.get(name).and_then(|text| text.parse().ok());
                let tells = match parameters.get("event") {
                    Some(&"started") => Tells::Started,
                    Some(&"completed") => Tells::Completed,
                    Some(&"stopped") => Tells::Stopped,
                    _ => Tells::Nothing,
                };
                let ledger = (number("uploaded"), number("downloaded"), number("left"));
                let Some(model) = torrents.values().find(|torrent| torrent.hash[..] == hash[..]) else { return Ok(()) };
                self.asks(now, model, &key, tells, ledger, tally)?;
                if let Some(tracker) = self.books.get_mut(&model.id).and_then(|book| book.trackers.get_mut(&key)) {
                    tracker.under_way += 1;
                    self.asked.insert(job, (model.id, key));
                }
            }
            _ => {}
        }
        Ok(())
    }

    pub fn job_done(&mut self, job: JobId, result: Option<&JobResult>) {
        if let (Some(host), Some(JobResult::Resolved(ips))) = (self.resolving.remove(&job), result) {
            self.resolved.insert(host, ips.clone());
        }
        if let Some((torrent, key)) = self.asked.remove(&job) {
            if let Some(tracker) = self.books.get_mut(&torrent).and_then(|book| book.trackers.get_mut(&key)) {
                tracker.under_way = tracker.under_way.saturating_sub(1);
            }
            if let Some(JobResult::Http(response)) = result {
                self.said = Some(Said::Http(response.body.clone()));
            }
        }
    }

    /// An announce goes out.
    fn asks(
        &mut self,
        now: Time,
        model: &TorrentModel,
        key: &str,
        tells: Tells,
        (uploaded, downloaded, left): (Option<u64>, Option<u64>, Option<u64>),
        tally: &mut Tally,
    ) -> Result<(), Breach> {
        let Some(book) = self.books.get_mut(&model.id).filter(|book| book.hash == model.hash) else { return Ok(()) };
        let again = book.trackers.get(key).is_some_and(|tracker| tracker.under_way > 0);
        if !again && tells != Tells::Stopped {
            book.check_order(key, tally)?;
        }
        let stopping = book.stopping;
        let (finished, completed) = (book.finished, book.completed);
        let tracker = book.trackers.entry(key.to_owned()).or_default();
        let mut require = |oracle: Oracle, holds: bool, wrong: &str| {
            tally.judge(oracle, holds, || format!("{key}, {tells:?}: {wrong}"))
        };
        require(Oracle::BackOff, !tracker.gone, "it does not want to be asked any more")?;
        let waits = stopping || tells == Tells::Stopped || tracker.retry_at <= now;
        require(Oracle::BackOff, waits, &format!("it failed, and is to be left alone until {:?}", tracker.retry_at))?;
        if tells == Tells::Nothing {
            let due = tracker.not_before <= now;
            require(Oracle::AnnouncePaced, due, &format!("it is not to be asked before {:?}", tracker.not_before))?;
        }
        match tells {
            Tells::Started => require(Oracle::AnnouncePaced, !tracker.started || tracker.anew, "told already")?,
            Tells::Completed => {
                require(Oracle::AnnouncePaced, finished, "not finished")?;
                require(Oracle::AnnouncePaced, !completed, "told already")?;
            }
            Tells::Nothing | Tells::Stopped => {}
        }
        tracker.tells = tells;
        if tells == Tells::Stopped {
            tracker.started = false;
        }
        if let (Some(uploaded), Some(downloaded), Some(left)) = (uploaded, downloaded, left) {
            let grows = uploaded >= book.uploaded && downloaded >= book.downloaded;
            require(Oracle::TierOrder, grows, "what was uploaded or downloaded has become less")?;
            (book.uploaded, book.downloaded) = (uploaded, downloaded);
            let sent = model.uploaded;
            require(
                Oracle::TierOrder,
                uploaded <= sent + ON_ITS_WAY,
                &format!("{uploaded} uploaded, and {sent} sent"),
            )?;
            // An announce is made up when it is due, and goes out when the tracker's address is known.
            if let Some(missing) = model.left() {
                let true_once = left == missing || model.was_left.iter().any(|was| was.contains(&left));
                require(Oracle::TierOrder, true_once, &format!("{left} left, and {missing} missing"))?;
            }
        }
        Ok(())
    }

    /// A tracker has answered. Whether it is another one than before, and the torrent private.
    pub fn answered(
        &mut self,
        now: Time,
        torrent: TorrentId,
        url: &str,
        config: &Config,
        tally: &mut Tally,
    ) -> Result<bool, Breach> {
        let Some(book) = self.books.get_mut(&torrent) else { return Ok(false) };
        let key = key_of(url);
        let (peers, min, unclear) = match &self.said {
            Some(Said::Http(body)) => read_http(body),
            Some(Said::Udp(body)) => (compact(body.get(20..).unwrap_or_default()), None, false),
            None => (Vec::new(), None, true),
        };
        if let Some(tracker) = book.trackers.get_mut(&key) {
            let announce = &config.announce;
            let min = min
                .map_or(announce.min_interval, Duration::from_secs)
                .clamp(announce.min_interval, announce.max_interval);
            tracker.not_before = now + min;
            (tracker.retry_at, tracker.fails, tracker.works) = (Time::ZERO, 0, Some(true));
            tracker.answered_at = now;
            tracker.started = tracker.tells != Tells::Stopped;
            tracker.anew &= tracker.tells != Tells::Started;
            book.completed |= tracker.tells == Tells::Completed && !announce.all_trackers && !announce.all_tiers;
        }
        let switched = book.private && book.in_use.as_ref().is_some_and(|before| *before != key);
        if switched {
            book.peers.clear();
            self.met.clear();
        }
        if book.private {
            tally.judge(Oracle::PrivateApart, true, || "")?;
        }
        book.in_use = Some(key);
        book.peers.extend(peers);
        book.unclear |= unclear;
        Ok(switched)
    }

    /// A tracker has failed.
    pub fn failed(
        &mut self,
        now: Time,
        torrent: TorrentId,
        url: &str,
        retry: Option<Duration>,
        config: &Config,
        tally: &mut Tally,
    ) -> Result<(), Breach> {
        let Some(book) = self.books.get_mut(&torrent) else { return Ok(()) };
        let stopping = book.stopping;
        // It may have failed before it was asked: its name leads nowhere, or where nobody may go.
        let tracker = book.trackers.entry(key_of(url)).or_default();
        tracker.works = Some(false);
        tracker.fails += 1;
        if stopping {
            tracker.started = false;
        }
        let Some(retry) = retry else {
            tracker.gone |= tracker.tells != Tells::Stopped && !stopping;
            return Ok(());
        };
        tracker.retry_at = now + retry;
        let announce = &config.announce;
        let square = tracker.fails.saturating_mul(tracker.fails);
        let least = (announce.retry_base + announce.retry_step.saturating_mul(square)).min(announce.retry_max);
        let most = (least + announce.retry_jitter).max(announce.max_interval);
        tally.judge(Oracle::BackOff, least <= retry && retry <= most, || {
            format!(
                "{url} failed {} times, and is asked again in {retry:?}; it should be {least:?} at least",
                tracker.fails
            )
        })
    }

    /// A torrent is gone, or the session: whoever knows of it has been told.
    pub fn gone(&mut self, torrent: TorrentId, tally: &mut Tally) -> Result<(), Breach> {
        let busy = !self.resolving.is_empty();
        let Some(book) = self.books.remove(&torrent) else { return Ok(()) };
        // With more than are asked at a time, time may run out before the last of them.
        if busy || book.trackers.len() > 8 || book.tiers.is_none() {
            return Ok(());
        }
        for (key, tracker) in &book.trackers {
            let told = !tracker.started || tracker.gone || tracker.under_way > 0;
            tally.judge(Oracle::AnnouncePaced, told, || format!("{key} was never told that we stopped"))?;
        }
        Ok(())
    }

    /// A datagram goes out.
    pub fn sends(
        &mut self,
        now: Time,
        to: SocketAddr,
        bytes: &[u8],
        torrents: &BTreeMap<TorrentId, TorrentModel>,
        tally: &mut Tally,
    ) -> Result<(), Breach> {
        let stopping = self.books.values().any(|book| book.stopping);
        let alone = self.books.len() == 1 && !stopping && !self.unpaced;
        let at_once = alone.then_some(1 + self.scrapes);
        let asks = self.udp.entry(to).or_default().sends(now, to, bytes, at_once, tally)?;
        let port = |key: &str| key.rsplit_once(':').and_then(|(_, port)| port.parse().ok()) == Some(to.port());
        let resolved = &self.resolved;
        let leads = |key: &str| {
            let host = key.strip_prefix("udp://").and_then(|rest| rest.rsplit_once(':')).map(|(host, _)| host);
            let ip = |host: &str| host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
            host.is_some_and(|host| {
                ip(host) == Some(to.ip()) || resolved.get(host).is_some_and(|ips| ips.contains(&to.ip()))
            })
        };
        if !asks {
            for book in self.books.values_mut().filter(|book| book.stopping) {
                for (_, tracker) in book.trackers.iter_mut().filter(|(key, _)| port(key) && leads(key)) {
                    tracker.started = false;
                }
            }
            return Ok(());
        }
        if bytes.len() < 98 || bytes[8..12] != [0, 0, 0, 1] {
            return Ok(());
        }
        let Some(model) = torrents.values().find(|torrent| torrent.hash == bytes[16..36]) else { return Ok(()) };
        let number = |at: usize| bytes[at..at + 8].try_into().ok().map(u64::from_be_bytes);
        let tells = match bytes[83] {
            1 => Tells::Completed,
            2 => Tells::Started,
            3 => Tells::Stopped,
            _ => Tells::Nothing,
        };
        let book = self.books.get(&model.id);
        let tiers = book.into_iter().flat_map(|book| book.tiers.iter().flatten().flatten());
        let Some(key) = tiers.filter(|key| port(key) && leads(key)).map(ToOwned::to_owned).next() else {
            return Ok(());
        };
        self.asks(now, model, &key, tells, (number(72), number(56), number(64)), tally)
    }

    /// A datagram has come in.
    pub fn heard(
        &mut self,
        now: Time,
        from: SocketAddr,
        bytes: &Bytes,
        actions: &Actions,
        tally: &mut Tally,
    ) -> Result<(), Breach> {
        if !self.udp.get_mut(&from).is_some_and(|udp| udp.answers(now, bytes)) {
            // What has waited for too long ends in whatever call comes then.
            let believed = actions.notices.iter().find(|notice| match notice {
                Notice::TrackerFailed { why, .. } => !why.ends_with(&IoFault::TimedOut.to_string()),
                Notice::Scraped { failure: Some(why), .. } => !why.ends_with(&IoFault::TimedOut.to_string()),
                other => matches!(other, Notice::TrackerAnswered { .. } | Notice::Scraped { .. }),
            });
            return tally.judge(Oracle::UdpTrackers, believed.is_none(), || {
                format!("{from} answers what it was not asked, and is believed: {believed:?}")
            });
        }
        tally.judge(Oracle::UdpTrackers, true, || "")?;
        self.said = Some(Said::Udp(bytes.clone()));
        Ok(())
    }

    /// Where only private torrents run: somebody is dialled.
    pub fn may_dial_private(&self, to: SocketAddr, named: bool, tally: &mut Tally) -> Result<(), Breach> {
        let unclear = self.books.values().any(|book| book.unclear);
        let told = self.met.contains(&to) || self.books.values().any(|book| book.peers.contains(&to));
        tally.judge(Oracle::PrivateApart, named || unclear || told, || {
            format!("{to} is dialled, and no tracker in use has named it")
        })
    }

    /// What was said in a call is known in that call alone.
    pub fn end_call(&mut self) {
        self.said = None;
    }
}

impl Book {
    /// BEP 12: tiers in order, and in a tier whoever answered last first.
    fn check_order(&self, key: &str, tally: &mut Tally) -> Result<(), Breach> {
        let Some(tiers) = &self.tiers else { return Ok(()) };
        let Some(place) = tiers.iter().position(|tier| tier.iter().any(|other| other == key)) else { return Ok(()) };
        if self.private && self.in_use.as_deref() == Some(key) {
            return Ok(());
        }
        let out = |other: &String| {
            self.trackers.get(other).is_some_and(|tracker| tracker.gone || tracker.works == Some(false))
        };
        let before = tiers[..place].iter().flatten().find(|other| !out(other));
        tally.judge(Oracle::TierOrder, before.is_none(), || format!("{key} is asked before {before:?} has failed"))?;
        let mates = tiers[place].iter().filter(|other| *other != key);
        let front = mates.filter(|other| self.trackers.get(*other).is_some_and(|tracker| tracker.works == Some(true)));
        let front =
            front.max_by_key(|other| self.trackers.get(*other).map(|tracker| tracker.answered_at)).filter(|other| {
                let own = self.trackers.get(key).filter(|tracker| tracker.works == Some(true));
                own.is_none_or(|own| own.answered_at < self.trackers[*other].answered_at)
            });
        tally.judge(Oracle::TierOrder, front.is_none(), || {
            format!("{key} is asked, and {front:?} of its tier answered last")
        })
    }
}

/// The trackers that a torrent is added with; `None` where their order is not plain.
fn tiers_of(add: &AddTorrent) -> Option<Vec<Vec<String>>> {
    if !add.use_trackers || !add.extra_trackers.is_empty() {
        return None;
    }
    let TorrentSource::Metainfo(file) = &add.source else { return None };
    let value = Value::read(file).ok()?;
    let text = |value: &Value| match value {
        Value::Bytes(bytes) => String::from_utf8(bytes.clone()).ok().map(|url| key_of(&url)),
        _ => None,
    };
    let list = match value.get("announce-list") {
        Some(Value::List(tiers)) => tiers
            .iter()
            .map(|tier| match tier {
                Value::List(urls) => urls.iter().filter_map(text).collect(),
                _ => Vec::new(),
            })
            .collect(),
        _ => vec![value.get("announce").and_then(text).into_iter().collect::<Vec<String>>()],
    };
    // Where one host is listed with both protocols, they may change places.
    let host = |key: &String| key.split("://").nth(1).and_then(|rest| rest.split([':', '/']).next()).map(str::to_owned);
    let hosts: Vec<Option<String>> = list.iter().flatten().map(host).collect();
    let distinct: BTreeSet<&Option<String>> = hosts.iter().collect();
    (distinct.len() == hosts.len()).then_some(list)
}

/// How a tracker is called here: scheme, host, port, and for HTTP the path.
fn key_of(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(at);
    let port = match scheme {
        "https" => ":443",
        _ => ":80",
    };
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let path = if scheme == "udp" { "" } else { path.trim_end_matches(['?', '&']) };
    format!("{scheme}://{host}{}{path}", if has_port { "" } else { port })
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, more)) = rest.split_first() {
        let code = more
            .get(..2)
            .and_then(|code| std::str::from_utf8(code).ok())
            .and_then(|code| u8::from_str_radix(code, 16).ok());
        match (byte, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = &more[2..];
            }
            _ => {
                bytes.push(byte);
                rest = more;
            }
        }
    }
    bytes
}

/// Peers and the minimal interval of an HTTP answer, and whether some of it is not followed.
fn read_http(body: &[u8]) -> (Vec<SocketAddr>, Option<u64>, bool) {
    let Ok(value) = Value::read(body) else { return (Vec::new(), None, true) };
    let min = value.get("min interval").and_then(Value::int).and_then(|seconds| u64::try_from(seconds).ok());
    let mut unclear = value.get("peers6").is_some();
    let peers = match value.get("peers") {
        Some(Value::Bytes(bytes)) => compact(bytes),
        Some(Value::List(list)) => {
            let peer = |value: &Value| {
                let Some(Value::Bytes(ip)) = value.get("ip") else { return None };
                let ip = std::str::from_utf8(ip).ok()?.parse().ok()?;
                Some(SocketAddr::new(ip, value.get("port").and_then(Value::int)?.try_into().ok()?))
            };
            let peers: Vec<SocketAddr> = list.iter().filter_map(peer).collect();
            unclear |= peers.len() < list.len();
            peers
        }
        _ => Vec::new(),
    };
    (peers, min, unclear)
}

fn compact(bytes: &[u8]) -> Vec<SocketAddr> {
    let peer = |chunk: &[u8]| {
        let ip = Ipv4Addr::new(chunk[0], chunk[1], chunk[2], chunk[3]);
        SocketAddr::new(IpAddr::V4(ip), u16::from_be_bytes([chunk[4], chunk[5]]))
    };
    bytes.chunks_exact(6).map(peer).collect()
}
