//! Failures and warnings: as text, or with --json as JSON.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::Value;

use super::style::printable;

/// An error of a command, with a hint on how to fix it.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    sqlstate: Option<String>,
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
        let message = message.into();
        Failure { message, detail: None, hint: None, sqlstate: None, kind: Kind::Failed }
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

    /// Adds a hint unless it has one.
    pub(crate) fn or_hint(self, hint: impl Into<String>) -> Self {
        if self.hint.is_some() { self } else { self.hint(hint) }
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
                let _ = match messages_are_json() {
                    true => writeln!(io::stderr(), "{}", self.json()),
                    false => writeln!(io::stderr(), "eventlog: {self}"),
                };
            }
        }
        ExitCode::from(if self.kind == Kind::Usage { 2 } else { 1 })
    }
}

/// Returns true if messages are JSON: for a command with --json.
fn messages_are_json() -> bool {
    static IS_JSON: OnceLock<bool> = OnceLock::new();
    *IS_JSON.get_or_init(|| {
        let options = std::env::args_os().skip(1).take_while(|argument| argument != "--");
        options.into_iter().any(|argument| argument == "--json")
    })
}

/// Prints a warning on standard error, once: commands that look again do not repeat it.
pub(crate) fn warn(message: &str, hint: Option<&str>) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    // Nor with another number: an import says of each part how many events it is about.
    if !said.insert(message.replace(|c: char| c.is_ascii_digit(), "")) {
        return;
    }
    let _ = if messages_are_json() {
        let entries = [("warning", Some(message)), ("hint", hint)];
        writeln!(io::stderr(), "{}", object(entries))
    } else {
        let hint = hint.map(|hint| format!("\nhint: {}", printable(hint))).unwrap_or_default();
        writeln!(io::stderr(), "eventlog: warning: {}{hint}", printable(message))
    };
}

/// Prints what clap has to say: the help, or why the command line is wrong. Returns the exit code.
pub(crate) fn report_usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() || !messages_are_json() {
        let _ = error.print();
        return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
    }
    let text = error.render().to_string();
    // The usage and the pointer to --help follow an empty line.
    let message = text.split("\n\n").next().unwrap_or_default();
    Failure::usage(message.strip_prefix("error: ").unwrap_or(message)).report()
}

/// Makes a JSON object of the entries that have a value, in their order.
fn object<'a>(entries: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> String {
    let entry = |(name, value): (&str, Option<&str>)| {
        Some(format!("{}:{}", Value::from(name), Value::from(value?)))
    };
    let entries: Vec<String> = entries.into_iter().filter_map(entry).collect();
    format!("{{{}}}", entries.join(","))
}

impl Failure {
    fn json(&self) -> String {
        object([
            ("error", Some(self.message.as_str())),
            ("sqlstate", self.sqlstate.as_deref()),
            ("detail", self.detail.as_deref()),
            ("hint", self.hint.as_deref()),
        ])
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.message))?;
        if let Some(sqlstate) = &self.sqlstate {
            write!(f, " (SQLSTATE {sqlstate})")?;
        }
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
                let failure = Failure {
                    sqlstate: Some(code.to_owned()),
                    detail: server.detail().map(str::to_owned),
                    hint: server.hint().map(str::to_owned),
                    ..Failure::new(server.message())
                };
                match (code, server.message()) {
                    ("3F000", r#"schema "eventlog" does not exist"#) => {
                        failure.or_hint("CREATE EXTENSION eventlog;")
                    }
                    ("42P01", text) if text.starts_with(r#"relation "eventlog."#) => {
                        failure.or_hint("SELECT eventlog.create_log();")
                    }
                    _ => failure,
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
