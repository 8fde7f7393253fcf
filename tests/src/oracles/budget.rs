//! What a session may take up: queues (28), actions for an event (30), wake-ups (33).

use super::{Oracle, Tally};
use crate::{Breach, Call};
use parcacik_core::border::{Config, Event, TcpId};
use parcacik_core::time::Time;
use std::time::Duration;

/// The most actions of one call.
const MOST_ACTIONS: usize = 1_000;
/// The most wake-ups for nothing in a second.
const MOST_IDLE_TICKS: u32 = 1_000;
/// Bytes that are read at once for a peer: what read-ahead may exceed its limit by.
const READ_RUN: u64 = 256 * 1024;

/// The counters of one session.
#[derive(Debug, Default)]
pub(super) struct Budget {
    /// Ticks that led to nothing, since when.
    idle_ticks: (Time, u32),
}

impl Budget {
    pub fn look(
        &mut self,
        now: Time,
        call: &Call<'_>,
        deadline: Option<Time>,
        tally: &mut Tally,
    ) -> Result<(), Breach> {
        let count = call.actions.list.len();
        // A command of the application may mean everybody at once.
        let most = if matches!(call.event, Event::Command { .. }) { MOST_ACTIONS * 10 } else { MOST_ACTIONS };
        tally.judge(Oracle::NoAmplifying, count <= most, || format!("{count} actions in one call"))?;
        tally.judge(Oracle::TimersProgress, deadline.is_none_or(|due| due > now), || {
            format!("the deadline {deadline:?} is not after {now:?}")
        })?;
        if matches!(call.event, Event::Tick) && call.actions.is_empty() {
            if now.since(self.idle_ticks.0) >= Duration::from_secs(1) {
                self.idle_ticks = (now, 0);
            }
            self.idle_ticks.1 += 1;
            let ticks = self.idle_ticks.1;
            tally
                .judge(Oracle::TimersProgress, ticks <= MOST_IDLE_TICKS, || format!("{ticks} wake-ups for nothing"))?;
        }
        Ok(())
    }

    /// What the disk has to do.
    pub fn disk(
        &mut self,
        writing: u64,
        reading: u64,
        streams: usize,
        config: &Config,
        tally: &mut Tally,
    ) -> Result<(), Breach> {
        // Every peer may still send what it had been allowed when the limit was reached.
        let most = config.session.max_disk_queue + streams as u64 * u64::from(config.peer.read_window_fast);
        tally.judge(Oracle::QueuesBounded, writing <= most, || {
            format!("{writing} bytes wait to be written, of {most}")
        })?;
        let most = config.session.max_read_ahead + READ_RUN;
        tally.judge(Oracle::QueuesBounded, reading <= most, || format!("{reading} bytes are being read, of {most}"))
    }

    /// What waits for a peer: all of it, and what is not content.
    pub fn queue(
        &mut self,
        tcp: TcpId,
        all: u64,
        control: u64,
        config: &Config,
        tally: &mut Tally,
    ) -> Result<(), Breach> {
        let peer = &config.peer;
        // What one event adds is compared afterwards: its answers are a small multiple of what was read.
        let slack = 4 * u64::from(peer.read_window_fast);
        let most = u64::from(peer.max_control_queue) + slack;
        tally.judge(Oracle::QueuesBounded, control <= most, || format!("{control} bytes wait for stream {}", tcp.0))?;
        let most = most + u64::from(peer.send_watermark_max) + READ_RUN.max(peer.max_request_length.into());
        tally.judge(Oracle::QueuesBounded, all <= most, || format!("{all} bytes wait for stream {}", tcp.0))
    }
}
