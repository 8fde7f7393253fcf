//! `scrape`: how torrents do, as their trackers know it.

use crate::args::ScrapeArgs;
use crate::asking::{self, Question};
use crate::exit::Outcome;
use crate::output::Output;
use crate::signals::Interrupt;
use crate::values::clean;
use futures_lite::FutureExt as _;
use parcacik_core::border::{InfoHash, Notice, ScrapeCounts};
use parcacik_driver_smol::Client;
use serde_json::json;

/// Runs the command.
///
/// # Errors
/// When a source cannot be used, or the address cannot be had.
pub fn run(args: &ScrapeArgs, output: &Output) -> anyhow::Result<Outcome> {
    let interrupt = Interrupt::listen()?;
    let questions = asking::questions(&args.ask, output)?;
    let (client, recording) = asking::client(&args.ask)?;
    let asking = async {
        let mut answered = false;
        for question in questions {
            answered |= ask(&client, args, output, question).await?;
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

/// Asks some trackers about some torrents; whether anybody answered.
async fn ask(client: &Client, args: &ScrapeArgs, output: &Output, question: Question) -> anyhow::Result<bool> {
    let torrents = question.torrents.iter().map(|torrent| torrent.hash).collect();
    let mut answered = false;
    for notice in client.scrape(question.trackers, torrents).await? {
        let Notice::Scraped { url, counts, failure, .. } = notice else { continue };
        answered |= failure.is_none();
        if args.ask.json {
            output.json(&json!({
                "tracker": url,
                "error": failure,
                "torrents": counts.iter().map(as_json).collect::<Vec<_>>(),
            }))?;
            continue;
        }
        if let Some(why) = failure {
            output.result(clean(&format!("{url}: failed: {why}")))?;
        }
        for (hash, counts) in &counts {
            let ScrapeCounts { complete, downloaded, incomplete } = counts;
            let known = format!("{complete} seeds, {incomplete} leeches, downloaded {downloaded} times");
            output.result(clean(&format!("{url}: {hash}: {known}")))?;
        }
        for torrent in question.torrents.iter().filter(|torrent| !counts.iter().any(|(hash, _)| *hash == torrent.hash))
        {
            output.say(format_args!("{url}: {}: not known there", torrent.hash));
        }
    }
    Ok(answered)
}

fn as_json((hash, counts): &(InfoHash, ScrapeCounts)) -> serde_json::Value {
    let ScrapeCounts { complete, downloaded, incomplete } = counts;
    json!({"info_hash": hash.to_hex(), "seeds": complete, "leeches": incomplete, "downloaded": downloaded})
}
