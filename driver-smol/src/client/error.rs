//! What can go wrong with a client.

use crate::engine::notices::End;
use parcacik_core::border::{CommandError, ConfigError};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The client has ended.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// It was stopped.
    #[error("the client has been stopped")]
    Stopped,
    /// The core broke one of its own rules. That is a bug: a recording of the session shows it.
    #[error("the core has failed, which is a bug in it: {0}")]
    Broken(String),
    /// It did not stop in order within the limit, and was stopped regardless.
    #[error("stopping took too long; trackers may not have been told")]
    TimedOut,
}

impl From<End> for ClientError {
    fn from(end: End) -> ClientError {
        match end {
            End::Stopped => ClientError::Stopped,
            End::Broken(why) => ClientError::Broken(why),
        }
    }
}

/// A command was not carried out.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum CommandFailure {
    /// The session said no.
    #[error("{0}")]
    Refused(#[source] CommandError),
    /// The client has ended.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// A client or a tracker could not be started.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The operating system has no randomness to give.
    #[error("cannot draw random numbers: {0}")]
    Seeds(getrandom::Error),
    /// The state folder cannot be used.
    #[error("cannot use the state folder {path}: {error}", path = path.display())]
    State {
        /// The folder.
        path: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// The thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
    /// An address could not be listened on.
    #[error("cannot listen on {addr}: {error}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why not.
        #[source]
        error: CommandError,
    },
    /// A socket could not be opened.
    #[error("cannot listen on {addr}: {error}")]
    Socket {
        /// The address.
        addr: SocketAddr,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// The client ended while it was starting.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// A torrent could not be added or moved.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// The download folder cannot be made or opened.
    #[error("cannot use the folder {path}: {error}", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// The session said no.
    #[error("{0}")]
    Refused(#[source] CommandError),
    /// The client has ended.
    #[error(transparent)]
    Client(#[from] ClientError),
}
