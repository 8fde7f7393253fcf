//! `seed`: serve data that are there.

use crate::args::SeedArgs;
use crate::exit::Outcome;
use crate::output::Output;
use crate::signals::Interrupt;
use crate::torrent_file;
use crate::transfer::{self, Plan};
use anyhow::{Context as _, bail};
use parcacik_core::border::SeedGoal;

/// Runs the command, until it is stopped.
///
/// # Errors
/// When the torrent, the folder or the network cannot be used.
pub fn run(args: &SeedArgs, output: &Output) -> anyhow::Result<Outcome> {
    let torrent = torrent_file::read(&args.torrent)?;
    if !torrent.metainfo.is_v1() {
        bail!("{} is of version 2 only, which cannot be seeded yet", args.torrent.display());
    }
    // The client would make the folder: right for a download, wrong for data that should be there.
    std::fs::read_dir(&args.data).with_context(|| format!("cannot use the data folder {}", args.data.display()))?;
    let plan = Plan {
        torrents: vec![torrent],
        dir: args.data.clone(),
        goal: SeedGoal::Forever,
        seed_only: true,
        super_seed: args.super_seed,
        overwrite: false,
        recheck: false,
        json: args.json,
    };
    transfer::run(plan, &args.network, &Interrupt::listen()?, output)
}
