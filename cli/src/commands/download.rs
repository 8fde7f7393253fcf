//! `download`: fetch torrents, and seed on if that is wanted.

use crate::args::{DownloadArgs, GoalArgs};
use crate::exit::Outcome;
use crate::output::Output;
use crate::signals::Interrupt;
use crate::torrent_file::{self, TorrentFile};
use crate::transfer::{self, Plan};
use anyhow::bail;
use parcacik_core::border::SeedGoal;
use std::collections::BTreeMap;
use std::path::Path;

/// Runs the command.
///
/// # Errors
/// When a source or the network cannot be used at all; nothing is begun then. What fails later is told for each torrent.
pub fn run(args: &DownloadArgs, output: &Output) -> anyhow::Result<Outcome> {
    let torrents = read(args)?;
    let plan = Plan {
        torrents,
        dir: args.output.clone(),
        goal: goal(&args.goal),
        seed_only: false,
        super_seed: false,
        overwrite: args.overwrite,
        recheck: args.recheck,
        json: args.json,
    };
    transfer::run(plan, &args.network, &Interrupt::listen()?, output)
}

/// All sources, before anything is begun.
fn read(args: &DownloadArgs) -> anyhow::Result<Vec<TorrentFile>> {
    let mut torrents = Vec::new();
    let mut seen: BTreeMap<_, &Path> = BTreeMap::new();
    for source in &args.sources {
        let torrent = torrent_file::read(source)?;
        if !torrent.metainfo.is_v1() {
            bail!("{} is of version 2 only, which cannot be downloaded yet", source.display());
        }
        if let Some(first) = seen.insert(torrent.metainfo.hashes().best(), source) {
            bail!("{} and {} are the same torrent; name it once", first.display(), source.display());
        }
        torrents.push(torrent);
    }
    Ok(torrents)
}

fn goal(args: &GoalArgs) -> SeedGoal {
    match (args.seed, args.seed_ratio, args.seed_time) {
        (true, ..) => SeedGoal::Forever,
        (_, Some(thousandths), _) => SeedGoal::Ratio(thousandths),
        (_, _, Some(time)) => SeedGoal::Time(time),
        _ => SeedGoal::None,
    }
}
