//! Documents by their URL, with look-ups and redirects as they are. What may lead where is tested in the core, where addresses need not exist.

use crate::client;
use crate::server::{Server, Then};
use parcacik_core::border::IoFault;
use parcacik_core::fetch::{FetchError, FetchOptions, Fetched};
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

fn fetch(url: &str, options: FetchOptions) -> Result<Fetched, FetchError> {
    async_io::block_on(client().fetch(url, options))
}

/// A server with a page that leads to another one, and that one.
fn site() -> Server {
    Server::start(|mut peer| {
        while let Some(head) = peer.request() {
            let answer: &[u8] = match head {
                head if head.starts_with(b"GET /old ") => {
                    b"HTTP/1.1 301 Moved\r\nLocation: new/a.torrent?b=1\r\nContent-Length: 0\r\n\r\n"
                }
                head if head.starts_with(b"GET /new/a.torrent?b=1 ") => {
                    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
                }
                head if head.starts_with(b"GET /loop ") => {
                    b"HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n"
                }
                _ => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            };
            if peer.send(answer).is_err() {
                return;
            }
        }
    })
}

#[test]
fn a_document_is_fetched_by_name_and_through_a_redirect() {
    let site = site();
    let options = FetchOptions { user_agent: Some("test/1".into()), ..FetchOptions::default() };
    let got = fetch(&format!("http://localhost:{}/old", site.addr.port()), options).unwrap();
    assert_eq!(&got.bytes[..], b"body");
    assert!(got.url.ends_with("/new/a.torrent?b=1"), "{}", got.url);
    let head = String::from_utf8(site.heads()[0].clone()).unwrap().to_ascii_lowercase();
    assert!(head.contains("user-agent: test/1\r\n"), "{head}");
}

#[test]
fn what_cannot_be_fetched_says_why() {
    let site = site();
    let url = |path: &str| format!("http://{}{path}", site.addr);
    let error = fetch(&url("/none"), FetchOptions::default()).unwrap_err();
    assert_eq!(error, FetchError::Status { status: 404, retry_after: None });
    assert_eq!(fetch(&url("/loop"), FetchOptions::default()).unwrap_err(), FetchError::TooManyRedirects);
    let small = FetchOptions { bytes: 3, ..FetchOptions::default() };
    let error = fetch(&url("/old"), small).unwrap_err();
    assert_eq!(error, FetchError::Io { host: "127.0.0.1".into(), fault: IoFault::TooLarge });
    // RFC 2606: never the name of a host.
    let error = fetch("http://nowhere.invalid/", FetchOptions::default()).unwrap_err();
    assert_eq!(error, FetchError::Resolve { host: "nowhere.invalid".into(), fault: IoFault::NotFound });
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let error = fetch(&format!("http://{closed}/"), FetchOptions::default()).unwrap_err();
    assert_eq!(error, FetchError::Io { host: "127.0.0.1".into(), fault: IoFault::Refused });
}

#[test]
fn a_server_that_says_nothing_is_given_up_in_time() {
    let silent = Server::start(|mut peer| {
        peer.request();
        peer.gone_within(Duration::from_secs(30));
    });
    let options = FetchOptions { time: Duration::from_millis(100), ..FetchOptions::default() };
    let error = fetch(&format!("http://{}/", silent.addr), options).unwrap_err();
    assert_eq!(error, FetchError::TimedOut);
}

#[test]
fn a_packed_document_is_unpacked_within_the_limit() {
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write as _;
    let packed = |length: usize| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&vec![b'x'; length]).unwrap();
        let body = encoder.finish().unwrap();
        let mut answer =
            format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        answer.extend(body);
        Server::answering(answer, Then::Keep)
    };
    let small = packed(100_000);
    let options = FetchOptions { bytes: 100_000, ..FetchOptions::default() };
    let got = fetch(&format!("http://{}/", small.addr), options.clone()).unwrap();
    assert_eq!(got.bytes.len(), 100_000);
    let large = packed(100_001);
    let error = fetch(&format!("http://{}/", large.addr), options).unwrap_err();
    assert!(matches!(error, FetchError::Io { fault: IoFault::TooLarge, .. }), "{error}");
}
