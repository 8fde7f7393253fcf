//! Streams: a reader and a writer task for each.
//!
//! ```text
//!            Grant                      Send, SendContent
//!              v                                v
//!   socket -> reader -> Received     queue -> writer -> socket
//!                                               v
//!                                            Flushed
//! ```
//!
//! **Reading.** Nothing is read without credit, so a peer that sends faster than the core takes is held back by TCP
//! itself. One `read` asks for what credit allows, up to 64 KiB, or 256 KiB while the peer fills that; a short read
//! means that the socket is dry, so the next thing is to wait, not to try (each attempt in vain costs a system call).
//! The end of a stream is noticed by reading: a stream without credit does not notice it.
//!
//! **Writing.** What the core sends is queued as it is and written up to 64 slices in a call: headers and blocks of
//! many messages leave together, uncopied. The core bounds the queue, by what `Flushed` has told it.
//!
//! **Closing.** At once (what is queued is lost), or with a flush: the queue is written, our side is ended, and what
//! the other side still says is read and thrown away until it ends too, since closing with unread bytes would reset
//! the connection and may destroy what was just sent. All that for at most [`LINGER`].

use super::Net;
use super::pool::{LARGE, SMALL};
use crate::fault::io_fault;
use async_executor::Task;
use async_io::{Async, Timer};
use bytes::{Buf, Bytes};
use futures_lite::FutureExt;
use futures_lite::future::{poll_fn, yield_now};
use parcacik_core::border::{Event, IoFault, TcpId};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

/// How long a stream that was closed may still take to send what was queued.
pub(crate) const LINGER: Duration = Duration::from_secs(2);
/// The most slices in a write: 32 blocks with their headers. More bring nothing.
const MAX_SLICES: usize = 64;
/// A task that is always ready lets the others run after so many reads or writes.
const TURN: u32 = 4;

/// A stream, as the table of streams knows it. Dropping it closes the socket.
pub(crate) struct Stream {
    link: Rc<Link>,
    reader: Option<Task<()>>,
    writer: Option<Task<()>>,
}

struct Link {
    tcp: TcpId,
    socket: Async<TcpStream>,
    queue: RefCell<VecDeque<Bytes>>,
    /// Bytes that may still be read.
    credit: Cell<u64>,
    /// Nobody wants events any more; the writer ends when the queue is empty.
    closing: Cell<bool>,
    reader: WakeSlot,
    writer: WakeSlot,
}

/// Where the one task that waits for something leaves its waker.
#[derive(Default)]
struct WakeSlot(Cell<Option<Waker>>);

impl WakeSlot {
    fn wake(&self) {
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }

    /// Waits until `ready` gives something. Whoever changes what it looks at must call [`WakeSlot::wake`].
    async fn until<T>(&self, mut ready: impl FnMut() -> Option<T>) -> T {
        poll_fn(|cx| match ready() {
            Some(value) => Poll::Ready(value),
            None => {
                self.0.set(Some(cx.waker().clone()));
                Poll::Pending
            }
        })
        .await
    }
}

impl Stream {
    /// Starts the tasks of a stream. It reads nothing before it is granted credit.
    pub(crate) fn start(net: &Rc<Net>, tcp: TcpId, socket: Async<TcpStream>) -> Stream {
        let link = Rc::new(Link {
            tcp,
            socket,
            queue: RefCell::default(),
            credit: Cell::new(0),
            closing: Cell::new(false),
            reader: WakeSlot::default(),
            writer: WakeSlot::default(),
        });
        let reader = net.host.spawn(read(Rc::clone(net), Rc::clone(&link)));
        let writer = net.host.spawn(write(Rc::clone(net), Rc::clone(&link)));
        Stream { link, reader, writer }
    }

    /// Queues bytes.
    pub(crate) fn send(&self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.link.queue.borrow_mut().push_back(bytes);
            self.link.writer.wake();
        }
    }

    /// Allows so many bytes more to be read.
    pub(crate) fn grant(&self, bytes: u32) {
        self.link.credit.set(self.link.credit.get().saturating_add(u64::from(bytes)));
        self.link.reader.wake();
    }

    /// Ends it; the future that is given back does what is left to do and never takes longer than [`LINGER`].
    pub(crate) fn close(self, flush: bool) -> Option<impl Future<Output = ()> + use<>> {
        let Stream { link, reader, writer } = self;
        drop(reader);
        link.closing.set(true);
        if !flush {
            // This may be called from within one of the tasks, which then runs on to its next wait: nothing is left
            // for it to do.
            link.queue.borrow_mut().clear();
            return None;
        }
        link.writer.wake();
        let farewell = async move {
            if let Some(writer) = writer {
                writer.await;
            }
            if link.socket.get_ref().shutdown(Shutdown::Write).is_ok() {
                read_away(&link.socket).await;
            }
        };
        Some(farewell.or(async {
            Timer::after(LINGER).await;
        }))
    }
}

async fn read(net: Rc<Net>, link: Rc<Link>) {
    let fault = loop_read(&net, &link).await;
    net.stream_ended(link.tcp, fault);
}

/// Reads until the stream ends, and says how it did.
async fn loop_read(net: &Net, link: &Link) -> Option<IoFault> {
    let mut dry = true;
    let mut size = SMALL;
    let mut turn = 0u32;
    loop {
        let credit = link.reader.until(|| Some(link.credit.get()).filter(|&credit| credit > 0)).await;
        if dry && let Err(error) = link.socket.readable().await {
            return Some(io_fault(&error));
        }
        let mut chunk = net.pool.take(size);
        let space = chunk.space();
        let want = usize::try_from(credit).map_or(space.len(), |credit| credit.min(space.len()));
        match link.socket.get_ref().read(&mut space[..want]) {
            Ok(0) => return None,
            Ok(n) => {
                dry = n < want;
                size = if n >= SMALL { LARGE } else { SMALL };
                link.credit.set(link.credit.get().saturating_sub(n as u64));
                net.host.tell(Event::Received { tcp: link.tcp, bytes: chunk.freeze(n) });
                if link.closing.get() {
                    return None;
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => dry = true,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Some(io_fault(&error)),
        }
        turn = turn.wrapping_add(1);
        if turn.is_multiple_of(TURN) {
            yield_now().await;
        }
    }
}

async fn write(net: Rc<Net>, link: Rc<Link>) {
    if let Err(error) = loop_write(&net, &link).await {
        net.stream_ended(link.tcp, Some(io_fault(&error)));
    }
}

/// Writes what is queued, until the stream breaks; or, when it is closing, until all is written.
async fn loop_write(net: &Net, link: &Link) -> io::Result<()> {
    let mut turn = 0u32;
    loop {
        let more = link
            .writer
            .until(|| match (link.queue.borrow().is_empty(), link.closing.get()) {
                (false, _) => Some(true),
                (true, true) => Some(false),
                (true, false) => None,
            })
            .await;
        if !more {
            return Ok(());
        }
        match write_some(link) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => {
                if !link.closing.get() {
                    net.host.tell(Event::Flushed { tcp: link.tcp, bytes: written as u64 });
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => link.socket.writable().await?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        turn = turn.wrapping_add(1);
        if turn.is_multiple_of(TURN) {
            yield_now().await;
        }
    }
}

/// One write of as many slices as are queued and fit.
fn write_some(link: &Link) -> io::Result<usize> {
    let mut queue = link.queue.borrow_mut();
    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
    let mut used = 0;
    for (slice, bytes) in slices.iter_mut().zip(queue.iter()) {
        *slice = IoSlice::new(bytes);
        used += 1;
    }
    let written = link.socket.get_ref().write_vectored(&slices[..used])?;
    let mut left = written;
    while let Some(front) = queue.front_mut() {
        if left < front.len() {
            front.advance(left);
            break;
        }
        left -= front.len();
        queue.pop_front();
    }
    Ok(written)
}

/// Reads and forgets, until the other side ends too.
async fn read_away(socket: &Async<TcpStream>) {
    let mut nowhere = [0; 4096];
    loop {
        match socket.get_ref().read(&mut nowhere) {
            Ok(0) => return,
            Ok(_) => yield_now().await,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if socket.readable().await.is_err() {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}
