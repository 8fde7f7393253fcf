//! Asking some trackers one thing each, without a torrent around it: for commands that look at trackers.
//!
//! ```text
//! waiting --(at most max_asks at once)--> asking --> said
//! ```
//!
//! Each tracker is asked once, and each answers for itself: what one says or fails to say changes nothing for the others.
//! An announce goes out by each family of addresses that both sides have, a scrape in as many requests as it takes. Nothing
//! is tried again: a UDP address has 15 s to answer, an HTTP tracker its usual time.
//!
//! It is told [`tick`](Probe::tick), [`job_done`](Probe::job_done) and [`datagram`](Probe::datagram), says [`ProbeSaid`], and is
//! [done](Probe::is_done) when every tracker has been heard. Its limits are those of announces
//! ([`AnnounceConfig`](crate::border::AnnounceConfig)) and [`MAX_TRACKERS`].
//!
//! ```
//! use parcacik_core::border::{Action, Actions, Config, InfoHash, Work};
//! use parcacik_core::cx::{Cx, IdSource};
//! use parcacik_core::net_policy::{IpFilter, Word};
//! use parcacik_core::tracker::probe::{Asked, Probe};
//! use parcacik_core::tracker::{Way, Ways};
//! use parcacik_core::{rng::Seeds, time::Time};
//!
//! let (config, seeds, mut ids, mut out) = (Config::default(), Seeds::for_tests(1), IdSource::default(), Actions::new());
//! let filter = IpFilter::new();
//! let mut cx = Cx {
//!     now: Time::ZERO, config: &config, filter: &filter, seeds: &seeds, out: &mut out, ids: &mut ids, owner: 0,
//! };
//! let ways = Ways { v4: Some(Way { port: 0, udp: None, bind_ip: None }), v6: None };
//! let trackers = ["http://192.0.2.1/announce".to_owned()];
//! let probe = Probe::begin(&mut cx, ways, &trackers, Asked::Scrape(vec![InfoHash([7; 20])]), (Word::User, 0));
//! let Action::Start { work: Work::Http(request), .. } = &out.list[0] else { panic!("it asks") };
//! assert!(request.path.starts_with("/scrape?info_hash="));
//! assert!(!probe.is_done());
//! ```

use super::announcer::MAX_TRACKERS;
use super::exchange::{Ended, Env, Exchange, Terms};
use super::scrape::Scrape;
use super::url::MAX_URL;
use super::{
    AnnounceRequest, AnnounceResponse, Answer, Question, ScrapeCounts, TrackerError, TrackerUrl, UrlError, Ways,
    clean_text,
};
use crate::border::{InfoHash, IoFault, JobId, JobResult};
use crate::cx::Cx;
use crate::journal::canon::{canon_enum, canon_struct};
use crate::net_policy::Word;
use crate::rng::{Rng, Stream};
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// What all trackers are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To list us; the port is that of each family's way.
    Announce(AnnounceRequest),
    /// How torrents do.
    Scrape(Vec<InfoHash>),
}

canon_enum!(out Asked { 0 = Announce(a), 1 = Scrape(a) });

/// What a probe has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeSaid {
    /// Of an announce: once for each family.
    Announced {
        /// The tracker's URL, as far as it can be shown.
        url: String,
        /// The address that was asked last.
        from: Option<IpAddr>,
        /// What it said; else why not, in words with untrusted text, cut and cleaned.
        answer: Result<Box<AnnounceResponse>, String>,
    },
    /// Of a scrape: once.
    Scraped {
        /// The tracker's announce URL, as far as it can be shown.
        url: String,
        /// What it knows; of a failure, what it said before.
        counts: Vec<(InfoHash, ScrapeCounts)>,
        /// Why it failed, in words with untrusted text, cut and cleaned.
        failure: Option<String>,
    },
}

canon_enum!(out ProbeSaid {
    0 = Announced { url, from, answer },
    1 = Scraped { url, counts, failure },
});

/// The machine. See the [module](self).
#[derive(Clone, Debug)]
pub struct Probe {
    asked: Asked,
    word: Word,
    number: u64,
    /// How many have been begun; each has a stream of chance of its own.
    begun: u64,
    waiting: VecDeque<TrackerUrl>,
    rows: Vec<Row>,
    said: VecDeque<ProbeSaid>,
    abandoned: Vec<JobId>,
}

canon_struct!(out Probe { asked, word, number, begun, waiting, rows, said, abandoned });

/// One tracker that is being asked.
#[derive(Clone, Debug)]
struct Row {
    url: String,
    talk: Talk,
}

canon_struct!(out Row { url, talk });

#[derive(Clone, Debug)]
enum Talk {
    /// One for each family, and where their transaction ids come from.
    Announce {
        lanes: Vec<Exchange>,
        secret: Rng,
    },
    Scrape(Box<Scrape>),
}

canon_enum!(out Talk { 0 = Announce { lanes, secret }, 1 = Scrape(a) });

impl Probe {
    /// Begins to ask. Doubles among the trackers count once. `word`: whose list it is; `number` tells this probe's chance from
    /// that of others.
    pub fn begin(cx: &mut Cx<'_>, ways: Ways, trackers: &[String], asked: Asked, (word, number): (Word, u64)) -> Probe {
        let mut probe = Probe {
            asked,
            word,
            number,
            begun: 0,
            waiting: VecDeque::new(),
            rows: Vec::new(),
            said: VecDeque::new(),
            abandoned: Vec::new(),
        };
        for text in trackers {
            let parsed = match TrackerUrl::parse_with(text, &cx.config.net) {
                Ok(_) if probe.waiting.len() >= MAX_TRACKERS => Err(UrlError::TooMany),
                parsed => parsed,
            };
            match parsed {
                Ok(url) if probe.waiting.contains(&url) => {}
                Ok(url) => probe.waiting.push_back(url),
                Err(error) => {
                    let url = clean_text(text.as_bytes(), MAX_URL as u32);
                    probe.say_failure(url, None, format!("the URL {error}"));
                }
            }
        }
        probe.advance(cx, ways);
        probe
    }

    /// The moment that [`deadline`](Probe::deadline) named has come.
    pub fn tick(&mut self, cx: &mut Cx<'_>, ways: Ways) {
        for row in &mut self.rows {
            match &mut row.talk {
                Talk::Scrape(scrape) => scrape.tick(cx, ways),
                Talk::Announce { lanes, secret } => {
                    let mut env = Env { ways, secret, abandoned: &mut self.abandoned };
                    let (url, said) = (&row.url, &mut self.said);
                    lanes.retain_mut(|lane| {
                        let ended = lane.tick(cx, &mut env);
                        goes_on(said, url, lane, ended)
                    });
                }
            }
        }
        self.advance(cx, ways);
    }

    /// A job is done. `false`: it is not this machine's.
    pub fn job_done(&mut self, cx: &mut Cx<'_>, ways: Ways, job: JobId, result: &Result<JobResult, IoFault>) -> bool {
        if let Some(place) = self.abandoned.iter().position(|&abandoned| abandoned == job) {
            self.abandoned.swap_remove(place);
            return true;
        }
        let mut mine = false;
        for row in &mut self.rows {
            match &mut row.talk {
                Talk::Scrape(scrape) => mine |= scrape.job_done(cx, ways, job, result),
                Talk::Announce { lanes, secret } => {
                    let Some(at) = lanes.iter().position(|lane| lane.is_job(job)) else { continue };
                    mine = true;
                    let mut env = Env { ways, secret, abandoned: &mut self.abandoned };
                    let mut lane = lanes.swap_remove(at);
                    let ended = lane.job_done(cx, &mut env, result);
                    lanes.extend(set_out(cx, &mut env, &mut self.said, &row.url, lane, ended));
                }
            }
            if mine {
                break;
            }
        }
        self.advance(cx, ways);
        mine
    }

    /// A datagram came. `false`: it is not an answer that is awaited.
    pub fn datagram(&mut self, cx: &mut Cx<'_>, ways: Ways, from: SocketAddr, bytes: &[u8]) -> bool {
        let mut mine = false;
        for row in &mut self.rows {
            match &mut row.talk {
                Talk::Scrape(scrape) => mine |= scrape.datagram(cx, ways, from, bytes),
                Talk::Announce { lanes, secret } => {
                    let mut env = Env { ways, secret, abandoned: &mut self.abandoned };
                    let (url, said) = (&row.url, &mut self.said);
                    lanes.retain_mut(|lane| {
                        if mine {
                            return true;
                        }
                        let (heard, ended) = lane.datagram(cx, &mut env, from, bytes);
                        mine |= heard;
                        goes_on(said, url, lane, ended)
                    });
                }
            }
            if mine {
                break;
            }
        }
        self.advance(cx, ways);
        mine
    }

    /// Gives up what is under way; what was not heard is told as cancelled.
    pub fn cancel(&mut self, cx: &mut Cx<'_>) {
        let cancelled = TrackerError::Io(IoFault::Cancelled).to_string();
        for url in core::mem::take(&mut self.waiting) {
            self.say_failure(url.to_string(), None, cancelled.clone());
        }
        for mut row in core::mem::take(&mut self.rows) {
            match &mut row.talk {
                Talk::Scrape(scrape) => scrape.cancel(cx),
                Talk::Announce { lanes, .. } => {
                    for lane in lanes {
                        lane.abandon(cx, &mut self.abandoned);
                    }
                }
            }
            self.say_failure(row.url, None, cancelled.clone());
        }
    }

    /// The UDP answers that are awaited: the source and transaction id (bytes 4 to 8 of the packet) of each.
    pub fn awaited(&self) -> impl Iterator<Item = (SocketAddr, u32)> + '_ {
        self.rows.iter().flat_map(|row| {
            let (lanes, scrape) = match &row.talk {
                Talk::Announce { lanes, .. } => (lanes.as_slice(), None),
                Talk::Scrape(scrape) => (&[][..], scrape.awaiting()),
            };
            lanes.iter().filter_map(Exchange::awaiting).chain(scrape)
        })
    }

    /// What there is to say, oldest first. To be drained after each call: it holds some words for each tracker.
    pub fn said(&mut self) -> Option<ProbeSaid> {
        self.said.pop_front()
    }

    /// When [`tick`](Probe::tick) is due.
    pub fn deadline(&self) -> Option<Time> {
        let due = self.rows.iter().flat_map(|row| {
            let (lanes, scrape) = match &row.talk {
                Talk::Announce { lanes, .. } => (lanes.as_slice(), None),
                Talk::Scrape(scrape) => (&[][..], scrape.deadline()),
            };
            lanes.iter().map(Exchange::deadline).chain(scrape)
        });
        due.min().filter(|due| *due != Time::NEVER)
    }

    /// Whether every tracker has been heard.
    pub fn is_done(&self) -> bool {
        self.rows.is_empty() && self.waiting.is_empty()
    }

    /// Takes out who has been heard, and asks those who wait. Each turn takes somebody out of a list, so it ends.
    fn advance(&mut self, cx: &mut Cx<'_>, ways: Ways) {
        loop {
            let over = |row: &Row| match &row.talk {
                Talk::Announce { lanes, .. } => lanes.is_empty(),
                Talk::Scrape(scrape) => scrape.outcome().is_some(),
            };
            while let Some(at) = self.rows.iter().position(over) {
                let row = self.rows.remove(at);
                if let Talk::Scrape(scrape) = row.talk {
                    let counts = scrape.counts().iter().map(|(hash, counts)| (*hash, *counts)).collect();
                    let failure = scrape.outcome().and_then(Result::err).map(ToString::to_string);
                    self.said.push_back(ProbeSaid::Scraped { url: row.url, counts, failure });
                }
            }
            if self.rows.len() >= cx.config.announce.max_asks as usize {
                return;
            }
            let Some(url) = self.waiting.pop_front() else { return };
            self.begun += 1;
            let mut secret = cx.seeds.secrets(Stream::Probe, (self.number << 16) + self.begun);
            let text = url.to_string();
            let talk = match &self.asked {
                Asked::Scrape(torrents) => {
                    Talk::Scrape(Box::new(Scrape::begin_for(cx, ways, &url, torrents, (self.word, secret))))
                }
                Asked::Announce(request) => {
                    let named = !cx.config.announce.hide_client;
                    let terms = Terms { word: self.word, patient: false, limit: Time::NEVER, named };
                    let mut env = Env { ways, secret: &mut secret, abandoned: &mut self.abandoned };
                    let question = Question::Announce(request.clone());
                    let (lane, ended) = Exchange::begin(cx, &mut env, url, question, [None; 2], terms);
                    let lanes = set_out(cx, &mut env, &mut self.said, &text, lane, ended);
                    Talk::Announce { lanes, secret }
                }
            };
            self.rows.push(Row { url: text, talk });
        }
    }

    fn say_failure(&mut self, url: String, from: Option<IpAddr>, why: String) {
        self.said.push_back(match self.asked {
            Asked::Announce(_) => ProbeSaid::Announced { url, from, answer: Err(why) },
            Asked::Scrape(_) => ProbeSaid::Scraped { url, counts: Vec::new(), failure: Some(why) },
        });
    }
}

/// A lane has gone a step. The lanes that there are then: itself if it goes on, and a twin when it has learned that it needs one.
fn set_out(
    cx: &mut Cx<'_>,
    env: &mut Env<'_>,
    said: &mut VecDeque<ProbeSaid>,
    url: &str,
    mut lane: Exchange,
    ended: Option<Ended>,
) -> Vec<Exchange> {
    let twin = lane.split(cx, env);
    let lanes = core::iter::once((lane, ended)).chain(twin);
    lanes.filter_map(|(lane, ended)| goes_on(said, url, &lane, ended).then_some(lane)).collect()
}

/// Says how a lane ended, if it did.
fn goes_on(said: &mut VecDeque<ProbeSaid>, url: &str, lane: &Exchange, ended: Option<Ended>) -> bool {
    let answer = match ended {
        None => return true,
        Some(Ended::Answer(Answer::Announced(response))) => Ok(Box::new(response)),
        // No announce is answered by counts.
        Some(Ended::Answer(Answer::Scraped(_))) => Err(TrackerError::Io(IoFault::Protocol).to_string()),
        Some(Ended::Failed { error, .. }) => Err(error.to_string()),
    };
    said.push_back(ProbeSaid::Announced { url: url.into(), from: lane.asked(), answer });
    false
}

#[cfg(test)]
mod tests;
