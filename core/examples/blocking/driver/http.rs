//! One HTTP request to one address, enough for trackers: no TLS, no redirects (the core decides on those).

use super::fault;
use bytes::Bytes;
use parcacik_core::border::{HttpRequest, HttpResponse, IoFault};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The most bytes of status line and headers.
const HEAD_LIMIT: usize = 32 << 10;

/// Asks, and waits for the whole answer.
pub fn exchange(request: &HttpRequest) -> Result<HttpResponse, IoFault> {
    if request.tls {
        return Err(IoFault::Unsupported);
    }
    let end = Instant::now() + request.time_limit;
    let mut stream = TcpStream::connect_timeout(&request.to, left(end)?).map_err(|error| fault(&error))?;
    stream.set_write_timeout(Some(left(end)?)).map_err(|error| fault(&error))?;

    // HTTP/1.0, so that the answer comes in one piece and ends with the connection. What the core puts into the request
    // holds no line breaks: URLs are checked there.
    let port = if request.port == 80 { String::new() } else { format!(":{}", request.port) };
    let agent = request.user_agent.as_ref().map(|name| format!("User-Agent: {name}\r\n")).unwrap_or_default();
    let head = format!("GET {} HTTP/1.0\r\nHost: {}{port}\r\n{agent}Accept: */*\r\n\r\n", request.path, request.host);
    stream.write_all(head.as_bytes()).map_err(|error| fault(&error))?;

    let limit = HEAD_LIMIT.saturating_add(request.body_limit as usize);
    let mut answer = Vec::new();
    let mut chunk = [0; 16 << 10];
    loop {
        // Each read gets only what is left of the time: a tracker that trickles cannot stretch it.
        stream.set_read_timeout(Some(left(end)?)).map_err(|error| fault(&error))?;
        let count = stream.read(&mut chunk).map_err(|error| fault(&error))?;
        answer.extend_from_slice(&chunk[..count]);
        if count == 0 || is_whole(&answer) {
            break;
        }
        if answer.len() > limit {
            return Err(IoFault::TooLarge);
        }
    }
    parse(&answer, request.body_limit as usize)
}

fn left(end: Instant) -> Result<Duration, IoFault> {
    end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()).ok_or(IoFault::TimedOut)
}

/// Status line with headers, and the body: what lies before and behind the empty line.
fn split(answer: &[u8]) -> Option<(&str, &[u8])> {
    let at = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some((std::str::from_utf8(answer.get(..at)?).ok()?, answer.get(at + 4..)?))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// Whether as many bytes have come as `Content-Length` says; without one, the end of the connection tells.
fn is_whole(answer: &[u8]) -> bool {
    let declared = split(answer).and_then(|(head, body)| Some((header(head, "Content-Length")?, body)));
    declared.is_some_and(|(length, body)| length.parse().is_ok_and(|length: usize| body.len() >= length))
}

fn parse(answer: &[u8], body_limit: usize) -> Result<HttpResponse, IoFault> {
    let (head, body) = split(answer).ok_or(IoFault::Protocol)?;
    // "HTTP/1.0 200 OK"
    let mut status = head.lines().next().unwrap_or_default().split(' ');
    let is_http = status.next().is_some_and(|version| version.starts_with("HTTP/1."));
    let status = status.next().and_then(|code| code.parse().ok()).filter(|_| is_http).ok_or(IoFault::Protocol)?;
    // Not asked for, so not understood.
    if header(head, "Transfer-Encoding").is_some()
        || header(head, "Content-Encoding").is_some_and(|how| how != "identity")
    {
        return Err(IoFault::Protocol);
    }
    let body = match header(head, "Content-Length").map(str::parse) {
        None => body,
        Some(Ok(length)) => body.get(..length).ok_or(IoFault::Protocol)?,
        Some(Err(_)) => return Err(IoFault::Protocol),
    };
    if body.len() > body_limit {
        return Err(IoFault::TooLarge);
    }
    Ok(HttpResponse {
        status,
        location: header(head, "Location").map(str::to_owned),
        retry_after: header(head, "Retry-After").and_then(|seconds| seconds.parse().ok()),
        body: Bytes::copy_from_slice(body),
    })
}
