//! `dht get-peers` and `dht announce`.

use super::{Manner, anybody, nodes, refused, stored, tell_refusals, with_client};
use crate::args::{DhtAnnounceArgs, GetPeersArgs};
use crate::exit::Outcome;
use crate::output::Output;
use parcacik_core::border::InfoHash;
use parcacik_core::dht::node::{self, Announce, NodeSaid, PeerWish};
use parcacik_driver_smol::dht::{DhtClient, DhtTask};
use serde_json::json;
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// Looks for peers.
///
/// # Errors
/// As [`super::run`].
pub fn get(args: &GetPeersArgs, output: &Output) -> anyhow::Result<Outcome> {
    with_client(&args.network, Manner::Asks, output, async |client: &DhtClient| {
        let wish = PeerWish { scrape: args.scrape, ..PeerWish::default() };
        let mut task = client.find_peers(InfoHash(args.hash), wish);
        let mut peers: BTreeSet<SocketAddr> = BTreeSet::new();
        let mut outcomes = Vec::new();
        while let Some(said) = task.next().await {
            match said {
                NodeSaid::Peers { from, peers: mut named, .. } => {
                    named.retain(|peer| peers.insert(*peer));
                    if args.network.json && !named.is_empty() {
                        output.json(&json!({"event": "peers", "from": from, "peers": named}))?;
                    } else {
                        named.iter().try_for_each(|peer| output.result(peer))?;
                    }
                }
                NodeSaid::Ended { outcome, .. } => {
                    if args.network.json {
                        output.json(&ended(peers.len(), &outcome))?;
                    }
                    outcomes.push(outcome);
                }
                _ => {}
            }
        }
        for (seeds, leeches) in outcomes.iter().filter_map(|outcome| outcome.scrape) {
            output.say(format_args!("about {seeds} seeds, {leeches} leeches"));
        }
        anybody(&outcomes)?;
        let answers: u32 = outcomes.iter().map(|outcome| outcome.answers).sum();
        output.say(format_args!("{} peers; {} answered", peers.len(), nodes(answers)));
        Ok(if peers.is_empty() { Outcome::Failed } else { Outcome::Done })
    })
}

fn ended(peers: usize, outcome: &node::Outcome) -> serde_json::Value {
    let closest = outcome.closest.iter();
    json!({
        "event": "ended",
        "peers": peers,
        "queries": outcome.queries,
        "answers": outcome.answers,
        "seeds": outcome.scrape.map(|(seeds, _)| seeds),
        "leeches": outcome.scrape.map(|(_, leeches)| leeches),
        "closest": closest.map(|node| json!({"id": node.id.to_string(), "address": node.addr})).collect::<Vec<_>>(),
    })
}

/// Announces.
///
/// # Errors
/// As [`super::run`].
pub fn announce(args: &DhtAnnounceArgs, output: &Output) -> anyhow::Result<Outcome> {
    with_client(&args.network, Manner::Asks, output, async |client: &DhtClient| {
        let announce = Announce { port: Some(args.port), seed: args.seed };
        let task: DhtTask = client.announce(InfoHash(args.hash), announce, PeerWish::default());
        let mut peers: BTreeSet<SocketAddr> = BTreeSet::new();
        let outcomes = task
            .outcomes(|said| {
                if let NodeSaid::Peers { peers: named, .. } = said {
                    peers.extend(named);
                }
            })
            .await;
        anybody(&outcomes)?;
        if args.network.json {
            for outcome in &outcomes {
                output.json(&json!({
                    "info_hash": InfoHash(args.hash).to_hex(),
                    "port": args.port,
                    "stored": outcome.stored,
                    "refused": refused(std::slice::from_ref(outcome)),
                    "queries": outcome.queries,
                    "answers": outcome.answers,
                    "peers": peers.len(),
                }))?;
            }
        } else {
            output.result(format_args!("announced to {}", nodes(stored(&outcomes))))?;
        }
        tell_refusals(output, &outcomes);
        Ok(if stored(&outcomes) > 0 { Outcome::Done } else { Outcome::Failed })
    })
}
