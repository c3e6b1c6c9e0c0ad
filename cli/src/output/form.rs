//! The options that choose the form of rows.

use clap::Args;

use super::terminal::is_terminal;

/// The form in which rows are printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// A table, or the expanded view if it does not fit the terminal.
    Table,
    /// One block per row, one line per value.
    Expanded,
    /// Tab-separated, as COPY writes it.
    Tsv,
    /// Comma-separated, as COPY writes it.
    Csv,
    Json,
}

impl Form {
    /// Returns true for the forms that people read, with local times.
    pub(crate) fn is_for_people(self) -> bool {
        matches!(self, Form::Table | Form::Expanded)
    }
}

/// The options that choose the form of rows.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct FormOptions {
    /// Print JSON; errors and warnings are then JSON too
    #[arg(long, help_heading = "Output", conflicts_with_all = ["csv", "tsv", "expanded", "table"])]
    pub(crate) json: bool,
    /// Print comma-separated values
    #[arg(long, help_heading = "Output", conflicts_with_all = ["tsv", "expanded", "table"])]
    csv: bool,
    /// Print tab-separated values, the default in a pipe or a file
    #[arg(long, help_heading = "Output", conflicts_with_all = ["expanded", "table"])]
    tsv: bool,
    /// Print one line per value, the default on a terminal if a table does not fit
    #[arg(short = 'x', long, help_heading = "Output", conflicts_with = "table")]
    expanded: bool,
    /// Print what a terminal shows, also in a pipe or a file
    #[arg(long, help_heading = "Output")]
    table: bool,
    /// Leave out the names of the columns
    #[arg(long, help_heading = "Output")]
    no_header: bool,
}

impl FormOptions {
    /// Returns the form that was asked for, or else a table on a terminal and tabs elsewhere.
    pub(crate) fn form(&self) -> Form {
        match self {
            FormOptions { json: true, .. } => Form::Json,
            FormOptions { csv: true, .. } => Form::Csv,
            FormOptions { tsv: true, .. } => Form::Tsv,
            FormOptions { expanded: true, .. } => Form::Expanded,
            _ if self.table || is_terminal() => Form::Table,
            _ => Form::Tsv,
        }
    }

    /// Returns true if one of the options was given.
    pub(crate) fn is_asked(&self) -> bool {
        self.json || self.csv || self.tsv || self.expanded || self.table
    }

    pub(crate) fn has_header(&self) -> bool {
        !self.no_header
    }
}
