//! The bytes below hyper: plain or TLS, counted, and never greedy.
//!
//! hyper alone can be held in one `poll` for as long as a server keeps sending `103` heads: each is under the limit for one head, and the
//! loop over them has no bound. So this stream counts the bytes of all heads together, and gives way after some reads.

use super::fault::HeadTooLarge;
use async_io::Async;
use futures_lite::io::{AsyncRead, AsyncWrite};
use futures_rustls::client::TlsStream;
use std::io::{self, IoSlice};
use std::net::TcpStream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

/// Reads that may succeed one after another before the stream gives way. smol has no budget of its own: a socket that always has data
/// would starve all other tasks of the thread. At [`READ_SIZE`] this is 2 MiB, about a millisecond.
pub(super) const READ_TURNS: u32 = 32;

/// The most bytes of one read, so that the turns mean something: hyper's buffer may have room for more.
pub(super) const READ_SIZE: usize = 64 * 1024;

/// What is known about a connection from outside of hyper. The stream is owned by hyper, so this is shared; but by one thread at a
/// time, so the order of the atomics does not matter.
#[derive(Debug, Default)]
pub(super) struct Meter {
    received: AtomicU64,
    in_head: AtomicBool,
    head_left: AtomicUsize,
    ended_unclean: AtomicBool,
}

impl Meter {
    /// All bytes received, after TLS.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }

    /// From now on, until [`Meter::head_done`], at most this many bytes may come.
    pub(super) fn head_begins(&self, limit: usize) {
        self.head_left.store(limit, Relaxed);
        self.in_head.store(true, Relaxed);
    }

    /// The head is whole.
    pub(super) fn head_done(&self) {
        self.in_head.store(false, Relaxed);
    }

    /// Whether TLS ended without `close_notify`: what was delimited by the end of the connection may have been cut by anyone.
    pub(super) fn ended_unclean(&self) -> bool {
        self.ended_unclean.load(Relaxed)
    }

    /// How many bytes the next read may take, if there is a limit.
    fn room(&self) -> Option<usize> {
        self.in_head.load(Relaxed).then(|| self.head_left.load(Relaxed))
    }

    fn count(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Relaxed);
        // Never below zero: in a head no read is larger than what is left.
        self.head_left.store(self.head_left.load(Relaxed).saturating_sub(bytes), Relaxed);
    }
}

/// TCP, bare or under TLS.
#[derive(Debug)]
pub(super) enum Transport {
    /// TCP.
    Plain(Async<TcpStream>),
    /// TLS over TCP; boxed, because its state is large.
    Tls(Box<TlsStream<Async<TcpStream>>>),
}

/// A metered transport.
#[derive(Debug)]
pub(super) struct Stream {
    transport: Transport,
    meter: Arc<Meter>,
    /// Reads since one last had to wait.
    turns: u32,
}

impl Stream {
    /// Meters a transport.
    pub(super) fn new(transport: Transport, meter: Arc<Meter>) -> Stream {
        Stream { transport, meter, turns: 0 }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.turns >= READ_TURNS {
            this.turns = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let room = this.meter.room();
        if room == Some(0) {
            return Poll::Ready(Err(io::Error::other(HeadTooLarge)));
        }
        let take = buf.len().min(READ_SIZE).min(room.unwrap_or(READ_SIZE));
        // Cannot be out of range: `take` is at most the length.
        let buf = &mut buf[..take];
        let read = match &mut this.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Transport::Tls(tls) => match Pin::new(tls).poll_read(cx, buf) {
                // Many servers just close. What has a length of its own is checked against it by hyper, gzip by its checksum and bencode
                // by its end; so this is an end like any other, only remembered.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    this.meter.ended_unclean.store(true, Relaxed);
                    Poll::Ready(Ok(0))
                }
                other => other,
            },
        };
        match &read {
            Poll::Ready(Ok(bytes)) => {
                this.turns += 1;
                this.meter.count(*bytes);
            }
            _ => this.turns = 0,
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Transport::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Transport::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Transport::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_close(cx),
            Transport::Tls(tls) => Pin::new(tls).poll_close(cx),
        }
    }
}
