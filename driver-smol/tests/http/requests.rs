//! What is sent, byte for byte.

use super::server::{Server, Then::Keep};
use super::{WAYS, client, get};
use parcacik_core::border::{HttpRequest, IoFault};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[test]
fn the_whole_request() {
    for way in WAYS {
        let server = Server::answering(EMPTY.to_vec(), Keep);
        let mut request = get(&server, "/announce?x=1");
        way.run(&client(), request.clone()).unwrap();
        request.user_agent = Some("Parcacik/0.1".into());
        request.port = 80;
        way.run(&client(), request).unwrap();
        let port = server.addr.port();
        let expect = [
            format!("GET /announce?x=1 HTTP/1.1\r\nHost: tracker.test:{port}\r\nAccept-Encoding: gzip\r\n\r\n"),
            "GET /announce?x=1 HTTP/1.1\r\nHost: tracker.test\r\nUser-Agent: Parcacik/0.1\r\nAccept-Encoding: gzip\r\n\r\n".into(),
        ];
        assert_eq!(server.heads(), expect.map(String::into_bytes));
    }
}

#[test]
fn path_and_query_are_not_touched() {
    let every_byte: String = (0..=255u8).map(|byte| format!("%{byte:02x}")).collect();
    let paths = [
        "/".to_owned(),
        "/announce?info_hash=%12%ff%00%7e~A%2B%20+%a0%F0%0a&peer_id=-PC0010-%zz'".to_owned(),
        format!("/?info_hash={every_byte}"),
        format!("/?info_hash={}", every_byte.to_uppercase()),
        "//a/./b/../c//?q=/../".to_owned(),
        "/a;b=c/passkey!$&'()*,=:@?a[]=1|2^{3}`\\".to_owned(),
        "/??&&==".to_owned(),
    ];
    for way in WAYS {
        let server = Server::answering(EMPTY.to_vec(), Keep);
        let client = client();
        for path in &paths {
            way.run(&client, get(&server, path)).unwrap_or_else(|fault| panic!("{fault:?} for {path}"));
        }
        let expect: Vec<String> = paths.iter().map(|path| format!("GET {path} HTTP/1.1")).collect();
        assert_eq!(server.lines(), expect);
    }
}

#[test]
fn what_cannot_be_sent_as_it_stands_is_not_sent() {
    let paths = ["", "announce", "?a=b", "/a b", "/a\r\nX: y", "/a#b", "/\u{e9}", "/\0", "http://other.test/"];
    let hosts = ["", "a b", "a\r\nX: y", "a/b", "user@host", "a:80", "[::1", "[no]", "::1", "h\u{f6}st"];
    for way in WAYS {
        let server = Server::answering(EMPTY.to_vec(), Keep);
        let sound = get(&server, "/");
        let bad_paths = paths.map(|path| HttpRequest { path: path.into(), ..sound.clone() });
        let bad_hosts = hosts.map(|host| HttpRequest { host: host.into(), ..sound.clone() });
        let bad_agent = HttpRequest { user_agent: Some("a\r\nX: y".into()), ..sound.clone() };
        for request in bad_paths.into_iter().chain(bad_hosts).chain([bad_agent]) {
            assert_eq!(way.run(&client(), request.clone()), Err(IoFault::Unsupported), "{request:?}");
        }
        assert_eq!(server.connections(), 0);
    }
}

#[test]
fn hosts_that_only_look_odd() {
    for way in WAYS {
        let server = Server::answering(EMPTY.to_vec(), Keep);
        for host in ["[::1]", "127.0.0.1", "1.2.3.4.5", "my_tracker.test", "xn--e1afmkfd.test.", "UPPER.test", "~"] {
            way.run(&client(), HttpRequest { host: host.into(), port: 80, ..get(&server, "/") }).unwrap();
            let head = String::from_utf8(server.heads().pop().unwrap()).unwrap();
            assert!(head.contains(&format!("\r\nHost: {host}\r\n")), "{head}");
        }
    }
}

#[test]
fn the_source_address_is_the_one_given() {
    for way in WAYS {
        let server = Server::start(|mut peer| {
            let body = peer.io.peer_addr().unwrap().ip().to_string();
            while peer.request().is_some() {
                let _ =
                    peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
            }
        });
        let from = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let request = HttpRequest { from: Some(from), ..get(&server, "/") };
        assert_eq!(way.run(&client(), request.clone()).unwrap().body, "127.0.0.1");
        if cfg!(target_os = "linux") {
            // All of 127.0.0.0/8 is the loopback interface's.
            let request = HttpRequest { from: Some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9))), ..request.clone() };
            assert_eq!(way.run(&client(), request).unwrap().body, "127.0.0.9");
        }
        // An address for documentation (RFC 5737): nobody's; and one of the other family.
        for from in ["192.0.2.1", "::1"] {
            let request = HttpRequest { from: Some(from.parse().unwrap()), ..request.clone() };
            assert_eq!(way.run(&client(), request), Err(IoFault::AddressUnavailable));
        }
    }
}

#[test]
fn ipv6() {
    for way in WAYS {
        let server = Server::start_at(Ipv6Addr::LOCALHOST.into(), |mut peer| {
            while peer.request().is_some() {
                let _ = peer.send(EMPTY);
            }
        });
        let Ok(server) = server else {
            println!("skipped: this machine has no IPv6");
            return;
        };
        let from = Some(Ipv6Addr::LOCALHOST.into());
        way.run(&client(), HttpRequest { host: "[::1]".into(), from, ..get(&server, "/") }).unwrap();
        let head = String::from_utf8(server.heads().remove(0)).unwrap();
        assert!(head.contains(&format!("\r\nHost: [::1]:{}\r\n", server.addr.port())), "{head}");
    }
}

#[test]
fn nobody_listens() {
    for way in WAYS {
        let server = Server::answering(EMPTY.to_vec(), Keep);
        let mut request = get(&server, "/");
        // Bound, but not listening: the port cannot be anybody else's meanwhile.
        let closed = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        closed.bind(&std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        request.to = closed.local_addr().unwrap().as_socket().unwrap();
        assert_eq!(way.run(&client(), request), Err(IoFault::Refused));
    }
}
