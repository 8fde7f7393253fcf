//! What may be left out together.

use crate::border::{Command, CommandId, DialId, Event, Notice, TcpId, TorrentId};
use crate::time::Time;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// How many windows of time there are: halving begins with half of them.
const WINDOWS: u64 = 64;

/// Which command added which torrent.
#[derive(Clone, Debug, Default)]
pub(super) struct Added(BTreeMap<CommandId, TorrentId>);

impl Added {
    /// What a session told.
    pub fn note(&mut self, notices: &[Notice]) {
        for notice in notices {
            if let Notice::Added { command, torrent, .. } = notice {
                self.0.insert(*command, *torrent);
            }
        }
    }
}

/// The events of each connection, from its dial to its end. All others belong to none.
pub(super) fn connections(events: impl Iterator<Item = (Time, Event)>, kept: impl Fn(u32) -> bool) -> Vec<Vec<u32>> {
    /// A connection goes by its stream, a dial that came to nothing by itself.
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    enum Name {
        Stream(TcpId),
        Dial(DialId),
    }
    let name = |event: &Event| match event {
        Event::Accepted { tcp, .. }
        | Event::Connected { tcp, .. }
        | Event::Received { tcp, .. }
        | Event::Flushed { tcp, .. }
        | Event::Closed { tcp, .. } => Some(Name::Stream(*tcp)),
        Event::DialFailed { dial, .. } => Some(Name::Dial(*dial)),
        _ => None,
    };
    grouped(events, kept, |_, event| name(event))
}

/// The events of each of equal spans of time.
pub(super) fn windows(events: impl Iterator<Item = (Time, Event)>, kept: impl Fn(u32) -> bool) -> Vec<Vec<u32>> {
    let times: Vec<(u32, Time)> =
        (0..).zip(events).filter(|(number, _)| kept(*number)).map(|(number, (now, _))| (number, now)).collect();
    let (Some((_, first)), Some((_, last))) = (times.first(), times.last()) else { return Vec::new() };
    let span = (last.0.saturating_sub(first.0) / WINDOWS).saturating_add(1);
    let mut windows: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for (number, now) in &times {
        windows.entry(now.0.saturating_sub(first.0) / span).or_default().push(*number);
    }
    windows.into_values().collect()
}

/// The events of each torrent: the command that added it, others about it, its jobs and dials.
pub(super) fn torrents(
    added: Added,
    events: impl Iterator<Item = (Time, Event)>,
    kept: impl Fn(u32) -> bool,
) -> Vec<Vec<u32>> {
    let owned = |owner: u32| owner.checked_sub(1).map(TorrentId);
    // Streams go with the dial that made them.
    let mut streams: BTreeMap<TcpId, TorrentId> = BTreeMap::new();
    grouped(events, kept, move |_, event| match event {
        Event::Command { id, command } => match command {
            Command::Add(_) => added.0.get(id).copied(),
            Command::AddPeers { torrent, .. }
            | Command::Reannounce { torrent, .. }
            | Command::AddTrackers { torrent, .. }
            | Command::ReplaceTrackers { torrent, .. }
            | Command::ScrapeTorrent { torrent }
            | Command::Remove { torrent, .. }
            | Command::Pause { torrent, .. }
            | Command::Resume { torrent }
            | Command::Recheck { torrent }
            | Command::Move { torrent, .. }
            | Command::SetGoal { torrent, .. }
            | Command::SetManaged { torrent, .. }
            | Command::SetPlace { torrent, .. }
            | Command::SetPriorities { torrent, .. }
            | Command::SetSequential { torrent, .. }
            | Command::SetSuperSeed { torrent, .. } => Some(*torrent),
            Command::SetLimits { torrent, .. } => *torrent,
            Command::Listen { .. }
            | Command::AddDhtNodes { .. }
            | Command::Scrape { .. }
            | Command::Announce(_)
            | Command::SetIpFilter { .. }
            | Command::Shutdown => None,
        },
        Event::JobData { job, .. } | Event::JobDone { job, .. } => owned(job.owner()),
        Event::DialFailed { dial, .. } => owned(dial.owner()),
        Event::Connected { dial, tcp, .. } => {
            let torrent = owned(dial.owner())?;
            streams.insert(*tcp, torrent);
            Some(torrent)
        }
        Event::Received { tcp, .. } | Event::Flushed { tcp, .. } | Event::Closed { tcp, .. } => {
            streams.get(tcp).copied()
        }
        Event::Tick
        | Event::WallClock { .. }
        | Event::InterfacesChanged
        | Event::Bound { .. }
        | Event::BindFailed { .. }
        | Event::Accepted { .. }
        | Event::Datagrams { .. } => None,
    })
}

/// The kept events by what they are about, in the order of that.
fn grouped<K: Ord>(
    events: impl Iterator<Item = (Time, Event)>,
    kept: impl Fn(u32) -> bool,
    mut about: impl FnMut(u32, &Event) -> Option<K>,
) -> Vec<Vec<u32>> {
    let mut groups: BTreeMap<K, Vec<u32>> = BTreeMap::new();
    for (number, (_, event)) in (0u32..).zip(events) {
        if let Some(key) = about(number, &event).filter(|_| kept(number)) {
            groups.entry(key).or_default().push(number);
        }
    }
    groups.into_values().collect()
}
