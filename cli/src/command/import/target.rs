//! The log that rows go into, a batch a transaction.

use std::ops::Range;
use std::path::Path;

use bytes::Bytes;
use futures_util::SinkExt;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Transaction};

use super::row::{Batch, COLUMNS, Lines};
use crate::connection::as_owner;
use crate::output::Failure;

pub(super) struct Target {
    client: Client,
    /// The table that rows go through, named after the file: what the quarantine says of them has it.
    table: String,
    is_made: bool,
}

/// What became of a batch.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) imported: u64,
    pub(super) already_there: u64,
    /// Lines of the file, and why.
    pub(super) rejected: Vec<(u64, String)>,
}

/// What was staged and is not in the log, and why not. The quarantine may know of an event of the same
/// file and id that was refused before: it is told once.
const REJECTED: &str = "
    SELECT s.line, q.sqlstate, q.reason
      FROM pg_temp.{table} s
      LEFT JOIN (SELECT DISTINCT ON (r.idempotency_key) r.idempotency_key, r.sqlstate, r.reason
                   FROM eventlog.rejected_events r WHERE starts_with(r.idempotency_key, $1)
                  ORDER BY r.idempotency_key, r.id DESC) q ON q.idempotency_key = $1 || s.id
     WHERE NOT EXISTS (SELECT FROM eventlog.events e WHERE e.id = s.id AND e.created_at = s.created_at)
     ORDER BY s.line";

impl Target {
    pub(super) fn new(client: Client, file: &Path) -> Self {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let stem: String = stem
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .take(40)
            .collect();
        Target { client, table: format!("import_{stem}"), is_made: false }
    }

    /// Imports a batch, all of it or nothing.
    pub(super) async fn import(&mut self, batch: Batch) -> Result<Outcome, Failure> {
        let mut transaction = as_owner(&mut self.client, "events").await?;
        let table = &self.table;
        transaction
            .batch_execute(
                "SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD';
                 SET LOCAL statement_timeout = 0",
            )
            .await?;
        if !self.is_made {
            transaction
                .batch_execute(&format!(
                    "CREATE TEMPORARY TABLE {table} (
                        line bigint, id bigint, tenant_id uuid, name text, data jsonb, actor text,
                        subject text, occurred_at timestamptz, created_at timestamptz, weight real
                     ) ON COMMIT DELETE ROWS"
                ))
                .await?;
        }
        let (text, lines) = batch.finish();
        let mut outcome = Outcome::default();
        let staged = stage(&mut transaction, table, &text, &lines, &mut outcome).await?;
        if staged > 0 {
            let sql = "SELECT imported FROM eventlog.import_events($1::regclass)";
            let name = format!("pg_temp.{table}");
            let rows = transaction.query_typed(sql, &[(&name, Type::TEXT)]).await?;
            outcome.imported = rows.first().map_or(0, |row| row.get::<_, i64>(0).unsigned_abs());
            if outcome.imported < staged {
                let before = outcome.rejected.len();
                outcome.rejected.extend(refused(&transaction, table).await?);
                let refused = (outcome.rejected.len() - before) as u64;
                outcome.already_there = staged.saturating_sub(outcome.imported + refused);
                outcome.rejected.sort_by_key(|(line, _)| *line);
            }
        }
        transaction.commit().await?;
        self.is_made = true;
        Ok(outcome)
    }
}

/// Puts the rows into the table. One that cannot be read is looked for by halves, so that it costs only
/// itself. How many are there.
async fn stage(
    transaction: &mut Transaction<'_>,
    table: &str,
    text: &Bytes,
    lines: &Lines,
    outcome: &mut Outcome,
) -> Result<u64, Failure> {
    let mut staged = 0;
    let mut open: Vec<Range<usize>> = Vec::new();
    open.push(0..lines.len());
    while let Some(rows) = open.pop() {
        let savepoint = transaction.savepoint("rows").await?;
        match copy(&savepoint, table, text.slice(lines.bytes(&rows))).await {
            Ok(()) => {
                savepoint.commit().await?;
                staged += rows.len() as u64;
            }
            Err(error) if is_of_a_row(&error) => {
                savepoint.rollback().await?;
                let middle = rows.start + rows.len() / 2;
                if rows.len() == 1 {
                    outcome.rejected.push((lines.line(rows.start), said(&error)));
                } else {
                    open.extend([middle..rows.end, rows.start..middle]);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(staged)
}

async fn copy(transaction: &Transaction<'_>, table: &str, rows: Bytes) -> Result<(), Error> {
    let sql = format!("COPY pg_temp.{table} (line, {}) FROM STDIN", COLUMNS.join(", "));
    let sink = transaction.copy_in(&sql).await?;
    let mut sink = std::pin::pin!(sink);
    sink.send(rows).await?;
    sink.finish().await?;
    Ok(())
}

/// Values that cannot be read, or are too large.
fn is_of_a_row(error: &Error) -> bool {
    error.code().is_some_and(|code| code.code().starts_with("22") || code.code().starts_with("54"))
}

fn said(error: &Error) -> String {
    match error.as_db_error() {
        Some(server) => format!("{} (SQLSTATE {})", server.message(), server.code().code()),
        None => error.to_string(),
    }
}

async fn refused(
    transaction: &Transaction<'_>,
    table: &str,
) -> Result<Vec<(u64, String)>, Failure> {
    let prefix = format!("import of {table}: ");
    let sql = REJECTED.replace("{table}", table);
    let rows = transaction.query_typed(&sql, &[(&prefix, Type::TEXT)]).await?;
    let told = rows.iter().map(|row| {
        let line = row.get::<_, i64>(0).unsigned_abs();
        let why = match (row.get::<_, Option<String>>(1), row.get::<_, Option<String>>(2)) {
            (Some(code), Some(reason)) => format!("{reason} (SQLSTATE {code})"),
            _ => "it was not imported".to_owned(),
        };
        (line, why)
    });
    Ok(told.collect())
}
