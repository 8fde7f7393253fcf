//! Recordings in files.
//!
//! ```no_run
//! use parcacik_core::journal::{Secret, replay};
//! use parcacik_driver_smol::record::record_to;
//! use parcacik_driver_smol::{Client, ClientConfig};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut config = ClientConfig::default();
//! let recording = record_to("session.parjrn", &mut config, Secret::Keep)?;
//! let client = Client::start(config)?;
//! // ...
//! futures_lite::future::block_on(client.shutdown())?;
//! match recording.fault() {
//!     None => println!("{} events", replay(&std::fs::read("session.parjrn")?)?.events),
//!     Some(error) => eprintln!("the recording ends early: {error}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A file that cannot be written on ends the recording and never the session: what is in it so far can be replayed, and a mark behind it says that it was given
//! up, if there is room for that. Writes are gathered ([`BUFFER`]) and go to the operating system's cache from the engine's thread, which a slow disk reaches
//! only when that cache is full. The file is for its owner alone: it holds addresses of peers and, unless it is left out, the secret seed. Content is never in it.

use crate::client::{ClientConfig, draw_seeds};
use crate::engine::Recorder;
use parcacik_core::border::{Actions, Config, Event};
use parcacik_core::journal::{self, Digest, GIVEN_UP, Secret, Sink, whole_frames};
use parcacik_core::rng::Seeds;
use parcacik_core::time::Time;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Seek as _, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(test)]
mod tests;

/// How much is gathered before it is written: 256 KiB, some thousand events.
pub const BUFFER: usize = 256 << 10;

/// Has the client that is made with `config` record itself to a new file. Seeds are drawn when there are none yet.
///
/// # Errors
/// The file exists or cannot be made, or its first bytes not be written; no seeds can be had. `config` is as it was then.
pub fn record_to(path: impl AsRef<Path>, config: &mut ClientConfig, secret: Secret) -> io::Result<Recording> {
    let seeds = match &config.seeds {
        Some(seeds) => seeds.clone(),
        None => draw_seeds().map_err(io::Error::other)?,
    };
    let (recorder, recording) = FileRecorder::create(path, &config.core, &seeds, secret)?;
    config.seeds = Some(seeds);
    config.recorder = Some(Box::new(recorder));
    Ok(recording)
}

/// How a recording is doing, for whoever started it.
#[derive(Clone, Debug, Default)]
pub struct Recording(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    fault: Option<(io::ErrorKind, String)>,
    ended: Option<(u64, Digest)>,
}

impl Recording {
    /// Why it was given up; `None`: it was not.
    pub fn fault(&self) -> Option<io::Error> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.fault.as_ref().map(|(kind, text)| io::Error::new(*kind, text.clone()))
    }

    /// What the session came to, when it has ended and all of it is in the file.
    pub fn digest(&self) -> Option<Digest> {
        self.ended().map(|(_, digest)| digest)
    }

    /// How many events there were, under the same condition.
    pub fn events(&self) -> Option<u64> {
        self.ended().map(|(events, _)| events)
    }

    fn ended(&self) -> Option<(u64, Digest)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).ended
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// What a recording can be written to.
pub trait Target: Write {
    /// Takes back everything behind the first `length` bytes. What is written next comes there.
    ///
    /// # Errors
    /// It cannot be done: it is all left as it is.
    fn cut_back(&mut self, length: u64) -> io::Result<()>;
}

impl Target for File {
    fn cut_back(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.seek(SeekFrom::Start(length)).map(drop)
    }
}

/// Writes a recording to a file as it grows.
#[derive(Debug)]
pub struct FileRecorder<W: Target = File> {
    /// `None` when it has ended, well or not.
    open: Option<(journal::Recorder, Gather<W>)>,
    status: Recording,
}

/// Gathers what is written, and remembers the first fault.
#[derive(Debug)]
struct Gather<W> {
    to: W,
    /// Whole frames.
    buffer: Vec<u8>,
    /// How many bytes have been written before.
    written: u64,
    fault: Option<io::Error>,
}

impl<W: Target> Gather<W> {
    fn flush(&mut self) {
        if self.fault.is_none() {
            let (taken, fault) = write_most(&mut self.to, &self.buffer);
            if fault.is_some() {
                self.mark(taken);
            }
            self.written += taken as u64;
            self.fault = fault;
        }
        self.buffer.clear();
    }

    /// Ends a file that takes no more, of the buffer `taken` bytes so far, with the mark that it was given up. Frames that it takes the place of are lost.
    fn mark(&mut self, taken: usize) {
        let room = taken.saturating_sub(GIVEN_UP.len());
        let whole = whole_frames(&self.buffer[..room.min(self.buffer.len())]);
        // Without it the recording is one that was cut off, and replays all the same.
        if self.to.cut_back(self.written + whole as u64).is_ok()
            && let Err(fault) = self.to.write_all(GIVEN_UP)
        {
            tracing::debug!(%fault, "no room for the mark of a recording that was given up");
        }
    }
}

/// Writes as much as can be: how much that was, and what stopped it.
fn write_most(to: &mut impl Write, bytes: &[u8]) -> (usize, Option<io::Error>) {
    let mut taken = 0;
    while taken < bytes.len() {
        match to.write(&bytes[taken..]) {
            Ok(0) => return (taken, Some(ErrorKind::WriteZero.into())),
            Ok(more) => taken += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (taken, Some(error)),
        }
    }
    (taken, None)
}

impl<W: Target> Sink for Gather<W> {
    fn put(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER {
            self.flush();
        }
    }
}

impl FileRecorder {
    /// Begins a recording of a session that will be made with this configuration and these seeds, in a new file that only its owner
    /// may read.
    ///
    /// # Errors
    /// The file exists or cannot be made, or its first bytes not be written.
    pub fn create(
        path: impl AsRef<Path>,
        config: &Config,
        seeds: &Seeds,
        secret: Secret,
    ) -> io::Result<(FileRecorder, Recording)> {
        let path = path.as_ref();
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        FileRecorder::new(file, config, seeds, secret).inspect_err(|_| {
            // It has just been made: nobody misses it.
            if let Err(fault) = std::fs::remove_file(path) {
                tracing::debug!(%fault, "an empty recording stays");
            }
        })
    }
}

impl<W: Target> FileRecorder<W> {
    /// The same, to anything that can be written to.
    ///
    /// # Errors
    /// The first bytes cannot be written.
    pub fn new(to: W, config: &Config, seeds: &Seeds, secret: Secret) -> io::Result<(FileRecorder<W>, Recording)> {
        let mut gather = Gather { to, buffer: Vec::with_capacity(BUFFER), written: 0, fault: None };
        let recorder = journal::Recorder::new(config, seeds, secret, &mut gather);
        // At once: a disk that takes nothing is told before the session starts.
        gather.flush();
        if let Some(fault) = gather.fault.take() {
            return Err(fault);
        }
        let status = Recording::default();
        Ok((FileRecorder { open: Some((recorder, gather)), status: status.clone() }, status))
    }

    fn give_up(&mut self, fault: &io::Error) {
        tracing::warn!(%fault, "the recording ends early");
        self.open = None;
        self.status.change(|state| state.fault = Some((fault.kind(), fault.to_string())));
    }
}

impl<W: Target + Send> Recorder for FileRecorder<W> {
    fn event(&mut self, now: Time, event: &Event, actions: &Actions) {
        let Some((recorder, gather)) = &mut self.open else { return };
        recorder.record(now, event, actions, gather);
        if let Some(fault) = gather.fault.take() {
            self.give_up(&fault);
        }
    }

    fn state_is_due(&self) -> bool {
        self.open.as_ref().is_some_and(|(recorder, _)| recorder.state_is_due())
    }

    fn state(&mut self, state: &journal::State) {
        let Some((recorder, gather)) = &mut self.open else { return };
        recorder.state(state, gather);
        if let Some(fault) = gather.fault.take() {
            self.give_up(&fault);
        }
    }

    fn finish(&mut self) {
        let Some((recorder, mut gather)) = self.open.take() else { return };
        let events = recorder.events();
        let digest = recorder.finish(&mut gather);
        gather.flush();
        match gather.fault.or_else(|| gather.to.flush().err()) {
            None => self.status.change(|state| state.ended = Some((events, digest))),
            Some(fault) => self.give_up(&fault),
        }
    }
}

impl<W: Target> Drop for FileRecorder<W> {
    /// What has been gathered is stored, as a recording without its end.
    fn drop(&mut self) {
        if let Some((_, gather)) = &mut self.open {
            gather.flush();
        }
    }
}
