//! Long work without a driver, on a thread of its own, so that it can be left when somebody interrupts.

use crate::signals::Interrupt;
use anyhow::{Context as _, anyhow};
use async_channel::Sender;
use async_io::Timer;
use futures_lite::{FutureExt as _, StreamExt as _};
use std::time::Duration;

/// How often it is told how far it is.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Does `work` and calls `tell` now and then meanwhile; `None`: interrupted. `work` must hold nothing that would have to be cleaned up; the
/// channel that it is given is closed when nobody waits for it any more.
///
/// # Errors
/// When there can be no thread, or `work` panicked.
pub fn watch<T: Send + 'static>(
    name: &str,
    interrupt: &Interrupt,
    tell: impl Fn(),
    work: impl FnOnce(&Sender<T>) -> T + Send + 'static,
) -> anyhow::Result<Option<T>> {
    let (result, ready) = async_channel::bounded(1);
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let done = work(&result);
            // Nobody takes it when the program is ending.
            let _ = result.try_send(done);
        })
        .context("cannot start a thread")?;
    futures_lite::future::block_on(async {
        let ready =
            async { ready.recv().await.map(Some).map_err(|_| anyhow!("the core has panicked, which is a bug in it")) };
        let interrupted = async {
            interrupt.wait().await;
            Ok(None)
        };
        let told = async {
            let mut pace = Timer::interval(TELL_EVERY);
            loop {
                pace.next().await;
                tell();
            }
        };
        interrupted.or(ready).or(told).await
    })
}
