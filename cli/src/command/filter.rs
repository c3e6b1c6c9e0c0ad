//! Options that select events, and the formats of files.

use std::path::Path;

use clap::{Args, ValueEnum};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, IsolationLevel, Transaction};
use uuid::Uuid;

use super::time_zone::{self, TimeZone};
use crate::output::{Failure, warn};
use crate::tenant;

/// The option that names the tenant.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Tenant {
    /// Tenant: a uuid, or a name, which means eventlog.tenant('NAME'). Default: the tenant of the
    /// connection
    #[arg(long, env = "EVENTLOG_TENANT", value_name = "UUID|NAME", value_parser = tenant::parse)]
    tenant: Option<Uuid>,
    /// All tenants, for the log's owner and services
    #[arg(long)]
    all_tenants: bool,
}

impl Tenant {
    /// Returns the tenant that was asked for; that of all ones for all tenants.
    pub(crate) fn id(&self) -> Option<Uuid> {
        match self.all_tenants {
            true => Some(tenant::ALL),
            false => self.tenant,
        }
    }

    /// Returns the tenant that was asked for; none for all tenants.
    pub(crate) fn one(&self) -> Option<Uuid> {
        self.id().filter(|tenant| *tenant != tenant::ALL)
    }

    /// Begins a read-only transaction on one snapshot, with a safe search_path. Its tenant is this one,
    /// unless the role has a tenant of its own.
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
        self.set(&transaction).await?;
        Ok(transaction)
    }

    /// Makes this the tenant of a transaction, and returns it as text. This grants nothing: if the tenant
    /// comes from the role or from a token, the setting has no effect.
    pub(crate) async fn set(
        &self,
        transaction: &Transaction<'_>,
    ) -> Result<Option<String>, Failure> {
        let tenant = self.id().map(|tenant| tenant.to_string());
        if tenant.is_some() {
            transaction
                .query_typed(
                    "SELECT pg_catalog.set_config('eventlog.tenant_id', $1, true)",
                    &[(&tenant, Type::TEXT)],
                )
                .await?;
        }
        Ok(tenant)
    }

    /// Returns the tenant that was asked for; else all tenants for a role that may see their seals, and
    /// for others the tenant of the connection.
    pub(crate) async fn of_seals(&self, transaction: &Transaction<'_>) -> Result<Uuid, Failure> {
        if let Some(tenant) = self.id() {
            return Ok(tenant);
        }
        let sql = "SELECT CASE WHEN eventlog._reads_all_tenants() THEN eventlog.all_tenants()
                               ELSE eventlog.current_tenant() END";
        let rows = transaction.query_typed(sql, &[]).await;
        Ok(rows.map_err(|error| self.explain(error))?[0].get(0))
    }

    /// Turns an error into a failure; if no tenant was given, the hint says how to give one.
    pub(crate) fn explain(&self, error: tokio_postgres::Error) -> Failure {
        let is_refused = error.code().is_some_and(|code| code.code() == "42501");
        let failure = Failure::from(error);
        if self.id().is_none() && is_refused && !failure.has_text("permission denied") {
            return failure.hint("--tenant UUID or NAME, or the variable EVENTLOG_TENANT");
        }
        failure
    }
}

/// The options that select events.
#[derive(Args, Debug)]
pub(crate) struct Filter {
    #[command(flatten)]
    pub(crate) tenant: Tenant,
    /// Only events created at this time or later: 2026-01-31, '2026-01-31 12:00+01', yesterday
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) since: Option<String>,
    /// Only events created before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) until: Option<String>,
    /// Only events of these names, separated by commas
    #[arg(long, visible_alias = "name", value_name = "NAMES", value_delimiter = ',')]
    #[arg(value_parser = trimmed)]
    names: Vec<String>,
    #[command(flatten)]
    pub(crate) time_zone: TimeZone,
}

/// Removes the blanks around a value of a list.
fn trimmed(text: &str) -> Result<String, std::convert::Infallible> {
    Ok(text.trim().to_owned())
}

/// Warns on standard error about names that no event type has, with the nearest one: a report on a
/// misspelt name has no rows, or zeros. It is only a warning, since the log may hold events whose type
/// was removed.
pub(crate) async fn warn_of_unknown(transaction: &Transaction<'_>, names: &[String]) {
    if names.is_empty() {
        return;
    }
    // A log of layout 1 has no aliases.
    let sql = "SELECT t.name FROM eventlog.event_types t
                UNION ALL
               SELECT jsonb_array_elements_text(to_jsonb(t) -> 'aliases') FROM eventlog.event_types t";
    // A role that may not read the names gets no warning.
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
        warn(&format!("there is no event type \"{name}\"{hint}"), None);
    }
}

impl Filter {
    /// Reads the times in the zone of the transaction.
    pub(crate) async fn resolve_times(
        &mut self,
        transaction: &Transaction<'_>,
    ) -> Result<(), Failure> {
        let times = [&mut self.since, &mut self.until].into_iter().flatten();
        let times = times.map(|time| (time, "timestamp with time zone")).collect();
        time_zone::resolve(transaction, times).await
    }

    /// Replaces aliases by the names under which their events are stored.
    pub(crate) async fn resolve_names(
        &mut self,
        transaction: &Transaction<'_>,
    ) -> Result<(), Failure> {
        if self.names.is_empty() {
            return Ok(());
        }
        let has_aliases = "SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
                            WHERE n.nspname = 'eventlog' AND p.proname = '_name_of'";
        if transaction.query_typed(has_aliases, &[]).await?.is_empty() {
            return Ok(());
        }
        let sql = "SELECT eventlog._name_of(n.name)
                     FROM unnest($1) WITH ORDINALITY AS n (name, place) ORDER BY n.place";
        let rows = transaction.query_typed(sql, &[(&self.names, Type::TEXT_ARRAY)]).await?;
        self.names = rows.iter().map(|row| row.get(0)).collect();
        Ok(())
    }

    /// Returns the names, or `None` for all.
    pub(crate) fn names(&self) -> Option<&[String]> {
        (!self.names.is_empty()).then_some(&self.names)
    }
}

/// The format of a file of events.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Format {
    /// Comma-separated values with a header; null is empty, the empty text is ""
    Csv,
    /// One JSON object per line
    Ndjson,
    /// One JSON array of objects
    Json,
}

impl Format {
    /// Returns the format that was asked for, or else the one of the file's name.
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
                let message = format!("cannot tell the format from the name {}", path.display());
                Err(Failure::usage(message).hint("--format csv, ndjson or json"))
            }
        }
    }
}

/// Returns true for `-`, which stands for standard input or output.
pub(crate) fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Reads the seconds between two looks.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.05..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("must be a number from 0.05 to 3600".to_owned()),
    }
}

/// Reads a number of rows.
pub(crate) fn count(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "must be a whole number".to_owned())
}
