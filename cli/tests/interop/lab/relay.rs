//! A slow line: a TCP relay that lets so many bytes a second through.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What is passed on at once.
const CHUNK: usize = 8 << 10;

/// A relay. Its threads live as long as the test's process.
#[derive(Debug)]
pub struct Relay {
    /// Where to connect to.
    pub addr: SocketAddr,
    passed: Arc<AtomicU64>,
}

impl Relay {
    /// Listens at `ip` and leads to `to`. What comes from there is held to `rate` bytes a second on each connection.
    pub fn start(ip: &str, to: SocketAddr, rate: u64) -> Relay {
        let listener = TcpListener::bind((ip, 0)).expect("a port is free");
        let addr = listener.local_addr().expect("it is bound");
        let passed = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&passed);
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                // When nobody is there the connection ends at once, as it would without a relay.
                let Ok(far) = TcpStream::connect(to) else { continue };
                let (near_in, far_out) = (near.try_clone(), far.try_clone());
                let counter = Arc::clone(&counter);
                thread::spawn(move || pump(far, near, |bytes| pace(&counter, bytes, rate)));
                if let (Ok(near), Ok(far)) = (near_in, far_out) {
                    thread::spawn(move || pump(near, far, |_| {}));
                }
            }
        });
        Relay { addr, passed }
    }

    /// How many bytes have come from the other side.
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }
}

/// Makes `bytes` last as long as they should.
fn pace(counter: &AtomicU64, bytes: usize, rate: u64) {
    let started = Instant::now();
    counter.fetch_add(bytes as u64, Ordering::Relaxed);
    let due = Duration::from_micros(bytes as u64 * 1_000_000 / rate);
    thread::sleep(due.saturating_sub(started.elapsed()));
}

/// Passes bytes on until one side closes; then both are closed.
fn pump(mut from: TcpStream, mut to: TcpStream, mut slow: impl FnMut(usize)) {
    let mut chunk = [0; CHUNK];
    loop {
        match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => {
                slow(length);
                if to.write_all(&chunk[..length]).is_err() {
                    break;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
