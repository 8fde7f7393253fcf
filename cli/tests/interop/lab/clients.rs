//! The clients and trackers, as processes.

use super::{Content, Lab, PATIENCE, Process, python, script, until};
use std::ffi::OsStr;
use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Our program.
#[derive(Debug)]
pub struct Ours {
    command: Command,
    name: String,
}

/// Our program, with these arguments and without the environment's proxies and certificates.
pub fn ours<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Ours {
    let args: Vec<S> = args.into_iter().collect();
    let name = format!("parcacik {}", args.first().map_or("".into(), |arg| arg.as_ref().to_string_lossy()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_parcacik"));
    command.args(args).env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
    // Tests of the DHT have nodes of their own.
    command.env("PARCACIK_NO_DHT", "true");
    Ours { command, name }
}

impl Ours {
    /// `download` into the lab's folder `name`, with the state in `name.state`, from everybody it is told of.
    pub fn download(lab: &Lab, torrent: &Path, name: &str) -> Ours {
        ours(["-vv", "download"])
            .arg(torrent)
            .arg("--output")
            .arg(lab.folder(name))
            .arg("--state-dir")
            .arg(lab.path(&format!("{name}.state")))
    }

    /// `seed`; gives the process and where it listens, which is a port of `ip` (IPv6 in brackets).
    pub fn seed(lab: &Lab, torrent: &Path, content: &Content, ip: &str, more: &[&str]) -> (Process, SocketAddr) {
        let mut process = ours(["-vv", "seed"])
            .arg(torrent)
            .arg("--data")
            .arg(&content.dir)
            .arg("--state-dir")
            .arg(lab.path(&format!("seed-{ip}.state")))
            .args(["--listen", &format!("{ip}:0")])
            .args(more)
            .start();
        let addr = listening(&mut process);
        (process, addr)
    }

    /// One more argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Ours {
        self.command.arg(arg);
        self
    }

    /// More arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Ours {
        self.command.args(args);
        self
    }

    /// A variable of its environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Ours {
        self.command.env(name, value);
        self
    }

    /// The same under another program, which takes the command behind its own arguments.
    pub fn under<S: AsRef<OsStr>>(self, program: &str, args: impl IntoIterator<Item = S>) -> Ours {
        let mut command = Command::new(program);
        command.args(args).arg(self.command.get_program()).args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Ours { command, name: format!("{program} {}", self.name) }
    }

    /// Starts it.
    pub fn start(mut self) -> Process {
        Process::start(&self.name, &mut self.command)
    }

    /// Runs it to its good end, and gives what it said.
    pub fn succeeds(self) -> String {
        let mut process = self.start();
        process.succeeds();
        process.output()
    }
}

/// Where our program says that it listens.
fn listening(process: &mut Process) -> SocketAddr {
    process.line("where it listens", |line| line.strip_prefix("listening on ")?.parse().ok())
}

/// A v1 torrent of a content, made by our program.
pub fn make_torrent(lab: &Lab, content: &Content, piece_length: &str, trackers: &[&str]) -> PathBuf {
    let torrent = lab.path(&format!("{}.torrent", content.name));
    let mut create = ours(["create"]).arg(content.path()).arg("--output").arg(&torrent).args([
        "--force",
        "--piece-length",
        piece_length,
    ]);
    for tracker in trackers {
        create = create.args(["--tracker", tracker]);
    }
    create.succeeds();
    torrent
}

/// Our tracker; gives the process, its HTTP URL and its UDP URL.
pub fn tracker() -> (Process, String, String) {
    let mut process = ours(["tracker", "--listen", "127.0.0.1:0"]).start();
    let http = process.line("its HTTP URL", |line| line.starts_with("http://").then(|| line.to_owned()));
    let udp = process.line("its UDP URL", |line| line.starts_with("udp://").then(|| line.to_owned()));
    (process, http, udp)
}

/// opentracker, serving one torrent (40 hexadecimal digits): Debian builds it with a list of those that it serves. Gives the process, its HTTP URL and its UDP URL.
pub fn opentracker(lab: &Lab, info_hash: &str) -> (Process, String, String) {
    // It makes the folder its root, gives up being root, and then reads the list.
    let dir = lab.folder("opentracker");
    std::fs::set_permissions(&dir, Permissions::from_mode(0o777)).expect("permissions can be set");
    std::fs::write(dir.join("served"), format!("{info_hash}\n")).expect("a file can be written");
    let addr: SocketAddr = "127.0.0.9:6969".parse().expect("an address");
    let mut command = Command::new("opentracker");
    command.args(["-w", "/served", "-i", "127.0.0.9", "-p", "6969", "-P", "6969", "-d"]).arg(&dir);
    let process = Process::start("opentracker", &mut command);
    until("opentracker to listen", PATIENCE, || TcpStream::connect(addr).ok());
    (process, format!("http://{addr}/announce"), format!("udp://{addr}/announce"))
}

/// Waits until a tracker (its HTTP announce URL) knows so many peers that have everything. Somebody who asks it before would ask again only after minutes.
pub fn tracker_knows(http: &str, info_hash: &str, seeds: u32) {
    let addr: SocketAddr = http
        .strip_prefix("http://")
        .and_then(|rest| rest.strip_suffix("/announce"))
        .and_then(|addr| addr.parse().ok())
        .expect("an announce URL");
    let hash: String = info_hash.as_bytes().chunks(2).map(|hex| format!("%{}", String::from_utf8_lossy(hex))).collect();
    until("the tracker to know the seeds", PATIENCE, || {
        let mut stream = TcpStream::connect(addr).ok()?;
        let request = format!("GET /scrape?info_hash={hash} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        String::from_utf8_lossy(&answer).contains(&format!("8:completei{seeds}e")).then_some(())
    });
}

/// A tracker behind TLS that names one peer to everybody, below `/announce/dictionary` in the older form; gives the process and its port.
pub fn https_tracker(certificate: &Path, key: &Path, peer: SocketAddr) -> (Process, u16) {
    let mut command = Command::new(python());
    command.arg(script("https_tracker.py")).arg(certificate).arg(key).arg(peer.to_string());
    let mut process = Process::start("https tracker", &mut command);
    let port = process.line("where it listens", |line| line.strip_prefix("listening ")?.parse().ok());
    (process, port)
}

/// libtorrent.
#[derive(Debug)]
pub struct Libtorrent {
    /// Its process.
    pub process: Process,
    /// Where it listens.
    pub addr: SocketAddr,
}

impl Libtorrent {
    /// Makes a torrent of version `v1` or `hybrid`.
    pub fn make_torrent(lab: &Lab, content: &Content, version: &str, piece_length: u32) -> PathBuf {
        let torrent = lab.path(&format!("{}.{version}.torrent", content.name));
        let mut command = Command::new(python());
        command.args(["-W", "ignore"]).arg(script("libtorrent_make.py")).arg(content.path()).arg(&torrent);
        command.arg(version).arg(piece_length.to_string());
        Process::start("libtorrent_make.py", &mut command).succeeds();
        torrent
    }

    /// Starts a peer at a port of `ip` (IPv6 in brackets), with its data in `dir`: it looks at what is there, and downloads the rest.
    pub fn start(torrent: &Path, dir: &Path, ip: &str, peers: &[SocketAddr], trackers: &[&str]) -> Libtorrent {
        Libtorrent::start_with(torrent, dir, ip, peers, trackers, serde_json::json!({}))
    }

    /// The same with more options: see the script.
    pub fn start_with(
        torrent: &Path,
        dir: &Path,
        ip: &str,
        peers: &[SocketAddr],
        trackers: &[&str],
        more: serde_json::Value,
    ) -> Libtorrent {
        let peers: Vec<String> = peers.iter().map(SocketAddr::to_string).collect();
        let mut options = serde_json::json!({
            "torrent": torrent, "dir": dir, "listen": format!("{ip}:0"), "peers": peers, "trackers": trackers,
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            options[name] = value.clone();
        }
        let mut command = Command::new(python());
        command.args(["-W", "ignore"]).arg(script("libtorrent_peer.py")).arg(options.to_string());
        let mut process = Process::start(&format!("libtorrent at {ip}"), &mut command);
        let port: u16 = process.line("where it listens", |line| line.strip_prefix("listening ")?.parse().ok());
        let addr = format!("{ip}:{port}").parse().expect("an address");
        Libtorrent { process, addr }
    }

    /// Starts a seed, and waits until it has looked at its data.
    pub fn seed(torrent: &Path, content: &Content, ip: &str, trackers: &[&str]) -> Libtorrent {
        let mut seed = Libtorrent::start(torrent, &content.dir, ip, &[], trackers);
        seed.process.says("complete");
        seed
    }

    /// Waits until everything is in its files.
    pub fn stored(&mut self) {
        self.process.says("stored");
    }
}

/// aria2 at `ip`, which is told of peers by the torrent's trackers alone. It looks at what is there, downloads the rest, and ends, or serves when it is to seed.
pub fn aria2(torrent: &Path, dir: &Path, ip: &str, seeds: bool) -> Process {
    let mut command = Command::new("aria2c");
    command.args(["--no-conf", "--check-integrity=true", "--file-allocation=none", "--console-log-level=notice"]);
    // It shall find nobody else. Alone in the namespace, any port is free.
    command.args([
        "--enable-dht=false",
        "--enable-dht6=false",
        "--bt-enable-lpd=false",
        "--enable-peer-exchange=false",
    ]);
    command.arg("--listen-port=16881").arg(format!("--interface={ip}")).arg("--follow-torrent=mem");
    command.args(["--allow-overwrite=true", "--summary-interval=0", "--show-console-readout=false"]);
    // A ratio of 0 is for ever; a seed time of 0 is none.
    command.arg(if seeds { "--seed-ratio=0.0" } else { "--seed-time=0" });
    command.arg("--dir").arg(dir).arg(torrent);
    Process::start(&format!("aria2 at {ip}"), &mut command)
}
