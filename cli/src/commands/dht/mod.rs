//! `dht`: the DHT by hand.
//!
//! | module | commands |
//! |---|---|
//! | [`items`] | `get`, `put` |
//! | [`key`] | the file of `put --key` |
//! | [`peers`] | `get-peers`, `announce` |
//! | [`serve`] | `run` |
//! | [`look`] | `ping`, `sample` |

mod items;
mod key;
mod look;
mod peers;
mod serve;

use crate::args::{DhtArgs, DhtCommand, DhtNetworkArgs};
use crate::exit::Outcome;
use crate::network;
use crate::output::Output;
use crate::signals::Interrupt;
use anyhow::bail;
use async_io::Timer;
use futures_lite::FutureExt as _;
use futures_lite::future::pending;
use parcacik_core::border::Config;
use parcacik_core::dht::krpc::ErrorCode;
use parcacik_core::dht::node;
use parcacik_driver_smol::StartError;
use parcacik_driver_smol::dht::{DhtClient, DhtNotice, DhtOptions};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Runs the command.
///
/// # Errors
/// When the address cannot be had, a file cannot be used, or nobody answers.
pub fn run(args: &DhtArgs, output: &Output) -> anyhow::Result<Outcome> {
    match &args.command {
        DhtCommand::GetPeers(args) => peers::get(args, output),
        DhtCommand::Announce(args) => peers::announce(args, output),
        DhtCommand::Get(args) => items::get(args, output),
        DhtCommand::Put(args) => items::put(args, output),
        DhtCommand::Sample(args) => look::sample(args, output),
        DhtCommand::Ping(args) => look::ping(args, output),
        DhtCommand::Run(args) => serve::run(args, output),
    }
}

/// How a command is in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// It asks and goes: nobody is to count on it (BEP 43).
    Asks,
    /// It has to do with one node only, and needs nobody to begin with.
    Alone,
    /// It stays, and answers unless it is read-only.
    Stays { read_only: bool },
}

/// Runs `work` with a client, which is ended in order whatever comes first: the end of the work, a signal, or the end of the time.
fn with_client(
    args: &DhtNetworkArgs,
    manner: Manner,
    output: &Output,
    work: impl AsyncFnOnce(&DhtClient) -> anyhow::Result<Outcome>,
) -> anyhow::Result<Outcome> {
    let interrupt = Interrupt::listen()?;
    let client = start(args, manner, output)?;
    let outcome = async_io::block_on(async {
        let stopped = async {
            interrupt.wait().await;
            Ok(Outcome::Interrupted)
        };
        let late = async {
            match args.stop_after {
                Some(after) => Timer::after(after).await,
                None => pending().await,
            };
            output.say("stopped by --stop-after");
            Ok(Outcome::OutOfTime)
        };
        let cut_off = async {
            // Who stays reads the notices itself, and waits for better times.
            if manner == Manner::Asks {
                while let Ok(notice) = client.notice().await {
                    if let DhtNotice::CutOff(why) = notice {
                        bail!("{}", no_way(&why));
                    }
                }
            }
            pending().await
        };
        work(&client).or(cut_off).or(stopped).or(late).await
    });
    if let Err(error) = async_io::block_on(client.shutdown()) {
        output.warn(format_args!("it cannot be kept whom we have met: {error}"));
    }
    outcome
}

fn start(args: &DhtNetworkArgs, manner: Manner, output: &Output) -> anyhow::Result<DhtClient> {
    let mut config = Config::default();
    config.dht.read_only = manner != Manner::Stays { read_only: false };
    let bootstrap = match (manner, args.dht_bootstrap.is_empty()) {
        (Manner::Alone, _) => Vec::new(),
        (_, false) => args.dht_bootstrap.clone(),
        (_, true) => network::routers(),
    };
    // It works without a place for state as well.
    let state_dir = match manner {
        Manner::Alone => None,
        _ => network::place_for_state(args.state_dir.as_deref()).ok(),
    };
    let listen = match (args.listen.is_empty(), manner) {
        (false, _) => args.listen.clone(),
        (true, Manner::Asks) => reachable(),
        (true, _) => network::everywhere(),
    };
    let has_place = state_dir.is_some();
    let options = DhtOptions { listen, bootstrap, state_dir, config, ..DhtOptions::default() };
    let client = DhtClient::start(options).map_err(|error| match error {
        StartError::Socket { .. } => {
            anyhow::anyhow!(
                "{error}; the address must be one of this machine's and its port free; choose another one with --listen"
            )
        }
        StartError::State { .. } => anyhow::anyhow!("{error}; choose another folder with --state-dir"),
        other => other.into(),
    })?;
    if has_place && !client.keeps_state() {
        let words = "another parcacik has the state folder: nothing is kept of what this one learns";
        match manner {
            Manner::Stays { .. } => output.warn(words),
            _ => output.detail(words),
        }
    }
    Ok(client)
}

/// The families that this machine has a route for now: who asks and goes does not wait for the other one.
fn reachable() -> Vec<SocketAddr> {
    // Addresses for documentation (RFC 5737, RFC 3849). To connect a UDP socket sends nothing.
    let v4 = (SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 9)));
    let doc = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    let v6 = (SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)), SocketAddr::from((doc, 9)));
    let has_route =
        |(from, to): &(SocketAddr, SocketAddr)| UdpSocket::bind(from).and_then(|socket| socket.connect(to)).is_ok();
    let found: Vec<SocketAddr> = [v4, v6].iter().filter(|pair| has_route(pair)).map(|(from, _)| *from).collect();
    // Without a network there may still be somebody on this machine.
    if found.is_empty() { vec![v4.0] } else { found }
}

/// What to say when there is no way to anybody.
fn no_way(why: &str) -> String {
    format!("no node of the DHT can be reached: {why}; is there a network? --dht-bootstrap names others to begin with")
}

/// Whether anybody has answered.
///
/// # Errors
/// With what can be done about it, when nobody has.
fn anybody(outcomes: &[node::Outcome]) -> anyhow::Result<()> {
    if outcomes.iter().any(|outcome| outcome.answers > 0) {
        return Ok(());
    }
    bail!("no node of the DHT has answered; is there a network? --dht-bootstrap names others to begin with")
}

fn refused(outcomes: &[node::Outcome]) -> Vec<Value> {
    let all = outcomes.iter().flat_map(|outcome| &outcome.refused);
    all.map(|(addr, code)| json!({"address": addr, "code": code.0, "text": code.text()})).collect()
}

/// Tells who has not stored something, and why.
fn tell_refusals(output: &Output, outcomes: &[node::Outcome]) {
    for (addr, code) in outcomes.iter().flat_map(|outcome| &outcome.refused) {
        output.detail(format_args!("refused by {addr}: {} ({})", code.text(), code.0));
    }
}

fn nodes(count: u32) -> String {
    if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") }
}

/// Whether somebody has refused for this reason.
fn refused_for(outcomes: &[node::Outcome], why: ErrorCode) -> bool {
    outcomes.iter().flat_map(|outcome| &outcome.refused).any(|(_, code)| *code == why)
}

fn stored(outcomes: &[node::Outcome]) -> u32 {
    outcomes.iter().map(|outcome| outcome.stored).sum()
}
