//! One announce to one tracker: look up its host, ask at one address after the other, follow redirects.
//!
//! ```text
//! Resolving --> Http --redirect--> Resolving ...
//!     |           |  fault: the next address
//!     |           +--> Ended
//!     +-------> Udp  no answer: the next address
//!                 +--> Ended
//! ```
//!
//! A host that is an address needs no look-up. The first answer ends it, whatever it says; a fault or silence moves on to
//! the next address, and the last one's fault ends it.

use super::AnnounceFacts;
use crate::border::{Action, HttpRequest, HttpResponse, IoFault, JobId, JobResult, SocketId, Work};
use crate::cx::Cx;
use crate::rng::Rng;
use crate::time::Time;
use crate::tracker::http::{ResponseLimits, announce_target, parse_response};
use crate::tracker::udp::{UdpAnnounce, UdpConnection, UdpExchange, UdpSaid, url_data};
use crate::tracker::url::{Host, Scheme};
use crate::tracker::{
    AddrClass, AnnounceRequest, AnnounceResponse, RedirectError, Reply, RetryIn, TrackerError, TrackerUrl,
};
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// How long beyond its own time limit an HTTP job may be silent before it is given up.
const GRACE: Duration = Duration::from_secs(5);

/// What an exchange needs from the announcer, besides the context.
pub(super) struct Env<'e> {
    pub facts: &'e AnnounceFacts,
    /// Where transaction ids come from.
    pub secret: &'e mut Rng,
    /// Jobs that were given up; they still answer.
    pub abandoned: &'e mut Vec<JobId>,
}

/// How an exchange ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Answer(AnnounceResponse),
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
    request: AnnounceRequest,
    /// Of the present hop.
    url: TrackerUrl,
    redirects: u32,
    /// Whether an earlier hop was on the open internet.
    from_global: bool,
    /// Addresses of the present hop's host that have not been tried, the next one last.
    untried: Vec<IpAddr>,
    step: Step,
    /// Whether the tracker may have seen the request.
    reached: bool,
    /// Whether no other tracker waits for its turn.
    patient: bool,
    /// A UDP connection id from earlier.
    connection: Option<UdpConnection>,
    /// When it must be over at the latest.
    limit: Time,
    last_fault: IoFault,
}

#[derive(Clone, Debug)]
enum Step {
    Resolving { job: JobId, deadline: Time },
    Http { job: JobId, to: IpAddr, deadline: Time },
    Udp { sock: SocketId, exchange: Box<UdpExchange> },
    Ended,
}

impl Exchange {
    /// Begins; some end at once. `limit`: when it must be over at the latest.
    pub(super) fn begin(
        cx: &mut Cx<'_>,
        env: &mut Env<'_>,
        url: TrackerUrl,
        request: AnnounceRequest,
        known: Option<UdpConnection>,
        (patient, limit): (bool, Time),
    ) -> (Exchange, Option<Ended>) {
        let mut exchange = Exchange {
            request,
            url,
            redirects: 0,
            from_global: false,
            untried: Vec::new(),
            step: Step::Ended,
            reached: false,
            patient,
            connection: known,
            limit,
            last_fault: IoFault::Other,
        };
        let ended = exchange.hop(cx, env);
        (exchange, ended)
    }

    pub(super) fn connection(&self) -> Option<UdpConnection> {
        self.connection
    }

    /// Whether the tracker may have seen the request.
    pub(super) fn reached(&self) -> bool {
        self.reached
    }

    pub(super) fn limit_to(&mut self, limit: Time) {
        self.limit = self.limit.min(limit);
    }

    pub(super) fn deadline(&self) -> Time {
        let own = match &self.step {
            Step::Resolving { deadline, .. } | Step::Http { deadline, .. } => *deadline,
            Step::Udp { exchange, .. } => exchange.deadline(),
            Step::Ended => Time::NEVER,
        };
        own.min(self.limit)
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
        if cx.now >= self.limit {
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
        let allowed = |ip: &IpAddr| self.url.may_ask(*ip, &cx.config.net, self.from_global).is_ok();
        let in_family = |ip: &IpAddr| env.facts.bind_ip.is_none_or(|own| own.is_ipv4() == ip.is_ipv4());
        let addrs: Vec<IpAddr> = addrs.iter().map(IpAddr::to_canonical).filter(allowed).collect();
        if addrs.is_empty() && self.from_global {
            return Ended::failed(TrackerError::Redirect(RedirectError::ToPrivate));
        }
        self.untried = addrs.into_iter().filter(in_family).take(config.max_addresses as usize).collect();
        self.untried.reverse();
        if self.untried.is_empty() {
            return Ended::failed(TrackerError::NoAddress);
        }
        self.next_address(cx, env)
    }

    fn next_address(&mut self, cx: &mut Cx<'_>, env: &mut Env<'_>) -> Option<Ended> {
        let Some(ip) = self.untried.pop() else { return Ended::failed(TrackerError::Io(self.last_fault)) };
        let to = SocketAddr::new(ip, self.url.port());
        match self.url.scheme() {
            Scheme::Http | Scheme::Https => self.ask_http(cx, env, to),
            Scheme::Udp => self.ask_udp(cx, env, to),
        }
    }

    fn ask_http(&mut self, cx: &mut Cx<'_>, env: &mut Env<'_>, to: SocketAddr) -> Option<Ended> {
        let config = &cx.config.announce;
        let time_limit = config.http_timeout.min(self.limit.since(cx.now));
        // A redirect's location stands as it is: whoever sent it has put our parameters there, or means none.
        let path = match self.redirects {
            0 => announce_target(&self.url, &self.request),
            _ => self.url.path_and_query(),
        };
        let request = HttpRequest {
            to,
            tls: self.url.scheme() == Scheme::Https,
            host: self.url.host().to_string(),
            port: self.url.port(),
            path,
            user_agent: Some(cx.config.session.client.clone()),
            from: env.facts.bind_ip,
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
        let Some(sock) = env.facts.udp else { return Ended::failed(TrackerError::NoUdpSocket) };
        let what = UdpAnnounce {
            to,
            known: self.connection.filter(|connection| connection.from == to),
            request: self.request.clone(),
            url_data: url_data(&self.url),
            patient: self.patient && self.untried.is_empty(),
        };
        let (exchange, packet) = UdpExchange::begin(cx.now, &cx.config.announce, what, env.secret);
        self.reached |= exchange.has_announced();
        self.step = Step::Udp { sock, exchange: Box::new(exchange) };
        send(cx, sock, to, packet);
        None
    }

    fn udp_said(&mut self, cx: &mut Cx<'_>, env: &mut Env<'_>, sock: SocketId, said: UdpSaid) -> Option<Ended> {
        if let Step::Udp { exchange, .. } = &self.step {
            self.connection = exchange.connection();
            self.reached |= exchange.has_announced();
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
            self.from_global |= AddrClass::of(at) == AddrClass::Global;
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
        let parsed = parse_response(&response.body, &limits);
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

fn replied(reply: Reply<AnnounceResponse>) -> Ended {
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
