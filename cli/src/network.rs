//! From options to a running client.

use crate::args::NetworkArgs;
use crate::output::Output;
use crate::record::{self, Recording};
use crate::values::span;
use anyhow::Context as _;
use etcetera::BaseStrategy as _;
use parcacik_core::border::{Notice, RateLimits, Target};
use parcacik_driver_smol::{Client, ClientConfig, StartError};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

/// Nodes of the DHT to begin with, where the user names none: those that other programs begin with too, run by their makers.
const ROUTERS: [(&str, u16); 3] =
    [("router.bittorrent.com", 6881), ("dht.transmissionbt.com", 6881), ("router.utorrent.com", 6881)];

/// Where resume data lie: what the user says, or the place that the system has for such things.
///
/// # Errors
/// When neither is known, because there is no home folder.
pub fn state_dir(args: &NetworkArgs) -> anyhow::Result<PathBuf> {
    place_for_state(args.state_dir.as_deref())
}

/// The same, of what `--state-dir` says.
///
/// # Errors
/// As [`state_dir`].
pub fn place_for_state(said: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(dir) = said {
        return Ok(dir.to_owned());
    }
    let base =
        etcetera::base_strategy::choose_base_strategy().context("there is no home folder; add --state-dir DIR")?;
    let state = base.state_dir().context("this system has no folder for state; add --state-dir DIR")?;
    Ok(state.join("parcacik"))
}

/// Starts a client, and its recording where one is wanted. Without a folder for them, resume data are not kept.
///
/// # Errors
/// In words for the user; most often an address that cannot be had.
pub fn start(args: &NetworkArgs, state_dir: Option<&Path>) -> anyhow::Result<(Client, Option<Recording>)> {
    let mut config = ClientConfig {
        state_dir: state_dir.map(Path::to_owned),
        listen: if args.listen.is_empty() { everywhere() } else { args.listen.clone() },
        dht: !args.no_dht,
        dht_nodes: if args.dht_bootstrap.is_empty() { routers() } else { args.dht_bootstrap.clone() },
        ..ClientConfig::default()
    };
    config.core.pex.enabled = !args.no_pex;
    config.core.lsd.enabled = !args.no_lsd;
    config.core.net.allow_local_from_global = args.allow_local_from_global;
    let limits = &mut config.core.session;
    limits.max_peers = args.max_peers;
    limits.max_peers_per_torrent = limits.max_peers_per_torrent.min(args.max_peers);
    config.core.rate.limits = RateLimits { download: args.max_download, upload: args.max_upload };
    if let Some(interval) = args.sync_interval {
        config.core.persist.sync_interval = interval;
    }
    start_with(config, args.record.as_deref())
}

/// Starts a client, recorded in a new file where one is named.
///
/// # Errors
/// As [`start`].
pub fn start_with(mut config: ClientConfig, record: Option<&Path>) -> anyhow::Result<(Client, Option<Recording>)> {
    let recording = record.map(|path| record::start(path, &mut config)).transpose()?;
    Ok((Client::start(config).map_err(explain)?, recording))
}

/// The nodes to begin with where the user names none.
pub fn routers() -> Vec<Target> {
    ROUTERS.iter().map(|(name, port)| Target::Host { name: (*name).to_owned(), port: *port }).collect()
}

/// What there is to say of the DHT to who wants to know all.
pub fn tell_of_dht(notice: &Notice, output: &Output) {
    let family = |v6| if v6 { "IPv6" } else { "IPv4" };
    match *notice {
        Notice::DhtReady { v6, nodes, .. } => {
            output.detail(format_args!("DHT ({}): found, {nodes} nodes so far", family(v6)));
        }
        Notice::DhtUnreachable { v6, retry, .. } => {
            output.detail(format_args!("DHT ({}): no node answers, next try in {}", family(v6), span(retry)));
        }
        _ => {}
    }
}

/// Both families, as far as this machine has them.
pub fn everywhere() -> Vec<SocketAddr> {
    let has_v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    let v6 = has_v6.then_some(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    std::iter::once(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).chain(v6).map(|ip| SocketAddr::new(ip, 0)).collect()
}

fn explain(error: StartError) -> anyhow::Error {
    let hint = match &error {
        StartError::Listen { .. } => {
            Some("the address must be one of this machine's and its port free; choose another one with --listen")
        }
        StartError::State { .. } => Some("choose another folder with --state-dir"),
        _ => None,
    };
    match hint {
        Some(hint) => anyhow::anyhow!("{error}; {hint}"),
        None => error.into(),
    }
}
