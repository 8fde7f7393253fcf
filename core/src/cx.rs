//! What a machine is handed with each call: the time, the limits, and where to put its actions.

use crate::border::{Action, Actions, Config, DialId, IpFilter, JobId, Work};
use crate::journal::canon::canon_struct;
use crate::rng::Seeds;
use crate::time::Time;

/// The context of one call.
///
/// `owner` tags the jobs and dials that the machine starts, so that their answers find the way back.
#[derive(Debug)]
pub struct Cx<'a> {
    /// The time of the event that is being handled.
    pub now: Time,
    /// The session's configuration.
    pub config: &'a Config,
    /// Blocked addresses.
    pub filter: &'a IpFilter,
    /// The session's seeds; a machine draws from a stream of its own, made once.
    pub seeds: &'a Seeds,
    /// Where actions go.
    pub out: &'a mut Actions,
    /// Counts jobs and dials.
    pub ids: &'a mut IdSource,
    /// Who is being called: 0 is the session itself, other numbers are torrents (their id plus one).
    pub owner: u32,
}

impl Cx<'_> {
    /// Puts an action on the list.
    pub fn act(&mut self, action: Action) {
        self.out.list.push(action);
    }

    /// Starts work, and says under which name it will answer.
    pub fn start(&mut self, work: Work) -> JobId {
        let job = self.ids.job(self.owner);
        self.out.list.push(Action::Start { job, work });
        job
    }
}

/// Makes ids that are never used twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdSource {
    jobs: u64,
    dials: u64,
}

canon_struct!(out IdSource { jobs, dials });

impl IdSource {
    /// A new job of `owner`.
    pub fn job(&mut self, owner: u32) -> JobId {
        self.jobs += 1;
        JobId::new(owner, self.jobs)
    }

    /// A new dial of `owner`.
    pub fn dial(&mut self, owner: u32) -> DialId {
        self.dials += 1;
        DialId::new(owner, self.dials)
    }
}
