//! The worker that maintains the log of one database once and ends.
//!
//! It takes two processes, because a process keeps one role for its whole life. The first connects
//! as the bootstrap superuser, reads from the catalog whether there is a log and who owns it, and
//! runs nothing that somebody else wrote. The second connects as the log's owner and calls
//! `eventlog.maintain()`. Before PostgreSQL 17 a worker cannot connect as a role without LOGIN:
//! then it stays the superuser, and maintain() becomes the owner in a way that a trigger of the
//! owner cannot undo (`api/become_owner.rs`).
//!
//! Any failure goes to the launcher (`launcher.rs`), which logs it once.

use std::cell::Cell;
use std::ffi::CStr;
use std::panic::AssertUnwindSafe;

use pgrx::PgTryBuilder;
use pgrx::bgworkers::BackgroundWorker;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;

use crate::error::Fault;
use crate::pg::background;
use crate::pg::configuration;
use crate::pg::messages::{self, Message, Severity};
use crate::pg::portal;
use crate::pg::server;
use crate::worker::mailbox::{self, Failure, Outcome, Step, Text};

/// The named arguments make overload resolution pick this procedure and nothing else.
const MAINTAIN: &CStr = c"CALL eventlog.maintain(dry_run => false, trust_clock => false)";

/// Reads only the catalog, with `search_path = pg_catalog, pg_temp`. Checks that the procedure is
/// the extension's own: a role that may create objects in the schema could have made one.
const CHECK: &CStr = c"
    SELECT e.oid IS NOT NULL,
           d.objid IS NOT NULL,
           c.relowner,
           coalesce(r.rolcanlogin OR current_setting('server_version_num')::int >= 170000, false)
      FROM (VALUES (1)) AS one
      LEFT JOIN pg_extension e ON e.extname = 'eventlog'
      LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass
            AND d.objid = to_regprocedure('eventlog.maintain(boolean, boolean)')
            AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
      LEFT JOIN pg_class c ON c.oid = to_regclass('eventlog.events') AND c.relkind = 'p'
      LEFT JOIN pg_roles r ON r.oid = c.relowner";

thread_local! {
    static TASK: Cell<u64> = const { Cell::new(0) };
    /// True while maintain() runs, so that a WARNING comes from it.
    static IS_AT_WORK: Cell<bool> = const { Cell::new(false) };
    static FIRST_WARNING: Cell<Option<Failure>> = const { Cell::new(None) };
}

/// Entry point of the process.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn eventlog_maintenance_main(number: pg_sys::Datum) {
    let number = number.value() as u64;
    let Some(step) = mailbox::step(number) else { return };
    TASK.set(number);
    background::let_sigterm_end_it();
    messages::intercept(is_for_the_launcher);
    let outcome = PgTryBuilder::new(AssertUnwindSafe(|| match step {
        Step::Check(database) => check(&database),
        Step::Maintain { database, owner } => maintain(database, owner),
    }))
    .catch_others(|error| Outcome::Failed(failure_of(&error)))
    .catch_rust_panic(|error| Outcome::Failed(failure_of(&error)))
    .execute();
    background::abort_transaction();
    mailbox::answer(number, outcome);
}

fn check(database: &Text<64>) -> Outcome {
    background::connect(&mailbox::name_of(database));
    settle_in(CHECK);
    let (has_extension, has_maintain, owner, can_connect) = BackgroundWorker::transaction(|| {
        Spi::connect(|client| -> Result<_, pgrx::spi::Error> {
            let row = client.select(CHECK, Some(1), &[])?.first();
            Ok((
                row.get::<bool>(1)?.unwrap_or(false),
                row.get::<bool>(2)?.unwrap_or(false),
                row.get::<pg_sys::Oid>(3)?,
                row.get::<bool>(4)?.unwrap_or(false),
            ))
        })
    })
    .expect("columns of these types");
    let prerequisite = PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
    let fault = if !has_extension {
        Fault::new(
            PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
            "extension \"eventlog\" is not installed there",
        )
        .hint("type in that database: CREATE EXTENSION eventlog; or take it out of eventlog.databases")
    } else if !has_maintain {
        Fault::new(prerequisite, "the extension there is of a version without maintain()")
            .hint("type in that database: ALTER EXTENSION eventlog UPDATE;")
    } else if let Some(owner) = owner {
        let role = if can_connect { owner } else { pg_sys::InvalidOid };
        return Outcome::Ready { database: server::database(), owner: role };
    } else {
        Fault::new(prerequisite, "no log yet")
            .hint("type in that database: SELECT eventlog.create_log();")
    };
    Outcome::Failed(Failure::new(
        fault.code as i32,
        fault.message.as_bytes(),
        fault.hint_text().unwrap_or_default().as_bytes(),
    ))
}

fn maintain(database: pg_sys::Oid, owner: pg_sys::Oid) -> Outcome {
    background::connect_as(database, owner);
    settle_in(MAINTAIN);
    IS_AT_WORK.set(true);
    portal::call(MAINTAIN);
    IS_AT_WORK.set(false);
    FIRST_WARNING.get().map_or(Outcome::Maintained, Outcome::Failed)
}

/// Overrides settings of the database and the role, and shows the statement in `pg_stat_activity`.
fn settle_in(query: &'static CStr) {
    let settings = [
        (c"search_path", c"pg_catalog, pg_temp"),
        (c"default_transaction_isolation", c"read committed"),
        (c"default_transaction_read_only", c"off"),
        // A run commits after each step, but one step may take long.
        #[cfg(any(feature = "pg17", feature = "pg18"))]
        (c"transaction_timeout", c"0"),
        (c"application_name", c"eventlog maintenance"),
    ];
    for (name, value) in settings {
        configuration::set(name, value);
    }
    background::report_running(query);
}

fn failure_of(error: &CaughtError) -> Failure {
    let (CaughtError::PostgresError(report)
    | CaughtError::ErrorReport(report)
    | CaughtError::RustPanic { ereport: report, .. }) = error;
    let hint = report.hint().unwrap_or_default();
    let code = report.sql_error_code() as i32;
    Failure::new(code, report.message().as_bytes(), hint.as_bytes())
}

/// Keeps two kinds of messages out of the server's log, where they would appear with each run, and
/// hands them to the launcher: a FATAL, which cannot be caught and ends the process (no such
/// database, no right to connect, terminated by an administrator), and the first WARNING of
/// maintain(), which reports that part of the work failed (`maintenance_runs` has all of them).
fn is_for_the_launcher(message: &Message<'_>) -> bool {
    let failure = || Failure::new(message.sqlstate, message.message, message.hint);
    match message.severity {
        Severity::Fatal => {
            mailbox::answer(TASK.get(), Outcome::Failed(failure()));
            // Otherwise the postmaster logs each time that the worker exited with code 1.
            background::exit_quietly();
            true
        }
        Severity::Warning if IS_AT_WORK.get() => {
            if FIRST_WARNING.get().is_none() {
                FIRST_WARNING.set(Some(failure()));
            }
            true
        }
        _ => false,
    }
}
