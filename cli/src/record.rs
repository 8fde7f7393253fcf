//! Recordings of sessions (`--record`), for `replay`.

use anyhow::Context as _;
use parcacik_core::border::{Actions, Config, Event};
use parcacik_core::journal;
use parcacik_core::rng::Seeds;
use parcacik_core::time::Time;
use parcacik_driver_smol::Recorder;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// How much is written at once: the engine's thread waits for it.
const BUFFER: usize = 256 << 10;

/// A recording under way. What became of it is known when the client has been shut down.
#[derive(Debug)]
pub struct Recording {
    path: PathBuf,
    outcome: Arc<Mutex<Option<Outcome>>>,
}

type Outcome = io::Result<(u64, journal::Digest)>;

/// Starts a recording in a new file. The session must be made with this configuration and the seeds given back.
///
/// The file is its owner's alone: it names peers and torrents, and holds the session's secret seed.
///
/// # Errors
/// When the file exists or cannot be made.
pub fn start(path: &Path, config: &Config) -> anyhow::Result<(Recording, Box<dyn Recorder>, Seeds)> {
    let mut seeds = Seeds { decision: [0; 32], secret: [0; 32] };
    getrandom::fill(&mut seeds.decision)?;
    getrandom::fill(&mut seeds.secret)?;
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot make the recording {}; name a new file", path.display()))?;
    let mut sink = Sink { file: BufWriter::with_capacity(BUFFER, file), fault: None };
    let recorder = journal::Recorder::new(config, &seeds, journal::Secret::Keep, &mut sink);
    let outcome = Arc::default();
    let recording = Recording { path: path.to_owned(), outcome: Arc::clone(&outcome) };
    Ok((recording, Box::new(ToFile { recorder: Some(recorder), sink, outcome }), seeds))
}

impl Recording {
    /// What became of it, in words.
    ///
    /// # Errors
    /// When it could not be written whole. What was written can be replayed as far as it goes.
    pub fn finish(self) -> anyhow::Result<String> {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        let path = self.path.display();
        match outcome {
            Some(Ok((events, digest))) => Ok(format!("{path}: {events} events recorded, digest {digest}")),
            Some(Err(error)) => Err(error).with_context(|| format!("the recording {path} is not whole")),
            None => anyhow::bail!("the recording {path} is not whole: the session did not end in order"),
        }
    }
}

/// Writes until something fails; a recording must never stop a session.
struct Sink {
    file: BufWriter<File>,
    fault: Option<io::Error>,
}

impl journal::Sink for Sink {
    fn put(&mut self, bytes: &[u8]) {
        if self.fault.is_none() {
            self.fault = self.file.write_all(bytes).err();
        }
    }
}

struct ToFile {
    /// `None` when it has been finished.
    recorder: Option<journal::Recorder>,
    sink: Sink,
    outcome: Arc<Mutex<Option<Outcome>>>,
}

impl Recorder for ToFile {
    fn event(&mut self, now: Time, event: &Event, actions: &Actions) {
        if let Some(recorder) = &mut self.recorder {
            recorder.record(now, event, actions, &mut self.sink);
        }
    }

    fn finish(&mut self) {
        let Some(recorder) = self.recorder.take() else { return };
        let events = recorder.events();
        let digest = recorder.finish(&mut self.sink);
        let flushed = self.sink.fault.take().map_or_else(|| self.sink.file.flush(), Err);
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(flushed.map(|()| (events, digest)));
    }
}
