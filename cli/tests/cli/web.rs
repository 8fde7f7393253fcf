//! A web site on loopback: fixed answers by path.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// Runs until the test program ends.
pub struct Site {
    pub addr: SocketAddr,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Page {
    pub path: &'static str,
    /// The status line behind the version, and header lines.
    pub head: &'static str,
    pub body: Vec<u8>,
}

impl Page {
    /// A page as it should be.
    pub fn ok(path: &'static str, body: impl Into<Vec<u8>>) -> Page {
        Page { path, head: "200 OK", body: body.into() }
    }

    pub fn other(path: &'static str, head: &'static str) -> Page {
        Page { path, head, body: b"<html>an error</html>".to_vec() }
    }
}

impl Site {
    pub fn start(pages: Vec<Page>) -> Site {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let pages = pages.clone();
                thread::spawn(move || serve(stream, &pages));
            }
        });
        Site { addr }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }
}

/// Answers requests until the client goes away. What goes wrong is the client's to notice.
fn serve(mut stream: TcpStream, pages: &[Page]) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
    loop {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return,
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let path = head.split(' ').nth(1).unwrap_or_default();
        let (head, body) = match pages.iter().find(|page| page.path == path) {
            Some(page) => (page.head, &page.body[..]),
            None => ("404 Not Found", &b"<html>nothing here</html>"[..]),
        };
        let head = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len());
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).is_err() {
            return;
        }
    }
}
