//! Transmission's daemon, told what to do by its RPC (JSON over HTTP).

use super::{Lab, PATIENCE, Process, until};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Ports of the namespace; nobody else is in it.
const PEER_PORT: u16 = 26881;
const RPC_PORT: u16 = 29091;
/// It unchokes in rounds of ten seconds, and may need two of them.
const SLOW: Duration = Duration::from_secs(120);

/// A running daemon with one torrent. It never dials an address of 127.0.0.0/8: somebody must dial it.
#[derive(Debug)]
pub struct Transmission {
    _process: Process,
    /// Where it listens for peers.
    pub addr: SocketAddr,
    session: String,
    id: i64,
}

impl Transmission {
    /// Starts it at `ip` (IPv4) with the torrent's data in `dir`: it looks at what is there, and downloads the rest. One in a namespace.
    pub fn start(lab: &Lab, torrent: &Path, dir: &Path, ip: &str) -> Transmission {
        let config = lab.folder("transmission");
        let settings = json!({
            "bind-address-ipv4": ip, "peer-port": PEER_PORT,
            "rpc-enabled": true, "rpc-port": RPC_PORT, "rpc-bind-address": "127.0.0.1",
            "rpc-authentication-required": false, "rpc-host-whitelist-enabled": false, "rpc-whitelist-enabled": false,
            "dht-enabled": false, "lpd-enabled": false, "pex-enabled": false, "utp-enabled": false, "port-forwarding-enabled": false,
            // 0: plain connections preferred.
            "encryption": 0,
            "download-queue-enabled": false, "seed-queue-enabled": false, "ratio-limit-enabled": false, "idle-seeding-limit-enabled": false,
            "watch-dir-enabled": false, "incomplete-dir-enabled": false, "download-dir": dir, "start-added-torrents": true,
        });
        fs::write(config.join("settings.json"), settings.to_string()).expect("a file can be written");
        let mut command = Command::new("transmission-daemon");
        command.arg("--foreground").arg("--config-dir").arg(&config).env("HOME", lab.folder("home"));
        let process = Process::start(&format!("transmission at {ip}"), &mut command);
        let addr = format!("{ip}:{PEER_PORT}").parse().expect("an address");
        let mut daemon = Transmission { _process: process, addr, session: String::new(), id: 0 };
        until("transmission's RPC", PATIENCE, || TcpStream::connect(("127.0.0.1", RPC_PORT)).ok());
        let added = daemon.call("torrent-add", &json!({ "filename": torrent, "download-dir": dir, "paused": false }));
        daemon.id = added["torrent-added"]["id"].as_i64().unwrap_or_else(|| panic!("transmission refuses it: {added}"));
        until("transmission to look at its data", PATIENCE, || {
            let torrent = daemon.torrent();
            // 4: downloading, 6: seeding.
            (matches!(torrent["status"].as_i64(), Some(4 | 6)) && TcpStream::connect(addr).is_ok()).then_some(())
        });
        daemon
    }

    /// Whether it has everything.
    pub fn is_complete(&mut self) -> bool {
        let torrent = self.torrent();
        torrent["leftUntilDone"] == 0 && torrent["percentDone"].as_f64() == Some(1.0)
    }

    /// Waits until it has everything, checked.
    pub fn completes(&mut self) {
        until("transmission to have everything", SLOW, || {
            let torrent = self.torrent();
            assert_eq!(torrent["errorString"], "", "transmission has a trouble");
            self.is_complete().then_some(())
        });
    }

    fn torrent(&mut self) -> Value {
        let fields = ["status", "percentDone", "leftUntilDone", "errorString"];
        let mut answer = self.call("torrent-get", &json!({ "ids": [self.id], "fields": fields }));
        answer["torrents"][0].take()
    }

    /// One call; gives its arguments.
    fn call(&mut self, method: &str, arguments: &Value) -> Value {
        let body = json!({ "method": method, "arguments": arguments }).to_string();
        // "When you get this 409 message, the correct approach is to update your X-Transmission-Session-Id and to resend the previous request."
        for _ in 0..2 {
            let (status, head, answer) = self.post(&body);
            if status == 409 {
                let line = head.lines().find_map(|line| line.strip_prefix("X-Transmission-Session-Id: "));
                self.session = line.expect("it tells its session").trim().to_owned();
                continue;
            }
            let mut answer: Value =
                serde_json::from_str(&answer).unwrap_or_else(|_| panic!("no JSON: {head}\n{answer}"));
            assert_eq!(answer["result"], "success", "transmission refuses {method}");
            return answer["arguments"].take();
        }
        panic!("transmission does not keep its session")
    }

    fn post(&self, body: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", RPC_PORT)).expect("transmission runs");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time limit can be set");
        let head = format!(
            "POST /transmission/rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n\
             X-Transmission-Session-Id: {}\r\nContent-Length: {}\r\n\r\n",
            self.session,
            body.len()
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).expect("it can be asked");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it answers");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, head.to_owned(), body.to_owned())
    }
}
