//! Where two runs part, with what the recording says of its side.

use super::reader::{Reader, Record};
use super::sketch::{Sketch, Topic, sketches};
use crate::border::{Actions, Event};
use crate::time::Time;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};
use core::ops::Range;

/// How many earlier events are told.
const EARLIER: usize = 20;

/// How long the text of one event or action may be, in bytes. A buffer of content is longer than anybody reads.
const MAX_TEXT: usize = 400;

/// How many pairs of actions are compared to align two lists: above it they are taken in their order. Some 1000 on each side.
const MAX_PAIRS: usize = 1 << 20;

/// Where two runs part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The events of which one made the difference, counted from 0. The last of them, if an action differs; more than one only when what the
    /// recording holds of their actions is the same: an event has been changed in the file, or a checksum did not show it (1 in 256 for each action).
    pub events: Range<u64>,
    /// The time of the last of them.
    pub now: Time,
    /// The last of them, holes filled.
    pub event: Option<Event>,
    /// What this run did about it.
    pub actions: Actions,
    /// Both lists side by side: the actions, and then the notices.
    pub parts: Vec<Part>,
    /// Where content lay in the event when it was recorded, if this run says something else ([`Actions::opaque`]).
    pub recorded_holes: Option<Vec<Range<u32>>>,
    /// What went before on the same connection, or about the same torrent or piece of work; the latest last.
    pub earlier: Vec<Earlier>,
}

/// An action or a notice of one run, and what the other has in its place. `ours` counts this run's actions and then its notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Both did it.
    Same {
        /// Which of this run's.
        ours: usize,
    },
    /// Each did something else.
    Changed {
        /// What was recorded.
        recorded: Sketch,
        /// Which of this run's.
        ours: usize,
    },
    /// Only the recorded run did it.
    Missing {
        /// What was recorded.
        recorded: Sketch,
    },
    /// Only this run did it.
    Extra {
        /// Which of this run's.
        ours: usize,
    },
}

/// An event before the difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// Its number, from 0.
    pub index: u64,
    /// When.
    pub now: Time,
    /// What, holes filled.
    pub event: Event,
    /// What came of it.
    pub did: Vec<Sketch>,
}

impl Difference {
    /// One that only a checkpoint shows.
    pub(super) fn unseen(events: Range<u64>, now: Time) -> Difference {
        Difference {
            events,
            now,
            event: None,
            actions: Actions::new(),
            parts: Vec::new(),
            recorded_holes: None,
            earlier: Vec::new(),
        }
    }

    /// Looks up what the recording says of the last of `events`, and what went before. `reader` is at its beginning.
    pub(super) fn find(
        reader: Reader<'_>,
        events: Range<u64>,
        now: Time,
        actions: Actions,
        same_content: bool,
    ) -> Difference {
        let last = events.end.saturating_sub(1);
        let mut found = Difference { actions, ..Difference::unseen(events, now) };
        let at = |reader: &Reader<'_>| {
            let mut reader = reader.clone();
            reader.seek(last);
            reader.zip_events().find(|(index, _)| *index == last)
        };
        let Some((_, Record::Event { event, holes, did, .. })) = at(&reader) else { return found };
        let ours = sketches(&found.actions);
        found.parts = compare(&did, &ours);
        if found.parts.iter().any(|part| !matches!(part, Part::Same { .. })) {
            found.events.start = last;
        }
        found.recorded_holes = (!same_content).then_some(holes);
        let topics = topics(&event, &found.parts, &ours);
        let mut earlier = VecDeque::new();
        for (index, record) in reader.zip_events().take_while(|(index, _)| *index < last) {
            let Record::Event { now, event, did, .. } = record else { continue };
            if topics.is_empty() || concerns(&topics, &event, &did) {
                if earlier.len() == EARLIER {
                    earlier.pop_front();
                }
                earlier.push_back(Earlier { index, now, event, did });
            }
        }
        found.earlier = earlier.into();
        found.event = Some(event);
        found
    }
}

/// What the events before it must be about to be of interest: the connection, when the event or the first difference is about one; else the torrents, the
/// work, whatever it is.
fn topics(event: &Event, parts: &[Part], ours: &[Sketch]) -> Vec<Topic> {
    let differing = parts.iter().flat_map(|part| match *part {
        Part::Same { .. } => [None, None],
        Part::Changed { recorded, ours: at } => [Some(recorded), ours.get(at).copied()],
        Part::Missing { recorded } => [Some(recorded), None],
        Part::Extra { ours: at } => [ours.get(at).copied(), None],
    });
    let differing = differing.flatten().map(|sketch| sketch.about);
    let all = || [Topic::event(event)].into_iter().chain(differing.clone());
    let stream = all().find(|about| matches!(about, Topic::Tcp(_)));
    match stream {
        Some(stream) => Vec::from([stream]),
        None => all().filter(|about| *about != Topic::Nothing).collect(),
    }
}

fn concerns(topics: &[Topic], event: &Event, did: &[Sketch]) -> bool {
    topics.contains(&Topic::event(event)) || did.iter().any(|sketch| topics.contains(&sketch.about))
}

/// Aligns two lists: what both have in the same order is the same, what lies between is changed pair by pair, missing or extra.
fn compare(recorded: &[Sketch], ours: &[Sketch]) -> Vec<Part> {
    let common = |(a, b): (&Sketch, &Sketch)| a == b;
    let head = recorded.iter().zip(ours).take_while(|&pair| common(pair)).count();
    let (recorded, rest) = (recorded.get(head..).unwrap_or_default(), ours.get(head..).unwrap_or_default());
    let tail = recorded.iter().rev().zip(rest.iter().rev()).take_while(|&pair| common(pair)).count();
    let recorded = recorded.get(..recorded.len() - tail).unwrap_or_default();
    let middle = rest.get(..rest.len() - tail).unwrap_or_default();

    let mut parts: Vec<Part> = (0..head).map(|ours| Part::Same { ours }).collect();
    let (mut old, mut new) = (0, 0);
    for (same_old, same_new) in common_ones(recorded, middle).into_iter().chain([(recorded.len(), middle.len())]) {
        let gap = (recorded.get(old..same_old).unwrap_or_default(), same_new - new);
        for at in 0..gap.0.len().max(gap.1) {
            let mine = head + new + at;
            parts.extend(match gap.0.get(at) {
                Some(&recorded) if at < gap.1 => Some(Part::Changed { recorded, ours: mine }),
                Some(&recorded) => Some(Part::Missing { recorded }),
                None => Some(Part::Extra { ours: mine }),
            });
        }
        if same_new < middle.len() {
            parts.push(Part::Same { ours: head + same_new });
        }
        (old, new) = (same_old + 1, same_new + 1);
    }
    parts.extend((ours.len() - tail..ours.len()).map(|ours| Part::Same { ours }));
    parts
}

/// A longest list of items that both have in the same order, by their places.
fn common_ones(one: &[Sketch], other: &[Sketch]) -> Vec<(usize, usize)> {
    let width = other.len() + 1;
    if one.len().saturating_mul(width) > MAX_PAIRS {
        return Vec::new();
    }
    // How long the longest common list of `one[a..]` and `other[b..]` is.
    let mut longest = alloc::vec![0u32; (one.len() + 1) * width];
    let at = |longest: &[u32], a: usize, b: usize| longest.get(a * width + b).copied().unwrap_or(0);
    for (a, x) in one.iter().enumerate().rev() {
        for (b, y) in other.iter().enumerate().rev() {
            let best = if x == y {
                at(&longest, a + 1, b + 1) + 1
            } else {
                at(&longest, a + 1, b).max(at(&longest, a, b + 1))
            };
            if let Some(place) = longest.get_mut(a * width + b) {
                *place = best;
            }
        }
    }
    let (mut a, mut b) = (0, 0);
    let mut pairs = Vec::new();
    while let (Some(x), Some(y)) = (one.get(a), other.get(b)) {
        if x == y {
            pairs.push((a, b));
            (a, b) = (a + 1, b + 1);
        } else if at(&longest, a + 1, b) >= at(&longest, a, b + 1) {
            a += 1;
        } else {
            b += 1;
        }
    }
    pairs
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { events, now, event, actions, parts, recorded_holes, earlier } = self;
        match events.end.saturating_sub(events.start) {
            1 => writeln!(f, "event {} of the recording makes a difference, at {now:?}", events.start)?,
            _ => writeln!(f, "one of the events {events:?} of the recording makes a difference, until {now:?}")?,
        }
        if let Some(event) = event {
            writeln!(f, "event: {}", Brief(event))?;
        }
        if let Some(holes) = recorded_holes {
            writeln!(f, "content lay at {holes:?} when it was recorded, and lies at {:?} in this run", actions.opaque)?;
        }
        let ours = |f: &mut fmt::Formatter<'_>, at: usize| match actions.list.get(at) {
            Some(action) => writeln!(f, "+ this run did: {}", Brief(action)),
            None => match actions.notices.get(at - actions.list.len()) {
                Some(notice) => writeln!(f, "+ this run told: {}", Brief(notice)),
                None => Ok(()),
            },
        };
        let theirs = |f: &mut fmt::Formatter<'_>, recorded: &Sketch| {
            writeln!(f, "- the recording {}: {recorded}", if recorded.is_notice() { "told" } else { "did" })
        };
        let mut same = 0;
        for part in parts {
            match part {
                Part::Same { .. } => same += 1,
                Part::Changed { recorded, ours: at } => {
                    theirs(f, recorded)?;
                    ours(f, *at)?;
                }
                Part::Missing { recorded } => theirs(f, recorded)?,
                Part::Extra { ours: at } => ours(f, *at)?,
            }
        }
        if same > 0 {
            writeln!(f, "and both did {same} other things")?;
        }
        if !earlier.is_empty() {
            writeln!(f, "before it:")?;
        }
        for Earlier { index, now, event, did } in earlier {
            write!(f, "  event {index} at {now:?}: {}", Brief(event))?;
            for (at, sketch) in did.iter().enumerate() {
                write!(f, "{}{sketch}", if at == 0 { "; the recording did: " } else { ", " })?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// The text for debugging of something, cut when it gets long.
struct Brief<'a, T>(&'a T);

impl<T: fmt::Debug> fmt::Display for Brief<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Cut<'a, 'f> {
            to: &'a mut fmt::Formatter<'f>,
            left: usize,
        }
        impl fmt::Write for Cut<'_, '_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                let end = (0..=self.left.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
                self.to.write_str(text.get(..end).unwrap_or_default())?;
                self.left -= end;
                // An error ends the formatting: the rest is not made at all.
                if end < text.len() { Err(fmt::Error) } else { Ok(()) }
            }
        }
        let mut cut = Cut { to: f, left: MAX_TEXT };
        if write!(cut, "{:?}", self.0).is_err() { f.write_str(" …") } else { Ok(()) }
    }
}
