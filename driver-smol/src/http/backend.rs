//! The exchange itself, from request to answer.

use super::clock::Clock;
use super::connection::Connection;
use super::options::HttpOptions;
use super::pool::{Key, Pool};
use super::stream::Transport;
use super::tls::Tls;
use super::{decode, dial, fault, request};
use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_ENCODING, HeaderMap, LOCATION, RETRY_AFTER};
use hyper::{Response, StatusCode};
use parcacik_core::border::{ConfigError, HttpRequest, HttpResponse, IoFault};
use std::fmt::Write;
use std::time::Instant;

/// What all clones of a client share.
#[derive(Debug)]
pub(super) struct Backend {
    options: HttpOptions,
    pool: Pool,
    tls: Tls,
}

impl Backend {
    /// With options that were checked.
    pub(super) fn new(options: HttpOptions) -> Result<Backend, ConfigError> {
        let pool = Pool::new(options.idle_connections, options.idle_per_host, options.keep_idle);
        let tls = Tls::new(&options)?;
        Ok(Backend { options, pool, tls })
    }

    /// Sends a request, on a connection that is there or a new one.
    ///
    /// A server may close a connection just as the next request arrives, and nobody can tell that from outside. So a request that fails
    /// on a used connection *before one byte of an answer came* is sent once more on a new one; nothing else is ever sent twice.
    pub(super) async fn exchange(&self, request: &HttpRequest) -> Result<HttpResponse, IoFault> {
        // Also checks it before anything is dialled.
        request::encode(request)?;
        let mut clock = Clock::start(request.time_limit);
        let key = Key::of(request);
        if let Some(mut connection) = self.pooled(&key).await {
            let before = connection.received();
            match self.try_on(&mut connection, request, &mut clock).await {
                Err(error) if error != IoFault::TimedOut && connection.received() == before => {}
                Err(error) => return Err(error),
                Ok(answer) => return Ok(self.give_back(key, connection, answer).await),
            }
        }
        let mut connection = self.connect(request, &mut clock).await?;
        let answer = self.try_on(&mut connection, request, &mut clock).await?;
        Ok(self.give_back(key, connection, answer).await)
    }

    /// Closes what is kept.
    pub(super) fn close_idle(&self) {
        self.pool.clear();
    }

    /// A connection from the pool that is alive as far as one can see.
    async fn pooled(&self, key: &Key) -> Option<Connection> {
        while let Some(mut connection) = self.pool.take(key, Instant::now()) {
            if connection.is_reusable().await {
                return Some(connection);
            }
        }
        None
    }

    async fn connect(&self, request: &HttpRequest, clock: &mut Clock) -> Result<Connection, IoFault> {
        let dialled = async { dial::dial(request.to, request.from).await.map_err(|error| fault::of(&error)) };
        let tcp = clock.step(self.options.connect_limit, dialled).await?;
        let transport = if request.tls {
            let tls = clock.step(self.options.idle_limit, self.tls.connect(tcp, &request.host)).await?;
            Transport::Tls(Box::new(tls))
        } else {
            Transport::Plain(tcp)
        };
        Connection::new(transport, &self.options).await
    }

    async fn try_on(
        &self,
        connection: &mut Connection,
        request: &HttpRequest,
        clock: &mut Clock,
    ) -> Result<HttpResponse, IoFault> {
        let head = clock.step(self.options.idle_limit, connection.head(request::encode(request)?)).await?;
        if head.status() == StatusCode::SWITCHING_PROTOCOLS {
            // Nobody asked for it; what follows is not HTTP.
            return Err(IoFault::Protocol);
        }
        let limit = usize::try_from(request.body_limit).unwrap_or(usize::MAX);
        let (head, body) = into_parts(head);
        let label = head.headers.get(CONTENT_ENCODING).map_or(&b""[..], |value| value.as_bytes());
        let coded = self.read_body(connection, body, label, limit, clock).await?;
        let body = clock.step(self.options.idle_limit, decode::decode(coded, label, limit)).await?;
        Ok(HttpResponse {
            status: head.status,
            location: location(&head.headers),
            retry_after: retry_after(&head.headers),
            body,
        })
    }

    /// The body as it is on the wire. Room for it grows with what comes, not with what was promised.
    async fn read_body(
        &self,
        connection: &mut Connection,
        mut body: Incoming,
        label: &[u8],
        limit: usize,
        clock: &mut Clock,
    ) -> Result<Vec<u8>, IoFault> {
        let wire_limit = decode::wire_limit(limit);
        if body.size_hint().lower() > wire_limit as u64 {
            return Err(IoFault::TooLarge);
        }
        let mut read = Vec::new();
        // `is_end_stream` is asked for, too, because after a body of known length the `None` may come only with the next poll of the
        // connection.
        while !body.is_end_stream() {
            let part: Option<Bytes> = clock.step(self.options.idle_limit, connection.next_part(&mut body)).await?;
            let Some(part) = part else { break };
            read.extend_from_slice(&part);
            // One byte does not tell yet whether it is coded.
            let most = if read.len() < 2 || decode::is_coded(&read, label) { wire_limit } else { limit };
            if read.len() > most {
                return Err(IoFault::TooLarge);
            }
        }
        if connection.ended_unclean() {
            tracing::debug!("the server ended TLS without saying so");
        }
        Ok(read)
    }

    async fn give_back(&self, key: Key, mut connection: Connection, answer: HttpResponse) -> HttpResponse {
        if connection.is_reusable().await {
            self.pool.give(key, connection, Instant::now());
        }
        answer
    }
}

/// The parts of a head that matter.
struct Head {
    status: u16,
    headers: HeaderMap,
}

fn into_parts(response: Response<Incoming>) -> (Head, Incoming) {
    let (parts, body) = response.into_parts();
    (Head { status: parts.status.as_u16(), headers: parts.headers }, body)
}

/// `Location` as text. Bytes beyond ASCII, which do not belong into a URL but are sent, are percent-encoded: so the next request
/// carries the very bytes that were meant.
fn location(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(LOCATION)?;
    let mut text = String::with_capacity(value.len());
    for &byte in value.as_bytes().trim_ascii() {
        if byte.is_ascii() {
            text.push(char::from(byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    Some(text)
}

/// `Retry-After` when it is a number (RFC 9110, 10.2.3: "delay-seconds = 1*DIGIT"); one that is too large to hold is the largest.
fn retry_after(headers: &HeaderMap) -> Option<u32> {
    let digits = headers.get(RETRY_AFTER)?.as_bytes().trim_ascii();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(std::str::from_utf8(digits).ok()?.parse().unwrap_or(u32::MAX))
}
