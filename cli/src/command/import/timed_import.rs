//! The statement that imports, under the time that the session has for one, and what is said of rows
//! that take longer.

use std::time::{Duration, Instant};

use tokio_postgres::types::Type;
use tokio_postgres::{Error, Transaction};

use crate::output::Failure;

/// The session's `statement_timeout`, none where it is zero.
pub(super) struct StatementTimer(Option<Duration>);

/// Why rows are not there, as the quarantine says it.
pub(super) struct Fault {
    pub(super) code: String,
    pub(super) why: String,
}

impl Fault {
    pub(super) fn said(&self) -> String {
        format!("{} (SQLSTATE {})", self.why, self.code)
    }
}

/// Ends the limit of time for what follows, and says what it was. A wait for a lock may take half of it,
/// as with the writer: so a lock that is held, which is no row's fault, is told apart from a row that is
/// slow.
const STOP: &str = "
    SELECT pg_catalog.set_config('lock_timeout', coalesce(least(l.ms, greatest(t.ms / 2, 1)), 0)::text, true),
           pg_catalog.set_config('statement_timeout', '0', true),
           t.ms
      FROM (SELECT nullif(setting::bigint, 0) AS ms FROM pg_catalog.pg_settings WHERE name = 'lock_timeout') l,
           (SELECT nullif(setting::bigint, 0) AS ms FROM pg_catalog.pg_settings WHERE name = 'statement_timeout') t";

/// The routine of PostgreSQL that a statement's end by its timer or by a user comes from.
const INTERRUPTED: &str = "ProcessInterrupts";

impl StatementTimer {
    /// Stops it for the rest of the transaction.
    pub(super) async fn stop(transaction: &Transaction<'_>) -> Result<Self, Error> {
        let rows = transaction.query_typed(STOP, &[]).await?;
        let milliseconds = rows.first().and_then(|row| row.get::<_, Option<i64>>(2));
        Ok(StatementTimer(milliseconds.map(|number| Duration::from_millis(number.unsigned_abs()))))
    }

    /// Imports what is in the table, with deferred triggers, under the timer. How many went in, or what
    /// is wrong with one of them.
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

    /// What is to be said where the timer ended the statement, or something below it that had one of its
    /// own. Not where somebody did, who wants the import to end: that has the same SQLSTATE, and comes
    /// before the time is over.
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

/// What `import_events` takes for the fault of a row too.
fn refused(error: &Error) -> Option<Fault> {
    let server = error.as_db_error()?;
    let code = server.code().code();
    let why = match code.get(..2)? {
        // Their messages show the value.
        "22" => "a trigger or constraint of events cannot take a value of it",
        "23" | "42" | "44" | "54" | "P0" => server.message(),
        _ => return None,
    };
    Some(Fault { code: code.to_owned(), why: why.to_owned() })
}
