//! Pausing, checking, moving, goals and the queue.

use super::{AddError, Client, CommandFailure, refusal};
use crate::engine::Machine;
use parcacik_core::border::{Command, Notice, QueuePlace, SeedGoal, TorrentId};
use std::path::Path;

impl<M: Machine> Client<M> {
    /// Pauses a torrent: its connections end and trackers are told. When `graceful`, what has been asked for comes first, for a
    /// while.
    ///
    /// # Errors
    /// [`CommandFailure::Refused`] when there is no such torrent, or it is stopping.
    pub async fn pause(&self, torrent: TorrentId, graceful: bool) -> Result<(), CommandFailure> {
        self.carry_out(Command::Pause { torrent, graceful }).await
    }

    /// Lets a paused torrent go on.
    ///
    /// # Errors
    /// As [`Client::pause`].
    pub async fn resume(&self, torrent: TorrentId) -> Result<(), CommandFailure> {
        self.carry_out(Command::Resume { torrent }).await
    }

    /// Has all of a torrent that is on the disk hashed, after which it goes on. Returns when that has begun.
    ///
    /// # Errors
    /// As [`Client::pause`].
    pub async fn recheck(&self, torrent: TorrentId) -> Result<(), CommandFailure> {
        self.carry_out(Command::Recheck { torrent }).await
    }

    /// Moves a torrent's files to another folder, which is made if it does not exist. Returns when that is done, which may
    /// take long where they have to be copied.
    ///
    /// # Errors
    /// [`AddError::Folder`] when the folder cannot be made or opened, [`AddError::Refused`] when the torrent cannot be moved
    /// (now, or there); everything is as it was then.
    pub async fn move_to(&self, torrent: TorrentId, dir: impl AsRef<Path>) -> Result<(), AddError> {
        let root = self.root(dir.as_ref()).await?;
        match self.ask(Command::Move { torrent, root }).await? {
            Notice::CommandDone { .. } => Ok(()),
            other => Err(AddError::Refused(refusal(other))),
        }
    }

    /// Changes when a torrent is done.
    ///
    /// # Errors
    /// As [`Client::pause`].
    pub async fn set_goal(&self, torrent: TorrentId, goal: SeedGoal) -> Result<(), CommandFailure> {
        self.carry_out(Command::SetGoal { torrent, goal }).await
    }

    /// Changes whether the session's queue decides when a torrent runs.
    ///
    /// # Errors
    /// [`CommandFailure::Refused`] when there is no such torrent.
    pub async fn set_managed(&self, torrent: TorrentId, managed: bool) -> Result<(), CommandFailure> {
        self.carry_out(Command::SetManaged { torrent, managed }).await
    }

    /// Changes a torrent's place in the queue.
    ///
    /// # Errors
    /// As [`Client::set_managed`].
    pub async fn set_place(&self, torrent: TorrentId, place: QueuePlace) -> Result<(), CommandFailure> {
        self.carry_out(Command::SetPlace { torrent, place }).await
    }
}
