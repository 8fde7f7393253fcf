//! Nodes of the DHT made of libtorrent.

use super::{PATIENCE, Process, python, script, until};
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

/// After how long something is asked again that has not led to anything.
const AGAIN: Duration = Duration::from_secs(1);

/// Some nodes in one process.
#[derive(Debug)]
pub struct LibtorrentDht {
    /// Their process.
    pub process: Process,
    /// Where they are.
    pub nodes: Vec<SocketAddr>,
    control: SocketAddr,
}

impl LibtorrentDht {
    /// Starts a node at each address. All begin with `begin`, or with the first of them.
    pub fn start(ips: &[String], begin: Option<SocketAddr>) -> LibtorrentDht {
        let mut options = serde_json::json!({ "listen": ips });
        if let Some(begin) = begin {
            options["begin"] = begin.to_string().into();
        }
        let mut command = Command::new(python());
        command.args(["-W", "ignore"]).arg(script("libtorrent_dht.py")).arg(options.to_string());
        let mut process = Process::start("libtorrent's DHT", &mut command);
        let control: u16 = process.line("its control port", |line| line.strip_prefix("control ")?.parse().ok());
        let at = |number: usize| {
            let output = process.output();
            let prefix = format!("node {number} ");
            output
                .lines()
                .find_map(|line| line.strip_prefix(&prefix)?.parse().ok())
                .expect("it says where its nodes are")
        };
        let nodes = (0..ips.len()).map(at).collect();
        LibtorrentDht { process, nodes, control: SocketAddr::from(([127, 0, 0, 1], control)) }
    }

    /// Has a node do something: see the script.
    pub fn order(&self, order: &str) {
        let mut control = TcpStream::connect(self.control).expect("the script takes orders");
        writeln!(control, "{order}").expect("the script takes orders");
    }

    /// Orders something, and again every second, until a line says what it should. What is under way in the network when it is ordered for the first
    /// time may not have come to its end.
    pub fn order_until<T>(&self, order: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let mut next = Instant::now();
        until(&format!("`{order}` to lead to something"), PATIENCE, || {
            if Instant::now() >= next {
                self.order(order);
                next = Instant::now() + AGAIN;
            }
            self.process.output().lines().rev().find_map(&find)
        })
    }
}
