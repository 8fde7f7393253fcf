//! Servers made by hand: a thread for each connection, bytes as they are written down.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What a server does after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Waits for the next request.
    Keep,
    /// Closes.
    Close,
}

/// A server that lives as long as this value.
pub struct Server {
    pub addr: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    heads: Mutex<Vec<Vec<u8>>>,
    stop: AtomicBool,
}

/// One connection, from the server's side.
pub struct Peer<S = TcpStream> {
    /// Its number, from 0.
    pub number: usize,
    pub io: S,
    seen: Arc<Seen>,
}

impl Server {
    /// Calls `serve` for each connection, in a thread of its own.
    pub fn start(serve: impl Fn(Peer) + Send + Sync + 'static) -> Server {
        Server::start_at(Ipv4Addr::LOCALHOST.into(), serve).unwrap()
    }

    /// [`Server::start`] at an address that the machine may not have.
    pub fn start_at(at: IpAddr, serve: impl Fn(Peer) + Send + Sync + 'static) -> std::io::Result<Server> {
        let listener = TcpListener::bind((at, 0))?;
        let addr = listener.local_addr().unwrap();
        let (seen, serve) = (Arc::new(Seen::default()), Arc::new(serve));
        let shared = Arc::clone(&seen);
        thread::spawn(move || {
            for io in listener.incoming() {
                if shared.stop.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(io) = io else { continue };
                // So that a client that hangs fails its test, and no thread stays for ever.
                io.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
                io.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
                let number = shared.connections.fetch_add(1, Ordering::SeqCst);
                let (serve, seen) = (Arc::clone(&serve), Arc::clone(&shared));
                thread::spawn(move || serve(Peer { number, io, seen }));
            }
        });
        Ok(Server { addr, seen })
    }

    /// Gives the same answer to each request.
    pub fn answering(answer: Vec<u8>, then: Then) -> Server {
        Server::start(move |mut peer| {
            while peer.request().is_some() {
                if peer.send(&answer).is_err() || then == Then::Close {
                    return;
                }
            }
        })
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// The heads of all requests, as they came.
    pub fn heads(&self) -> Vec<Vec<u8>> {
        self.seen.heads.lock().unwrap().clone()
    }

    /// The request lines.
    pub fn lines(&self) -> Vec<String> {
        let line = |head: &Vec<u8>| String::from_utf8(head.split(|&b| b == b'\r').next().unwrap().to_vec()).unwrap();
        self.heads().iter().map(line).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.seen.stop.store(true, Ordering::SeqCst);
        // Wakes the listener.
        drop(TcpStream::connect(self.addr));
    }
}

impl<S> Peer<S> {
    /// The same connection with another layer on it.
    pub fn over<T>(self, layer: impl FnOnce(S) -> T) -> Peer<T> {
        Peer { number: self.number, io: layer(self.io), seen: self.seen }
    }
}

impl<S: Read + Write> Peer<S> {
    /// Reads a request; `None` when the client is gone.
    pub fn request(&mut self) -> Option<Vec<u8>> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            match self.io.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return None,
            }
        }
        self.seen.heads.lock().unwrap().push(head.clone());
        Some(head)
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.io.write_all(bytes)?;
        self.io.flush()
    }

    /// Sends the same bytes until the client goes away, but no more than a gigabyte.
    pub fn send_endlessly(&mut self, bytes: &[u8]) {
        let many = bytes.repeat((64 * 1024 / bytes.len()).max(1));
        for _ in 0..(1 << 30) / many.len() {
            if self.send(&many).is_err() {
                return;
            }
        }
    }
}

impl Peer<TcpStream> {
    /// Waits until the client goes away, but no longer than `limit`; says whether it did.
    pub fn gone_within(&mut self, limit: Duration) -> bool {
        self.io.set_read_timeout(Some(limit)).unwrap();
        match self.io.read(&mut [0; 64]) {
            Ok(bytes) => bytes == 0,
            Err(error) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
        }
    }
}
