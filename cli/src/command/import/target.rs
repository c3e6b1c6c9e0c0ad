//! Writes rows to the log: each batch in a transaction, or in several if a row of it is too slow.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;
use futures_util::SinkExt;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Transaction};

use super::row::{Batch, COLUMNS, Lines};
use super::timed_import::{Fault, StatementTimer};
use crate::connection::as_owner;
use crate::output::Failure;

pub(super) struct Target {
    client: Client,
    /// The staging table, named after the file; quarantined rows are marked with this name.
    table: String,
    is_made: bool,
    /// Names that are known to be defined.
    defined: HashSet<String>,
}

/// The result of importing rows.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) imported: u64,
    pub(super) already_there: u64,
    /// Lines of the file, with the reason.
    pub(super) rejected: Vec<(u64, String)>,
}

/// The result of importing rows in one transaction.
enum Part {
    Done(Outcome),
    /// Nothing was imported, because of one row or of their number.
    Undone(Fault),
}

/// Selects the staged rows that are not in the log, with the reason. If the quarantine has an earlier
/// refusal of the same file and id, only the newest counts.
const REJECTED: &str = "
    SELECT s.line, q.sqlstate, q.reason
      FROM pg_temp.{table} s
      LEFT JOIN (SELECT DISTINCT ON (r.idempotency_key) r.idempotency_key, r.sqlstate, r.reason
                   FROM eventlog.rejected_events r WHERE starts_with(r.idempotency_key, $1)
                  ORDER BY r.idempotency_key, r.id DESC) q ON q.idempotency_key = $1 || s.id
     WHERE NOT EXISTS (SELECT FROM eventlog.events e WHERE e.id = s.id AND e.created_at = s.created_at)
     ORDER BY s.line";

/// Quarantines a row in the same way as `import_events` does.
const PUT_ASIDE: &str = "
    INSERT INTO eventlog.rejected_events
        (claimed_tenant_id, name, occurred_at, idempotency_key, sqlstate, reason, role_name)
    SELECT s.tenant_id, pg_catalog.left(s.name, 200), coalesce(s.occurred_at, s.created_at), $1 || s.id, $2, $3,
           current_user
      FROM pg_temp.{table} s
     WHERE NOT EXISTS (SELECT FROM eventlog.rejected_events r WHERE r.idempotency_key = $1 || s.id)";

impl Target {
    pub(super) fn new(client: Client, file: &Path) -> Self {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let stem: String = stem
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .take(40)
            .collect();
        Target { client, table: format!("import_{stem}"), is_made: false, defined: HashSet::new() }
    }

    /// Defines the names that the log has neither as names nor as aliases. A name that it cannot have is left to the import,
    /// which quarantines its events.
    pub(super) async fn define(&mut self, mut names: Vec<String>) -> Result<(), Failure> {
        names.retain(|name| self.defined.insert(name.clone()));
        if names.is_empty() {
            return Ok(());
        }
        let transaction = as_owner(&mut self.client, "events").await?;
        let sql = "SELECT eventlog.define_event(n, description => 'Imported.') FROM unnest($1) AS n
                    WHERE n ~ '^[a-z][a-z0-9_.]{0,99}$'
                      AND NOT EXISTS (SELECT FROM eventlog.event_types t
                                       WHERE t.name = n OR to_jsonb(t) -> 'aliases' ? n)";
        transaction.query_typed(sql, &[(&names, Type::TEXT_ARRAY)]).await?;
        Ok(transaction.commit().await?)
    }

    /// Imports a batch in one transaction. If that takes too long, or a deferred trigger refuses it, the
    /// batch is split until the faulty row is alone, which is then quarantined. `told` gets the outcome
    /// of each part, in the order of the lines.
    pub(super) async fn import(
        &mut self,
        batch: Batch,
        told: &mut dyn FnMut(Outcome),
    ) -> Result<(), Failure> {
        let (text, lines) = batch.finish();
        let mut open: Vec<Range<usize>> = Vec::new();
        open.push(0..lines.len());
        while let Some(rows) = open.pop() {
            let fault = match self.import_rows(&text, &lines, &rows).await? {
                Part::Done(outcome) => {
                    told(outcome);
                    continue;
                }
                Part::Undone(fault) => fault,
            };
            let middle = rows.start + rows.len() / 2;
            if rows.len() > 1 {
                open.extend([middle..rows.end, rows.start..middle]);
            } else {
                let line = lines.line(rows.start);
                let said = fault.said();
                self.put_aside(text.slice(lines.bytes(&rows)), fault).await?;
                told(Outcome { rejected: vec![(line, said)], ..Outcome::default() });
            }
        }
        Ok(())
    }

    /// Imports all of some rows, or none.
    async fn import_rows(
        &mut self,
        text: &Bytes,
        lines: &Lines,
        rows: &Range<usize>,
    ) -> Result<Part, Failure> {
        let (mut transaction, timer) = begin(&mut self.client, &self.table, self.is_made).await?;
        let table = &self.table;
        let mut outcome = Outcome::default();
        let staged = stage(&mut transaction, table, text, lines, rows, &mut outcome).await?;
        if staged > 0 {
            outcome.imported = match timer.import(&transaction, table).await? {
                Ok(imported) => imported,
                Err(fault) => {
                    transaction.rollback().await?;
                    return Ok(Part::Undone(fault));
                }
            };
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
        Ok(Part::Done(outcome))
    }

    /// Quarantines a row without its payload: the file has it, and which keys the log's rules redact is
    /// unknown here. If not even an empty import succeeds, the row is not at fault, and this fails.
    async fn put_aside(&mut self, text: Bytes, fault: Fault) -> Result<(), Failure> {
        let (transaction, timer) = begin(&mut self.client, &self.table, self.is_made).await?;
        let table = &self.table;
        if timer.import(&transaction, table).await?.is_err() {
            return Err(Failure::new(fault.said()));
        }
        copy(&transaction, table, text).await?;
        let sql = PUT_ASIDE.replace("{table}", table);
        let prefix = prefix(table);
        let values = [
            (&prefix as _, Type::TEXT),
            (&fault.code as _, Type::TEXT),
            (&fault.why as _, Type::TEXT),
        ];
        transaction.query_typed(&sql, &values).await?;
        transaction.commit().await?;
        self.is_made = true;
        Ok(())
    }
}

/// Begins a transaction as the log's owner, with an empty staging table. Filling that has no time limit.
async fn begin<'a>(
    client: &'a mut Client,
    table: &str,
    is_made: bool,
) -> Result<(Transaction<'a>, StatementTimer), Failure> {
    let transaction = as_owner(client, "events").await?;
    let timer = StatementTimer::stop(&transaction).await?;
    transaction
        .batch_execute("SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'")
        .await?;
    if !is_made {
        transaction
            .batch_execute(&format!(
                "CREATE TEMPORARY TABLE {table} (
                    line bigint, id bigint, tenant_id uuid, name text, data jsonb, actor text,
                    subject text, occurred_at timestamptz, created_at timestamptz, weight real
                 ) ON COMMIT DELETE ROWS"
            ))
            .await?;
    }
    Ok((transaction, timer))
}

/// Returns the start of the idempotency key that marks a file's rows in the quarantine.
fn prefix(table: &str) -> String {
    format!("import of {table}: ")
}

/// Copies the rows to the staging table, and returns their number. Splits them to find a row that cannot
/// be read, so that only that one is rejected.
async fn stage(
    transaction: &mut Transaction<'_>,
    table: &str,
    text: &Bytes,
    lines: &Lines,
    rows: &Range<usize>,
    outcome: &mut Outcome,
) -> Result<u64, Failure> {
    let mut staged = 0;
    let mut open: Vec<Range<usize>> = Vec::new();
    open.push(rows.clone());
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

/// Returns true if the error is due to a value that is malformed or too large.
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
    let prefix = prefix(table);
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
