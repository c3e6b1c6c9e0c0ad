//! The import statement, under the session's statement_timeout, and the reasons for rows that exceed it.

use std::time::{Duration, Instant};

use tokio_postgres::types::Type;
use tokio_postgres::{Error, Transaction};

use crate::output::Failure;

/// The session's `statement_timeout`; `None` if it is zero.
pub(super) struct StatementTimer(Option<Duration>);

/// Why rows were not imported, as the quarantine stores it.
pub(super) struct Fault {
    pub(super) code: String,
    pub(super) why: String,
}

impl Fault {
    pub(super) fn said(&self) -> String {
        format!("{} (SQLSTATE {})", self.why, self.code)
    }
}

/// Lifts the time limit for the next statements, and returns what it was. Waiting for a lock may take half
/// of it, as in the writer: this distinguishes a lock that somebody holds from a slow row.
const STOP: &str = "
    SELECT pg_catalog.set_config('lock_timeout', coalesce(least(l.ms, greatest(t.ms / 2, 1)), 0)::text, true),
           pg_catalog.set_config('statement_timeout', '0', true),
           t.ms
      FROM (SELECT nullif(setting::bigint, 0) AS ms FROM pg_catalog.pg_settings WHERE name = 'lock_timeout') l,
           (SELECT nullif(setting::bigint, 0) AS ms FROM pg_catalog.pg_settings WHERE name = 'statement_timeout') t";

/// The PostgreSQL routine that reports a statement ended by its timer or by a user.
const INTERRUPTED: &str = "ProcessInterrupts";

impl StatementTimer {
    /// Lifts the limit for the rest of the transaction.
    pub(super) async fn stop(transaction: &Transaction<'_>) -> Result<Self, Error> {
        let rows = transaction.query_typed(STOP, &[]).await?;
        let milliseconds = rows.first().and_then(|row| row.get::<_, Option<i64>>(2));
        Ok(StatementTimer(milliseconds.map(|number| Duration::from_millis(number.unsigned_abs()))))
    }

    /// Imports the staged rows and runs deferred triggers, both under the time limit. Returns the number of
    /// rows, or why one of them is at fault.
    pub(super) async fn import(
        &self,
        transaction: &Transaction<'_>,
        table: &str,
    ) -> Result<Result<u64, Fault>, Failure> {
        transaction.batch_execute("SET LOCAL statement_timeout TO DEFAULT").await?;
        let sql = "SELECT imported FROM eventlog.import_events($1::regclass)";
        let name = format!("pg_temp.{table}");
        let began = Instant::now();
        let rows = match transaction.query_typed(sql, &[(&name, Type::TEXT)]).await {
            Ok(rows) => rows,
            Err(error) => return self.too_slow(&error, began).map(Err).ok_or(error.into()),
        };
        let began = Instant::now();
        let sql = "SET CONSTRAINTS ALL IMMEDIATE; SET LOCAL statement_timeout = 0";
        if let Err(error) = transaction.batch_execute(sql).await {
            let fault = self.too_slow(&error, began).or_else(|| refused(&error));
            return fault.map(Err).ok_or(error.into());
        }
        Ok(Ok(rows.first().map_or(0, |row| row.get::<_, i64>(0).unsigned_abs())))
    }

    /// Returns the fault if the timer ended the statement, or a timer of something that it called. A user
    /// who cancels the import causes the same SQLSTATE, but before the time is over: that is no fault of
    /// a row.
    fn too_slow(&self, error: &Error, began: Instant) -> Option<Fault> {
        let server = error.as_db_error()?;
        let code = server.code().code();
        if code != "57014" {
            return None;
        }
        let why = match self.0 {
            _ if server.routine() != Some(INTERRUPTED) => server.message().to_owned(),
            Some(time) if began.elapsed() >= time => {
                format!("its import took longer than statement_timeout, {} ms", time.as_millis())
            }
            _ => return None,
        };
        Some(Fault { code: code.to_owned(), why })
    }
}

/// Returns the fault for an error that `import_events` blames on a row too.
fn refused(error: &Error) -> Option<Fault> {
    let server = error.as_db_error()?;
    let code = server.code().code();
    let why = match code.get(..2)? {
        // The message would show the value.
        "22" => "a trigger or constraint of events refuses a value of the row",
        "23" | "42" | "44" | "54" | "P0" => server.message(),
        _ => return None,
    };
    Some(Fault { code: code.to_owned(), why: why.to_owned() })
}
