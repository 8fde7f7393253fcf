//! `man`: manual pages, made of the help texts.

use crate::args::{Cli, ManArgs};
use crate::exit::Outcome;
use crate::output::Output;
use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use std::fs;
use std::path::Path;

/// Runs the command.
///
/// # Errors
/// When the pages cannot be written.
pub fn run(args: &ManArgs, output: &Output) -> anyhow::Result<Outcome> {
    // Without `help`, which says the same as `--help` of each.
    let command = Cli::command().disable_help_subcommand(true);
    match &args.dir {
        None => output.result(page(command)?.trim_end())?,
        Some(dir) => {
            fs::create_dir_all(dir).with_context(|| format!("cannot make the folder {}", dir.display()))?;
            let called = command.get_name().to_owned();
            write_all(dir, command, &called)?;
        }
    }
    Ok(Outcome::Done)
}

/// Writes the page of a command, and those of the commands below it.
fn write_all(dir: &Path, command: Command, called: &str) -> anyhow::Result<()> {
    write(dir, command.clone())?;
    for sub in command.get_subcommands() {
        let name: &'static str = format!("{}-{}", command.get_name(), sub.get_name()).leak();
        let called: &'static str = format!("{called} {}", sub.get_name()).leak();
        write_all(dir, sub.clone().name(name).bin_name(called).disable_help_subcommand(true), called)?;
    }
    Ok(())
}

fn write(dir: &Path, command: Command) -> anyhow::Result<()> {
    let path = dir.join(format!("{}.1", command.get_name()));
    let text = page(command)?;
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn page(command: Command) -> anyhow::Result<String> {
    let mut text = Vec::new();
    Man::new(command).source(concat!("Parçacık ", env!("CARGO_PKG_VERSION"))).render(&mut text)?;
    Ok(String::from_utf8(text)?)
}
