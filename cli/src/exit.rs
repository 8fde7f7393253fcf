//! How the program ends.

use std::process::ExitCode;

/// What became of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done: exit code 0.
    Done,
    /// It was not, and the user has been told why: 1. (2, wrong usage, is clap's.)
    Failed,
    /// `--stop-after` ended it: 3.
    OutOfTime,
    /// Ctrl-C or SIGTERM ended it, in order: 130.
    Interrupted,
}

impl Outcome {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Outcome::Done => 0,
            Outcome::Failed => 1,
            Outcome::OutOfTime => 3,
            Outcome::Interrupted => 130,
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> ExitCode {
        ExitCode::from(outcome.code())
    }
}
