//! What went wrong, and how to repeat it.

use super::SimOptions;
use super::swarm::Swarm;
use super::watchers::Trace;
use crate::seed::WorldSeed;
use crate::world::NodeId;
use parcacik_core::time::Time;
use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// A run in which something did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its seed.
    pub seed: WorldSeed,
    /// Its options.
    pub options: SimOptions,
    /// What did not hold, and where in the code that was seen.
    pub what: String,
    /// When.
    pub at: Time,
    /// After how many events.
    pub events: u64,
    /// Whose fault it is as far as can be said, or who was told something then.
    pub node: Option<NodeId>,
    /// The last events of that node.
    pub trace: Vec<String>,
}

impl Failure {
    /// A command that repeats it.
    pub fn command(&self) -> String {
        format!(
            "PARCACIK_SIM_OPTIONS='{}' cargo run --release -p parcacik-testkit --bin seeds -- --from {} --count 1",
            self.options, self.seed
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} fails at {:?}, event {}: {}", self.seed, self.at, self.events, self.what)?;
        if let Some(node) = self.node {
            writeln!(f, "the last events of node {}:", node.0)?;
            self.trace.iter().try_for_each(|line| writeln!(f, "  {}", line.trim_end().replace('\n', "\n  ")))?;
        }
        writeln!(f, "repeat it with")?;
        writeln!(f, "  {}", self.command())
    }
}

impl std::error::Error for Failure {}

thread_local! {
    /// The message of a panic, while this thread catches them.
    static MESSAGE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs something; a panic in it is its message and place.
pub(super) fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let here = MESSAGE.with_borrow_mut(|message| match message {
                Some(message) => {
                    *message = info.to_string();
                    true
                }
                None => false,
            });
            if !here {
                before(info);
            }
        }));
    });
    MESSAGE.set(Some(String::new()));
    let result = catch_unwind(AssertUnwindSafe(run));
    let message = MESSAGE.take().unwrap_or_default();
    result.map_err(|_| message)
}

pub(super) fn failed(swarm: Option<Swarm>, seed: WorldSeed, options: SimOptions, what: String) -> Failure {
    let mut failure = Failure { seed, options, what, at: Time::ZERO, events: 0, node: None, trace: Vec::new() };
    let Some(swarm) = swarm else { return failure };
    failure.at = swarm.world.now();
    failure.events = swarm.world.events;
    if let Some(trace) = swarm.world.watcher::<Trace>()
        && let Some((node, last)) = &trace.last
    {
        let node = swarm.culprit.unwrap_or(*node);
        failure.node = Some(node);
        failure.trace = trace.of(node);
        failure.trace.push(format!("told last: {last}"));
    }
    failure
}
