//! `eventlog man`: manual pages.

use std::path::PathBuf;

use clap::{Args, Command};

use crate::output::Failure;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Folder for the pages; it is made if need be
    folder: PathBuf,
}

/// Writes a page for the program and one for each of its subcommands.
pub(crate) fn run(arguments: &Arguments, program: Command) -> Result<(), Failure> {
    let write = || {
        std::fs::create_dir_all(&arguments.folder)?;
        // A subcommand `help` would be a page for each of the others once more.
        clap_mangen::generate_to(program.disable_help_subcommand(true), &arguments.folder)
    };
    write().map_err(|error| {
        Failure::new(format!("cannot write pages into {}: {error}", arguments.folder.display()))
    })
}
