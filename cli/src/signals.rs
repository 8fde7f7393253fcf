//! Ctrl-C and SIGTERM: the first asks for a clean stop, the second ends the program at once.

use crate::exit::Outcome;
use anyhow::Context as _;
use async_channel::{Receiver, Sender};
use async_signal::{Signal, Signals};
use futures_lite::StreamExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether somebody wants the program to stop. Clones are told together.
#[derive(Clone, Debug)]
pub struct Interrupt {
    asked: Arc<AtomicBool>,
    /// Closed by the first signal.
    closed: Receiver<()>,
}

impl Interrupt {
    /// Takes signals from now on, on a thread of its own.
    pub fn listen() -> anyhow::Result<Interrupt> {
        let signals = Signals::new([Signal::Int, Signal::Term]).context("cannot listen for Ctrl-C")?;
        let (open, closed) = async_channel::bounded(1);
        let asked = Arc::new(AtomicBool::new(false));
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn({
                let asked = Arc::clone(&asked);
                move || futures_lite::future::block_on(take(signals, &asked, open))
            })
            .context("cannot start a thread")?;
        Ok(Interrupt { asked, closed })
    }

    /// Whether a signal has come.
    pub fn asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Waits for the first signal; ends at once when it has come already.
    pub async fn wait(&self) {
        // Nothing is ever sent: this is the error of a closed channel.
        let _ = self.closed.recv().await;
    }
}

async fn take(mut signals: Signals, asked: &AtomicBool, open: Sender<()>) {
    while let Some(signal) = signals.next().await {
        if signal.is_err() {
            continue;
        }
        if asked.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(Outcome::Interrupted.code()));
        }
        open.close();
    }
}
