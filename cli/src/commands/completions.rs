//! `completions`: what a shell needs to complete our arguments.

use crate::args::{Cli, CompletionsArgs};
use crate::exit::Outcome;
use crate::output::Output;
use clap::CommandFactory as _;

/// Runs the command.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(args: &CompletionsArgs, output: &Output) -> anyhow::Result<Outcome> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut text);
    output.result(String::from_utf8(text)?.trim_end())?;
    Ok(Outcome::Done)
}
