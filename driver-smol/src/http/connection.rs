//! One HTTP/1 connection: hyper's two halves in one box, driven by whoever uses it.

use super::fault;
use super::options::HttpOptions;
use super::stream::{Meter, Stream, Transport};
use bytes::Bytes;
use futures_lite::future::poll_fn;
use http_body_util::Empty;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response};
use parcacik_core::border::IoFault;
use smol_hyper::rt::FuturesIo;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

/// hyper's buffer, in bytes. Its default of 408 KiB halves the speed of large bodies.
const BUFFER: usize = 64 * 1024;

/// A connection between requests, or in the middle of one.
#[derive(Debug)]
pub(super) struct Connection {
    sender: http1::SendRequest<Empty<Bytes>>,
    driver: http1::Connection<FuturesIo<Stream>, Empty<Bytes>>,
    /// How the driver ended; it must not be polled again.
    ended: Option<IoFault>,
    meter: Arc<Meter>,
    head_limit: usize,
}

impl Connection {
    /// Speaks HTTP/1 over a transport. Sends nothing yet.
    pub(super) async fn new(transport: Transport, options: &HttpOptions) -> Result<Connection, IoFault> {
        let meter = Arc::new(Meter::default());
        let stream = FuturesIo::new(Stream::new(transport, Arc::clone(&meter)));
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(BUFFER)
            .max_header_size(options.head_limit)
            .max_headers(options.header_lines)
            // Some old trackers look for `User-Agent`, not for `user-agent`.
            .title_case_headers(true)
            .ignore_invalid_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            .handshake(stream)
            .await
            .map_err(|error| fault::of(&error))?;
        Ok(Connection { sender, driver, ended: None, meter, head_limit: options.head_limit })
    }

    /// All bytes received so far.
    pub(super) fn received(&self) -> u64 {
        self.meter.received()
    }

    /// Whether TLS ended without saying so.
    pub(super) fn ended_unclean(&self) -> bool {
        self.meter.ended_unclean()
    }

    /// Sends a request and awaits the head of its answer.
    pub(super) async fn head(&mut self, request: Request<Empty<Bytes>>) -> Result<Response<Incoming>, IoFault> {
        self.meter.head_begins(self.head_limit);
        let mut answer = pin!(self.sender.send_request(request));
        let (driver, ended) = (&mut self.driver, &mut self.ended);
        let head = poll_fn(|cx| {
            if let Poll::Ready(head) = answer.as_mut().poll(cx) {
                return Poll::Ready(head.map_err(|error| fault::of(&error)));
            }
            drive(driver, ended, cx);
            // Driving it is what makes the answer come, or fail.
            match (answer.as_mut().poll(cx), &*ended) {
                (Poll::Ready(head), _) => Poll::Ready(head.map_err(|error| fault::of(&error))),
                (Poll::Pending, Some(end)) => Poll::Ready(Err(*end)),
                (Poll::Pending, None) => Poll::Pending,
            }
        })
        .await?;
        self.meter.head_done();
        Ok(head)
    }

    /// The next part of a body; `None` at its end.
    pub(super) async fn next_part(&mut self, body: &mut Incoming) -> Result<Option<Bytes>, IoFault> {
        poll_fn(|cx| {
            loop {
                let mut frame = Pin::new(&mut *body).poll_frame(cx);
                if frame.is_pending() {
                    drive(&mut self.driver, &mut self.ended, cx);
                    frame = Pin::new(&mut *body).poll_frame(cx);
                }
                return match (frame, self.ended) {
                    (Poll::Ready(Some(Ok(frame))), _) => match frame.into_data() {
                        Ok(bytes) => Poll::Ready(Ok(Some(bytes))),
                        // Trailers mean nothing to us.
                        Err(_) => continue,
                    },
                    (Poll::Ready(Some(Err(error))), _) => Poll::Ready(Err(fault::of(&error))),
                    (Poll::Ready(None), _) => Poll::Ready(Ok(None)),
                    (Poll::Pending, Some(end)) => Poll::Ready(Err(end)),
                    (Poll::Pending, None) => Poll::Pending,
                };
            }
        })
        .await
    }

    /// Whether another request may be sent. Drives the connection once, so that a close, or bytes nobody asked for, are seen.
    pub(super) async fn is_reusable(&mut self) -> bool {
        poll_fn(|cx| {
            drive(&mut self.driver, &mut self.ended, cx);
            Poll::Ready(self.ended.is_none() && self.sender.is_ready())
        })
        .await
    }
}

/// Lets hyper read and write what it can.
fn drive(
    driver: &mut http1::Connection<FuturesIo<Stream>, Empty<Bytes>>,
    ended: &mut Option<IoFault>,
    cx: &mut Context<'_>,
) {
    if ended.is_some() {
        return;
    }
    match Pin::new(driver).poll(cx) {
        Poll::Pending => {}
        Poll::Ready(Ok(())) => *ended = Some(IoFault::Reset),
        Poll::Ready(Err(error)) => *ended = Some(fault::of(&error)),
    }
}
