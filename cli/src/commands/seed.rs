//! `seed`: serve data that are there.

use crate::args::SeedArgs;
use crate::exit::Outcome;
use crate::output::Output;
use crate::signals::Interrupt;
use crate::sources;
use crate::transfer::{self, Plan};
use anyhow::Context as _;
use parcacik_core::border::SeedGoal;

/// Runs the command, until it is stopped.
///
/// # Errors
/// When the folder or the network cannot be used. What fails for a single torrent is told, and the others go on.
pub fn run(args: &SeedArgs, output: &Output) -> anyhow::Result<Outcome> {
    let interrupt = Interrupt::listen()?;
    // The client would make the folder: right for a download, wrong for data that should be there.
    std::fs::read_dir(&args.data).with_context(|| format!("cannot use the data folder {}", args.data.display()))?;
    let Some(sources) = sources::read_all(&args.sources, "seeded", false, &interrupt, output)? else {
        return Ok(Outcome::Interrupted);
    };
    let plan = Plan {
        sources,
        dir: args.data.clone(),
        goal: SeedGoal::Forever,
        seed_only: true,
        super_seed: args.super_seed,
        overwrite: false,
        recheck: false,
        json: args.json,
        select: None,
        sequential: None,
        on_complete: Vec::new(),
    };
    transfer::run(plan, &args.network, &interrupt, output)
}
