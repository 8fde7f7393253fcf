//! Multicast on loopback, which an interface of this machine is when it is named.

use crate::engine::testing::Rig;
use bytes::Bytes;
use parcacik_core::border::{Action, Event, IoFault, SocketId, SocketKind};
use std::net::{IpAddr, SocketAddr};

const GROUP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(239, 192, 152, 143));

fn send(sock: u32, to: SocketAddr, text: &'static [u8]) -> Action {
    let bytes = Bytes::from_static(text);
    let segment = u16::try_from(bytes.len()).unwrap();
    Action::SendDatagrams { sock: SocketId(sock), to, segment, bytes, dont_fragment: false }
}

#[test]
fn members_of_a_group_share_a_port_and_hear_each_other_and_themselves() {
    let rig = Rig::new();
    let kind = SocketKind::Multicast { group: GROUP };
    let first = rig.bind(1, kind, "127.0.0.1:0");
    assert!(first.port() > 0 && first.ip().is_loopback());
    assert_eq!(rig.bind(2, kind, &first.to_string()), first);
    rig.act([send(1, SocketAddr::new(GROUP, first.port()), b"hello")]);
    let mut heard = Vec::new();
    for _ in 0..2 {
        let Event::Datagrams { sock, from, bytes, .. } = rig.next() else { panic!() };
        assert_eq!((from.ip(), &bytes[..]), (first.ip(), &b"hello"[..]));
        heard.push(sock);
    }
    heard.sort();
    assert_eq!(heard, [SocketId(1), SocketId(2)]);

    // What is sent to this machine alone does not come in by the group; after it, the group still does.
    rig.bind(3, SocketKind::Udp, "127.0.0.1:0");
    rig.act([send(3, first, b"alone"), Action::Unbind { sock: SocketId(2) }]);
    rig.act([send(1, SocketAddr::new(GROUP, first.port()), b"again")]);
    let Event::Datagrams { sock: SocketId(1), bytes, .. } = rig.next() else { panic!() };
    assert_eq!(&bytes[..], b"again");
    assert_eq!(rig.stop(), []);
}

#[test]
fn without_an_interface_there_is_no_membership() {
    let rig = Rig::new();
    let (sock, kind, addr) = (SocketId(1), SocketKind::Multicast { group: GROUP }, "192.0.2.77:0".parse().unwrap());
    rig.act([Action::Bind { sock, kind, addr, device: None }]);
    assert_eq!(rig.next(), Event::BindFailed { sock, fault: IoFault::Unreachable });
    assert_eq!(rig.stop(), []);
}
