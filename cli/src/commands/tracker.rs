//! `tracker`: a tracker for HTTP and UDP.

use crate::args::TrackerArgs;
use crate::exit::Outcome;
use crate::output::Output;
use crate::signals::Interrupt;
use async_io::Timer;
use futures_lite::FutureExt as _;
use parcacik_driver_smol::tracker_server::TrackerHost;
use std::time::Duration;

/// How often it is looked whether there is something new to tell.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Runs the command, until it is interrupted.
///
/// # Errors
/// When the address cannot be had.
pub fn run(args: &TrackerArgs, output: &Output) -> anyhow::Result<Outcome> {
    let interrupt = Interrupt::listen()?;
    let tracker = TrackerHost::start(args.listen)?;
    let addr = tracker.local_addr();
    output.result(format_args!("http://{addr}/announce\nudp://{addr}/announce"))?;
    output.say("running; Ctrl-C stops it");
    let mut told = (0, 0);
    async_io::block_on(async {
        let stopped = || async {
            interrupt.wait().await;
            true
        };
        let pause = || async {
            Timer::after(LOOK_EVERY).await;
            false
        };
        while !stopped().or(pause()).await {
            let now = (tracker.torrents(), tracker.peers());
            if now != told {
                output.say(format_args!("{} torrents, {} peers", now.0, now.1));
                told = now;
            }
        }
    });
    Ok(Outcome::Interrupted)
}
