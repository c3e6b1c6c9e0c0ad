//! Which events a command is about, and in which format a file has them.

use std::path::Path;

use clap::{Args, ValueEnum};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, IsolationLevel, Transaction};
use uuid::Uuid;

use crate::output::{Failure, printable};

/// Whose events.
#[derive(Args, Debug)]
pub(crate) struct Tenant {
    /// The tenant; without, the connection's own
    #[arg(long, env = "EVENTLOG_TENANT", value_name = "UUID")]
    pub(crate) tenant: Option<Uuid>,
}

impl Tenant {
    /// A transaction that reads, of one moment, in which names mean what they say, and whose tenant is this
    /// one where the role has none of its own.
    pub(crate) async fn begin<'a>(
        &self,
        client: &'a mut Client,
    ) -> Result<Transaction<'a>, Failure> {
        let transaction = client.build_transaction();
        let transaction =
            transaction.read_only(true).isolation_level(IsolationLevel::RepeatableRead);
        let transaction = transaction.start().await?;
        transaction
            .batch_execute(
                "SET LOCAL search_path = pg_catalog, pg_temp;
                 SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'postgres';
                 SET LOCAL quote_all_identifiers = off",
            )
            .await?;
        if let Some(tenant) = self.tenant {
            // What a role may read is not for this to say: where the tenant is the role's own, or
            // that of a token, the setting changes nothing.
            transaction
                .query_typed(
                    "SELECT set_config('eventlog.tenant_id', $1, true)",
                    &[(&tenant.to_string(), Type::TEXT)],
                )
                .await?;
        }
        Ok(transaction)
    }

    /// What the server said, and how to name a tenant where none was named.
    pub(crate) fn explain(&self, error: tokio_postgres::Error) -> Failure {
        let is_refused = error.code().is_some_and(|code| code.code() == "42501");
        let failure = Failure::from(error);
        if self.tenant.is_none() && is_refused && !failure.has_text("permission denied") {
            return failure.hint("--tenant UUID, or the variable EVENTLOG_TENANT");
        }
        failure
    }
}

/// Which events.
#[derive(Args, Debug)]
pub(crate) struct Filter {
    #[command(flatten)]
    pub(crate) tenant: Tenant,
    /// Created at this time or later: 2026-01-31, '2026-01-31 12:00+01', yesterday
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) since: Option<String>,
    /// Created before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) until: Option<String>,
    /// Events of these names only, with commas between
    #[arg(long, visible_alias = "name", value_name = "NAMES", value_delimiter = ',')]
    #[arg(value_parser = trimmed)]
    names: Vec<String>,
}

/// One value of a list, without the blanks that stand around commas.
fn trimmed(text: &str) -> Result<String, std::convert::Infallible> {
    Ok(text.trim().to_owned())
}

/// Says on standard error which of these are no event's name, and what is meant perhaps: a report of a
/// misspelt name has no rows, or zeros. The exit code is none of its business, since events may be there
/// whose name was taken off the list.
pub(crate) async fn warn_of_unknown(transaction: &Transaction<'_>, names: &[String]) {
    if names.is_empty() {
        return;
    }
    let sql = "SELECT t.name FROM eventlog.event_types t";
    // A role that may not read them gets no warning, either.
    let Ok(rows) = transaction.query_typed(sql, &[]).await else { return };
    let known: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let is_known = |name: &String| {
        known.iter().any(|other| match other.strip_suffix('*') {
            Some(prefix) => other == name || name.starts_with(prefix),
            None => other == name,
        })
    };
    for name in names.iter().filter(|name| !is_known(name)) {
        let near =
            known.iter().map(|other| (strsim::damerau_levenshtein(name, other), other)).min();
        let hint = near
            .filter(|(distance, _)| *distance <= 3)
            .map(|(_, other)| format!("; did you mean {other}?"))
            .unwrap_or_default();
        let name = printable(name);
        eprintln!("eventlog: warning: the log has no event type of the name \"{name}\"{hint}");
    }
}

impl Filter {
    /// The names, if it is not about all.
    pub(crate) fn names(&self) -> Option<&[String]> {
        (!self.names.is_empty()).then_some(&self.names)
    }
}

/// How a file of events is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Format {
    /// Comma-separated values below a header; null is nothing, the empty text is ""
    Csv,
    /// A JSON object in each line
    Ndjson,
    /// One JSON array of objects
    Json,
}

impl Format {
    /// The format that was asked for, else what the name of the file tells.
    pub(crate) fn of(asked: Option<Format>, path: &Path) -> Result<Self, Failure> {
        if let Some(format) = asked {
            return Ok(format);
        }
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        match ending.to_ascii_lowercase().as_str() {
            "csv" => Ok(Format::Csv),
            "ndjson" | "jsonl" => Ok(Format::Ndjson),
            "json" => Ok(Format::Json),
            _ if is_standard(path) => Ok(Format::Ndjson),
            _ => {
                let message = format!("the name {} does not tell the format", path.display());
                Err(Failure::usage(message).hint("--format csv, ndjson or json"))
            }
        }
    }
}

/// Whether it stands for standard input or output.
pub(crate) fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}
