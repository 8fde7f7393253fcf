//! A clone that is told the same does the same (57): now and then one is made, and goes along for some calls.

use super::{Oracle, Tally};
use crate::{Breach, Call};
use parcacik_core::border::Actions;
use parcacik_core::session::Session;

/// A clone is made at every so many calls ...
const EVERY: u64 = 997;
/// ... and goes along for so many.
const FOR: u64 = 20;

/// The clone of one session.
#[derive(Debug, Default)]
pub(super) struct Clones {
    calls: u64,
    twin: Option<(Session, u64)>,
    actions: Actions,
}

impl Clones {
    pub fn look(&mut self, call: &Call<'_>, tally: &mut Tally) -> Result<(), Breach> {
        self.calls += 1;
        if let Some((twin, left)) = &mut self.twin {
            self.actions.clear();
            twin.handle(call.now, call.event.clone(), &mut self.actions);
            let same = self.actions == *call.actions && twin.deadline() == call.session().deadline();
            let first = || self.actions.list.iter().zip(&call.actions.list).find(|(a, b)| a != b);
            tally.judge(Oracle::CloneSame, same, || format!("a clone does otherwise: {:?}", first()))?;
            *left -= 1;
            if *left == 0 {
                self.twin = None;
            }
        }
        if self.calls % EVERY == EVERY / 8 {
            self.twin = Some((call.session().clone(), FOR));
        }
        Ok(())
    }
}
