//! `dht run`: a node that stays.

use super::{Manner, no_way, with_client};
use crate::args::RunArgs;
use crate::exit::Outcome;
use crate::output::Output;
use crate::values::size;
use async_io::Timer;
use futures_lite::FutureExt as _;
use parcacik_core::dht::node::NodeView;
use parcacik_driver_smol::dht::{DhtClient, DhtNotice};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Nobody reads more than this.
const LEAST_INTERVAL: Duration = Duration::from_millis(100);

/// Runs the command, until it is interrupted or its time is over.
///
/// # Errors
/// As [`super::run`].
pub fn run(args: &RunArgs, output: &Output) -> anyhow::Result<Outcome> {
    let interval = args.interval.max(LEAST_INTERVAL);
    with_client(&args.network, Manner::Stays { read_only: args.read_only }, output, async |client: &DhtClient| {
        let addrs = client.local_addrs();
        for (addr, view) in addrs.iter().zip(client.views().await?) {
            if args.network.json {
                output.json(&json!({"event": "node", "id": view.id.to_string(), "address": addr}))?;
            } else {
                output.result(format_args!("{} {addr}", view.id))?;
            }
        }
        output.say("running; Ctrl-C stops it");
        let mut told: Vec<String> = vec![String::new(); addrs.len()];
        let mut next = Instant::now() + interval;
        loop {
            let notice = async { client.notice().await.map(Some) };
            let status = async {
                Timer::at(next).await;
                Ok(None)
            };
            if let Some(notice) = notice.or(status).await? {
                tell(&notice, args, output)?;
                continue;
            }
            next = Instant::now() + interval;
            for ((addr, view), told) in addrs.iter().zip(client.views().await?).zip(&mut told) {
                if args.network.json {
                    output.json(&as_json(*addr, &view))?;
                    continue;
                }
                let now = status_of(*addr, &view);
                if now != *told {
                    output.say(&now);
                    *told = now;
                }
            }
        }
    })
}

fn tell(notice: &DhtNotice, args: &RunArgs, output: &Output) -> anyhow::Result<()> {
    match notice {
        DhtNotice::Ready(addr) if args.network.json => output.json(&json!({"event": "ready", "address": addr}))?,
        DhtNotice::Ready(addr) => output.say(format_args!("{addr}: knows enough others")),
        DhtNotice::OwnAddress { local, ip, id } if args.network.json => {
            output.json(&json!({"event": "moved", "address": local, "ip": ip, "id": id.to_string()}))?;
        }
        DhtNotice::OwnAddress { local, ip, id } => {
            output.say(format_args!("{local}: others see it at {ip}; its id is {id} now"));
        }
        DhtNotice::CutOff(why) => output.warn(format_args!("{}; it tries again", no_way(why))),
        DhtNotice::SaveFailed(why) => output.warn(format_args!("it cannot be kept whom we have met: {why}")),
    }
    Ok(())
}

fn status_of(addr: SocketAddr, view: &NodeView) -> String {
    let stats = &view.stats;
    if stats.answers == 0 && stats.asked == 0 {
        return format!("{addr}: nobody has answered yet; it tries again");
    }
    format!(
        "{addr}: {} contacts ({} good), {} peers of {} torrents, {} items; {} of {} queries answered, {} of others; {} in, {} out",
        view.contacts,
        view.good,
        view.peers,
        view.torrents,
        view.items,
        stats.answers,
        stats.queries,
        stats.asked,
        size(stats.bytes_received),
        size(stats.bytes_sent),
    )
}

fn as_json(addr: SocketAddr, view: &NodeView) -> Value {
    let stats = &view.stats;
    json!({
        "event": "status",
        "address": addr,
        "id": view.id.to_string(),
        "ip": view.external,
        "contacts": view.contacts,
        "good": view.good,
        "torrents": view.torrents,
        "peers": view.peers,
        "items": view.items,
        "network": view.network,
        "received": stats.received,
        "bytes_received": stats.bytes_received,
        "sent": stats.sent,
        "bytes_sent": stats.bytes_sent,
        "queries": stats.queries,
        "answers": stats.answers,
        "timeouts": stats.timeouts,
        "asked": stats.asked,
        "replies": stats.replies,
        "silenced": stats.silenced,
        "ignored": stats.ignored,
        "strays": stats.strays,
        "malformed": stats.malformed,
    })
}
