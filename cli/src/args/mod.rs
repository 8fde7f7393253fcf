//! The command line.
//!
//! The arguments of each command, with its help and its examples, lie in one struct; related ones share a file. The name of a command and what it is called here lie in [`Command`].

mod dht;
mod dissect;
mod files;
mod recordings;
mod tools;
mod trackers;
mod transfer;

use clap::{ArgAction, Parser, Subcommand};
pub use dht::{
    DhtAnnounceArgs, DhtArgs, DhtCommand, DhtNetworkArgs, GetArgs, GetPeersArgs, PingArgs, PutArgs, RunArgs, SampleArgs,
};
pub use dissect::DissectArgs;
pub use files::{CreateArgs, InspectArgs, MagnetArgs, VerifyArgs};
pub use recordings::{RedactArgs, ShrinkArgs};
pub use tools::{CompletionsArgs, DemoArgs, ManArgs, ReplayArgs, TrackerArgs};
pub use trackers::{AnnounceArgs, AskArgs, ScrapeArgs};
pub use transfer::{DownloadArgs, GoalArgs, MetadataArgs, NetworkArgs, SeedArgs};

const EXIT_CODES: &str = "\
Exit codes:
  0    the job was done
  1    it failed; stderr says why
  2    wrong usage
  3    stopped by --stop-after
  130  stopped by Ctrl-C or SIGTERM, after a clean stop (a second one ends at once)

Results go to stdout; progress, warnings and errors to stderr.";

/// A BitTorrent client: downloads, seeds, makes, checks and shows torrents.
#[derive(Debug, Parser)]
#[command(name = "parcacik", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Cli {
    /// Print results and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Tell more: trackers, peers that misbehave; twice: every connection
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done. What the help says is with the arguments of each.
#[derive(Debug, Subcommand)]
pub enum Command {
    Download(DownloadArgs),
    Seed(SeedArgs),
    Create(CreateArgs),
    Verify(VerifyArgs),
    Inspect(InspectArgs),
    Magnet(MagnetArgs),
    Metadata(MetadataArgs),
    Announce(AnnounceArgs),
    Scrape(ScrapeArgs),
    Dht(DhtArgs),
    Tracker(TrackerArgs),
    Replay(ReplayArgs),
    Redact(RedactArgs),
    Shrink(ShrinkArgs),
    Dissect(DissectArgs),
    Demo(DemoArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}
