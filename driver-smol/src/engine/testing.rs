//! A toy machine and an engine around it, for tests: the test sees every event, and says what is to be done.

use super::jobs::{Answer, DiskService, HttpService, Services};
use super::{Control, EngineThread, Machine, Parts, Recorder};
use async_channel::{Receiver, Sender};
use futures_lite::FutureExt;
use futures_lite::future::BoxedLocal;
use parcacik_core::border::*;
use parcacik_core::time::Time;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Longer than anything in these tests takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What the machine does by itself, on each event.
pub(crate) type Reflex = Box<dyn FnMut(Time, &Event, &mut Actions) + Send>;

/// Does what the test has put down whenever it gets a command, and passes on every event that is none.
pub(crate) struct Toy {
    pub(crate) reflex: Reflex,
    pub(crate) orders: Arc<Mutex<Orders>>,
    pub(crate) events: Sender<(Time, Event)>,
    pub(crate) deadline: Option<Time>,
}

/// What the test wants of the machine.
#[derive(Default)]
pub(crate) struct Orders {
    pub(crate) actions: Vec<Action>,
    /// A tick after so long.
    pub(crate) tick: Option<Duration>,
    /// Whether ticks leave the deadline where it is.
    pub(crate) stuck: bool,
}

impl Machine for Toy {
    fn handle(&mut self, now: Time, event: Event, out: &mut Actions) {
        if let Event::Command { .. } = event {
            let mut orders = self.orders.lock().unwrap();
            out.list.append(&mut orders.actions);
            if let Some(after) = orders.tick.take() {
                self.deadline = Some(now + after);
            }
        }
        if event == Event::Tick && !self.orders.lock().unwrap().stuck {
            self.deadline = None;
        }
        (self.reflex)(now, &event, out);
        if !matches!(event, Event::Command { .. } | Event::WallClock { .. }) {
            let _ = self.events.try_send((now, event));
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.deadline
    }
}

/// A disk that answers every job at once, but `Sync`: that ends only when it is cancelled.
pub(crate) struct ToyDisk(pub(crate) Sender<Answer>);

impl DiskService for ToyDisk {
    fn add_root(&self, _root: RootId, path: &Path) -> io::Result<()> {
        if path.ends_with("forbidden") { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(()) }
    }

    fn submit(&self, job: JobId, work: Work) {
        if !matches!(work, Work::Sync { .. }) {
            self.0.try_send((job, Ok(JobResult::Done))).unwrap();
        }
    }

    fn cancel(&self, job: JobId) {
        self.0.try_send((job, Err(IoFault::Cancelled))).unwrap();
    }

    fn stop(&self) {}
}

/// Answers with what it was asked for; `/never` it leaves unanswered.
pub(crate) struct ToyHttp;

impl HttpService for ToyHttp {
    fn exchange(&self, request: HttpRequest) -> BoxedLocal<Result<HttpResponse, IoFault>> {
        Box::pin(async move {
            if request.path == "/never" {
                futures_lite::future::pending::<()>().await;
            }
            let body = request.path.into_bytes().into();
            Ok(HttpResponse { status: 200, location: None, retry_after: None, body })
        })
    }
}

/// The ends that a test holds: what it wants, and what it sees.
pub(crate) type Ends = (Arc<Mutex<Orders>>, Receiver<(Time, Event)>);

/// An engine with a toy machine.
pub(crate) struct Rig {
    pub(crate) engine: EngineThread<Toy>,
    orders: Arc<Mutex<Orders>>,
    events: Receiver<(Time, Event)>,
}

pub(crate) fn parts(reflex: Reflex, recorder: Option<Box<dyn Recorder>>) -> (Parts<Toy>, Ends) {
    let (results, answers) = async_channel::unbounded();
    let services = Services { disk: Arc::new(ToyDisk(results)), answers, http: Box::new(ToyHttp) };
    let orders = Arc::new(Mutex::new(Orders::default()));
    let (sender, events) = async_channel::unbounded();
    let machine = Toy { reflex, orders: Arc::clone(&orders), events: sender, deadline: None };
    let parts = Parts { machine, recorder, services, max_pinned: 1 << 20, max_notices: 16 };
    (parts, (orders, events))
}

impl Rig {
    /// A machine that does only what it is told.
    pub(crate) fn new() -> Rig {
        Rig::with(|_, _, _| {})
    }

    /// A machine that does something by itself.
    pub(crate) fn with(reflex: impl FnMut(Time, &Event, &mut Actions) + Send + 'static) -> Rig {
        Rig::recorded(reflex, None)
    }

    pub(crate) fn recorded(
        reflex: impl FnMut(Time, &Event, &mut Actions) + Send + 'static,
        recorder: Option<Box<dyn Recorder>>,
    ) -> Rig {
        let (parts, (orders, events)) = parts(Box::new(reflex), recorder);
        Rig { engine: EngineThread::start(parts).unwrap(), orders, events }
    }

    /// Makes the machine's deadline stay where it is once it has come.
    pub(crate) fn get_stuck(&self) {
        self.orders.lock().unwrap().stuck = true;
    }

    /// Has the machine do something.
    pub(crate) fn act(&self, actions: impl IntoIterator<Item = Action>) {
        self.orders.lock().unwrap().actions.extend(actions);
        self.poke();
    }

    /// Has the machine wait.
    pub(crate) fn tick_after(&self, after: Duration) {
        self.orders.lock().unwrap().tick = Some(after);
        self.poke();
    }

    fn poke(&self) {
        let any = Command::AddPeers { torrent: TorrentId(0), peers: Vec::new() };
        self.engine.control.try_send(Control::Command(any, None)).unwrap();
    }

    /// The next event.
    pub(crate) fn next(&self) -> Event {
        self.next_timed().1
    }

    pub(crate) fn next_timed(&self) -> (Time, Event) {
        let wait = async { self.events.recv().await.expect("the engine has ended") };
        let limit = async {
            async_io::Timer::after(PATIENCE).await;
            panic!("no event came")
        };
        async_io::block_on(wait.or(limit))
    }

    /// Opens a socket on loopback.
    pub(crate) fn bind(&self, sock: u32, kind: SocketKind, addr: &str) -> std::net::SocketAddr {
        let sock = SocketId(sock);
        self.act([Action::Bind { sock, kind, addr: addr.parse().unwrap(), device: None }]);
        match self.next() {
            Event::Bound { sock: bound, local } if bound == sock => local,
            other => panic!("{other:?}"),
        }
    }

    /// Opens a listener while other events come in.
    pub(crate) fn bind_among(&self, sock: u32, addr: &str) -> std::net::SocketAddr {
        let (sock, kind) = (SocketId(sock), SocketKind::TcpListener);
        self.act([Action::Bind { sock, kind, addr: addr.parse().unwrap(), device: None }]);
        loop {
            if let Event::Bound { local, .. } = self.next() {
                return local;
            }
        }
    }

    /// The rest of the events, when the engine has stopped.
    pub(crate) fn stop(mut self) -> Vec<Event> {
        self.engine.stop();
        self.engine.take_thread().unwrap().join().unwrap();
        std::iter::from_fn(|| self.events.try_recv().ok()).map(|(_, event)| event).collect()
    }
}
