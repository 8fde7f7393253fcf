//! Whom we trust, and how TLS may end.

use super::server::{Peer, Server};
use super::{WAYS, get};
use parcacik_core::border::{HttpRequest, HttpResponse, IoFault};
use parcacik_driver_smol::http::{HttpClient, HttpOptions};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;

type Tls = StreamOwned<ServerConnection, TcpStream>;

const WHOLE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nd1:ae";

/// An authority of the test's own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn certificate(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// A client that trusts this authority and nobody else.
    fn client(&self) -> HttpClient {
        let options =
            HttpOptions { extra_roots: vec![self.certificate()], system_roots: false, ..HttpOptions::default() };
        HttpClient::new(options).unwrap()
    }

    /// A server with a certificate for these names and addresses.
    fn server(&self, names: &[&str], serve: impl Fn(Peer<Tls>) + Send + Sync + 'static) -> Server {
        let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        Server::start(move |peer| {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            serve(peer.over(|tcp| StreamOwned::new(connection, tcp)));
        })
    }
}

/// Answers each request until the client leaves.
fn answers(mut peer: Peer<Tls>) {
    while peer.request().is_some() {
        if peer.send(WHOLE).is_err() {
            return;
        }
    }
}

fn secure(server: &Server, host: &str) -> HttpRequest {
    HttpRequest { tls: true, host: host.into(), ..get(server, "/announce?info_hash=%00%ff") }
}

fn body(answer: Result<HttpResponse, IoFault>) -> Result<Vec<u8>, IoFault> {
    answer.map(|answer| answer.body.to_vec())
}

#[test]
fn a_certificate_for_the_host_is_taken() {
    let authority = Authority::new();
    for way in WAYS {
        let server = authority.server(&["tracker.test", "127.0.0.1", "::1"], answers);
        let client = authority.client();
        for host in ["tracker.test", "TRACKER.test", "127.0.0.1", "[::1]"] {
            assert_eq!(body(way.run(&client, secure(&server, host))), Ok(b"d1:ae".to_vec()), "{host}");
        }
        assert_eq!(server.connections(), 3, "one for each host");
        assert_eq!(server.lines(), ["GET /announce?info_hash=%00%ff HTTP/1.1"; 4]);
    }
}

#[test]
fn a_certificate_for_somebody_else_is_not() {
    let authority = Authority::new();
    for way in WAYS {
        let server = authority.server(&["tracker.test"], answers);
        for host in ["other.test", "sub.tracker.test", "127.0.0.1", "[::1]"] {
            let answer = way.run(&authority.client(), secure(&server, host));
            assert_eq!(answer, Err(IoFault::Untrusted), "{host}");
        }
        assert!(server.heads().is_empty(), "nothing was said to a stranger");
    }
}

#[test]
fn a_connection_checked_for_one_host_does_not_serve_another() {
    let authority = Authority::new();
    for way in WAYS {
        let server = authority.server(&["tracker.test"], answers);
        let client = authority.client();
        assert!(way.run(&client, secure(&server, "tracker.test")).is_ok());
        assert_eq!(way.run(&client, secure(&server, "other.test")), Err(IoFault::Untrusted));
        // Nor does a bare one serve where TLS is wanted.
        assert!(way.run(&client, HttpRequest { tls: false, ..secure(&server, "tracker.test") }).is_err());
    }
}

#[test]
fn an_unknown_authority_is_not_trusted() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for way in WAYS {
        let server = stranger.server(&["tracker.test"], answers);
        assert_eq!(way.run(&authority.client(), secure(&server, "tracker.test")), Err(IoFault::Untrusted));
        assert!(server.heads().is_empty());
    }
}

#[test]
fn without_any_roots_nothing_is_trusted_and_plain_http_works() {
    let options = HttpOptions { system_roots: false, ..HttpOptions::default() };
    for way in WAYS {
        let client = HttpClient::new(options.clone()).unwrap();
        let server = Authority::new().server(&["tracker.test"], answers);
        assert_eq!(way.run(&client, secure(&server, "tracker.test")), Err(IoFault::Untrusted));
        let plain = Server::answering(WHOLE.to_vec(), super::server::Then::Keep);
        assert!(way.run(&client, get(&plain, "/")).is_ok());
    }
}

#[test]
fn roots_come_from_a_file_too() {
    let authority = Authority::new();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(authority.0.pem().as_bytes()).unwrap();
    let path = Some(file.path().to_owned());
    let options = HttpOptions { extra_roots_file: path, system_roots: false, ..HttpOptions::default() };
    for way in WAYS {
        let server = authority.server(&["tracker.test"], answers);
        let client = HttpClient::new(options.clone()).unwrap();
        assert_eq!(body(way.run(&client, secure(&server, "tracker.test"))), Ok(b"d1:ae".to_vec()));
    }
}

#[test]
fn an_end_without_close_notify_is_an_end_but_no_excuse() {
    let authority = Authority::new();
    type Case = (&'static [u8], Result<&'static [u8], IoFault>);
    let cases: [Case; 4] = [
        (b"HTTP/1.0 200 OK\r\n\r\nd1:ae", Ok(b"d1:ae")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nd1:ae", Ok(b"d1:ae")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nd1:ae", Err(IoFault::Reset)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nd1:ae\r\n", Err(IoFault::Reset)),
    ];
    for clean in [false, true] {
        for (answer, expect) in cases {
            for way in WAYS {
                let server = authority.server(&["tracker.test"], move |mut peer| {
                    if peer.request().is_some() {
                        peer.send(answer).unwrap();
                        if clean {
                            peer.io.conn.send_close_notify();
                            peer.io.flush().unwrap();
                        }
                    }
                });
                let told = body(way.run(&authority.client(), secure(&server, "tracker.test")));
                assert_eq!(told, expect.map(<[u8]>::to_vec), "{} clean: {clean}", answer.escape_ascii());
            }
        }
    }
}

#[test]
fn plain_where_tls_is_expected_and_the_other_way_round() {
    let authority = Authority::new();
    for way in WAYS {
        // A plain server takes the client's hello for a request line and says something in HTTP.
        let plain = Server::start(|mut peer| drop(peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")));
        assert_eq!(way.run(&authority.client(), secure(&plain, "tracker.test")), Err(IoFault::Protocol));
        let silent = Server::start(drop);
        assert_eq!(way.run(&authority.client(), secure(&silent, "tracker.test")), Err(IoFault::Reset));
        let server = authority.server(&["tracker.test"], answers);
        let answer = way.run(&authority.client(), HttpRequest { tls: false, ..secure(&server, "tracker.test") });
        assert!(matches!(answer, Err(IoFault::Protocol | IoFault::Reset)), "{answer:?}");
    }
}
