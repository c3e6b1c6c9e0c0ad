//! Output of the commands: tables, JSON, colours, failures.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

/// An error of a command, with a hint on how to fix it.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Failed,
    /// The command was used wrongly.
    Usage,
    /// The reader of the output has closed it. Not a failure: `eventlog tail | head` is a good command.
    PipeClosed,
    /// The problems are printed already.
    Said,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Failure { message: message.into(), detail: None, hint: None, kind: Kind::Failed }
    }

    /// Exit code 2: the command was used wrongly.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Failure { kind: Kind::Usage, ..Failure::new(message) }
    }

    /// Exit code 1 without a message: the output shows the problems already.
    pub(crate) fn said() -> Self {
        Failure { kind: Kind::Said, ..Failure::new("") }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Failure { hint: Some(hint.into()), ..self }
    }

    /// Adds a hint after any that it has.
    pub(crate) fn also_hint(self, hint: impl fmt::Display) -> Self {
        let hint = match &self.hint {
            Some(other) => format!("{other}\nhint: {hint}"),
            None => hint.to_string(),
        };
        self.hint(hint)
    }

    /// Puts a place before the message.
    pub(crate) fn at(self, place: impl fmt::Display) -> Self {
        Failure { message: format!("{place}: {}", self.message), ..self }
    }

    pub(crate) fn has_text(&self, text: &str) -> bool {
        self.message.contains(text)
    }

    /// Prints the failure on standard error, and returns the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        match self.kind {
            Kind::PipeClosed => return ExitCode::SUCCESS,
            Kind::Said => {}
            Kind::Failed | Kind::Usage => {
                // If standard error is closed too, the exit code must do.
                let _ = writeln!(io::stderr(), "eventlog: {self}");
            }
        }
        ExitCode::from(if self.kind == Kind::Usage { 2 } else { 1 })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.message))?;
        if let Some(detail) = &self.detail {
            write!(f, "\n{}", printable(detail))?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {}", printable(hint)),
            None => Ok(()),
        }
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(server) => {
                let code = server.code().code();
                let message = format!("{} (SQLSTATE {code})", server.message());
                Failure {
                    detail: server.detail().map(str::to_owned),
                    hint: server.hint().map(str::to_owned),
                    ..Failure::new(message)
                }
            }
            None => Failure::new(with_sources(&error)),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::BrokenPipe => Kind::PipeClosed,
            _ => Kind::Failed,
        };
        Failure { kind, ..Failure::new(error.to_string()) }
    }
}

/// Writes an error and its causes on one line.
pub(crate) fn with_sources(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}

/// Replaces control characters, which could steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    let is_shown = |c: char| !c.is_control() || c == '\n';
    text.chars().map(|c| if is_shown(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// Prints rows as a table that fits the terminal. Numbers are aligned to the right.
pub(crate) fn print_table(header: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    for row in rows {
        table.add_row(row.iter().map(|value| printable(value)));
    }
    for (position, column) in table.column_iter_mut().enumerate() {
        let mut values = rows.iter().filter_map(|row| row.get(position)).filter(|v| !v.is_empty());
        let are_numbers = |value: &String| value.parse::<f64>().is_ok();
        if rows.iter().any(|row| row.get(position).is_some_and(|value| !value.is_empty()))
            && values.all(are_numbers)
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    print(&table.to_string())
}

/// Prints a value as JSON.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value);
    print(&text.map_err(|error| Failure::new(error.to_string()))?)
}

/// Prints a line.
pub(crate) fn print(line: &str) -> Result<(), Failure> {
    Ok(writeln!(io::stdout().lock(), "{line}")?)
}

/// The style of a piece of text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Style {
    Dim,
    Name,
    Good,
    Warning,
    Bad,
}

/// Whether to use colours: on a terminal, unless `NO_COLOR` is set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Colours(bool);

impl Colours {
    pub(crate) fn of_stdout() -> Self {
        let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Colours(io::stdout().is_terminal() && !is_unwanted && !is_dumb)
    }

    /// Puts printable text in a style.
    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Dim => "2",
            Style::Name => "36",
            Style::Good => "32",
            Style::Warning => "33",
            Style::Bad => "31",
        };
        match self.0 {
            true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }
}
