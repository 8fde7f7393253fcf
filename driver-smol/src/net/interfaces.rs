//! The interfaces of this machine: which there are, and that they have changed.

use super::Net;
use crate::engine::host::Host;
use async_io::Timer;
use parcacik_core::border::Event;
use std::io;
use std::net::IpAddr;
use std::rc::{Rc, Weak};
use std::time::Duration;

/// How long it is waited for more changes before they are told: an interface that comes up gets its addresses one by one.
const SETTLES: Duration = Duration::from_secs(1);

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Interface {
    /// The interface's number.
    pub(crate) index: u32,
    /// Its name.
    pub(crate) name: String,
    /// One of its addresses.
    pub(crate) ip: IpAddr,
    /// Whether neighbours can be met there: it is up, can do multicast, and is not this machine itself.
    pub(crate) has_neighbours: bool,
}

/// All addresses of interfaces that are up, sorted.
#[cfg(unix)]
pub(crate) fn list() -> io::Result<Vec<Interface>> {
    use nix::net::if_::{InterfaceFlags, if_nametoindex};
    let mut list = Vec::new();
    for entry in nix::ifaddrs::getifaddrs()? {
        let Some(address) = entry.address else { continue };
        let v4 = address.as_sockaddr_in().map(|addr| IpAddr::from(addr.ip()));
        let v6 = address.as_sockaddr_in6().map(|addr| IpAddr::from(addr.ip()));
        let (Some(ip), true) = (v4.or(v6), entry.flags.contains(InterfaceFlags::IFF_UP)) else { continue };
        // One that has gone meanwhile has no number any more.
        let Ok(index) = if_nametoindex(entry.interface_name.as_str()) else { continue };
        let has_neighbours =
            entry.flags.contains(InterfaceFlags::IFF_MULTICAST) && !entry.flags.contains(InterfaceFlags::IFF_LOOPBACK);
        list.push(Interface { index, name: entry.interface_name, ip, has_neighbours });
    }
    list.sort();
    Ok(list)
}

/// All addresses of interfaces that are up, sorted.
#[cfg(not(unix))]
pub(crate) fn list() -> io::Result<Vec<Interface>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Tells the machine when addresses of this computer have changed, as long as the task lives and the system says.
pub(crate) async fn watch(host: Rc<Host>, net: Weak<Net>) {
    let Ok(mut known) = list() else { return };
    let Ok(mut changes) = Changes::new() else { return };
    while changes.next().await.is_ok() && net.strong_count() > 0 {
        Timer::after(SETTLES).await;
        let Ok(now) = list() else { return };
        // The system also tells of addresses whose lease is longer now.
        if now != known {
            known = now;
            host.tell(Event::InterfacesChanged);
        }
    }
}

/// Waits for the kernel to say that an address has come or gone (rtnetlink).
#[cfg(target_os = "linux")]
struct Changes(async_io::Async<std::os::fd::OwnedFd>);

#[cfg(target_os = "linux")]
impl Changes {
    fn new() -> io::Result<Changes> {
        use rustix::net::netlink::SocketAddrNetlink;
        use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
        /// `RTMGRP_IPV4_IFADDR` and `RTMGRP_IPV6_IFADDR`.
        const ADDRESSES: u32 = 0x10 | 0x100;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // `NETLINK_ROUTE` is 0, the family's usual protocol.
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, ADDRESSES))?;
        Ok(Changes(async_io::Async::new_nonblocking(socket)?))
    }

    async fn next(&mut self) -> io::Result<()> {
        self.0.readable().await?;
        let mut buffer = [0; 8192];
        loop {
            match rustix::net::recv(self.0.get_ref(), &mut buffer[..], rustix::net::RecvFlags::empty()) {
                // What exactly has changed is looked up.
                Ok(_) => {}
                // More came than it could hold: then, too, something has changed.
                Err(rustix::io::Errno::NOBUFS) => {}
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Where the system does not say, it is looked now and then.
#[cfg(not(target_os = "linux"))]
struct Changes;

#[cfg(not(target_os = "linux"))]
impl Changes {
    fn new() -> io::Result<Changes> {
        Ok(Changes)
    }

    async fn next(&mut self) -> io::Result<()> {
        /// Soon enough for somebody who has moved to another network.
        const LOOK: Duration = Duration::from_secs(60);
        Timer::after(LOOK).await;
        Ok(())
    }
}
