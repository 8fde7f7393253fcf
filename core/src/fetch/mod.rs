//! Fetching one document that the *user* names by its URL: a `.torrent` file.
//!
//! ```text
//! Resolving --> Asking --redirect--> Resolving ...
//!                 |  fault: the next address
//!                 +--> got, or failed
//! ```
//!
//! A machine of its own, for whoever wants a torrent from the web before there is a session: [`Fetch::begin`] says the first
//! piece of work, and each result that is told to [`Fetch::done`] gives the next one, or the end. There is never more than one
//! under way. The work is what a driver does anyhow: [`Work::Resolve`] and [`Work::Http`].
//!
//! # Whereto
//!
//! A tracker's URL is a stranger's word, this one is the user's: it may lead anywhere, to this machine and the networks around it too,
//! by an internationalised name too. A *redirect* is the word of whoever sent it:
//!
//! - from TLS it leads to TLS only;
//! - once an answer came from the open internet, no further hop may lead to a private network or this machine; and the ports of
//!   other services, and internationalised names, are refused at every hop ([`NetPolicy::may_ask`]);
//! - the decision is taken on addresses, after the look-up, never on names.
//!
//! # Limits
//!
//! [`FetchOptions`]: bytes after decoding, time for all of it, redirects, and addresses of a host. So one fetch is at most (redirects + 1) × (addresses + 1)
//! pieces of work. A URL has at most [`MAX_URL`](crate::tracker::url::MAX_URL) bytes.
//!
//! ```
//! use parcacik_core::border::{HttpResponse, JobResult, Work};
//! use parcacik_core::fetch::{Fetch, FetchOptions, FetchStep};
//! use parcacik_core::time::Time;
//!
//! let (mut fetch, work) =
//!     Fetch::begin(Time::ZERO, "http://192.0.2.7/a.torrent", FetchOptions::default()).unwrap();
//! // An address needs no look-up.
//! assert!(matches!(work, Work::Http(request) if request.path == "/a.torrent"));
//! let answer = HttpResponse { status: 200, location: None, retry_after: None, body: "de".into() };
//! let FetchStep::Got(document) = fetch.done(Time::from_secs(1), Ok(JobResult::Http(answer))) else { panic!() };
//! assert_eq!(document.bytes, "de");
//! ```

use crate::border::{HttpRequest, HttpResponse, IoFault, JobResult, NetPolicy, Work};
use crate::net_policy::{AddrClass, Purpose, Refusal, Request, Word};
use crate::time::Time;
use crate::tracker::clean_text;
use crate::tracker::url::{Host, Scheme, TrackerUrl, UrlError};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// How a document is fetched, and how much it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchOptions {
    /// The most bytes of the document, after decoding: those of the largest `.torrent` file that is read
    /// ([`MetainfoLimits::bytes`](crate::metainfo::MetainfoLimits::bytes)).
    pub bytes: u32,
    /// The longest time for all of it, look-ups and redirects included. 64 MiB in two minutes are 4 Mbit/s; somebody waits for it.
    pub time: Duration,
    /// The most redirects. Download pages of software use up to four; browsers' old rule is five.
    pub redirects: u32,
    /// The most addresses of one host that are tried.
    pub addresses: usize,
    /// Which schemes may be used, and where a redirect may lead.
    pub policy: NetPolicy,
    /// `User-Agent`; none is sent when `None`.
    pub user_agent: Option<String>,
}

impl Default for FetchOptions {
    fn default() -> FetchOptions {
        FetchOptions {
            bytes: 64 << 20,
            time: Duration::from_secs(120),
            redirects: 5,
            addresses: 6,
            policy: NetPolicy::default(),
            user_agent: None,
        }
    }
}

/// What was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The bytes, decoded. Whatever the server says they are, they are a stranger's.
    pub bytes: Bytes,
    /// The URL that gave them, after all redirects.
    pub url: String,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchStep {
    /// This is to be done; its result goes to [`Fetch::done`].
    Work(Work),
    /// The end: here it is.
    Got(Fetched),
    /// The end: it cannot be had.
    Failed(FetchError),
}

/// Why a document cannot be had. The text does not repeat the URL that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchError {
    /// The URL that the user gave cannot be used.
    Url(UrlError),
    /// A UDP URL.
    NotHttp,
    /// The host could not be looked up.
    Resolve {
        /// Its name.
        host: String,
        /// Why not.
        fault: IoFault,
    },
    /// None of the host's addresses gave an answer; the fault is the last one's.
    Io {
        /// The host.
        host: String,
        /// What happened.
        fault: IoFault,
    },
    /// The host has no address that anything could be asked of.
    NoAddress {
        /// The host.
        host: String,
    },
    /// An answer that is not the document.
    Status {
        /// The status code.
        status: u16,
        /// Seconds after which the server wants to be asked again, if it says so.
        retry_after: Option<u32>,
    },
    /// More redirects than [`FetchOptions::redirects`].
    TooManyRedirects,
    /// A redirect that does not say whereto.
    NoLocation,
    /// A redirect to something that is no URL of HTTP.
    BadLocation {
        /// The URL, fit to be shown.
        url: String,
        /// What is wrong with it.
        error: UrlError,
    },
    /// A redirect to a magnet link, which is given as it stands.
    Magnet(String),
    /// A redirect from TLS to plain HTTP.
    Downgrade {
        /// The URL that it leads to.
        url: String,
    },
    /// A redirect to where a stranger may not send us.
    Refused {
        /// The URL that it leads to.
        url: String,
        /// Why not there.
        refusal: Refusal,
    },
    /// Longer than [`FetchOptions::time`].
    TimedOut,
    /// The driver gave a result of other work.
    WrongResult,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FetchError::Url(error) => write!(f, "the URL {error}"),
            FetchError::NotHttp => f.write_str("only http:// and https:// can be fetched"),
            FetchError::Resolve { host, fault: IoFault::NotFound } => write!(f, "there is no host {host}"),
            FetchError::Resolve { host, fault } => write!(f, "looking up {host}: {fault}"),
            FetchError::Io { host, fault } => write!(f, "{host}: {fault}"),
            FetchError::NoAddress { host } => write!(f, "{host} has no address that can be asked"),
            FetchError::Status { status, .. } => write!(f, "the server answers with status {status}"),
            FetchError::TooManyRedirects => f.write_str("too many redirects"),
            FetchError::NoLocation => f.write_str("a redirect without a location"),
            FetchError::BadLocation { url, error } => write!(f, "it leads to {url}: the URL {error}"),
            FetchError::Magnet(_) => f.write_str("it leads to a magnet link"),
            FetchError::Downgrade { url } => write!(f, "it leads from https to {url}, where anybody could change it"),
            FetchError::Refused { url, refusal } => write!(f, "it leads to {url}: {refusal}"),
            FetchError::TimedOut => f.write_str("it takes too long"),
            FetchError::WrongResult => f.write_str("the driver gave another result than was asked for"),
        }
    }
}

impl core::error::Error for FetchError {}

/// One fetch.
#[derive(Clone, Debug)]
pub struct Fetch {
    options: FetchOptions,
    /// When it must be over.
    deadline: Time,
    /// Of the present hop.
    url: TrackerUrl,
    redirects: u32,
    /// Whose word the present hop is: the user's, or that of the hops before.
    word: Word,
    /// Addresses of the present hop that have not been tried, the next one last.
    untried: Vec<IpAddr>,
    /// The one that is asked; `None` while its host is looked up, and after the end.
    asked: Option<IpAddr>,
    last_fault: IoFault,
}

impl Fetch {
    /// Begins to fetch a URL; gives the first work.
    ///
    /// # Errors
    /// When the URL cannot be used.
    pub fn begin(now: Time, url: &str, options: FetchOptions) -> Result<(Fetch, Work), FetchError> {
        // Who types a name knows which one.
        let own = NetPolicy { allow_idna: true, ..options.policy.clone() };
        let url = TrackerUrl::parse_with(url, &own).map_err(FetchError::Url)?;
        if url.scheme() == Scheme::Udp {
            return Err(FetchError::NotHttp);
        }
        let mut fetch = Fetch {
            deadline: now + options.time,
            options,
            url,
            redirects: 0,
            word: Word::User,
            untried: Vec::new(),
            asked: None,
            last_fault: IoFault::Other,
        };
        match fetch.hop(now) {
            FetchStep::Work(work) => Ok((fetch, work)),
            FetchStep::Failed(error) => Err(error),
            // Nothing was asked yet.
            FetchStep::Got(_) => Err(FetchError::WrongResult),
        }
    }

    /// The work is done; what comes next. After an end it is [`FetchError::WrongResult`] for ever.
    pub fn done(&mut self, now: Time, result: Result<JobResult, IoFault>) -> FetchStep {
        if now >= self.deadline {
            return self.failed(FetchError::TimedOut);
        }
        match (self.asked.take(), result) {
            (None, Ok(JobResult::Resolved(addrs))) => self.resolved(now, &addrs),
            (None, Err(fault)) => self.failed(FetchError::Resolve { host: self.host(), fault }),
            (Some(at), Ok(JobResult::Http(response))) => self.answered(now, at, response),
            (Some(_), Err(fault)) => {
                self.last_fault = fault;
                // Another address of the same host would say the same.
                match fault {
                    IoFault::TooLarge | IoFault::Untrusted | IoFault::Unsupported | IoFault::Cancelled => {
                        self.failed(FetchError::Io { host: self.host(), fault })
                    }
                    _ => self.next_address(now),
                }
            }
            (_, Ok(_)) => self.failed(FetchError::WrongResult),
        }
    }

    fn failed(&mut self, error: FetchError) -> FetchStep {
        self.untried.clear();
        self.asked = None;
        FetchStep::Failed(error)
    }

    fn host(&self) -> String {
        self.url.host().to_string()
    }

    fn hop(&mut self, now: Time) -> FetchStep {
        match self.url.host() {
            Host::Ip(ip) => {
                let ip = *ip;
                self.resolved(now, &[ip])
            }
            Host::Name(name) => FetchStep::Work(Work::Resolve { host: name.clone() }),
        }
    }

    fn resolved(&mut self, now: Time, addrs: &[IpAddr]) -> FetchStep {
        let (mut allowed, mut refusal) = (Vec::new(), None);
        for ip in addrs.iter().map(IpAddr::to_canonical) {
            match self.may_ask(ip) {
                Ok(()) => allowed.push(ip),
                Err(why) => refusal = Some(why),
            }
        }
        allowed.truncate(self.options.addresses);
        allowed.reverse();
        self.untried = allowed;
        match refusal {
            _ if !self.untried.is_empty() => self.next_address(now),
            Some(refusal) if self.redirects > 0 => {
                let url = self.url.to_string();
                self.failed(FetchError::Refused { url, refusal })
            }
            _ => self.failed(FetchError::NoAddress { host: self.host() }),
        }
    }

    fn may_ask(&self, ip: IpAddr) -> Result<(), Refusal> {
        let request = Request {
            purpose: Purpose::Document,
            scheme: self.url.scheme(),
            to: SocketAddr::new(ip, self.url.port()),
            path: self.url.path(),
            has_query: self.url.query().is_some(),
        };
        self.options.policy.may_ask(&request, self.word)
    }

    fn next_address(&mut self, now: Time) -> FetchStep {
        let Some(ip) = self.untried.pop() else {
            let (host, fault) = (self.host(), self.last_fault);
            return self.failed(FetchError::Io { host, fault });
        };
        self.asked = Some(ip);
        FetchStep::Work(Work::Http(HttpRequest {
            to: SocketAddr::new(ip, self.url.port()),
            tls: self.url.scheme() == Scheme::Https,
            host: self.host(),
            port: self.url.port(),
            path: self.url.path_and_query(),
            user_agent: self.options.user_agent.clone(),
            from: None,
            body_limit: self.options.bytes,
            time_limit: self.deadline.since(now),
        }))
    }

    fn answered(&mut self, now: Time, at: IpAddr, response: HttpResponse) -> FetchStep {
        let HttpResponse { status, location, retry_after, body } = response;
        match status {
            200 => FetchStep::Got(Fetched { bytes: body, url: self.url.to_string() }),
            301 | 302 | 303 | 307 | 308 => {
                // One answer from the internet counts for all later hops.
                let global = AddrClass::of(at) == AddrClass::Global || self.word == Word::Global;
                self.word = if global { Word::Global } else { Word::Local };
                match self.redirect(location.as_deref()) {
                    Ok(url) => {
                        self.url = url;
                        self.hop(now)
                    }
                    Err(error) => self.failed(error),
                }
            }
            _ => self.failed(FetchError::Status { status, retry_after }),
        }
    }

    fn redirect(&mut self, location: Option<&str>) -> Result<TrackerUrl, FetchError> {
        /// The most characters of a stranger's URL that are shown.
        const SHOWN: u32 = 300;
        if self.redirects >= self.options.redirects {
            return Err(FetchError::TooManyRedirects);
        }
        self.redirects += 1;
        let location = location.ok_or(FetchError::NoLocation)?.trim();
        if location.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("magnet:")) {
            return Err(FetchError::Magnet(location.into()));
        }
        let bad = |error| FetchError::BadLocation { url: clean_text(location.as_bytes(), SHOWN), error };
        let url = self.url.join(location).map_err(bad)?;
        match (self.url.scheme(), url.scheme()) {
            (_, Scheme::Udp) => Err(bad(UrlError::Scheme)),
            (Scheme::Https, Scheme::Http) => Err(FetchError::Downgrade { url: url.to_string() }),
            _ => Ok(url),
        }
    }
}

#[cfg(test)]
mod tests;
