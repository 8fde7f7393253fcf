//! Sockets that are members of a multicast group, on one interface or several.

use super::interfaces::{self, Interface};
use super::{socket, udp};
use async_io::Async;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// What is sent goes no further than the link.
const HOPS: u32 = 1;

/// Opens a socket that is a member of `group` on the interfaces of `addr` and `device`, and says which those are.
pub(crate) fn join(
    group: IpAddr,
    addr: SocketAddr,
    device: Option<&str>,
) -> io::Result<(Async<UdpSocket>, Vec<Interface>)> {
    let wanted = wanted(interfaces::list()?, group, addr.ip(), device);
    let socket = socket::open(Domain::for_address(addr), Type::DGRAM, Protocol::UDP, device)?;
    // Every client of this machine is a member at the same port.
    socket.set_reuse_address(true)?;
    #[cfg(all(unix, not(target_os = "linux")))]
    socket.set_reuse_port(true)?;
    limit(&socket, group)?;
    // Bound to the group, nothing comes in that was sent to this machine alone. Not every system can.
    let local = if cfg!(unix) { group } else { socket::any(group.is_ipv6()) };
    socket.bind(&SocketAddr::new(local, addr.port()).into())?;
    let mut joined = Vec::new();
    let mut last = io::Error::from(io::ErrorKind::NetworkUnreachable);
    for interface in wanted {
        let member = match group {
            IpAddr::V4(group) => socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(interface.index)),
            IpAddr::V6(group) => socket.join_multicast_v6(&group, interface.index),
        };
        match member {
            Ok(()) => joined.push(interface),
            Err(error) => last = error,
        }
    }
    if joined.is_empty() {
        return Err(last);
    }
    Ok((Async::new_nonblocking(socket.into())?, joined))
}

/// Sends to the group on each interface. What does not go out at once is lost.
pub(crate) fn send(socket: &UdpSocket, interfaces: &[Interface], to: SocketAddr, segment: u16, bytes: &[u8]) {
    for interface in interfaces {
        let way = SockRef::from(socket);
        let set = match interface.ip {
            IpAddr::V4(ip) => way.set_multicast_if_v4(&ip),
            IpAddr::V6(_) => way.set_multicast_if_v6(interface.index),
        };
        // One that is gone is nobody's way; that it is gone is told by itself.
        if set.is_ok() {
            // Lost, as it could be on any link.
            let _ = udp::send(socket, to, segment, bytes, false);
        }
    }
}

/// How far datagrams go, and what is heard: our own too (whoever else is on this machine is a neighbour), of the interfaces
/// that were joined by this socket.
fn limit(socket: &Socket, group: IpAddr) -> io::Result<()> {
    match group {
        IpAddr::V4(_) => {
            socket.set_multicast_ttl_v4(HOPS)?;
            socket.set_multicast_loop_v4(true)?;
            #[cfg(target_os = "linux")]
            socket.set_multicast_all_v4(false)?;
        }
        IpAddr::V6(_) => {
            socket.set_multicast_hops_v6(HOPS)?;
            socket.set_multicast_loop_v6(true)?;
            #[cfg(target_os = "linux")]
            socket.set_multicast_all_v6(false)?;
        }
    }
    Ok(())
}

/// Where to join: on the interface that has this address, or on all that have neighbours; each once.
fn wanted(list: Vec<Interface>, group: IpAddr, ip: IpAddr, device: Option<&str>) -> Vec<Interface> {
    let mut wanted: Vec<Interface> = list
        .into_iter()
        .filter(|interface| interface.ip.is_ipv4() == group.is_ipv4())
        .filter(|interface| if ip.is_unspecified() { interface.has_neighbours } else { interface.ip == ip })
        .filter(|interface| device.is_none_or(|device| device == interface.name))
        .collect();
    wanted.dedup_by_key(|interface| interface.index);
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(index: u32, ip: &str, has_neighbours: bool) -> Interface {
        Interface { index, name: format!("if{index}"), ip: ip.parse().unwrap(), has_neighbours }
    }

    #[test]
    fn the_right_interfaces_are_joined() {
        let list = [
            interface(1, "127.0.0.1", false),
            interface(1, "::1", false),
            interface(2, "10.0.0.1", true),
            interface(2, "10.1.0.1", true),
            interface(2, "fe80::1", true),
            interface(3, "10.2.0.1", true),
        ];
        let joined = |group: &str, ip: &str, device| -> Vec<String> {
            let all = wanted(list.to_vec(), group.parse().unwrap(), ip.parse().unwrap(), device);
            all.into_iter().map(|interface| interface.ip.to_string()).collect()
        };
        assert_eq!(joined("239.1.1.1", "0.0.0.0", None), ["10.0.0.1", "10.2.0.1"], "each once, and not this machine");
        assert_eq!(joined("239.1.1.1", "10.1.0.1", None), ["10.1.0.1"]);
        assert_eq!(joined("239.1.1.1", "127.0.0.1", None), ["127.0.0.1"], "as it was named");
        assert_eq!(joined("239.1.1.1", "0.0.0.0", Some("if3")), ["10.2.0.1"]);
        assert_eq!(joined("ff15::1", "::", None), ["fe80::1"]);
        assert!(joined("239.1.1.1", "10.9.9.9", None).is_empty());
    }
}
