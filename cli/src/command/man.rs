//! `eventlog man`: manual pages.

use std::path::PathBuf;

use clap::{Args, CommandFactory};

use crate::output::Failure;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Folder for the pages, which is made if need be
    folder: PathBuf,
}

/// Writes a page for the program and one for each of its subcommands.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let write = || {
        std::fs::create_dir_all(&arguments.folder)?;
        // Each subcommand has a help option; a subcommand `help` would be a page for each once more.
        let command = crate::Arguments::command().disable_help_subcommand(true);
        clap_mangen::generate_to(command, &arguments.folder)
    };
    write().map_err(|error| {
        Failure::new(format!("cannot write pages into {}: {error}", arguments.folder.display()))
    })
}
