//! UDP sockets: one task each, that takes what has come in and then lets the others run.
//!
//! Nothing here waits to send: a datagram that the kernel has no room for is lost, as it could be on any link.

use super::Net;
use async_io::Async;
use bytes::Bytes;
use futures_lite::future::yield_now;
use parcacik_core::border::{Event, SocketId};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;

/// Datagrams that are taken in one turn; measured: without a turn's end, the other tasks of the thread starve.
const TURN: usize = 32;
/// Longer than any datagram.
const BUFFER: usize = 64 << 10;

/// Takes datagrams in, as long as the task lives.
pub(crate) async fn receive(net: Rc<Net>, sock: SocketId, socket: Rc<Async<UdpSocket>>) {
    let mut buffer = vec![0; BUFFER];
    loop {
        if socket.readable().await.is_err() {
            // The reactor has lost the socket: it stays silent until it is unbound.
            return;
        }
        for _ in 0..TURN {
            match socket.get_ref().recv_from(&mut buffer) {
                Ok((0, _)) => {}
                Ok((length, from)) => {
                    // Never cut: an IPv4 or IPv6 datagram without jumbograms has at most 65,527 bytes of payload.
                    let segment = u16::try_from(length).unwrap_or(u16::MAX);
                    let bytes = Bytes::copy_from_slice(&buffer[..length]);
                    net.host.tell(Event::Datagrams { sock, from, segment, bytes });
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // What an earlier datagram met on its way (ICMP) is told here by some systems; it says nothing of the
                // socket.
                Err(_) => {}
            }
        }
        yield_now().await;
    }
}

/// Sends datagrams, each of `segment` bytes but the last. What does not go out at once is lost.
///
/// # Errors
/// Why the last of those that were lost did not go out.
pub(crate) fn send(
    socket: &UdpSocket,
    to: SocketAddr,
    segment: u16,
    bytes: &[u8],
    dont_fragment: bool,
) -> std::io::Result<()> {
    if bytes.is_empty() || segment == 0 {
        return Ok(());
    }
    let mut result = Ok(());
    if dont_fragment {
        set_dont_fragment(socket, to, true);
    }
    for datagram in bytes.chunks(usize::from(segment)) {
        if let Err(error) = socket.send_to(datagram, to) {
            result = Err(error);
        }
    }
    if dont_fragment {
        set_dont_fragment(socket, to, false);
    }
    result
}

/// Turns on the "don't fragment" bit for what is sent next; where the system has no such switch, probes may be cut up.
#[cfg(target_os = "linux")]
fn set_dont_fragment(socket: &UdpSocket, to: SocketAddr, on: bool) {
    use rustix::net::sockopt::{self, Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery};
    // PROBE sets the bit and ignores what the kernel believes about the path: finding that out is the point of a probe.
    let _ = if to.is_ipv4() {
        let mode = if on { Ipv4PathMtuDiscovery::PROBE } else { Ipv4PathMtuDiscovery::DONT };
        sockopt::set_ip_mtu_discover(socket, mode)
    } else {
        let mode = if on { Ipv6PathMtuDiscovery::PROBE } else { Ipv6PathMtuDiscovery::DONT };
        sockopt::set_ipv6_mtu_discover(socket, mode)
    };
}

#[cfg(not(target_os = "linux"))]
fn set_dont_fragment(_socket: &UdpSocket, _to: SocketAddr, _on: bool) {}
