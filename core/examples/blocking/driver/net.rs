//! Sockets: each has threads of its own, which block.

use super::{Message, fault};
use bytes::Bytes;
use parcacik_core::border::{DialId, Event, SocketId, Target, TcpId};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a dial may take; long enough for three attempts of the system's.
const DIAL_TIME: Duration = Duration::from_secs(10);
/// How long what is queued may still take when a stream is closed.
const FLUSH_TIME: Duration = Duration::from_secs(2);
/// The most bytes read at once.
const CHUNK: usize = 64 << 10;

/// A TCP stream: two threads, one reads and one writes.
#[derive(Debug)]
pub struct Stream {
    socket: TcpStream,
    credit: Sender<u32>,
    queue: Sender<Bytes>,
    writer: JoinHandle<()>,
}

impl Stream {
    pub fn start(tcp: TcpId, socket: TcpStream, outbox: &SyncSender<Message>) -> io::Result<Stream> {
        // Whole batches of messages are handed over: waiting for more to send with them would only add time.
        socket.set_nodelay(true)?;
        let (credit, credits) = channel();
        let (queue, queued) = channel();
        let (reads, tells) = (socket.try_clone()?, outbox.clone());
        thread::Builder::new().spawn(move || {
            let end = read(tcp, reads, &credits, &tells);
            let _ = tells.send(Message::Event(Event::Closed { tcp, fault: end.err().map(|error| fault(&error)) }));
        })?;
        let (writes, tells) = (socket.try_clone()?, outbox.clone());
        let writer = thread::Builder::new().spawn(move || {
            match write(tcp, &writes, &queued, &tells) {
                Ok(()) => linger(&writes),
                Err(error) => {
                    let _ = tells.send(Message::Event(Event::Closed { tcp, fault: Some(fault(&error)) }));
                }
            }
            // Nothing more will be said: the thread that reads wakes up and ends too.
            let _ = writes.shutdown(Shutdown::Both);
        })?;
        Ok(Stream { socket, credit, queue, writer })
    }

    /// Queues bytes. The session sees by `Flushed` how much waits, and keeps that within its limits.
    pub fn send(&self, bytes: Bytes) {
        // The thread may have ended; the session learns that by `Closed`.
        let _ = self.queue.send(bytes);
    }

    /// Allows so many bytes more to be read.
    pub fn grant(&self, bytes: u32) {
        let _ = self.credit.send(bytes);
    }

    /// Ends the stream. With `flush`, what is queued is written first: dropping the queue's sender lets the writing
    /// thread come to its end, which may be waited for.
    pub fn close(self, flush: bool) -> JoinHandle<()> {
        let _ = match flush {
            true => self.socket.set_write_timeout(Some(FLUSH_TIME)),
            false => self.socket.shutdown(Shutdown::Both),
        };
        self.writer
    }
}

/// Reads as much as credit allows, and waits when it allows nothing: so a peer is slowed down by TCP itself.
fn read(tcp: TcpId, mut socket: TcpStream, credits: &Receiver<u32>, outbox: &SyncSender<Message>) -> io::Result<()> {
    let mut credit = 0usize;
    loop {
        if credit == 0 {
            // The sender is gone: the session has closed the stream.
            let Ok(more) = credits.recv() else { return Ok(()) };
            credit += more as usize;
        }
        credit += credits.try_iter().map(|more| more as usize).sum::<usize>();
        let mut buffer = vec![0; credit.min(CHUNK)];
        match socket.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                credit -= count;
                buffer.truncate(count);
                let _ = outbox.send(Message::Event(Event::Received { tcp, bytes: Bytes::from(buffer) }));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes what is queued and tells how much has left, until the queue's sender is gone.
fn write(tcp: TcpId, mut socket: &TcpStream, queue: &Receiver<Bytes>, outbox: &SyncSender<Message>) -> io::Result<()> {
    while let Ok(mut bytes) = queue.recv() {
        while !bytes.is_empty() {
            let count = match socket.write(&bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            bytes = bytes.slice(count..);
            let _ = outbox.send(Message::Event(Event::Flushed { tcp, bytes: count as u64 }));
        }
    }
    Ok(())
}

/// Waits for the other side to end too, for a moment. A socket that is closed with bytes unread is reset, and the other
/// side may then lose what it has not read.
fn linger(mut socket: &TcpStream) {
    let end = Instant::now() + FLUSH_TIME;
    if socket.shutdown(Shutdown::Write).is_err() || socket.set_read_timeout(Some(FLUSH_TIME)).is_err() {
        return;
    }
    let mut nowhere = [0; 4096];
    while Instant::now() < end && socket.read(&mut nowhere).is_ok_and(|count| count > 0) {}
}

/// Opens a stream, in a thread. Names are tried address by address.
pub fn dial(dial: DialId, to: Target, outbox: &SyncSender<Message>) -> io::Result<()> {
    let tells = outbox.clone();
    thread::Builder::new().spawn(move || {
        let connected = match &to {
            Target::Addr(addr) => TcpStream::connect_timeout(addr, DIAL_TIME),
            Target::Host { name, port } => (name.as_str(), *port).to_socket_addrs().and_then(|mut found| {
                let none = Err(io::ErrorKind::NotFound.into());
                found
                    .try_fold(none, |_, addr| match TcpStream::connect_timeout(&addr, DIAL_TIME) {
                        Ok(stream) => Err(stream),
                        Err(error) => Ok(Err(error)),
                    })
                    .unwrap_or_else(Ok)
            }),
        };
        let _ = tells.send(match connected {
            Ok(stream) => Message::Dialled(dial, stream),
            Err(error) => Message::Event(Event::DialFailed { dial, fault: fault(&error) }),
        });
    })?;
    Ok(())
}

/// A listening socket: its thread ends when this is dropped.
#[derive(Debug)]
pub struct Listener {
    local: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl Listener {
    pub fn start(sock: SocketId, listener: TcpListener, outbox: &SyncSender<Message>) -> io::Result<Listener> {
        let (local, ended) = (listener.local_addr()?, Arc::new(AtomicBool::new(false)));
        let (tells, stop) = (outbox.clone(), ended.clone());
        thread::Builder::new().spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Acquire) {
                    return;
                }
                match stream {
                    Ok(stream) => _ = tells.send(Message::Came(sock, stream)),
                    // Out of descriptors, most likely: trying again at once would only burn time.
                    Err(_) => thread::sleep(Duration::from_millis(100)),
                }
            }
        })?;
        Ok(Listener { local, ended })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        // A thread that waits for a stream wakes up when it gets one.
        let _ = TcpStream::connect_timeout(&reachable(self.local), Duration::from_secs(1));
    }
}

/// A UDP socket: its thread ends when this is dropped.
#[derive(Debug)]
pub struct Udp {
    socket: UdpSocket,
    ended: Arc<AtomicBool>,
}

impl Udp {
    pub fn bind(sock: SocketId, addr: SocketAddr, outbox: &SyncSender<Message>) -> io::Result<(Udp, SocketAddr)> {
        Udp::start(sock, UdpSocket::bind(addr)?, outbox)
    }

    /// A member of a group, on the interface of `addr`. The standard library cannot share the port: where another program
    /// has it, there is no local discovery.
    pub fn join(
        sock: SocketId,
        group: IpAddr,
        addr: SocketAddr,
        outbox: &SyncSender<Message>,
    ) -> io::Result<(Udp, SocketAddr)> {
        let socket = match (group, addr.ip()) {
            (IpAddr::V4(group), IpAddr::V4(interface)) => {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, addr.port()))?;
                socket.join_multicast_v4(&group, &interface)?;
                socket
            }
            // By its address alone an interface cannot be named here: 0 is the system's choice.
            (IpAddr::V6(group), IpAddr::V6(_)) => {
                let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, addr.port()))?;
                socket.join_multicast_v6(&group, 0)?;
                socket
            }
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        // The hops of IPv4 are one from the start, as are those of IPv6.
        Udp::start(sock, socket, outbox)
    }

    fn start(sock: SocketId, socket: UdpSocket, outbox: &SyncSender<Message>) -> io::Result<(Udp, SocketAddr)> {
        let (local, reads, ended) = (socket.local_addr()?, socket.try_clone()?, Arc::new(AtomicBool::new(false)));
        let (tells, stop) = (outbox.clone(), ended.clone());
        thread::Builder::new().spawn(move || {
            let mut buffer = [0; u16::MAX as usize];
            while !stop.load(Ordering::Acquire) {
                // An error is about a datagram that was sent before, and says nothing of what may still come.
                let Ok((count, from)) = reads.recv_from(&mut buffer) else { continue };
                // `recv_from` never says more than the buffer holds.
                let bytes = Bytes::copy_from_slice(&buffer[..count]);
                let event = Event::Datagrams { sock, from, segment: count as u16, bytes };
                let _ = tells.send(Message::Event(event));
            }
        })?;
        Ok((Udp { socket, ended }, local))
    }

    pub fn send(&self, to: SocketAddr, segment: u16, bytes: &Bytes) {
        for datagram in bytes.chunks(usize::from(segment).max(1)) {
            // What cannot be sent is lost, as datagrams are.
            let _ = self.socket.send_to(datagram, to);
        }
    }
}

impl Drop for Udp {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        if let Ok(local) = self.socket.local_addr() {
            let _ = self.socket.send_to(&[], reachable(local));
        }
    }
}

/// The address at which this machine itself reaches a socket that is bound to every address.
fn reachable(local: SocketAddr) -> SocketAddr {
    let ip = match local.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        other => other,
    };
    SocketAddr::new(ip, local.port())
}
