//! `download`: fetch torrents, and seed on if that is wanted.

use crate::args::{Cli, DownloadArgs, GoalArgs};
use crate::exit::Outcome;
use crate::output::Output;
use crate::signals::Interrupt;
use crate::sources;
use crate::transfer::{self, Plan};
use clap::CommandFactory as _;
use parcacik_core::border::SeedGoal;

/// Runs the command.
///
/// # Errors
/// When the network cannot be used at all; nothing is begun then. What fails for a single source is told, and the others go on.
pub fn run(args: &DownloadArgs, output: &Output) -> anyhow::Result<Outcome> {
    let interrupt = Interrupt::listen()?;
    warn_of_swallowed(args, output);
    let Some(sources) = sources::read_all(&args.sources, "downloaded", true, &interrupt, output)? else {
        return Ok(Outcome::Interrupted);
    };
    let plan = Plan {
        sources,
        dir: args.output.clone(),
        goal: goal(&args.goal),
        seed_only: false,
        super_seed: false,
        overwrite: args.overwrite,
        recheck: args.recheck,
        json: args.json,
        select: Some(args.select.clone()),
        sequential: Some(args.sequential),
        on_complete: args.on_complete.clone(),
    };
    transfer::run(plan, &args.network, &interrupt, output)
}

/// All that follows `--on-complete` is the program's; an option of ours among it was hardly meant so.
fn warn_of_swallowed(args: &DownloadArgs, output: &Output) {
    let cli = Cli::command();
    let ours = |text: &str| {
        let long = text.strip_prefix("--").map(|long| long.split('=').next().unwrap_or(long));
        let download = cli.find_subcommand("download");
        download.is_some_and(|command| command.get_arguments().any(|arg| arg.get_long() == long && long.is_some()))
    };
    for arg in args.on_complete.iter().filter_map(|arg| arg.to_str()).filter(|arg| ours(arg)) {
        output.warn(format_args!(
            "{arg} is passed to the program of --on-complete; write ';' in front of it if it is not meant for that"
        ));
    }
}

fn goal(args: &GoalArgs) -> SeedGoal {
    match (args.seed, args.seed_ratio, args.seed_time) {
        (true, ..) => SeedGoal::Forever,
        (_, Some(thousandths), _) => SeedGoal::Ratio(thousandths),
        (_, _, Some(time)) => SeedGoal::Time(time),
        _ => SeedGoal::None,
    }
}
