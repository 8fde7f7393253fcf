//! Host names, by the operating system's resolver.
//!
//! `getaddrinfo` blocks, for half a minute if a name server is silent, and cannot be stopped. It runs on the threads of
//! `blocking`, at most [`AT_ONCE`] at a time: a place is given back when the *lookup* ends, not when its caller has
//! stopped waiting, so that silent name servers cannot fill the machine with threads.

use async_channel::{Receiver, Sender};
use futures_lite::FutureExt;
use parcacik_core::border::IoFault;
use std::net::{IpAddr, ToSocketAddrs};
use std::time::Duration;

/// How many lookups run at once.
const AT_ONCE: usize = 4;
/// How long one may take, waiting for a place included.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// The most addresses of one name that are of use.
const MAX_ADDRESSES: usize = 16;

/// Looks up host names. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Resolver {
    /// A bounded channel as a semaphore: what lies in it are the places that are taken.
    take: Sender<()>,
    give: Receiver<()>,
}

/// A place that is taken; given back on drop, also when the lookup panics.
struct Place(Receiver<()>);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.0.try_recv();
    }
}

impl Resolver {
    /// A resolver with all its places free.
    pub(crate) fn new() -> Resolver {
        let (take, give) = async_channel::bounded(AT_ONCE);
        Resolver { take, give }
    }

    /// The addresses of `host`, in the order to try them: at least one, at most [`MAX_ADDRESSES`]. An address in text,
    /// an IPv6 one also in brackets, is its own answer.
    pub(crate) async fn resolve(&self, host: String) -> Result<Vec<IpAddr>, IoFault> {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&host);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Ok(vec![ip]);
        }
        let lookup = async {
            self.take.send(()).await.map_err(|_| IoFault::Cancelled)?;
            let place = Place(self.give.clone());
            blocking::unblock(move || {
                let _place = place;
                look_up(&host)
            })
            .await
        };
        let limit = async {
            async_io::Timer::after(TIME_LIMIT).await;
            Err(IoFault::TimedOut)
        };
        lookup.or(limit).await
    }
}

fn look_up(host: &str) -> Result<Vec<IpAddr>, IoFault> {
    // The resolver's own error numbers do not come through std: whatever it says, the name led nowhere.
    let found = (host, 0).to_socket_addrs().map_err(|_| IoFault::NotFound)?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for addr in found {
        if addresses.len() < MAX_ADDRESSES && !addresses.contains(&addr.ip()) {
            addresses.push(addr.ip());
        }
    }
    if addresses.is_empty() { Err(IoFault::NotFound) } else { Ok(addresses) }
}
