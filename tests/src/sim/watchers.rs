//! Two who look on in every run: one records each session, one keeps the last events as text.

use crate::world::{Before, Breach, Call, Moment, NodeId, Watcher, World};
use parcacik_core::journal::text::Transcript;
use parcacik_core::journal::{Digest, Recorder, Secret, replay};
use std::collections::{BTreeMap, VecDeque};

/// How many events lie between two states of a session in its recording: fewer than in a user's, so that a run has some.
const STATE_EVERY: u64 = 256;

/// Records every session; at the end all are replayed.
#[derive(Debug, Default)]
pub(super) struct Recording {
    open: BTreeMap<NodeId, (Recorder, Vec<u8>)>,
    closed: Vec<(NodeId, Digest, Vec<u8>)>,
    replayed: u64,
}

impl Recording {
    fn close(&mut self, node: NodeId) {
        if let Some((recorder, mut bytes)) = self.open.remove(&node) {
            let digest = recorder.finish(&mut bytes);
            self.closed.push((node, digest, bytes));
        }
    }

    /// What all sessions came to.
    pub fn digest(&self) -> Digest {
        let all: Vec<u8> = self.closed.iter().flat_map(|(_, digest, _)| digest.0).collect();
        Digest::of(&all)
    }

    /// Runs every recording again.
    fn replays(&mut self) -> Result<(), Breach> {
        for (node, digest, bytes) in &self.closed {
            let report = replay(bytes).map_err(|error| Breach::new(56, format!("node {}: {error}", node.0)))?;
            if let Some(difference) = report.difference {
                return Err(Breach::new(56, format!("node {} replays in another way: {difference}", node.0)));
            }
            if let Some(drift) = report.drift {
                return Err(Breach::new(56, format!("node {}: {drift}", node.0)));
            }
            if report.digest != *digest {
                return Err(Breach::new(56, format!("node {}: the digest is another one", node.0)));
            }
            self.replayed += 1;
        }
        Ok(())
    }
}

impl Watcher for Recording {
    fn after(&mut self, call: &Call<'_>) -> Result<(), Breach> {
        if let Some((recorder, bytes)) = self.open.get_mut(&call.node) {
            recorder.record(call.now, call.event, call.actions, bytes);
            if recorder.events().is_multiple_of(STATE_EVERY) {
                recorder.state(&call.session().state(), bytes);
            }
        }
        Ok(())
    }

    fn moment(&mut self, world: &World, moment: &Moment<'_>) -> Result<(), Breach> {
        match moment {
            Moment::Began { node } => {
                let mut bytes = Vec::new();
                let recorder = Recorder::new(world.config(), &world.seeds(*node), Secret::Keep, &mut bytes);
                self.open.insert(*node, (recorder, bytes));
            }
            Moment::Crashed { node } => self.close(*node),
            Moment::Ended => {
                for node in self.open.keys().copied().collect::<Vec<_>>() {
                    self.close(node);
                }
                return self.replays();
            }
            _ => {}
        }
        Ok(())
    }

    fn evaluations(&self) -> Vec<(u8, u64)> {
        vec![(56, self.replayed)]
    }
}

/// Prints what each node is told, and does then, for who looks for the cause of something.
#[derive(Debug, Default)]
pub struct Tell {
    nodes: BTreeMap<NodeId, Transcript>,
}

impl Watcher for Tell {
    fn after(&mut self, call: &Call<'_>) -> Result<(), Breach> {
        let transcript = self.nodes.entry(call.node).or_insert_with(|| Transcript::new(call.world.config()));
        let entry = transcript.add(call.now, call.event, call.actions).to_string();
        println!("node {} {}", call.node.0, entry.trim_end());
        Ok(())
    }

    fn moment(&mut self, _: &World, moment: &Moment<'_>) -> Result<(), Breach> {
        if let Moment::Began { node } = moment {
            println!("node {} begins", node.0);
            self.nodes.remove(node);
        }
        Ok(())
    }

    fn evaluations(&self) -> Vec<(u8, u64)> {
        Vec::new()
    }
}

/// How many of the last events of each node are kept, unless `PARCACIK_SIM_EVENTS` says another number.
const KEPT: usize = 60;

/// Keeps the last events of each node as text.
#[derive(Debug)]
pub(super) struct Trace {
    kept: usize,
    nodes: BTreeMap<NodeId, (Transcript, VecDeque<String>)>,
    /// Who was told something last, and what.
    pub last: Option<(NodeId, String)>,
}

impl Default for Trace {
    fn default() -> Trace {
        let kept = std::env::var("PARCACIK_SIM_EVENTS").ok().and_then(|number| number.parse().ok()).unwrap_or(KEPT);
        Trace { kept, nodes: BTreeMap::new(), last: None }
    }
}

impl Trace {
    /// The last events of a node.
    pub fn of(&self, node: NodeId) -> Vec<String> {
        self.nodes.get(&node).map(|(_, lines)| lines.iter().cloned().collect()).unwrap_or_default()
    }
}

impl Watcher for Trace {
    fn before(&mut self, call: &Before<'_>) -> Result<(), Breach> {
        let mut what = format!("{:?} {:?}", call.now, call.event);
        if let Some((end, _)) = what.char_indices().nth(400) {
            what.truncate(end);
        }
        self.last = Some((call.node, what));
        Ok(())
    }

    fn after(&mut self, call: &Call<'_>) -> Result<(), Breach> {
        let entry = || (Transcript::new(call.world.config()), VecDeque::new());
        let (transcript, lines) = self.nodes.entry(call.node).or_insert_with(entry);
        lines.push_back(format!("{:?} {}", call.world.now(), transcript.add(call.now, call.event, call.actions)));
        if lines.len() > self.kept {
            lines.pop_front();
        }
        Ok(())
    }

    fn moment(&mut self, _: &World, moment: &Moment<'_>) -> Result<(), Breach> {
        if let Moment::Began { node } = moment {
            self.nodes.remove(node);
        }
        Ok(())
    }

    fn evaluations(&self) -> Vec<(u8, u64)> {
        Vec::new()
    }
}
