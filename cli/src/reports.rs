//! The reports of the log, as `eventlog.reports()` lists them: a function that is new in the extension
//! is at once a report of the command line and a route of the gateway.

use serde::Deserialize;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

/// Selects the list, for [`Report::from_row`].
pub(crate) const LIST: &str =
    "SELECT name, description, arguments::pg_catalog.text, columns::pg_catalog.text
   FROM eventlog.reports()";

/// A function that reads one tenant's events.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) columns: Vec<Column>,
}

/// An argument of a report.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Argument {
    pub(crate) name: String,
    /// The type as SQL writes it, with its schema unless that is `pg_catalog`.
    #[serde(rename = "type")]
    pub(crate) type_name: String,
    pub(crate) is_required: bool,
    /// The default as a SQL expression.
    pub(crate) default: Option<String>,
}

/// A column of a report's rows.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) type_name: String,
}

impl Report {
    /// Reads a row of [`LIST`]. Returns `None` for a function whose columns have no names.
    pub(crate) fn from_row(
        row: &Row,
    ) -> Result<Option<Self>, Box<dyn std::error::Error + Send + Sync>> {
        let description: Option<String> = row.try_get(1)?;
        let (arguments, columns): (String, Option<String>) = (row.try_get(2)?, row.try_get(3)?);
        let Some(columns) = columns else { return Ok(None) };
        Ok(Some(Report {
            name: row.try_get(0)?,
            description: description.unwrap_or_default(),
            arguments: serde_json::from_str(&arguments)?,
            columns: serde_json::from_str(&columns)?,
        }))
    }

    pub(crate) fn argument(&self, name: &str) -> Option<&Argument> {
        self.arguments.iter().find(|argument| argument.name == name)
    }

    /// Writes the call of the function. The first argument's value is the parameter `$first`.
    pub(crate) fn call<'a>(
        &self,
        arguments: impl IntoIterator<Item = &'a Argument>,
        first: usize,
    ) -> String {
        let arguments: Vec<String> = arguments
            .into_iter()
            .zip(first..)
            .map(|(argument, place)| argument.assignment(place))
            .collect();
        format!("eventlog.{}({})", quoted(&self.name), arguments.join(", "))
    }
}

impl Argument {
    fn assignment(&self, place: usize) -> String {
        format!("{} => ${place}::{}", quoted(&self.name), self.type_name)
    }
}

impl Column {
    /// Returns true for the id of an event. The gateway serves it as text, since a number of JavaScript
    /// has 53 bits.
    pub(crate) fn is_id(&self) -> bool {
        self.type_name == "bigint" && (self.name == "id" || self.name.ends_with("_id"))
    }
}

/// Returns true if [`LIST`] failed because the database has no extension eventlog, or an older one.
pub(crate) fn is_outdated(error: &(dyn std::error::Error + 'static)) -> bool {
    let code = error.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::code);
    matches!(code, Some(&SqlState::INVALID_SCHEMA_NAME | &SqlState::UNDEFINED_FUNCTION))
}

/// Quotes an identifier for SQL.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns the first sentence of a comment: up to a full stop, colon or semicolon outside of brackets.
pub(crate) fn first_sentence(comment: &str) -> &str {
    let mut depth = 0;
    for (at, c) in comment.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            '.' | ':' | ';' if depth == 0 && comment[at + 1..].starts_with(' ') => {
                return &comment[..at];
            }
            _ => {}
        }
    }
    comment.trim_end_matches('.')
}
