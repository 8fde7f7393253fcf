//! Recordings of sessions (`--record`), for `replay`.

use crate::output::Output;
use anyhow::Context as _;
use parcacik_core::journal::Secret;
use parcacik_driver_smol::ClientConfig;
use parcacik_driver_smol::record::{self, record_to};
use std::path::{Path, PathBuf};

/// A recording under way. What became of it is known when the client has been shut down.
#[derive(Debug)]
pub struct Recording {
    path: PathBuf,
    status: record::Recording,
}

/// Has the client that is made with this configuration record itself in a new file.
///
/// The file is its owner's alone: it names peers and torrents, and holds the session's secret seed.
///
/// # Errors
/// When the file exists or cannot be made, or its first bytes not be written.
pub fn start(path: &Path, config: &mut ClientConfig) -> anyhow::Result<Recording> {
    let status = record_to(path, config, Secret::Keep)
        .with_context(|| format!("cannot make the recording {}; name a new file", path.display()))?;
    Ok(Recording { path: path.to_owned(), status })
}

impl Recording {
    /// Tells what became of it. A recording that is not whole makes nothing else fail: what is in it can be replayed as far as it goes.
    pub fn finish(self, output: &Output) {
        let path = self.path.display();
        match (self.status.events().zip(self.status.digest()), self.status.fault()) {
            (Some((events, digest)), _) => {
                output.say(format_args!("{path}: {events} events recorded, digest {digest}"));
            }
            (None, Some(fault)) => output.warn(format_args!("the recording {path} is not whole: {fault}")),
            (None, None) => {
                output.warn(format_args!("the recording {path} is not whole: the session did not end in order"));
            }
        }
    }
}
