//! The engine: one thread that owns the machine and all its sockets.
//!
//! ```text
//!     tasks: readers, writers, UDP, accept, dials, jobs, commands        main task: timer
//!                                   |  Event                                  |  Tick
//!                                   v                                         v
//!                      queue -> machine.handle(now, event, &mut actions)
//!                                   |
//!              +--------------------+----------------------+
//!              v                    v                      v
//!           recorder             notices           actions, in order: Net, Jobs
//! ```
//!
//! An event goes from the task that sees it straight into the machine, by a function call; its actions are done before
//! the call returns. What an action answers at once (a `Bind`, say) is queued and handled after it: nothing recurses.
//! A turn is bounded ([`TURN`]); what is left is handled by the main task when the others have run.
//!
//! **When the machine panics**, which only its own broken invariant can bring about, the thread survives: it stops
//! using the machine, closes everything, lets the disk end its work and the recorder store what it has, and the
//! application is told ([`ClientError::Broken`](crate::ClientError::Broken)).

pub(crate) mod host;
pub(crate) mod jobs;
pub(crate) mod notices;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod thread;

pub(crate) use thread::{Control, EngineThread, Parts, Reply};

use crate::clock::{Clock, unix_seconds};
use crate::net::Net;
use async_io::Timer;
use futures_lite::Stream as _;
use host::Sink;
use jobs::Jobs;
use notices::{End, Hub};
use parcacik_core::border::{Action, Actions, Command, CommandId, Event, Notice, TorrentId};
use parcacik_core::journal::State;
use parcacik_core::time::Time;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// The most events that are handled in one go.
const TURN: usize = 64;

/// A machine that an engine can run: the core's session, or another that speaks the same words.
pub trait Machine: Send + 'static {
    /// Takes an event and says what is to be done about it. `out` is empty.
    fn handle(&mut self, now: Time, event: Event, out: &mut Actions);

    /// When [`Event::Tick`] is due next.
    fn deadline(&self) -> Option<Time>;

    /// What its state comes to, for a recorder; `None`: it does not say.
    fn state(&self) -> Option<State> {
        None
    }
}

/// Sees everything that goes into the machine, and what comes out.
///
/// Called on the engine's thread after each event, before its actions are done: it must not block for long.
pub trait Recorder: Send {
    /// An event was handled.
    fn event(&mut self, now: Time, event: &Event, actions: &Actions);

    /// Whether the machine's state is wanted now, before the next event.
    fn state_is_due(&self) -> bool {
        false
    }

    /// What the machine's state comes to: when it is due, and before the last call unless the machine has panicked.
    fn state(&mut self, state: &State) {
        let _ = state;
    }

    /// The last call: the engine stops, or its machine has panicked.
    fn finish(&mut self);
}

/// The machine and everything around it.
pub(crate) struct Engine<M> {
    clock: Clock,
    core: RefCell<Core<M>>,
    /// Events that wait for the machine.
    queue: RefCell<VecDeque<Event>>,
    /// Whether the machine is at work further up the stack.
    busy: Cell<bool>,
    net: Rc<Net>,
    jobs: Rc<Jobs>,
    hub: Arc<Hub>,
    replies: RefCell<Replies>,
    alarm: RefCell<Alarm>,
    /// The main task's.
    waker: RefCell<Option<Waker>>,
    end: RefCell<Option<End>>,
}

struct Core<M> {
    machine: M,
    actions: Actions,
    recorder: Option<Box<dyn Recorder>>,
}

/// The one timer.
struct Alarm {
    timer: Timer,
    /// When it goes off; never later than the machine's deadline.
    set_to: Option<Time>,
}

/// Who waits for the answer to which command.
#[derive(Default)]
struct Replies {
    last: u64,
    commands: BTreeMap<CommandId, (Reply, usize)>,
    /// `Removed` names the torrent, not the command.
    removals: BTreeMap<TorrentId, Vec<CommandId>>,
}

impl<M: Machine> Sink for Engine<M> {
    fn event(&self, event: Event) {
        self.queue.borrow_mut().push_back(event);
        if !self.busy.get() {
            self.turn();
        }
    }
}

impl<M: Machine> Engine<M> {
    pub(crate) fn new(
        machine: M,
        recorder: Option<Box<dyn Recorder>>,
        net: Rc<Net>,
        jobs: Rc<Jobs>,
        hub: Arc<Hub>,
    ) -> Self {
        Engine {
            clock: Clock::start(),
            core: RefCell::new(Core { machine, actions: Actions::new(), recorder }),
            queue: RefCell::default(),
            busy: Cell::new(false),
            net,
            jobs,
            hub,
            replies: RefCell::default(),
            alarm: RefCell::new(Alarm { timer: Timer::never(), set_to: None }),
            waker: RefCell::default(),
            end: RefCell::default(),
        }
    }

    /// Runs until the engine is told to stop or its machine breaks.
    pub(crate) async fn run(&self) -> End {
        futures_lite::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// Stops: [`Engine::run`] ends.
    pub(crate) fn stop(&self, end: End) {
        self.end.borrow_mut().get_or_insert(end);
        self.wake();
    }

    /// Gives the machine a command; what is said about it goes to `reply`, until `answers` notices have.
    pub(crate) fn command(&self, command: Command, reply: Option<(Reply, usize)>) {
        let id = {
            let mut replies = self.replies.borrow_mut();
            replies.last += 1;
            let id = CommandId(replies.last);
            if let Some(reply) = reply {
                if let Command::Remove { torrent, .. } = command {
                    replies.removals.entry(torrent).or_default().push(id);
                }
                replies.commands.insert(id, reply);
            }
            id
        };
        self.event(Event::Command { id, command });
    }

    /// Looks at the machine.
    pub(crate) fn with_machine(&self, look: impl FnOnce(&M)) {
        look(&self.core.borrow().machine);
    }

    /// Tells the machine the date.
    pub(crate) fn tell_date(&self) {
        self.event(Event::WallClock { unix_seconds: unix_seconds() });
    }

    /// Ends the recording.
    pub(crate) fn finish_recording(&self) {
        let mut core = self.core.borrow_mut();
        let Some(mut recorder) = core.recorder.take() else { return };
        // Nobody sees what a machine that has panicked left half done.
        let whole = !matches!(*self.end.borrow(), Some(End::Broken(_)));
        if let Some(state) = whole.then(|| core.machine.state()).flatten() {
            recorder.state(&state);
        }
        recorder.finish();
    }

    /// Handles queued events, and those that their actions lead to, up to a bound.
    fn turn(&self) {
        self.busy.set(true);
        for _ in 0..TURN {
            if self.end.borrow().is_some() {
                break;
            }
            // In a statement of its own: the queue must be free while the event is handled.
            let next = self.queue.borrow_mut().pop_front();
            match next {
                Some(event) => self.handle(event),
                None => break,
            }
        }
        self.busy.set(false);
        if !self.queue.borrow().is_empty() {
            self.wake();
        }
        self.set_alarm();
    }

    fn handle(&self, event: Event) {
        let mut core = self.core.borrow_mut();
        let Core { machine, actions, recorder } = &mut *core;
        actions.clear();
        let now = self.clock.now();
        let recorded = recorder.as_ref().map(|_| event.clone());
        // A machine that has panicked is never called again, so that nobody sees what it left half done.
        let outcome = catch_unwind(AssertUnwindSafe(|| machine.handle(now, event, actions)));
        if let (Some(recorder), Some(event)) = (recorder, recorded) {
            recorder.event(now, &event, actions);
            if outcome.is_ok()
                && recorder.state_is_due()
                && let Some(state) = machine.state()
            {
                recorder.state(&state);
            }
        }
        if let Err(panic) = outcome {
            drop(core);
            tracing::error!("the core has panicked");
            return self.stop(End::Broken(panic_text(&*panic)));
        }
        for notice in actions.notices.drain(..) {
            self.notice(notice);
        }
        // Taken out, for what an action does may look at the machine; its memory is given back below.
        let mut list = std::mem::take(&mut actions.list);
        drop(core);
        for action in list.drain(..) {
            self.perform(action);
        }
        self.core.borrow_mut().actions.list = list;
    }

    fn perform(&self, action: Action) {
        match self.net.perform(action) {
            None => {}
            Some(Action::Start { job, work }) => self.jobs.start(job, work),
            Some(Action::Cancel { job }) => self.jobs.cancel(job),
            // No work streams its result yet, so there is nothing that waits for this.
            Some(Action::GrantJob { .. }) => {}
            Some(other) => tracing::error!(?other, "an action that this driver does not know"),
        }
    }

    fn notice(&self, notice: Notice) {
        // In this order, so that who was answered and asks for notices then gets none of before.
        self.hub.tell(notice.clone());
        self.replies.borrow_mut().answer(&notice);
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<End> {
        self.waker.replace(Some(cx.waker().clone()));
        if !self.queue.borrow().is_empty() && !self.busy.get() {
            self.turn();
        }
        while self.end.borrow().is_none() {
            let fired = {
                let mut alarm = self.alarm.borrow_mut();
                match Pin::new(&mut alarm.timer).poll_next(cx) {
                    Poll::Ready(_) => alarm.set_to.take().is_some(),
                    Poll::Pending => break,
                }
            };
            if !fired {
                break;
            }
            let due = self.core.borrow().machine.deadline().is_some_and(|deadline| deadline <= self.clock.now());
            if due {
                self.event(Event::Tick);
                // One tick a poll: a machine whose deadline does not move on must not keep the other tasks from
                // running.
                self.wake();
                break;
            }
            self.set_alarm();
        }
        match self.end.borrow().clone() {
            Some(end) => Poll::Ready(end),
            None => Poll::Pending,
        }
    }

    /// Sees to it that the timer goes off when the machine's deadline comes. It is moved only when that has come
    /// nearer: one that goes off too early costs less than moving it with every event.
    fn set_alarm(&self) {
        let Some(deadline) = self.core.borrow().machine.deadline() else { return };
        let mut alarm = self.alarm.borrow_mut();
        if alarm.set_to.is_some_and(|set_to| set_to <= deadline) {
            return;
        }
        let Some(instant) = self.clock.instant(deadline) else { return };
        let was_idle = alarm.set_to.is_none();
        alarm.timer.set_at(instant);
        alarm.set_to = Some(deadline);
        drop(alarm);
        // A timer that nobody waits for has to be looked at once.
        if was_idle {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }
}

impl Replies {
    /// Passes a notice on to whoever asked for it.
    fn answer(&mut self, notice: &Notice) {
        let command = match notice {
            Notice::CommandFailed { command, .. } | Notice::CommandDone { command } => *command,
            Notice::Added { command, .. }
            | Notice::Listening { command, .. }
            | Notice::Scraped { command, .. }
            | Notice::Announced { command, .. } => *command,
            Notice::Removed { torrent } => {
                for command in self.removals.remove(torrent).unwrap_or_default() {
                    self.pass_on(command, notice);
                }
                return;
            }
            _ => return,
        };
        self.pass_on(command, notice);
    }

    fn pass_on(&mut self, command: CommandId, notice: &Notice) {
        let Some((reply, left)) = self.commands.get_mut(&command) else { return };
        // The channel has room for every answer; who does not listen any more has lost interest.
        let _ = reply.try_send(notice.clone());
        *left = left.saturating_sub(1);
        if *left == 0 || matches!(notice, Notice::CommandFailed { .. } | Notice::CommandDone { .. }) {
            self.commands.remove(&command);
            self.removals.retain(|_, commands| {
                commands.retain(|other| *other != command);
                !commands.is_empty()
            });
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (None, Some(text)) => text.clone(),
        (None, None) => "no reason given".to_owned(),
    }
}
