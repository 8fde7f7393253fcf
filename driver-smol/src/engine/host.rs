//! What every task of the engine's thread can reach: the executor it runs on, and the machine's ear.

use async_executor::{LocalExecutor, Task};
use parcacik_core::border::Event;
use std::cell::RefCell;
use std::future::Future;
use std::rc::{Rc, Weak};

/// Takes events to the machine.
pub(crate) trait Sink {
    /// Hands in an event. Its actions are done before this returns, unless the machine is busy with another event or
    /// has had a long turn: then it is queued.
    fn event(&self, event: Event);
}

/// The executor and the sink. Tasks hold this and are held by the executor, so both links back are weak: when the
/// engine's thread lets go of the executor, every task goes with its sockets.
pub(crate) struct Host {
    executor: Weak<LocalExecutor<'static>>,
    sink: RefCell<Option<Weak<dyn Sink>>>,
}

impl Host {
    pub(crate) fn new(executor: &Rc<LocalExecutor<'static>>) -> Rc<Host> {
        Rc::new(Host { executor: Rc::downgrade(executor), sink: RefCell::new(None) })
    }

    /// Says where events go. Until then they are lost.
    pub(crate) fn set_sink(&self, sink: Weak<dyn Sink>) {
        *self.sink.borrow_mut() = Some(sink);
    }

    /// Runs a task, which ends when the handle is dropped; `None` when the engine has stopped.
    pub(crate) fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Option<Task<T>> {
        Some(self.executor.upgrade()?.spawn(future))
    }

    /// Runs a task to its end, or the engine's.
    pub(crate) fn spawn_detached(&self, future: impl Future<Output = ()> + 'static) {
        if let Some(task) = self.spawn(future) {
            task.detach();
        }
    }

    /// Tells the machine.
    pub(crate) fn tell(&self, event: Event) {
        let sink = self.sink.borrow().as_ref().and_then(Weak::upgrade);
        if let Some(sink) = sink {
            sink.event(event);
        }
    }
}
