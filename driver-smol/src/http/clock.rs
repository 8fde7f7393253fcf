//! The two clocks of an exchange: the time for all of it, and the time since it last got on.

use futures_lite::future::poll_fn;
use parcacik_core::border::IoFault;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Longer limits are taken as this one: an `Instant` cannot hold every sum, and nobody waits a year for an answer.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Both clocks behind one timer, which is set again only when it fires or would fire too late.
#[derive(Debug)]
pub(super) struct Clock {
    /// When the exchange as a whole is over.
    end: Instant,
    /// When the step under way is over.
    step_end: Instant,
    /// The timer and when it fires.
    timer: Option<(async_io::Timer, Instant)>,
}

impl Clock {
    /// Starts the clock of an exchange that may take this long.
    pub(super) fn start(whole: Duration) -> Clock {
        let end = Instant::now() + whole.min(LONGEST);
        Clock { end, step_end: end, timer: None }
    }

    /// Awaits one step, for no longer than `limit` and what is left of the whole.
    pub(super) async fn step<T>(
        &mut self,
        limit: Duration,
        step: impl Future<Output = Result<T, IoFault>>,
    ) -> Result<T, IoFault> {
        self.step_end = Instant::now() + limit.min(LONGEST);
        let mut step = pin!(step);
        poll_fn(|cx| match step.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => self.poll_over(cx).map(|()| Err(IoFault::TimedOut)),
        })
        .await
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let due = self.end.min(self.step_end);
        loop {
            let (timer, fires) = self.timer.get_or_insert_with(|| (async_io::Timer::at(due), due));
            if due < *fires {
                timer.set_at(due);
                *fires = due;
            }
            if Pin::new(&mut *timer).poll(cx).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= due {
                // One that has fired is never ready again.
                self.timer = None;
                return Poll::Ready(());
            }
            // It was set for an earlier step.
            timer.set_at(due);
            *fires = due;
        }
    }
}
