//! Output of the commands, in one place: rows as a table, an expanded view, tab-separated or
//! comma-separated values or JSON; messages and failures.

mod delimited;
mod expanded;
mod failure;
mod form;
mod json;
mod log;
mod rows;
mod spark;
mod style;
mod table;
mod terminal;

use std::io::{self, Write};

use serde::Serialize;

pub(crate) use self::failure::{Failure, report_usage, warn, with_sources};
pub(crate) use self::form::{Form, FormOptions};
pub(crate) use self::json::line as json_line;
pub(crate) use self::log::log_to_stderr;
pub(crate) use self::rows::{Column, Kind, Row, Rows};
pub(crate) use self::spark::{bar, sparkline};
pub(crate) use self::style::{Colours, Style, one_line, printable};
pub(crate) use self::table::fits;
pub(crate) use self::terminal::{cut, cut_middle, height, is_terminal, width, width_of};

/// Prints a line.
pub(crate) fn print(line: &str) -> Result<(), Failure> {
    Ok(writeln!(io::stdout().lock(), "{line}")?)
}

/// Prints a value as JSON.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value);
    print(&text.map_err(|error| Failure::new(error.to_string()))?)
}

/// Prints rows in the form that the options and the terminal ask for.
pub(crate) fn print_rows(rows: &Rows, options: &FormOptions) -> Result<(), Failure> {
    let text = render(rows, options.form(), options.has_header(), Colours::of_stdout(), width());
    match text.is_empty() {
        true => Ok(()),
        false => print(text.trim_end_matches('\n')),
    }
}

/// Writes rows as text, each line with its end.
pub(crate) fn render(
    rows: &Rows,
    form: Form,
    has_header: bool,
    colours: Colours,
    width: usize,
) -> String {
    let text = match form {
        Form::Json => return json::array(rows),
        Form::Csv => return delimited::csv(rows, has_header),
        Form::Tsv => return delimited::tsv(rows, has_header),
        _ if rows.rows.is_empty() => format!("{}\n", colours.paint(Style::Dim, "no rows")),
        Form::Table => table::fitting(rows, has_header, colours, width)
            .unwrap_or_else(|| expanded::blocks(rows, colours, width)),
        Form::Expanded => expanded::blocks(rows, colours, width),
    };
    let notes = terminal::broken(&printable(&rows.notes.join("; ")), width);
    let notes = notes.iter().filter(|line| !line.is_empty());
    text + &notes.map(|line| colours.paint(Style::Dim, line) + "\n").collect::<String>()
}
