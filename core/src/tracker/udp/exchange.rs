//! One announce or scrape by UDP, from the connect to the answer, with its retransmissions.
//!
//! ```text
//!            no id, or it is too old             a usable id is at hand
//!                     |                                    |
//!                     v        connection id               v
//!  +------>  Connecting ------------------------->  Asking --------> Answered, Failed
//!  |              | no answer: again                | no answer: again
//!  |              v                                 v
//!  |         (after the last wait: TimedOut)   id too old meanwhile
//!  +-------------------------------------------------+
//! ```
//!
//! It is told datagrams and the time, and gives back packets and, once, how it ended. Its limits: one packet under way, at most
//! [`AnnounceConfig::udp_doublings`](crate::border::AnnounceConfig::udp_doublings) + 1 sent in all.

use super::{UdpRequest, UdpResponse, same_place};
use crate::border::AnnounceConfig;
use crate::journal::canon::{canon_enum, canon_struct};
use crate::rng::Rng;
use crate::time::Time;
use crate::tracker::{Answer, Question, Reply, ScrapeResponse};
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

/// A connection id and since when we have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpConnection {
    /// Who gave it.
    pub from: SocketAddr,
    /// The id.
    pub id: u64,
    /// When it came.
    pub since: Time,
}

canon_struct!(out UdpConnection { from, id, since });

impl UdpConnection {
    /// BEP 15: "A client can use a connection ID until one minute after it has received it."
    pub fn is_usable(&self, now: Time, to: SocketAddr, config: &AnnounceConfig) -> bool {
        self.from == to && now.since(self.since) <= config.udp_connection_life
    }
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UdpSaid {
    /// Nothing to do.
    Nothing,
    /// Send this to the tracker.
    Send(Vec<u8>),
    /// The tracker has spoken: the end.
    Replied(Reply<Answer>),
    /// No answer after the last wait: the end.
    TimedOut,
}

/// What is to be asked, and whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpAsk {
    /// The tracker.
    pub to: SocketAddr,
    /// A connection id from an earlier exchange; used if it still may be.
    pub known: Option<UdpConnection>,
    /// What to say.
    pub question: Question,
    /// Path and query of the URL (BEP 41); goes with announces.
    pub url_data: Vec<u8>,
    /// Whether to wait as long as BEP 15 says, and not only until another tracker should have its turn.
    pub patient: bool,
}

/// One question to one address.
#[derive(Clone, Debug)]
pub struct UdpExchange {
    to: SocketAddr,
    question: Question,
    url_data: Vec<u8>,
    connection: Option<UdpConnection>,
    state: State,
    /// Whether the question itself has ever been sent.
    asked: bool,
    /// The transaction of the packet under way.
    transaction: u32,
    /// How often the wait has been doubled.
    doublings: u32,
    /// The most doublings.
    max_doublings: u32,
    /// When the packet under way counts as lost.
    deadline: Time,
}

canon_struct!(out UdpExchange { to, question, url_data, connection, state, asked, transaction, doublings, max_doublings, deadline });

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting,
    Asking,
    Ended,
}

canon_enum!(out State { 0 = Connecting, 1 = Asking, 2 = Ended });

impl UdpExchange {
    /// Begins. Transaction ids are drawn from `rng`, which nobody may guess. The second is the first packet to send.
    pub fn begin(now: Time, config: &AnnounceConfig, what: UdpAsk, rng: &mut Rng) -> (UdpExchange, Vec<u8>) {
        let mut exchange = UdpExchange {
            to: what.to,
            question: what.question,
            url_data: what.url_data,
            connection: what.known,
            state: State::Ended,
            asked: false,
            transaction: 0,
            doublings: 0,
            max_doublings: if what.patient { config.udp_doublings } else { config.udp_doublings_short },
            deadline: Time::NEVER,
        };
        let packet = exchange.send(now, config, rng);
        (exchange, packet)
    }

    /// To whom.
    pub fn to(&self) -> SocketAddr {
        self.to
    }

    /// The transaction that an answer has to name.
    pub fn transaction(&self) -> u32 {
        self.transaction
    }

    /// The connection id, for the next exchange with the same address.
    pub fn connection(&self) -> Option<UdpConnection> {
        self.connection
    }

    /// Whether the question itself has been sent, so that the tracker may know of it.
    pub fn has_asked(&self) -> bool {
        self.asked
    }

    /// When [`tick`](UdpExchange::tick) is due.
    pub fn deadline(&self) -> Time {
        self.deadline
    }

    /// A datagram came. What is not the awaited answer is ignored.
    pub fn datagram(
        &mut self,
        now: Time,
        config: &AnnounceConfig,
        from: SocketAddr,
        packet: &[u8],
        rng: &mut Rng,
    ) -> UdpSaid {
        if self.state == State::Ended || !same_place(from, self.to) {
            return UdpSaid::Nothing;
        }
        // "Receive checks, in order: size, transaction id equals ours, action equals ours (or 3)." The family is the
        // tracker's, also where a dual-stack socket shows an IPv4 address as an IPv6 one.
        let v6 = self.to.ip().to_canonical().is_ipv6();
        let decoded = UdpResponse::decode(packet, v6, config.max_peers, config.max_text);
        let Some((_, response)) = decoded.filter(|(transaction, _)| *transaction == self.transaction) else {
            return UdpSaid::Nothing;
        };
        match (self.state, response) {
            (State::Connecting, UdpResponse::Connected { connection }) => {
                // The waits begin anew for the question, but only once: a tracker that answers connects and nothing else
                // would otherwise never be given up.
                if self.connection.is_none() {
                    self.doublings = 0;
                }
                self.connection = Some(UdpConnection { from: self.to, id: connection, since: now });
                UdpSaid::Send(self.send(now, config, rng))
            }
            (State::Asking, response) if !matches!(response, UdpResponse::Error(_)) => match self.answer(response) {
                Some(answer) => self.end(Reply::Answer(answer)),
                None => UdpSaid::Nothing,
            },
            // "Errors can answer any request, connect included." One may mean that the id is no longer good.
            (_, UdpResponse::Error(reason)) => {
                self.connection = None;
                self.end(Reply::Failure { reason, retry: None })
            }
            _ => UdpSaid::Nothing,
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Time, config: &AnnounceConfig, rng: &mut Rng) -> UdpSaid {
        if self.state == State::Ended || now < self.deadline {
            return UdpSaid::Nothing;
        }
        if self.doublings >= self.max_doublings {
            self.state = State::Ended;
            self.deadline = Time::NEVER;
            return UdpSaid::TimedOut;
        }
        self.doublings += 1;
        UdpSaid::Send(self.send(now, config, rng))
    }

    /// What a packet says to our question, if it does.
    fn answer(&self, response: UdpResponse) -> Option<Answer> {
        match (&self.question, response) {
            (Question::Announce(_), UdpResponse::Announced(response)) => Some(Answer::Announced(response)),
            // Counts come in the order of the question; a packet that was cut has the first of them.
            (Question::Scrape(torrents), UdpResponse::Scraped(counts)) => {
                let counts = torrents.iter().copied().zip(counts).collect();
                Some(Answer::Scraped(ScrapeResponse { counts, min_interval: None }))
            }
            _ => None,
        }
    }

    fn end(&mut self, reply: Reply<Answer>) -> UdpSaid {
        self.state = State::Ended;
        self.deadline = Time::NEVER;
        UdpSaid::Replied(reply)
    }

    /// The packet that is due now: the question if there is a usable id, else a connect. Sets the deadline.
    ///
    /// "If a response is not received after 15 * 2 ^ n seconds, the client should retransmit the request, where n starts at
    /// 0 and is increased up to 8 (3840 seconds) after every retransmission. ... it is necessary to rerequest a connection ID
    /// when it has expired."
    fn send(&mut self, now: Time, config: &AnnounceConfig, rng: &mut Rng) -> Vec<u8> {
        let factor = 1u32.checked_shl(self.doublings).unwrap_or(u32::MAX);
        self.deadline = now + config.udp_wait.checked_mul(factor).unwrap_or(Duration::MAX);
        let usable = self.connection.filter(|connection| connection.is_usable(now, self.to, config));
        let state = if usable.is_some() { State::Asking } else { State::Connecting };
        // A packet sent again keeps its transaction, so that a late answer to the first one still counts.
        if state != self.state {
            self.transaction = rng.next_u32();
            self.state = state;
        }
        let transaction = self.transaction;
        match usable {
            Some(connection) => {
                self.asked = true;
                let connection = connection.id;
                match &self.question {
                    Question::Announce(request) => UdpRequest::Announce {
                        connection,
                        transaction,
                        request: request.clone(),
                        ip: Ipv4Addr::UNSPECIFIED,
                        url_data: self.url_data.clone(),
                    },
                    Question::Scrape(torrents) => {
                        UdpRequest::Scrape { connection, transaction, torrents: torrents.clone() }
                    }
                }
            }
            None => UdpRequest::Connect { transaction },
        }
        .encode()
    }
}
