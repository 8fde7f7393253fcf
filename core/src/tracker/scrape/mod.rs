//! Asking one tracker how some torrents do, without being listed (BEP 48; by UDP, BEP 15).
//!
//! ```text
//! Asking (batch after batch) --the last one answered--> Done
//!    +--any one failed--> Failed, with what was learned before
//! ```
//!
//! BEP 48 allows several info-hashes in one request; more than fit (a URL of 2048 bytes, a packet of 74) go out as several requests,
//! one after the other. A torrent that the tracker says nothing of is left out of the result.
//!
//! It is told [`tick`](Scrape::tick), [`job_done`](Scrape::job_done) and [`datagram`](Scrape::datagram), and has its result
//! in the end: [`outcome`](Scrape::outcome). Its limits are those of announces
//! ([`AnnounceConfig`](crate::border::AnnounceConfig)).

use super::exchange::{Ended, Env, Exchange, Terms};
use super::udp::{MAX_SCRAPE, UdpConnection};
use super::url::MAX_URL;
use super::{Answer, Question, ScrapeCounts, TrackerError, TrackerUrl, Ways};
use crate::border::{InfoHash, IoFault, JobId, JobResult};
use crate::cx::Cx;
use crate::journal::canon::canon_struct;
use crate::net_policy::{Scheme, Word};
use crate::rng::Rng;
use crate::time::Time;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;

/// The bytes that an info-hash can take in a URL: `&info_hash=` and three for each byte.
const HASH_IN_URL: usize = 11 + 3 * 20;

/// A tracker's answer to a scrape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrapeResponse {
    /// What it knows, by torrent.
    pub counts: Vec<(InfoHash, ScrapeCounts)>,
    /// Seconds that should lie between two scrapes, where it says so.
    pub min_interval: Option<u32>,
}

/// One scrape. See the [module](self).
#[derive(Clone, Debug)]
pub struct Scrape {
    /// The URL that is asked: already the one for scrapes.
    url: TrackerUrl,
    /// On whose word.
    word: Word,
    secret: Rng,
    /// Torrents that have not been asked for.
    left: Vec<InfoHash>,
    /// Torrents that are being asked for, sorted.
    batch: Vec<InfoHash>,
    counts: BTreeMap<InfoHash, ScrapeCounts>,
    min_interval: Option<u32>,
    known: [Option<UdpConnection>; 2],
    exchange: Option<Exchange>,
    failure: Option<TrackerError>,
    abandoned: Vec<JobId>,
}

canon_struct!(out Scrape { url, word, secret, left, batch, counts, min_interval, known, exchange, failure, abandoned });

impl Scrape {
    /// Begins to ask the tracker that has `url` for announces. Doubles among the torrents count once. `secret` yields UDP
    /// transaction ids.
    pub fn begin(cx: &mut Cx<'_>, ways: Ways, url: &TrackerUrl, torrents: &[InfoHash], secret: Rng) -> Scrape {
        Scrape::begin_for(cx, ways, url, torrents, (Word::Local, secret))
    }

    /// Like [`begin`](Scrape::begin), on somebody's word.
    pub fn begin_for(
        cx: &mut Cx<'_>,
        ways: Ways,
        url: &TrackerUrl,
        torrents: &[InfoHash],
        (word, secret): (Word, Rng),
    ) -> Scrape {
        let mut left = torrents.to_vec();
        left.sort_unstable();
        left.dedup();
        // By UDP a scrape goes where announces go.
        let (url, failure) = match (url.scheme(), url.scrape()) {
            (Scheme::Udp, _) => (url.clone(), None),
            (_, Some(scrape)) => (scrape, None),
            (_, None) => (url.clone(), Some(TrackerError::NoScrape)),
        };
        let mut scrape = Scrape {
            url,
            word,
            secret,
            left,
            batch: Vec::new(),
            counts: BTreeMap::new(),
            min_interval: None,
            known: [None; 2],
            exchange: None,
            failure,
            abandoned: Vec::new(),
        };
        scrape.advance(cx, ways);
        scrape
    }

    /// The moment that [`deadline`](Scrape::deadline) named has come.
    pub fn tick(&mut self, cx: &mut Cx<'_>, ways: Ways) {
        let Some(exchange) = &mut self.exchange else { return };
        let mut env = Env { ways, secret: &mut self.secret, abandoned: &mut self.abandoned };
        let ended = exchange.tick(cx, &mut env);
        self.ended(ended);
        self.advance(cx, ways);
    }

    /// A job is done. `false`: it is not this machine's.
    pub fn job_done(&mut self, cx: &mut Cx<'_>, ways: Ways, job: JobId, result: &Result<JobResult, IoFault>) -> bool {
        if let Some(place) = self.abandoned.iter().position(|&abandoned| abandoned == job) {
            self.abandoned.swap_remove(place);
            return true;
        }
        let Some(exchange) = self.exchange.as_mut().filter(|exchange| exchange.is_job(job)) else { return false };
        let mut env = Env { ways, secret: &mut self.secret, abandoned: &mut self.abandoned };
        let ended = exchange.job_done(cx, &mut env, result);
        self.ended(ended);
        self.advance(cx, ways);
        true
    }

    /// A datagram came. `false`: it is not the answer that is awaited.
    pub fn datagram(&mut self, cx: &mut Cx<'_>, ways: Ways, from: SocketAddr, bytes: &[u8]) -> bool {
        let Some(exchange) = &mut self.exchange else { return false };
        let mut env = Env { ways, secret: &mut self.secret, abandoned: &mut self.abandoned };
        let (mine, ended) = exchange.datagram(cx, &mut env, from, bytes);
        self.ended(ended);
        self.advance(cx, ways);
        mine
    }

    /// Gives it up where it stands. Jobs that were under way still answer, and belong to it.
    pub fn cancel(&mut self, cx: &mut Cx<'_>) {
        if let Some(mut exchange) = self.exchange.take() {
            exchange.abandon(cx, &mut self.abandoned);
            self.failure = Some(TrackerError::Io(IoFault::Cancelled));
        }
    }

    /// The UDP answer that is awaited: its source and transaction id (bytes 4 to 8 of the packet).
    pub fn awaiting(&self) -> Option<(SocketAddr, u32)> {
        self.exchange.as_ref().and_then(Exchange::awaiting)
    }

    /// When [`tick`](Scrape::tick) is due.
    pub fn deadline(&self) -> Option<Time> {
        self.exchange.as_ref().map(Exchange::deadline).filter(|due| *due != Time::NEVER)
    }

    /// How it ended, once it has: `Ok`, or why it failed. [`counts`](Scrape::counts) holds what was learned in either case.
    pub fn outcome(&self) -> Option<Result<(), &TrackerError>> {
        match (&self.exchange, &self.failure) {
            (Some(_), _) => None,
            (None, Some(error)) => Some(Err(error)),
            (None, None) => Some(Ok(())),
        }
    }

    /// What is known so far, by torrent.
    pub fn counts(&self) -> &BTreeMap<InfoHash, ScrapeCounts> {
        &self.counts
    }

    /// Seconds that should lie between two scrapes, where the tracker says so.
    pub fn min_interval(&self) -> Option<u32> {
        self.min_interval
    }

    /// Asks for the next batch. Each turn takes torrents away, so it ends.
    fn advance(&mut self, cx: &mut Cx<'_>, ways: Ways) {
        while self.exchange.is_none() && self.failure.is_none() && !self.left.is_empty() {
            let most = match self.url.scheme() {
                Scheme::Udp => MAX_SCRAPE,
                Scheme::Http | Scheme::Https => {
                    (MAX_URL.saturating_sub(self.url.path_and_query().len()) / HASH_IN_URL).max(1)
                }
            };
            let rest = self.left.split_off(most.min(self.left.len()));
            self.batch = core::mem::replace(&mut self.left, rest);
            let mut env = Env { ways, secret: &mut self.secret, abandoned: &mut self.abandoned };
            let question = Question::Scrape(self.batch.clone());
            // Nobody waits for a scrape as for peers: 15 s an address are enough.
            let named = !cx.config.announce.hide_client;
            let terms = Terms { word: self.word, patient: false, limit: Time::NEVER, named };
            let (exchange, ended) = Exchange::begin(cx, &mut env, self.url.clone(), question, self.known, terms);
            self.exchange = Some(exchange);
            self.ended(ended);
        }
    }

    fn ended(&mut self, ended: Option<Ended>) {
        let Some(ended) = ended else { return };
        if let Some(exchange) = self.exchange.take() {
            self.known = exchange.connections();
        }
        match ended {
            Ended::Answer(Answer::Scraped(response)) => {
                // What was not asked for is not wanted: a tracker could fill the memory with it.
                let asked = response.counts.into_iter().filter(|(hash, _)| self.batch.binary_search(hash).is_ok());
                self.counts.extend(asked);
                self.min_interval = self.min_interval.max(response.min_interval);
            }
            // No scrape is answered by peers.
            Ended::Answer(Answer::Announced(_)) => self.failure = Some(TrackerError::Io(IoFault::Other)),
            Ended::Failed { error, .. } => self.failure = Some(error),
        }
    }
}

#[cfg(test)]
mod tests;
