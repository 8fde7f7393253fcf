//! `dht ping` and `dht sample`.

use super::{Manner, nodes, with_client};
use crate::args::{PingArgs, SampleArgs};
use crate::exit::Outcome;
use crate::output::Output;
use crate::values::{clean, hex};
use anyhow::{Context as _, bail};
use async_io::Timer;
use futures_lite::FutureExt as _;
use parcacik_core::border::{Config, InfoHash, Target};
use parcacik_core::dht::node::NodeSaid;
use parcacik_driver_smol::dht::{DhtClient, DhtTask};
use serde_json::json;
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// Asks whether a node is there.
///
/// # Errors
/// As [`super::run`].
pub fn ping(args: &PingArgs, output: &Output) -> anyhow::Result<Outcome> {
    with_client(&args.network, Manner::Alone, output, async |client: &DhtClient| {
        let addr = address(client, &args.node).await?;
        let outcomes = client.ping(addr).outcomes(|_| {}).await;
        let answer =
            outcomes.first().and_then(|outcome| Some((outcome.closest.first()?, outcome.rtt?, &outcome.version)));
        let Some((node, rtt, version)) = answer else { bail!("{addr} does not answer") };
        let millis = rtt.as_secs_f64() * 1000.0;
        if args.network.json {
            output.json(&json!({
                "id": node.id.to_string(),
                "address": node.addr,
                "milliseconds": (millis * 1000.0).round() / 1000.0,
                "version": version.as_deref().map(hex),
            }))?;
        } else {
            let runs = version.as_deref().map_or("says nothing of its version".to_owned(), spoken);
            output.result(format_args!("{} {} {millis:.1} ms {runs}", node.id, node.addr))?;
        }
        Ok(Outcome::Done)
    })
}

/// What a node says that it runs: two letters, and what follows in digits, as nearly everybody has it.
fn spoken(version: &[u8]) -> String {
    match version.split_at_checked(2) {
        Some((name, rest)) if name.iter().all(u8::is_ascii_alphanumeric) => {
            format!("{} {}", clean(&String::from_utf8_lossy(name)), hex(rest)).trim_end().to_owned()
        }
        _ => hex(version),
    }
}

/// The first address of a node that one of ours can reach.
async fn address(client: &DhtClient, node: &Target) -> anyhow::Result<SocketAddr> {
    let shown = match node {
        Target::Addr(addr) => addr.to_string(),
        Target::Host { name, .. } => name.clone(),
    };
    let found = client.resolve(node).await.with_context(|| format!("cannot look up {shown}"))?;
    let fits = |addr: &SocketAddr| client.local_addrs().iter().any(|local| local.is_ipv6() == addr.is_ipv6());
    found.into_iter().find(fits).with_context(|| format!("{shown} has no address of the families that --listen names"))
}

/// Asks which torrents there are.
///
/// # Errors
/// As [`super::run`].
pub fn sample(args: &SampleArgs, output: &Output) -> anyhow::Result<Outcome> {
    let manner = if args.node.is_some() { Manner::Alone } else { Manner::Asks };
    with_client(&args.network, manner, output, async |client: &DhtClient| {
        let task = match &args.node {
            Some(node) => {
                let addr = address(client, node).await?;
                // What is close to ourselves: no place is better than another.
                let target = client.views().await?.first().context("there is no node")?.id;
                client.sample(addr, target)
            }
            None => {
                wait_until_ready(client).await?;
                client.crawl(args.nodes)
            }
        };
        tell_samples(task, args, output).await
    })
}

/// Waits as long as a lookup would.
async fn wait_until_ready(client: &DhtClient) -> anyhow::Result<()> {
    let late = async {
        Timer::after(Config::default().dht.lookup_life).await;
        super::anybody(&[])
    };
    async { Ok(client.ready().await?) }.or(late).await
}

async fn tell_samples(mut task: DhtTask, args: &SampleArgs, output: &Output) -> anyhow::Result<Outcome> {
    // Bounded by --nodes: each names 72 at the most, what a datagram has room for.
    let mut torrents: BTreeSet<InfoHash> = BTreeSet::new();
    let (mut asked, mut answers, mut gave) = (0, 0, 0);
    while let Some(said) = task.next().await {
        match said {
            NodeSaid::Samples { from, num, interval, samples, .. } => {
                gave += 1;
                let new: Vec<InfoHash> = samples.iter().filter(|hash| torrents.insert(**hash)).copied().collect();
                if args.network.json {
                    output.json(&json!({
                        "id": from.id.to_string(),
                        "address": from.addr,
                        "num": num,
                        "interval": interval.as_secs(),
                        "samples": samples.iter().map(InfoHash::to_hex).collect::<Vec<_>>(),
                    }))?;
                } else {
                    output.detail(format_args!("{} {}: {} of {num}", from.id, from.addr, samples.len()));
                    new.iter().try_for_each(|hash| output.result(hash.to_hex()))?;
                }
            }
            NodeSaid::Ended { outcome, .. } => {
                asked += outcome.queries;
                answers += outcome.answers;
            }
            _ => {}
        }
    }
    match &args.node {
        Some(_) if answers == 0 => bail!("the node does not answer"),
        Some(_) if gave == 0 => bail!("the node does not tell what it has (it may not know BEP 51)"),
        _ => {}
    }
    output.say(format_args!(
        "{} torrents; asked {}, {answers} answered, {gave} told what they have",
        torrents.len(),
        nodes(asked)
    ));
    Ok(if torrents.is_empty() { Outcome::Failed } else { Outcome::Done })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_shown_as_letters_and_digits() {
        assert_eq!(spoken(b"LT\x02\x01"), "LT 0201");
        assert_eq!(spoken(b"UT"), "UT");
        assert_eq!(spoken(b"\x1b[2J"), "1b5b324a");
        assert_eq!(spoken(b""), "");
    }
}
