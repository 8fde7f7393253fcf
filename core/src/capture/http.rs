//! A connection that speaks HTTP, from the outside: requests, answers, and what those of trackers say.
//!
//! Heads are read by `httparse`; how long a body is follows from RFC 9112, section 6.3. Announces and scrapes themselves are read by
//! [`tracker::http`](crate::tracker::http). What cannot be read ends the reading of its side.

use super::said::{HttpAnswered, HttpAsked, HttpRequest, HttpResponse, Protocol, Said, Side};
use super::stream::Out;
use super::{CaptureLimits, Stamp};
use crate::tracker::Reply;
use crate::tracker::http::{
    QueryError, ResponseLimits, parse_announce, parse_response, parse_scrape, parse_scrape_response,
};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use httparse::{EMPTY_HEADER, Header, Status};

/// More headers than any tracker or client sends; servers take a hundred.
const MAX_HEADERS: usize = 100;
/// So many requests may wait for their answers. Trackers' clients send one at a time.
const MAX_WAITING: usize = 64;
/// A chunk's size, its extensions and the line's end. Extensions are in use nowhere.
const MAX_CHUNK_LINE: usize = 4096;
/// The most torrents of a scrape that are read, and what a URL has room for.
const MAX_SCRAPE: usize = 1000;
/// The longest tracker id.
const MAX_ID: u32 = 1000;

/// A connection between a client and a server.
#[derive(Clone, Debug)]
pub(super) struct HttpTalk {
    client: Side,
    sides: [Speaker; 2],
    /// What was asked and not answered yet.
    asked: VecDeque<Asked>,
}

/// What kind of answer is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Announce,
    Scrape,
    /// Its answer has no body.
    Head,
    Other,
}

#[derive(Clone, Debug, Default)]
struct Speaker {
    /// Where the message begins in the stream that is being read.
    start: u64,
    /// What has come and was not read yet: less than a head, or less than the line of a chunk.
    bytes: Vec<u8>,
    state: State,
    body: Vec<u8>,
    body_length: u64,
}

#[derive(Clone, Debug, Default)]
enum State {
    #[default]
    Head,
    Body(Box<Begun>, Length),
    /// What follows cannot be read.
    Opaque,
}

/// A message whose head was read.
#[derive(Clone, Debug)]
enum Begun {
    Request(HttpRequest),
    Response { status: u16, asked: Asked, encoding: Option<String> },
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    /// After so many bytes more.
    Known(u64),
    /// With the connection.
    Close,
    /// In chunks; where in one.
    Chunked(Chunk),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunk {
    Size,
    Data(u64),
    /// The line's end behind the data.
    DataEnd,
    /// Lines behind the last chunk, up to an empty one.
    Trailer,
}

/// What a head says of what follows.
struct HeadRead {
    length: usize,
    begun: Begun,
    body: Option<Length>,
}

impl HttpTalk {
    pub(super) fn new(client: Side) -> HttpTalk {
        HttpTalk { client, sides: Default::default(), asked: VecDeque::new() }
    }

    /// How much memory its bytes take.
    pub(super) fn held(&self) -> usize {
        self.sides.iter().map(|side| side.bytes.len() + side.body.len()).sum()
    }

    /// Takes the next bytes of a side, which begin at `at`.
    pub(super) fn data(
        &mut self,
        side: Side,
        time: Stamp,
        at: u64,
        bytes: &[u8],
        limits: &CaptureLimits,
        out: &mut Out<'_>,
    ) {
        let speaker = &mut self.sides[side.index()];
        let end = at + bytes.len() as u64;
        if matches!(speaker.state, State::Opaque) {
            return out.say(time, side, at..end, Said::Undecoded);
        }
        speaker.bytes.extend_from_slice(bytes);
        loop {
            let speaker = &self.sides[side.index()];
            // Where the bytes begin that were not read.
            let here = end - speaker.bytes.len() as u64;
            let step = match &speaker.state {
                State::Opaque => return,
                State::Head if speaker.bytes.is_empty() => return,
                State::Head => self.head(side, here, limits),
                State::Body(_, length) => {
                    let length = *length;
                    self.body(side, length, limits)
                }
            };
            match step {
                Ok(Step::Wait) => return,
                Ok(Step::Again) => {}
                Ok(Step::Whole) => self.whole(side, time, end, limits, out),
                Err(()) => {
                    let speaker = &mut self.sides[side.index()];
                    let start = speaker.start.min(here);
                    *speaker = Speaker { state: State::Opaque, ..Speaker::default() };
                    return out.say(time, side, start..end, Said::Undecoded);
                }
            }
        }
    }

    /// Bytes of a side are missing, from `at` on: the rest of it is not read.
    pub(super) fn gap(&mut self, side: Side, time: Stamp, at: u64, out: &mut Out<'_>) {
        self.give_up(side, time, at, out);
    }

    /// Nothing follows on a side, which ends at `at`.
    pub(super) fn end(&mut self, side: Side, time: Stamp, at: u64, limits: &CaptureLimits, out: &mut Out<'_>) {
        if matches!(self.sides[side.index()].state, State::Body(_, Length::Close)) {
            self.whole(side, time, at, limits, out);
        }
        self.give_up(side, time, at, out);
    }

    /// Gives up what is kept.
    pub(super) fn relieve(&mut self, time: Stamp, out: &mut Out<'_>) {
        for side in [Side::A, Side::B] {
            let counts = out.facts.sides[side.index()].counts;
            self.give_up(side, time, counts.bytes + counts.lost, out);
        }
    }

    fn give_up(&mut self, side: Side, time: Stamp, at: u64, out: &mut Out<'_>) {
        let speaker = &mut self.sides[side.index()];
        let begun = match speaker.state {
            State::Opaque => return,
            State::Head => !speaker.bytes.is_empty(),
            State::Body(..) => true,
        };
        let start = if matches!(speaker.state, State::Head) { at - speaker.bytes.len() as u64 } else { speaker.start };
        *speaker = Speaker { state: State::Opaque, ..Speaker::default() };
        if begun {
            out.say(time, side, start..at, Said::Undecoded);
        }
    }

    /// Reads a head, when it is whole.
    fn head(&mut self, side: Side, here: u64, limits: &CaptureLimits) -> Result<Step, ()> {
        let is_request = side == self.client;
        let asked = self.asked.front().copied();
        let speaker = &mut self.sides[side.index()];
        let read = if is_request { request(&speaker.bytes) } else { response(&speaker.bytes, asked) }?;
        let Some(read) = read else {
            return if speaker.bytes.len() > limits.max_http_head as usize { Err(()) } else { Ok(Step::Wait) };
        };
        speaker.start = here;
        speaker.bytes.drain(..read.length);
        speaker.body.clear();
        speaker.body_length = 0;
        match &read.begun {
            Begun::Request(request) => {
                let asked = match &request.asked {
                    _ if request.method == "HEAD" => Asked::Head,
                    HttpAsked::Announce(_) => Asked::Announce,
                    HttpAsked::Scrape(_) => Asked::Scrape,
                    HttpAsked::Bad(_) => Asked::Announce,
                    HttpAsked::Other => Asked::Other,
                };
                if self.asked.len() < MAX_WAITING {
                    self.asked.push_back(asked);
                }
            }
            // An interim answer is followed by the real one; 101 by another protocol.
            Begun::Response { status: 101, .. } => return Err(()),
            Begun::Response { status: 100..=199, .. } => {}
            Begun::Response { .. } => _ = self.asked.pop_front(),
        }
        let speaker = &mut self.sides[side.index()];
        let (length, step) = match read.body {
            None | Some(Length::Known(0)) => (Length::Known(0), Step::Whole),
            Some(length) => (length, Step::Again),
        };
        speaker.state = State::Body(Box::new(read.begun), length);
        Ok(step)
    }

    /// Reads on in a body.
    fn body(&mut self, side: Side, length: Length, limits: &CaptureLimits) -> Result<Step, ()> {
        let speaker = &mut self.sides[side.index()];
        let (next, step) = match length {
            Length::Close => {
                let all = speaker.bytes.len();
                speaker.take(all, limits);
                (Length::Close, Step::Wait)
            }
            Length::Known(left) => {
                let left = left - speaker.take_up_to(left, limits);
                (Length::Known(left), if left == 0 { Step::Whole } else { Step::Wait })
            }
            Length::Chunked(Chunk::Size) => match httparse::parse_chunk_size(&speaker.bytes).map_err(|_| ())? {
                Status::Complete((read, size)) => {
                    speaker.bytes.drain(..read);
                    let next = if size == 0 { Chunk::Trailer } else { Chunk::Data(size) };
                    (Length::Chunked(next), Step::Again)
                }
                Status::Partial if speaker.bytes.len() > MAX_CHUNK_LINE => return Err(()),
                Status::Partial => (length, Step::Wait),
            },
            Length::Chunked(Chunk::Data(left)) => {
                let left = left - speaker.take_up_to(left, limits);
                let next = if left == 0 { Chunk::DataEnd } else { Chunk::Data(left) };
                (Length::Chunked(next), if left == 0 { Step::Again } else { Step::Wait })
            }
            Length::Chunked(Chunk::DataEnd) => match speaker.bytes.first_chunk::<2>() {
                Some(b"\r\n") => {
                    speaker.bytes.drain(..2);
                    (Length::Chunked(Chunk::Size), Step::Again)
                }
                Some(_) => return Err(()),
                None => (length, Step::Wait),
            },
            Length::Chunked(Chunk::Trailer) => match speaker.bytes.iter().position(|&byte| byte == b'\n') {
                Some(end) => {
                    let line = speaker.bytes.get(..end).unwrap_or_default();
                    let step = if matches!(line, b"" | b"\r") { Step::Whole } else { Step::Again };
                    speaker.bytes.drain(..=end);
                    (length, step)
                }
                None if speaker.bytes.len() > MAX_CHUNK_LINE => return Err(()),
                None => (length, Step::Wait),
            },
        };
        if let State::Body(_, length) = &mut speaker.state {
            *length = next;
        }
        Ok(step)
    }

    /// A message is whole; `end` is where the bytes end that have come.
    fn whole(&mut self, side: Side, time: Stamp, end: u64, limits: &CaptureLimits, out: &mut Out<'_>) {
        let speaker = &mut self.sides[side.index()];
        let State::Body(begun, _) = core::mem::take(&mut speaker.state) else { return };
        let body = core::mem::take(&mut speaker.body);
        let range = speaker.start..end - speaker.bytes.len() as u64;
        speaker.start = range.end;
        let length = speaker.body_length;
        out.facts.protocol = Protocol::Http;
        let said = match *begun {
            Begun::Request(request) => Said::Request(request),
            Begun::Response { status, asked, encoding } => {
                let is_whole = body.len() as u64 == length;
                let answered = answer(asked, encoding, &body, is_whole, limits);
                Said::Response(HttpResponse { status, length, answered })
            }
        };
        out.say(time, side, range, said);
    }
}

/// What came of looking at the next bytes.
enum Step {
    /// More are needed.
    Wait,
    /// There may be more to be read.
    Again,
    /// The message is whole.
    Whole,
}

impl Speaker {
    /// Moves bytes to the body, up to so many; gives how many.
    fn take_up_to(&mut self, most: u64, limits: &CaptureLimits) -> u64 {
        let part = usize::try_from(most).unwrap_or(usize::MAX).min(self.bytes.len());
        self.take(part, limits);
        part as u64
    }

    fn take(&mut self, length: usize, limits: &CaptureLimits) {
        let room = (limits.max_http_body as usize).saturating_sub(self.body.len());
        self.body.extend(self.bytes.drain(..length).take(room));
        self.body_length += length as u64;
    }
}

/// Reads the head of a request.
fn request(bytes: &[u8]) -> Result<Option<HeadRead>, ()> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let Status::Complete(length) = request.parse(bytes).map_err(|_| ())? else { return Ok(None) };
    let (method, target) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
    // "If this is a request message and none of the above are true, then the message body length is zero": none.
    let body = transfer(request.headers)?;
    let text = |name: &str| header(request.headers, name).map(|value| String::from_utf8_lossy(value).into_owned());
    let asked = asked(target);
    let begun = HttpRequest {
        method: method.into(),
        target: target.into(),
        host: text("host"),
        agent: text("user-agent"),
        asked,
    };
    Ok(Some(HeadRead { length, begun: Begun::Request(begun), body }))
}

/// What the target of a request asks for. Trackers may be at any path; what tells them is the query. BEP 48: for a scrape, the last part of
/// the path begins with `scrape` where that of an announce begins with `announce`.
fn asked(target: &str) -> HttpAsked {
    let Some((path, query)) = target.split_once('?') else { return HttpAsked::Other };
    let last = path.rsplit('/').next().unwrap_or_default();
    if last.starts_with("scrape") {
        return match parse_scrape(query.as_bytes(), MAX_SCRAPE) {
            Ok(torrents) => HttpAsked::Scrape(torrents),
            Err(error) => HttpAsked::Bad(error),
        };
    }
    match parse_announce(query.as_bytes()) {
        Ok(announce) => HttpAsked::Announce(Box::new(announce)),
        Err(QueryError::Missing("info_hash")) if !last.starts_with("announce") => HttpAsked::Other,
        Err(error) => HttpAsked::Bad(error),
    }
}

/// Reads the head of an answer to what was asked.
fn response(bytes: &[u8], asked: Option<Asked>) -> Result<Option<HeadRead>, ()> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let Status::Complete(length) = response.parse(bytes).map_err(|_| ())? else { return Ok(None) };
    let status = response.code.unwrap_or_default();
    let asked = asked.unwrap_or(Asked::Other);
    let body = match status {
        // "cannot contain a message body".
        100..=199 | 204 | 304 => None,
        _ if asked == Asked::Head => None,
        // "Otherwise, this is a response message without a declared message body length, so the message body length is determined by the
        // number of octets received prior to the server closing the connection."
        _ => Some(transfer(response.headers)?.unwrap_or(Length::Close)),
    };
    let encoding =
        header(response.headers, "content-encoding").map(|value| String::from_utf8_lossy(value).into_owned());
    let encoding = encoding.filter(|encoding| !encoding.eq_ignore_ascii_case("identity"));
    Ok(Some(HeadRead { length, begun: Begun::Response { status, asked, encoding }, body }))
}

/// How the body ends, as far as headers say.
fn transfer(headers: &[Header<'_>]) -> Result<Option<Length>, ()> {
    if let Some(coding) = header(headers, "transfer-encoding") {
        let chunked = coding.trim_ascii_end().to_ascii_lowercase().ends_with(b"chunked");
        return if chunked { Ok(Some(Length::Chunked(Chunk::Size))) } else { Err(()) };
    }
    let Some(length) = header(headers, "content-length") else { return Ok(None) };
    let length = core::str::from_utf8(length).ok().and_then(|digits| digits.trim().parse().ok());
    length.map(|length| Some(Length::Known(length))).ok_or(())
}

fn header<'h>(headers: &[Header<'h>], name: &str) -> Option<&'h [u8]> {
    headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

/// What an answer says to what was asked.
fn answer(asked: Asked, encoding: Option<String>, body: &[u8], is_whole: bool, limits: &CaptureLimits) -> HttpAnswered {
    if !matches!(asked, Asked::Announce | Asked::Scrape) {
        return HttpAnswered::Other;
    }
    if let Some(encoding) = encoding {
        return HttpAnswered::Encoded(encoding);
    }
    if !is_whole {
        return HttpAnswered::Bad(format!("longer than {} bytes", limits.max_http_body));
    }
    let limits =
        ResponseLimits { body: limits.max_http_body, peers: limits.max_peers, id: MAX_ID, text: limits.max_text };
    let read = if asked == Asked::Announce {
        parse_response(body, &limits).map(HttpAnswered::Announced)
    } else {
        parse_scrape_response(body, &limits).map(|reply| {
            HttpAnswered::Scraped(match reply {
                Reply::Answer((counts, _)) => Reply::Answer(counts),
                Reply::Failure { reason, retry } => Reply::Failure { reason, retry },
            })
        })
    };
    read.unwrap_or_else(HttpAnswered::Bad)
}
