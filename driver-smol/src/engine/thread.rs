//! The engine's thread: how it starts, what it is told from outside, how it ends.

use super::host::{Host, Sink};
use super::jobs::{Jobs, Services};
use super::notices::{End, Hub};
use super::{Engine, Machine, Recorder};
use crate::net::Net;
use crate::net::pool::Pool;
use crate::net::resolve::Resolver;
use crate::net::tcp::LINGER;
use async_channel::{Receiver, Sender};
use async_executor::LocalExecutor;
use async_io::Timer;
use futures_lite::FutureExt;
use parcacik_core::border::{Command, Notice};
use std::io;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// How often the date is compared with the time that went by.
const DATE_CHECK: Duration = Duration::from_secs(60);
/// How far they may be apart before the machine is told.
const DATE_JUMP: Duration = Duration::from_secs(2);
/// How long the machine goes without being told the date.
const DATE_EVERY: Duration = Duration::from_secs(3600);
/// How often it is looked whether closed streams have sent what was queued.
const LINGER_STEP: Duration = Duration::from_millis(5);

/// Where the answers to a command go. Must have room for all of them.
pub(crate) type Reply = Sender<Notice>;

/// What the engine is told from outside.
pub(crate) enum Control<M> {
    /// A command for the machine; its answers, up to so many, go to the channel.
    Command(Command, Option<(Reply, usize)>),
    /// Something to be read from the machine.
    Look(Box<dyn FnOnce(&M) + Send>),
}

/// What an engine is made of.
pub(crate) struct Parts<M> {
    pub(crate) machine: M,
    pub(crate) recorder: Option<Box<dyn Recorder>>,
    pub(crate) services: Services,
    /// The most bytes of read buffers that the core may hold.
    pub(crate) max_pinned: usize,
    /// The most notices that wait for one receiver.
    pub(crate) max_notices: usize,
}

/// A running engine.
#[derive(Debug)]
pub(crate) struct EngineThread<M> {
    pub(crate) control: Sender<Control<M>>,
    pub(crate) hub: Arc<Hub>,
    thread: Option<JoinHandle<()>>,
}

/// Closes the hub however the thread ends.
struct Guard(Arc<Hub>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.close(End::Broken("the engine's thread has panicked".to_owned()));
    }
}

impl<M: Machine> EngineThread<M> {
    /// Starts the thread.
    pub(crate) fn start(parts: Parts<M>) -> io::Result<EngineThread<M>> {
        // Unbounded, for nothing untrusted writes here, and stopping must not wait for room.
        let (control, orders) = async_channel::unbounded();
        let hub = Hub::new(parts.max_notices);
        let guard = Guard(Arc::clone(&hub));
        let thread = std::thread::Builder::new().name("parcacik".to_owned()).spawn(move || {
            run(parts, orders, &guard.0);
            drop(guard);
        })?;
        Ok(EngineThread { control, hub, thread: Some(thread) })
    }

    /// Asks the thread to stop now, without telling anybody. Does not wait.
    pub(crate) fn stop(&self) {
        self.control.close();
    }

    /// The thread, to be joined.
    pub(crate) fn take_thread(&mut self) -> Option<JoinHandle<()>> {
        self.thread.take()
    }
}

fn run<M: Machine>(parts: Parts<M>, orders: Receiver<Control<M>>, hub: &Arc<Hub>) {
    let executor = Rc::new(LocalExecutor::new());
    let host = Host::new(&executor);
    let resolver = Resolver::new();
    let net = Net::new(Rc::clone(&host), Pool::new(parts.max_pinned), resolver.clone());
    let Services { disk, answers, http } = parts.services;
    let jobs = Jobs::new(Rc::clone(&host), disk, http, resolver);
    let engine =
        Rc::new(Engine::new(parts.machine, parts.recorder, Rc::clone(&net), Rc::clone(&jobs), Arc::clone(hub)));
    let sink: Rc<dyn Sink> = Rc::clone(&engine) as Rc<dyn Sink>;
    host.set_sink(Rc::downgrade(&sink));

    engine.tell_date();
    host.spawn_detached(Rc::clone(&jobs).take_answers(answers));
    host.spawn_detached(obey(Rc::downgrade(&engine), orders));
    host.spawn_detached(watch_date(Rc::downgrade(&engine)));
    let end = async_io::block_on(executor.run(engine.run()));

    if end != End::Stopped {
        // Whoever waits is to learn why, before what they wait for goes away.
        hub.close(end.clone());
    }
    // What was queued on closed streams still leaves, for a moment; all other sockets close now.
    net.close_all();
    async_io::block_on(executor.run(farewells(&net)));
    drop(executor);
    engine.finish_recording();
    jobs.stop();
    hub.close(end);
}

/// Waits until closed streams have sent what was queued, or were given enough time for it.
async fn farewells(net: &Net) {
    let done = async {
        while net.is_lingering() {
            Timer::after(LINGER_STEP).await;
        }
    };
    done.or(async {
        Timer::after(LINGER).await;
    })
    .await;
}

/// Does what the application asks, until it lets go of the channel.
async fn obey<M: Machine>(engine: Weak<Engine<M>>, orders: Receiver<Control<M>>) {
    while let Ok(order) = orders.recv().await {
        let Some(engine) = engine.upgrade() else { return };
        match order {
            Control::Command(command, reply) => engine.command(command, reply),
            Control::Look(look) => engine.with_machine(look),
        }
    }
    if let Some(engine) = engine.upgrade() {
        engine.stop(End::Stopped);
    }
}

/// Tells the machine the date now and then, and soon after it was changed.
async fn watch_date<M: Machine>(engine: Weak<Engine<M>>) {
    let (mut told, mut date) = (Instant::now(), SystemTime::now());
    loop {
        Timer::after(DATE_CHECK).await;
        let passed = told.elapsed();
        let expected = date + passed;
        let now = SystemTime::now();
        let off = now.duration_since(expected).unwrap_or_else(|early| early.duration());
        if passed >= DATE_EVERY || off >= DATE_JUMP {
            let Some(engine) = engine.upgrade() else { return };
            engine.tell_date();
            (told, date) = (Instant::now(), now);
        }
    }
}
