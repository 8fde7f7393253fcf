//! Whoever looks on: called around every call that is made to a session, and at what happens between the sessions.
//!
//! A [`Watcher`] changes nothing. It says what is wrong as a [`Breach`], and the world stops there with a panic that has the
//! breach, the time, the number of the event and what was being told to whom; a run of many seeds catches it
//! and prints how to repeat it. A watcher counts what it has judged, so that one that never judges anything is seen
//! ([`Watcher::evaluations`]).
//!
//! ```
//! use parcacik_testkit::{Breach, Call, Content, Watcher, World};
//! use parcacik_core::border::Action;
//!
//! /// Nobody is dialled at port 0.
//! #[derive(Debug, Default)]
//! struct NoPortZero(u64);
//!
//! impl Watcher for NoPortZero {
//!     fn after(&mut self, call: &Call<'_>) -> Result<(), Breach> {
//!         for action in &call.actions.list {
//!             if let Action::Dial { to: parcacik_core::border::Target::Addr(to), .. } = action {
//!                 self.0 += 1;
//!                 if to.port() == 0 {
//!                     return Err(Breach::new(38, format!("{to} is dialled")));
//!                 }
//!             }
//!         }
//!         Ok(())
//!     }
//!     fn evaluations(&self) -> Vec<(u8, u64)> {
//!         vec![(38, self.0)]
//!     }
//! }
//!
//! let content = Content::new("doc", 40_000, 16_384, 7);
//! let mut world = World::new(1);
//! world.watch(NoPortZero::default());
//! let (seed, leech) = (world.add_node(), world.add_node());
//! world.seed(seed, &content, &[]);
//! world.download(leech, &content, &[world.address(seed)]);
//! world.run_until(|world| world.is_finished(leech, &content)).expect("it downloads");
//! world.end_watch();
//! assert_eq!(world.evaluations()[&38], 1);
//! ```

use super::{NodeId, StrangerId, World};
use crate::disk::MemoryDisk;
use bytes::Bytes;
use parcacik_core::border::{Actions, Event, TcpId};
use parcacik_core::session::Session;
use parcacik_core::time::Time;
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::net::SocketAddr;

/// Something did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The number of what should have held, in the project's list of oracles.
    pub oracle: u8,
    /// What was seen.
    pub what: String,
}

impl Breach {
    /// A breach of an oracle.
    pub fn new(oracle: u8, what: impl Into<String>) -> Breach {
        Breach { oracle, what: what.into() }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oracle {}: {}", self.oracle, self.what)
    }
}

impl std::error::Error for Breach {}

/// A session is about to be told something.
#[derive(Clone, Copy, Debug)]
pub struct Before<'a> {
    /// Who is told.
    pub node: NodeId,
    /// The time that it is told: its own clock's, which is not the world's where clocks are wrong.
    pub now: Time,
    /// What it is told.
    pub event: &'a Event,
    /// All the rest. The session has not been called yet.
    pub world: &'a World,
}

impl<'a> Before<'a> {
    /// The session, as it is before.
    pub fn session(&self) -> &'a Session {
        self.world.session(self.node)
    }

    /// Its disk.
    pub fn disk(&self) -> &'a MemoryDisk {
        self.world.disk_of(self.node)
    }
}

/// A session was told something, and nothing of what it ordered has been done yet.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Who was told.
    pub node: NodeId,
    /// The time that it was told: its own clock's.
    pub now: Time,
    /// What it was told.
    pub event: &'a Event,
    /// What it ordered, what it told the application, and which bytes of the event it took as content.
    pub actions: &'a Actions,
    /// All the rest.
    pub world: &'a World,
}

impl<'a> Call<'a> {
    /// The session, as it is now.
    pub fn session(&self) -> &'a Session {
        self.world.session(self.node)
    }

    /// Its disk: what was ordered now has not been done to it.
    pub fn disk(&self) -> &'a MemoryDisk {
        self.world.disk_of(self.node)
    }
}

/// Who is at an end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// A session, by this stream of its own.
    Node(NodeId, TcpId),
    /// A stranger.
    Stranger(StrangerId),
}

/// What happens in the world beside the calls.
#[derive(Clone, Copy, Debug)]
pub enum Moment<'a> {
    /// A node has a new session: its first, or another one after a crash.
    Began {
        /// Whose.
        node: NodeId,
    },
    /// A node's session is gone, as after a kill. What it had not synced is still on its disk.
    Crashed {
        /// Whose.
        node: NodeId,
    },
    /// The power of a crashed node was cut: its disk is what is left of it.
    PowerCut {
        /// Whose.
        node: NodeId,
    },
    /// Bytes of a stream have come to the other end, and wait there to be read.
    Arrived {
        /// Who sent them.
        from: Party,
        /// Whose they are now.
        to: Party,
        /// What came.
        bytes: &'a Bytes,
    },
    /// A datagram of a session has come to somebody who is none. (One that comes to a session is an event of its own.)
    Datagram {
        /// Whom it says it is from.
        from: SocketAddr,
        /// Where it came to.
        to: SocketAddr,
        /// What is in it.
        bytes: &'a Bytes,
    },
    /// The faults are over: from now on what has to come at some time has to come.
    Healed,
    /// The run is over.
    Ended,
}

/// Somebody who looks on, and says when something is wrong.
pub trait Watcher: Any + Debug {
    /// A session is about to be told something.
    ///
    /// # Errors
    /// When something does not hold.
    fn before(&mut self, call: &Before<'_>) -> Result<(), Breach> {
        _ = call;
        Ok(())
    }

    /// A session was told something.
    ///
    /// # Errors
    /// When something does not hold.
    fn after(&mut self, call: &Call<'_>) -> Result<(), Breach>;

    /// Something happened beside the calls.
    ///
    /// # Errors
    /// When something does not hold.
    fn moment(&mut self, world: &World, moment: &Moment<'_>) -> Result<(), Breach> {
        _ = (world, moment);
        Ok(())
    }

    /// How often each oracle, by number, had something to judge.
    fn evaluations(&self) -> Vec<(u8, u64)>;
}

impl World {
    /// Has somebody look on from now on.
    pub fn watch(&mut self, watcher: impl Watcher) {
        self.watchers.push(Box::new(watcher));
    }

    /// The first watcher of a type, to look at; `None` when there is none.
    pub fn watcher<T: Watcher>(&self) -> Option<&T> {
        self.watchers.iter().find_map(|watcher| {
            let watcher: &dyn Any = &**watcher;
            watcher.downcast_ref()
        })
    }

    /// How often each oracle had something to judge, over all watchers.
    pub fn evaluations(&self) -> BTreeMap<u8, u64> {
        let mut sums = BTreeMap::new();
        for (oracle, count) in self.watchers.iter().flat_map(|watcher| watcher.evaluations()) {
            *sums.entry(oracle).or_default() += count;
        }
        sums
    }

    /// Tells the watchers that the faults are over.
    pub fn healed(&mut self) {
        self.moment(&Moment::Healed);
    }

    /// Tells the watchers that the run is over.
    pub fn end_watch(&mut self) {
        self.moment(&Moment::Ended);
    }

    pub(super) fn moment(&mut self, moment: &Moment<'_>) {
        self.each_watcher(|watcher, world| watcher.moment(world, moment), |_| format!("{moment:?}"));
    }

    pub(super) fn watch_before(&mut self, node: NodeId, now: Time, event: &Event) {
        let look = |watcher: &mut dyn Watcher, world: &World| watcher.before(&Before { node, now, event, world });
        self.each_watcher(look, |_| format!("before {event:?}"));
    }

    pub(super) fn watch_after(&mut self, node: NodeId, now: Time, event: &Event, actions: &Actions) {
        let look = |watcher: &mut dyn Watcher, world: &World| watcher.after(&Call { node, now, event, actions, world });
        self.each_watcher(look, |_| format!("node {}, at {event:?}", node.0));
    }

    /// Lets each watcher look at the world; the first breach ends the run.
    fn each_watcher(
        &mut self,
        mut look: impl FnMut(&mut dyn Watcher, &World) -> Result<(), Breach>,
        about: impl Fn(&World) -> String,
    ) {
        if self.watchers.is_empty() {
            return;
        }
        let mut watchers = std::mem::take(&mut self.watchers);
        let breach = watchers.iter_mut().find_map(|watcher| look(&mut **watcher, self).err());
        self.watchers = watchers;
        if let Some(breach) = breach {
            let mut about = about(self);
            let end = about.char_indices().nth(500).map_or(about.len(), |(at, _)| at);
            about.truncate(end);
            panic!("{breach} ({:?}, event {}; {about})", self.now, self.events);
        }
    }
}
