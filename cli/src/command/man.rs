//! `eventlog man`: writes manual pages.

use std::path::PathBuf;

use clap::{Args, Command};

use crate::output::Failure;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Folder for the pages; it is created if it does not exist
    folder: PathBuf,
}

/// Writes a page for the program and one for each of its subcommands.
pub(crate) fn run(arguments: &Arguments, program: Command) -> Result<(), Failure> {
    let write = || {
        std::fs::create_dir_all(&arguments.folder)?;
        // The subcommand `help` would repeat the page of each other one.
        clap_mangen::generate_to(program.disable_help_subcommand(true), &arguments.folder)
    };
    write().map_err(|error| {
        Failure::new(format!("cannot write pages to {}: {error}", arguments.folder.display()))
    })
}
