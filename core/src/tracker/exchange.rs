//! One announce or scrape to one tracker: look up its host, ask at one address after the other, follow redirects.
//!
//! ```text
//! Resolving --> Http --redirect--> Resolving ...
//!     |           |  fault: the next address
//!     |           +--> Ended
//!     +-------> Udp  no answer: the next address
//!                 +--> Ended
//! ```
//!
//! An announce goes out once for each family of addresses that both sides have (BEP 7: "An announce to the tracker should
//! be made for each local IP address"): when the look-up finds both, [`Exchange::split`] makes a second one.
//!
//! A host that is an address needs no look-up. The first answer ends it, whatever it says; a fault or silence moves on to
//! the next address, and the last one's fault ends it.

use crate::border::{Action, HttpRequest, HttpResponse, IoFault, JobId, JobResult, SocketId, Work};
use crate::cx::Cx;
use crate::journal::canon::{canon_enum, canon_struct};
use crate::net_policy::{NetRules, Refusal, Word};
use crate::rng::Rng;
use crate::time::Time;
use crate::tracker::http::{ResponseLimits, announce_target, parse_response, parse_scrape_response, scrape_target};
use crate::tracker::udp::{UdpAsk, UdpConnection, UdpExchange, UdpSaid, url_data};
use crate::tracker::url::{Host, Scheme};
use crate::tracker::{
    AddrClass, Answer, Question, RedirectError, Reply, RetryIn, ScrapeResponse, TrackerError, TrackerUrl, Ways,
};
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// How long beyond its own time limit an HTTP job may be silent before it is given up.
const GRACE: Duration = Duration::from_secs(5);

/// What an exchange needs from its owner, besides the context.
pub(super) struct Env<'e> {
    pub ways: Ways,
    /// Where transaction ids come from.
    pub secret: &'e mut Rng,
    /// Jobs that were given up; they still answer.
    pub abandoned: &'e mut Vec<JobId>,
}

/// How an exchange is to go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// On whose word the URL stands.
    pub word: Word,
    /// Whether no other tracker waits for its turn.
    pub patient: bool,
    /// When it must be over at the latest.
    pub limit: Time,
    /// Whether the tracker is told which client we are.
    pub named: bool,
}

canon_struct!(out Terms { word, patient, limit, named });

/// How an exchange ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Answer(Answer),
    /// `retry`: not before that, as the tracker says.
    Failed {
        error: TrackerError,
        retry: Option<Duration>,
    },
}

impl Ended {
    fn failed(error: TrackerError) -> Option<Ended> {
        Some(Ended::Failed { error, retry: None })
    }
}

#[derive(Clone, Debug)]
pub(super) struct Exchange {
    question: Question,
    /// Of the present hop.
    url: TrackerUrl,
    redirects: u32,
    /// On whose word the present hop's URL stands.
    word: Word,
    /// Whether anybody on the open internet has been asked.
    asked_global: bool,
    /// Addresses of the present hop's host that have not been tried, the next one last.
    untried: Vec<IpAddr>,
    /// The family that it keeps to (`true`: IPv6), once that is decided.
    family: Option<bool>,
    /// Addresses of the other family, for [`split`](Exchange::split).
    others: Vec<IpAddr>,
    step: Step,
    /// Whether the tracker may have seen the request.
    reached: bool,
    terms: Terms,
    /// The address that was asked last.
    asked: Option<IpAddr>,
    /// UDP connection ids from earlier, by family.
    known: [Option<UdpConnection>; 2],
    last_fault: IoFault,
}

canon_struct!(out Exchange { question, url, redirects, word, asked_global, untried, family, others, step, reached, terms, asked, known, last_fault });

#[derive(Clone, Debug)]
enum Step {
    Resolving { job: JobId, deadline: Time },
    Http { job: JobId, to: IpAddr, deadline: Time },
    Udp { sock: SocketId, exchange: Box<UdpExchange> },
    Ended,
}

canon_enum!(out Step { 0 = Resolving { job, deadline }, 1 = Http { job, to, deadline }, 2 = Udp { sock, exchange }, 3 = Ended });

impl Exchange {
    /// Begins; some end at once.
    pub(super) fn begin(
        cx: &mut Cx<'_>,
        env: &mut Env<'_>,
        url: TrackerUrl,
        question: Question,
        known: [Option<UdpConnection>; 2],
        terms: Terms,
    ) -> (Exchange, Option<Ended>) {
        let mut exchange = Exchange {
            question,
            url,
            redirects: 0,
            word: terms.word,
            asked_global: false,
            untried: Vec::new(),
            family: None,
            others: Vec::new(),
            step: Step::Ended,
            reached: false,
            terms,
            asked: None,
            known,
            last_fault: IoFault::Other,
        };
        let ended = exchange.hop(cx, env);
        (exchange, ended)
    }

    /// The second exchange, where the host has addresses of both families. To be called after [`begin`](Exchange::begin) and
    /// [`job_done`](Exchange::job_done). With two there is somebody else to wait for: neither is patient then.
    pub(super) fn split(&mut self, cx: &mut Cx<'_>, env: &mut Env<'_>) -> Option<(Exchange, Option<Ended>)> {
        let others = core::mem::take(&mut self.others);
        let family = self.family.filter(|_| !others.is_empty())?;
        self.terms.patient = false;
        let mut twin = self.clone();
        (twin.family, twin.untried, twin.step, twin.reached) = (Some(!family), others, Step::Ended, false);
        let ended = twin.next_address(cx, env);
        Some((twin, ended))
    }

    /// The family that it keeps to (`true`: IPv6), once that is decided.
    pub(super) fn family(&self) -> Option<bool> {
        self.family
    }

    /// The address that was asked last, if any was: whoever answered.
    pub(super) fn asked(&self) -> Option<IpAddr> {
        self.asked
    }

    /// The UDP connection ids for the next exchange, by family.
    pub(super) fn connections(&self) -> [Option<UdpConnection>; 2] {
        self.known
    }

    /// Whether anybody on the open internet has been asked: what is answered stands on its word then.
    pub(super) fn asked_global(&self) -> bool {
        self.asked_global
    }

    /// Whether the tracker may have seen the request.
    pub(super) fn reached(&self) -> bool {
        self.reached
    }

    pub(super) fn limit_to(&mut self, limit: Time) {
        self.terms.limit = self.terms.limit.min(limit);
    }

    pub(super) fn deadline(&self) -> Time {
        let own = match &self.step {
            Step::Resolving { deadline, .. } | Step::Http { deadline, .. } => *deadline,
            Step::Udp { exchange, .. } => exchange.deadline(),
            Step::Ended => Time::NEVER,
        };
        own.min(self.terms.limit)
    }

    pub(super) fn awaiting(&self) -> Option<(SocketAddr, u32)> {
        match &self.step {
            Step::Udp { exchange, .. } => Some((exchange.to(), exchange.transaction())),
            _ => None,
        }
    }

    pub(super) fn is_job(&self, job: JobId) -> bool {
        matches!(&self.step, Step::Resolving { job: mine, .. } | Step::Http { job: mine, .. } if *mine == job)
    }

    /// Gives it up where it stands.
    pub(super) fn abandon(&mut self, cx: &mut Cx<'_>, abandoned: &mut Vec<JobId>) {
        if let Step::Resolving { job, .. } | Step::Http { job, .. } = self.step {
            cx.act(Action::Cancel { job });
            abandoned.push(job);
        }
        self.step = Step::Ended;
    }

    /// Its job is done.
    pub(super) fn job_done(
        &mut self,
        cx: &mut Cx<'_>,
        env: &mut Env<'_>,
        result: &Result<JobResult, IoFault>,
    ) -> Option<Ended> {
        match (core::mem::replace(&mut self.step, Step::Ended), result) {
            (Step::Resolving { .. }, Ok(JobResult::Resolved(addrs))) => self.resolved(cx, env, addrs),
            (Step::Resolving { .. }, Err(fault)) => Ended::failed(TrackerError::Resolve(*fault)),
            (Step::Resolving { .. }, Ok(_)) => Ended::failed(TrackerError::Resolve(IoFault::Other)),
            (Step::Http { to, .. }, Ok(JobResult::Http(response))) => self.answered(cx, env, to, response),
            (Step::Http { .. }, Err(fault)) => {
                self.last_fault = *fault;
                self.next_address(cx, env)
            }
            (Step::Http { .. }, Ok(_)) => Ended::failed(TrackerError::Io(IoFault::Other)),
            (step @ (Step::Udp { .. } | Step::Ended), _) => {
                self.step = step;
                None
            }
        }
    }

    /// A datagram came; whether it was the awaited one, and how it ended if it did.
    pub(super) fn datagram(
        &mut self,
        cx: &mut Cx<'_>,
        env: &mut Env<'_>,
        from: SocketAddr,
        bytes: &[u8],
    ) -> (bool, Option<Ended>) {
        let Step::Udp { sock, exchange } = &mut self.step else { return (false, None) };
        let said = exchange.datagram(cx.now, &cx.config.announce, from, bytes, env.secret);
        let (sock, mine) = (*sock, said != UdpSaid::Nothing);
        (mine, self.udp_said(cx, env, sock, said))
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, cx: &mut Cx<'_>, env: &mut Env<'_>) -> Option<Ended> {
        if cx.now >= self.terms.limit {
            self.abandon(cx, env.abandoned);
            return Ended::failed(TrackerError::Io(IoFault::TimedOut));
        }
        match &mut self.step {
            Step::Resolving { deadline, .. } if cx.now >= *deadline => {
                self.abandon(cx, env.abandoned);
                Ended::failed(TrackerError::Resolve(IoFault::TimedOut))
            }
            Step::Http { deadline, .. } if cx.now >= *deadline => {
                self.abandon(cx, env.abandoned);
                self.last_fault = IoFault::TimedOut;
                self.next_address(cx, env)
            }
            // Blocked since it was asked: it is not asked again.
            Step::Udp { exchange, .. } if cx.config.net.filter_trackers && cx.filter.blocks(exchange.to().ip()) => {
                self.step = Step::Ended;
                Ended::failed(TrackerError::NotAllowed(Refusal::Filtered))
            }
            Step::Udp { sock, exchange } => {
                let (sock, said) = (*sock, exchange.tick(cx.now, &cx.config.announce, env.secret));
                self.udp_said(cx, env, sock, said)
            }
            _ => None,
        }
    }

    /// Begins with the host of `self.url`.
    fn hop(&mut self, cx: &mut Cx<'_>, env: &mut Env<'_>) -> Option<Ended> {
        match self.url.host() {
            Host::Ip(ip) => {
                let ip = *ip;
                self.resolved(cx, env, &[ip])
            }
            Host::Name(name) => {
                let job = cx.start(Work::Resolve { host: name.clone() });
                self.step = Step::Resolving { job, deadline: cx.now + cx.config.announce.resolve_timeout };
                None
            }
        }
    }

    /// The addresses of the host are known. Decides on each of them, now and not by the name: whoever owns the name says
    /// where it points, and may say something else each time.
    fn resolved(&mut self, cx: &mut Cx<'_>, env: &mut Env<'_>, addrs: &[IpAddr]) -> Option<Ended> {
        let config = &cx.config.announce;
        let (rules, word) = (NetRules::of(cx), self.url.word(self.word));
        let mut refused = None;
        let mut allowed = |ip: &IpAddr| match self.url.may_ask(*ip, &rules, word) {
            Ok(()) => true,
            Err(refusal) => {
                refused.get_or_insert(refusal);
                false
            }
        };
        let reachable =
            |ip: &IpAddr| env.ways.to(*ip).is_some() && self.family.is_none_or(|family| family == ip.is_ipv6());
        let addrs: Vec<IpAddr> = addrs.iter().map(IpAddr::to_canonical).filter(&mut allowed).collect();
        if let (true, Some(refusal)) = (addrs.is_empty(), refused) {
            return Ended::failed(match refusal {
                Refusal::FromGlobalToLocal if self.redirects > 0 => TrackerError::Redirect(RedirectError::ToPrivate),
                _ => TrackerError::NotAllowed(refusal),
            });
        }
        let mut addrs: Vec<IpAddr> = addrs.into_iter().filter(reachable).collect();
        if let (Question::Announce(_), None, Some(first)) = (&self.question, self.family, addrs.first()) {
            // What the system puts first, it expects to work best.
            let family = first.is_ipv6();
            self.family = Some(family);
            (addrs, self.others) = addrs.into_iter().partition(|ip| ip.is_ipv6() == family);
        }
        for list in [&mut addrs, &mut self.others] {
            list.truncate(config.max_addresses as usize);
            list.reverse();
        }
        self.untried = addrs;
        if self.untried.is_empty() {
            return Ended::failed(TrackerError::NoAddress);
        }
        self.next_address(cx, env)
    }

    fn next_address(&mut self, cx: &mut Cx<'_>, env: &mut Env<'_>) -> Option<Ended> {
        let Some(ip) = self.untried.pop() else { return Ended::failed(TrackerError::Io(self.last_fault)) };
        self.asked = Some(ip);
        let to = SocketAddr::new(ip, self.url.port());
        self.asked_global |= AddrClass::of(ip) == AddrClass::Global;
        match self.url.scheme() {
            Scheme::Http | Scheme::Https => self.ask_http(cx, env, to),
            Scheme::Udp => self.ask_udp(cx, env, to),
        }
    }

    fn ask_http(&mut self, cx: &mut Cx<'_>, env: &mut Env<'_>, to: SocketAddr) -> Option<Ended> {
        let Some(way) = env.ways.to(to.ip()) else { return Ended::failed(TrackerError::NoAddress) };
        let config = &cx.config.announce;
        let time_limit = config.http_timeout.min(self.terms.limit.since(cx.now));
        // A redirect's location stands as it is: whoever sent it has put our parameters there, or means none.
        let path = match self.redirects {
            0 => match &self.question {
                Question::Announce(request) => {
                    let mut request = request.clone();
                    request.port = way.port;
                    request.own_ips.retain(|ip| ip.is_ipv6() != to.is_ipv6());
                    announce_target(&self.url, &request)
                }
                Question::Scrape(torrents) => scrape_target(&self.url, torrents),
            },
            _ => self.url.path_and_query(),
        };
        let request = HttpRequest {
            to,
            tls: self.url.scheme() == Scheme::Https,
            host: self.url.host().to_string(),
            port: self.url.port(),
            path,
            user_agent: self.terms.named.then(|| cx.config.session.client.clone()),
            from: way.bind_ip,
            body_limit: config.body_limit,
            time_limit,
        };
        let deadline = cx.now + time_limit + GRACE;
        let job = cx.start(Work::Http(request));
        self.reached = true;
        self.step = Step::Http { job, to: to.ip(), deadline };
        None
    }

    fn ask_udp(&mut self, cx: &mut Cx<'_>, env: &mut Env<'_>, to: SocketAddr) -> Option<Ended> {
        let Some(way) = env.ways.to(to.ip()) else { return Ended::failed(TrackerError::NoAddress) };
        let Some(sock) = way.udp else { return Ended::failed(TrackerError::NoUdpSocket) };
        let mut question = self.question.clone();
        if let Question::Announce(request) = &mut question {
            request.port = way.port;
        }
        let known = self.known.iter().flatten().find(|connection| connection.from == to).copied();
        let what = UdpAsk {
            to,
            known,
            question,
            url_data: url_data(&self.url),
            patient: self.terms.patient && self.untried.is_empty(),
        };
        let (exchange, packet) = UdpExchange::begin(cx.now, &cx.config.announce, what, env.secret);
        self.reached |= exchange.has_asked();
        self.step = Step::Udp { sock, exchange: Box::new(exchange) };
        send(cx, sock, to, packet);
        None
    }

    fn udp_said(&mut self, cx: &mut Cx<'_>, env: &mut Env<'_>, sock: SocketId, said: UdpSaid) -> Option<Ended> {
        if let Step::Udp { exchange, .. } = &self.step {
            if let Some(known) = self.known.get_mut(usize::from(exchange.to().is_ipv6())) {
                *known = exchange.connection();
            }
            self.reached |= exchange.has_asked();
            if let UdpSaid::Send(packet) = said {
                let to = exchange.to();
                send(cx, sock, to, packet);
                return None;
            }
        }
        match said {
            UdpSaid::Nothing | UdpSaid::Send(_) => None,
            UdpSaid::TimedOut => {
                self.step = Step::Ended;
                self.last_fault = IoFault::TimedOut;
                self.next_address(cx, env)
            }
            UdpSaid::Replied(reply) => {
                self.step = Step::Ended;
                Some(replied(reply))
            }
        }
    }

    fn answered(&mut self, cx: &mut Cx<'_>, env: &mut Env<'_>, at: IpAddr, response: &HttpResponse) -> Option<Ended> {
        if matches!(response.status, 301 | 302 | 303 | 307 | 308) {
            self.word = if AddrClass::of(at) == AddrClass::Global { Word::Global } else { self.word };
            return match self.redirect(cx, response.location.as_deref()) {
                Ok(url) => {
                    self.url = url;
                    self.hop(cx, env)
                }
                Err(error) => Ended::failed(TrackerError::Redirect(error)),
            };
        }
        let config = &cx.config.announce;
        let limits = ResponseLimits {
            body: config.body_limit,
            peers: config.max_peers,
            id: config.max_tracker_id,
            text: config.max_text,
        };
        let parsed = match &self.question {
            Question::Announce(_) => parse_response(&response.body, &limits).map(|reply| map(reply, Answer::Announced)),
            Question::Scrape(_) => parse_scrape_response(&response.body, &limits).map(|reply| {
                map(reply, |(counts, min_interval)| Answer::Scraped(ScrapeResponse { counts, min_interval }))
            }),
        };
        if response.status == 200 {
            return match parsed {
                Ok(reply) => Some(replied(reply)),
                Err(problem) => Ended::failed(TrackerError::BadAnswer(problem)),
            };
        }
        // Another status is a failure whatever the body says, but a reason in it is worth showing.
        let (reason, retry) = match parsed {
            Ok(Reply::Failure { reason, retry }) => (Some(reason), retry),
            _ => (None, None),
        };
        let status = response.status;
        let (error, minutes) = match retry {
            Some(RetryIn::Never) => (TrackerError::Gone(reason.unwrap_or_default()), None),
            // RFC 9110, 15.5.11: "410 ... likely to be permanent".
            _ if status == 410 => (TrackerError::Gone(reason.unwrap_or_else(|| "HTTP status 410".to_string())), None),
            Some(RetryIn::Minutes(minutes)) => (TrackerError::Status(status, reason), Some(minutes)),
            None => (TrackerError::Status(status, reason), None),
        };
        let seconds = minutes.map(|minutes| u64::from(minutes) * 60).or(response.retry_after.map(u64::from));
        Some(Ended::Failed { error, retry: seconds.map(Duration::from_secs) })
    }

    fn redirect(&mut self, cx: &Cx<'_>, location: Option<&str>) -> Result<TrackerUrl, RedirectError> {
        if self.redirects >= cx.config.announce.max_redirects {
            return Err(RedirectError::TooMany);
        }
        self.redirects += 1;
        let url = self.url.join(location.ok_or(RedirectError::NoLocation)?).map_err(RedirectError::BadLocation)?;
        match (self.url.scheme(), url.scheme()) {
            (_, Scheme::Udp) => Err(RedirectError::Scheme),
            (Scheme::Https, Scheme::Http) => Err(RedirectError::Downgrade),
            _ => Ok(url),
        }
    }
}

fn map<T, U>(reply: Reply<T>, answer: impl FnOnce(T) -> U) -> Reply<U> {
    match reply {
        Reply::Answer(given) => Reply::Answer(answer(given)),
        Reply::Failure { reason, retry } => Reply::Failure { reason, retry },
    }
}

fn replied(reply: Reply<Answer>) -> Ended {
    match reply {
        Reply::Answer(response) => Ended::Answer(response),
        Reply::Failure { reason, retry: Some(RetryIn::Never) } => {
            Ended::Failed { error: TrackerError::Gone(reason), retry: None }
        }
        Reply::Failure { reason, retry } => {
            let retry = retry.and_then(|retry| match retry {
                RetryIn::Minutes(minutes) => Some(Duration::from_secs(u64::from(minutes) * 60)),
                RetryIn::Never => None,
            });
            Ended::Failed { error: TrackerError::Refused(reason), retry }
        }
    }
}

fn send(cx: &mut Cx<'_>, sock: SocketId, to: SocketAddr, packet: Vec<u8>) {
    // An announce has 98 bytes and about 1 KiB of URL data at most.
    let segment = u16::try_from(packet.len()).unwrap_or(u16::MAX);
    cx.act(Action::SendDatagrams { sock, to, segment, bytes: Bytes::from(packet), dont_fragment: false });
}
