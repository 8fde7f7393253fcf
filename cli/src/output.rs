//! What is printed, and where: results to stdout, everything else to stderr.

use crate::values::clean;
use indicatif::MultiProgress;
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

/// How much is said. Lines that go by here do not tear progress bars.
#[derive(Debug)]
pub struct Output {
    quiet: bool,
    verbose: u8,
    /// Whether stderr is a terminal, where bars can be drawn.
    terminal: bool,
    bars: MultiProgress,
}

impl Output {
    /// `verbose` counts `-v`.
    pub fn new(quiet: bool, verbose: u8) -> Output {
        Output { quiet, verbose, terminal: io::stderr().is_terminal(), bars: MultiProgress::new() }
    }

    /// Whether only results and errors are printed.
    pub fn quiet(&self) -> bool {
        self.quiet
    }

    /// Whether bars can be drawn.
    pub fn terminal(&self) -> bool {
        self.terminal
    }

    /// Where bars belong.
    pub fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// A line of the result.
    ///
    /// # Errors
    /// When stdout cannot be written, as when the reader of a pipe has gone.
    pub fn result(&self, line: impl Display) -> io::Result<()> {
        self.bars.suspend(|| {
            let mut stdout = io::stdout().lock();
            writeln!(stdout, "{line}")?;
            stdout.flush()
        })
    }

    /// Bytes of the result as they are. On a terminal: as text that cannot steer it, with its line breaks.
    ///
    /// # Errors
    /// As [`Output::result`].
    pub fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        if io::stdout().is_terminal() {
            let text = String::from_utf8_lossy(bytes);
            return self.result(text.lines().map(clean).collect::<Vec<_>>().join("\n"));
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()
    }

    /// A JSON object of the result, on a line of its own.
    ///
    /// # Errors
    /// As [`Output::result`].
    pub fn json(&self, value: &impl Serialize) -> io::Result<()> {
        self.result(serde_json::to_string(value).map_err(io::Error::other)?)
    }

    /// Something that the user may want to know; not with `-q`.
    pub fn say(&self, line: impl Display) {
        if !self.quiet {
            self.stderr(line);
        }
    }

    /// A detail: with `-v` only.
    pub fn detail(&self, line: impl Display) {
        self.detail_at(1, line);
    }

    /// A detail that is told with so many `-v`.
    pub fn detail_at(&self, level: u8, line: impl Display) {
        if self.verbose >= level && !self.quiet {
            self.stderr(line);
        }
    }

    /// Something that is wrong, but ends nothing.
    pub fn warn(&self, line: impl Display) {
        self.say(format_args!("warning: {line}"));
    }

    /// Why the job was not done, with its causes; gives what was told.
    pub fn error(&self, error: &anyhow::Error) -> String {
        let mut text = String::new();
        for cause in error.chain().map(ToString::to_string) {
            // Some errors tell their cause in their own text.
            if !text.ends_with(&cause) {
                text.push_str(if text.is_empty() { "" } else { ": " });
                text.push_str(&cause);
            }
        }
        self.fault(&text);
        text
    }

    /// Why a part of the job was not done.
    pub fn fault(&self, text: impl Display) {
        self.stderr(format_args!("error: {text}"));
    }

    fn stderr(&self, line: impl Display) {
        // A name in it may be a stranger's. Lines of our own are given one by one, or broken on purpose.
        let text = line.to_string();
        let text: Vec<String> = text.split('\n').map(clean).collect();
        // Nothing can be done, nor told, when stderr is gone.
        self.bars.suspend(|| {
            let _ = writeln!(io::stderr(), "{}", text.join("\n"));
        });
    }
}

/// Whether an error is that stdout is read no more.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe))
}
