//! Downloads a torrent with nothing but the core and the standard library.
//!
//! ```text
//! cargo run -p parcacik-core --example blocking -- FILE.torrent OUTDIR [PEER_IP:PORT...]
//! ```
//!
//! The second driver of the project, and the one to read: threads, blocking sockets and files, one channel. What it does
//! for the core is in [`driver`]; what is here is an application: it adds a torrent, shows what it is told, and stops.
//! Exit code 0 when everything is there and was checked. It may be killed at any time: started again, it goes on with what
//! was saved.

mod driver;

use driver::{Driver, random_seeds};
use parcacik_core::border::{AddTorrent, Command, Config, Notice, SocketId, Target, TorrentState};
use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(torrent), Some(out)) = (args.next(), args.next()) else {
        eprintln!("usage: blocking FILE.torrent OUTDIR [PEER_IP:PORT...]");
        return ExitCode::from(2);
    };
    match download(torrent.into(), out.into(), args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn download(torrent: PathBuf, out: PathBuf, peers: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    // Two threads a stream: fewer peers than a driver with readiness events can afford.
    let mut config = Config::default();
    config.session.max_peers = 40;

    let mut driver = Driver::new(config, random_seeds())?;
    let listen = SocketAddr::from(([0, 0, 0, 0], 0));
    // Whoever names peers wants no others: nobody is looked for on the local network.
    let (tcp, udp, lsd) = (SocketId(1), Some(SocketId(2)), None);
    driver.command(Command::Listen { tcp, udp, lsd, dht: false, addr: listen, device: None });

    let mut add = AddTorrent::new(std::fs::read(torrent)?, driver.add_root(out)?);
    add.peers = peers.map(|peer| peer.parse().map(Target::Addr)).collect::<Result<_, _>>()?;
    driver.command(Command::Add(Box::new(add)));

    let mut outcome = Err("stopped before it was finished".into());
    driver.run(|session, notice| {
        match notice {
            Notice::Added { name, hashes, .. } => println!("{name} ({})", hashes.best()),
            Notice::PieceDone { torrent, .. } => {
                if let Some(view) = session.view(torrent) {
                    let done = view.total_bytes.saturating_sub(view.missing_bytes);
                    println!("{done} of {} bytes, {} peers", view.total_bytes, view.peers);
                }
            }
            Notice::TrackerFailed { url, why, .. } => eprintln!("{url}: {why}"),
            // The goal of the torrent is reached: all is there, checked and safely on the disk.
            Notice::Done { .. } => {
                outcome = Ok(());
                return Some(Command::Shutdown);
            }
            Notice::CommandFailed { error, .. } => {
                outcome = Err(error.into());
                return Some(Command::Shutdown);
            }
            Notice::State { state: TorrentState::Failed(fault), .. } => {
                outcome = Err(fault.into());
                return Some(Command::Shutdown);
            }
            _ => {}
        }
        None
    });
    outcome
}
