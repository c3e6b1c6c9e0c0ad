//! The log of programs that run on.

use std::fmt;
use std::io::{self, IsTerminal};

use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format;

/// Writes the log to standard error.
pub(crate) fn log_to_stderr() {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .fmt_fields(format::debug_fn(field).delimited(" "))
        .init();
}

/// Writes a part of a log line. Clients choose some of it, such as the name of an event; without control
/// characters they cannot forge a line.
fn field(
    line: &mut format::Writer<'_>,
    field: &tracing::field::Field,
    value: &dyn fmt::Debug,
) -> fmt::Result {
    let value = format!("{value:?}").replace(char::is_control, " ");
    match field.name() {
        "message" => line.write_str(&value),
        name => write!(line, "{name}={value}"),
    }
}
