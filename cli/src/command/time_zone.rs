//! The time zone of a command: that of --since and --until, of a report's days, and of times on a terminal.

use std::env;
use std::fs;

use clap::Args;
use tokio_postgres::Transaction;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};

use crate::output::{Failure, Form, Kind, Rows, warn};

#[derive(Args, Debug, Default)]
pub(crate) struct TimeZone {
    /// Time zone, such as Europe/Berlin. Default: PGTZ, TZ or the system's
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
}

impl TimeZone {
    /// Sets the zone for the rest of the transaction, and returns its name. A zone that was not asked for
    /// and that the server does not know is UTC.
    pub(crate) async fn set(&self, transaction: &Transaction<'_>) -> Result<String, Failure> {
        let zone = self.time_zone.clone().unwrap_or_else(local);
        transaction.batch_execute("SAVEPOINT zone").await?;
        let sql = "SELECT pg_catalog.set_config('TimeZone', $1, true)";
        match transaction.query_typed(sql, &[(&zone, Type::TEXT)]).await {
            Ok(_) => return Ok(zone),
            Err(error) if error.code() == Some(&SqlState::INVALID_PARAMETER_VALUE) => {}
            Err(error) => return Err(error.into()),
        }
        if self.time_zone.is_some() {
            let message = format!("the server knows no time zone {zone:?}");
            let hint = "SELECT name FROM pg_timezone_names;";
            return Err(Failure::usage(message).hint(hint));
        }
        transaction.batch_execute("ROLLBACK TO zone; SET LOCAL TimeZone = 'UTC'").await?;
        let message = format!("the server knows no time zone {zone:?}: times are in UTC");
        warn(&message, Some("--time-zone, or the variable PGTZ, names another"));
        Ok("UTC".to_owned())
    }
}

/// Sets the zone in which times are printed: that of the command for people, UTC for programs.
pub(crate) async fn set_for_output(
    transaction: &Transaction<'_>,
    form: Form,
) -> Result<(), Failure> {
    if !form.is_for_people() {
        transaction.batch_execute("SET LOCAL TimeZone = 'UTC'").await?;
    }
    Ok(())
}

/// Writes a SQL expression for a column's text. Times are ISO 8601 for programs. People see seconds; in
/// tables, which have little room, the zone is below the rows (see [`note`]).
pub(crate) fn shown(expression: &str, type_name: &str, form: Form) -> String {
    match type_name {
        _ if form == Form::Json => format!("to_json({expression})::text"),
        type_name if !is_time(type_name) => format!("{expression}::text"),
        _ if form == Form::Table => format!("date_trunc('second', {expression})::timestamp::text"),
        _ if form.is_for_people() => format!("date_trunc('second', {expression})::text"),
        _ => format!("to_json({expression}) #>> '{{}}'"),
    }
}

/// Adds the zone of the times to the notes of a table.
pub(crate) fn note(rows: &mut Rows, zone: &str, form: Form) {
    let is_any = |place: usize| rows.rows.iter().any(|row| row[place].is_some());
    let mut places = rows.columns.iter().enumerate().filter(|(_, it)| it.kind == Kind::Time);
    if form == Form::Table && places.any(|(place, _)| is_any(place)) {
        rows.notes.push(format!("times in {zone}"));
    }
}

/// Returns true for a type of times of day.
pub(crate) fn is_time(type_name: &str) -> bool {
    type_name.starts_with("timestamp")
}

/// Replaces times and dates as the user wrote them, such as `yesterday`, by unambiguous ones, read in the
/// zone of the transaction. Other values stay.
pub(crate) async fn resolve(
    transaction: &Transaction<'_>,
    values: Vec<(&mut String, &str)>,
) -> Result<(), Failure> {
    let is_resolved = |type_name: &str| is_time(type_name) || type_name == "date";
    let mut times: Vec<_> = values.into_iter().filter(|(_, it)| is_resolved(it)).collect();
    if times.is_empty() {
        return Ok(());
    }
    let casts = times.iter().zip(1..).map(|((_, it), place)| format!("${place}::{it}::text"));
    let sql = format!("SELECT {}", casts.collect::<Vec<_>>().join(", "));
    let values: Vec<(String, Type)> =
        times.iter().map(|(text, _)| ((*text).clone(), Type::TEXT)).collect();
    let values: Vec<(&(dyn ToSql + Sync), Type)> =
        values.iter().map(|(text, it)| (text as &(dyn ToSql + Sync), it.clone())).collect();
    let rows = transaction.query_typed(&sql, &values).await?;
    for (place, (text, _)) in times.iter_mut().enumerate() {
        if let Some(row) = rows.first() {
            **text = row.get(place);
        }
    }
    Ok(())
}

/// Returns the name of the local zone, as libpq and the C library find it.
fn local() -> String {
    let variable = |name| env::var(name).ok().filter(|zone: &String| !zone.is_empty());
    let asked = variable("PGTZ").or_else(|| variable("TZ"));
    let asked = asked.map(|zone| zone.trim_start_matches(':').to_owned());
    match asked {
        Some(path) if path.starts_with('/') => of_file(&path),
        Some(zone) => Some(zone),
        None => of_file("/etc/localtime").or_else(|| {
            let text = fs::read_to_string("/etc/timezone").ok()?;
            Some(text.trim().to_owned()).filter(|zone| !zone.is_empty())
        }),
    }
    .unwrap_or_else(|| "UTC".to_owned())
}

/// Returns the name of the zone whose file this is, or to which it links.
fn of_file(path: &str) -> Option<String> {
    let target = fs::canonicalize(path).ok()?;
    let (_, zone) = target.to_str()?.split_once("zoneinfo/")?;
    let zone = zone.trim_start_matches("posix/").trim_start_matches("right/");
    Some(zone.strip_prefix("Etc/").filter(|zone| *zone == "UTC").unwrap_or(zone).to_owned())
}
