//! Connections kept for a next request to the same host at the same address.

use super::connection::Connection;
use parcacik_core::border::HttpRequest;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What must be equal for a connection to serve another request. The host is part of it because the certificate was checked for that
/// host only; the addresses, because the core chose them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    tls: bool,
    host: String,
    port: u16,
    to: SocketAddr,
    from: Option<IpAddr>,
}

impl Key {
    /// The key of a request.
    pub(super) fn of(request: &HttpRequest) -> Key {
        Key {
            tls: request.tls,
            host: request.host.to_ascii_lowercase(),
            port: request.port,
            to: request.to,
            from: request.from,
        }
    }
}

/// A bounded set of idle connections. They are few, so it is a list, the one idle for longest first.
#[derive(Debug)]
pub(super) struct Pool<C = Connection> {
    idle: Mutex<Vec<Idle<C>>>,
    most: usize,
    most_per_key: usize,
    keep: Duration,
}

#[derive(Debug)]
struct Idle<C> {
    key: Key,
    connection: C,
    since: Instant,
}

impl<C> Pool<C> {
    /// A pool of at most `most` connections, `most_per_key` with the same key, each for no longer than `keep`.
    pub(super) fn new(most: usize, most_per_key: usize, keep: Duration) -> Pool<C> {
        Pool { idle: Mutex::new(Vec::new()), most, most_per_key, keep }
    }

    /// Takes the connection that was used last: it is the least likely to have been closed. It may still be dead.
    pub(super) fn take(&self, key: &Key, now: Instant) -> Option<C> {
        let mut idle = self.lock();
        self.drop_old(&mut idle, now);
        let at = idle.iter().rposition(|entry| entry.key == *key)?;
        Some(idle.remove(at).connection)
    }

    /// Gives a connection back. The oldest goes when there are too many.
    pub(super) fn give(&self, key: Key, connection: C, now: Instant) {
        let mut idle = self.lock();
        self.drop_old(&mut idle, now);
        idle.push(Idle { key: key.clone(), connection, since: now });
        if idle.iter().filter(|entry| entry.key == key).count() > self.most_per_key
            && let Some(at) = idle.iter().position(|entry| entry.key == key)
        {
            idle.remove(at);
        }
        if idle.len() > self.most {
            idle.remove(0);
        }
    }

    /// Drops all.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn drop_old(&self, idle: &mut Vec<Idle<C>>, now: Instant) {
        idle.retain(|entry| now.saturating_duration_since(entry.since) < self.keep);
    }

    /// A panic in another thread cannot leave the list half changed, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Vec<Idle<C>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
