//! `announce`: what trackers answer to an announce.

use crate::args::AnnounceArgs;
use crate::asking::{self, Asked};
use crate::exit::Outcome;
use crate::output::Output;
use crate::signals::Interrupt;
use crate::values::{clean, span};
use futures_lite::FutureExt as _;
use parcacik_core::border::{AnnounceEvent, AnnounceOnce, AnnounceResponse, InfoHash, Notice, Target};
use parcacik_driver_smol::Client;
use serde_json::json;
use std::net::IpAddr;
use std::time::Duration;

/// Runs the command.
///
/// # Errors
/// When a source cannot be used, or the address cannot be had.
pub fn run(args: &AnnounceArgs, output: &Output) -> anyhow::Result<Outcome> {
    let interrupt = Interrupt::listen()?;
    let questions = asking::questions(&args.ask, output)?;
    let (client, recording) = asking::client(&args.ask)?;
    let asking = async {
        let mut answered = false;
        for question in questions {
            for torrent in question.torrents {
                answered |= ask(&client, args, output, &question.trackers, torrent).await?;
            }
        }
        Ok(if answered { Outcome::Done } else { Outcome::Failed })
    };
    let stopped = async {
        interrupt.wait().await;
        Ok(Outcome::Interrupted)
    };
    let outcome = async_io::block_on(asking.or(stopped));
    asking::end(client, recording, output);
    outcome
}

/// Asks about one torrent; whether anybody answered.
async fn ask(
    client: &Client,
    args: &AnnounceArgs,
    output: &Output,
    trackers: &[String],
    torrent: Asked,
) -> anyhow::Result<bool> {
    let once = |trackers, event| AnnounceOnce {
        trackers,
        info_hash: torrent.hash,
        event,
        // What is not known is any number but 0, which would make us a seed.
        left: torrent.length.unwrap_or(1),
        num_want: Some(args.peers),
    };
    let mut listed = Vec::new();
    for notice in client.announce(once(trackers.to_vec(), Some(AnnounceEvent::Started))).await? {
        let Notice::Announced { url, from, answer, .. } = notice else { continue };
        if args.ask.json {
            output.json(&as_json(&url, torrent.hash, from, &answer))?;
        } else {
            show(output, &url, from, &answer)?;
        }
        if answer.is_ok() && !listed.contains(&url) {
            listed.push(url);
        }
    }
    let answered = !listed.is_empty();
    // Nobody shall be sent to us. Who does not hear it forgets us by himself.
    client.announce(once(listed, Some(AnnounceEvent::Stopped))).await?;
    Ok(answered)
}

type Answer = Result<Box<AnnounceResponse>, String>;

fn shown(peer: &Target) -> String {
    match peer {
        Target::Addr(addr) => addr.to_string(),
        Target::Host { name, port } => format!("{name}:{port}"),
    }
}

fn as_json(url: &str, hash: InfoHash, from: Option<IpAddr>, answer: &Answer) -> serde_json::Value {
    let said = answer.as_deref().ok();
    json!({
        "tracker": url,
        "info_hash": hash.to_hex(),
        "address": from,
        "interval": said.and_then(|said| said.interval),
        "min_interval": said.and_then(|said| said.min_interval),
        "seeds": said.and_then(|said| said.complete),
        "leeches": said.and_then(|said| said.incomplete),
        "downloaded": said.and_then(|said| said.downloaded),
        "peers": said.map(|said| said.peers.iter().map(shown).collect::<Vec<_>>()),
        "external_ip": said.and_then(|said| said.external_ip),
        "warning": said.and_then(|said| said.warning.clone()),
        "error": answer.as_ref().err(),
    })
}

fn show(output: &Output, url: &str, from: Option<IpAddr>, answer: &Answer) -> anyhow::Result<()> {
    let at = from.map(|ip| format!(" at {ip}")).unwrap_or_default();
    let said = match answer {
        Ok(said) => said,
        Err(why) => {
            output.result(clean(&format!("{url}{at}: failed: {why}")))?;
            return Ok(());
        }
    };
    let count = |count: Option<u32>| count.map_or("?".to_owned(), |count| count.to_string());
    let again = said.interval.map(|seconds| span(Duration::from_secs(u64::from(seconds))));
    output.result(clean(&format!(
        "{url}{at}: {} seeds, {} leeches, {} peers named, again in {}",
        count(said.complete),
        count(said.incomplete),
        said.peers.len(),
        again.as_deref().unwrap_or("?"),
    )))?;
    if let Some(warning) = &said.warning {
        output.result(clean(&format!("  warning: {warning}")))?;
    }
    if let Some(ip) = said.external_ip {
        output.result(format_args!("  it sees us as {ip}"))?;
    }
    for peer in &said.peers {
        output.result(clean(&format!("  {}", shown(peer))))?;
    }
    Ok(())
}
