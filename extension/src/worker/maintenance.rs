//! The worker that maintains the log of one database, once, and ends.
//!
//! It comes in two processes, one after the other, because a process has one role for its whole
//! life. The first connects as the bootstrap superuser, looks into the catalog whether there is a
//! log and whose it is, and runs nothing that anybody else wrote. The second connects as the
//! log's owner and calls `eventlog.maintain()`. Before PostgreSQL 17 a role that may not log in
//! cannot be given to a worker: then it stays the superuser, and maintain() works as the owner in a
//! way that a trigger of the owner's cannot undo (`api/become_owner.rs`).
//!
//! Whatever goes wrong is told to the launcher (`launcher.rs`), which logs it once.

use std::cell::Cell;
use std::ffi::{CStr, c_int};
use std::panic::AssertUnwindSafe;
use std::ptr;

use pgrx::PgTryBuilder;
use pgrx::bgworkers::BackgroundWorker;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;

use crate::error::Fault;
use crate::worker::mailbox::{self, Failure, Outcome, Step, Text};

/// Named so that no other procedure fits better: one of the same signature is this one.
const MAINTAIN: &CStr = c"CALL eventlog.maintain(dry_run => false, trust_clock => false)";

/// Reads the catalog only, with `search_path = pg_catalog, pg_temp`. The procedure must be the
/// extension's own: who may create things in the schema could have made one.
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

// SAFETY: PostgreSQL's own handler of SIGTERM, as its headers declare it; without pgrx's guard,
// which a handler of signals must not have.
unsafe extern "C-unwind" {
    fn die(signal: c_int);
}

thread_local! {
    static TASK: Cell<u64> = const { Cell::new(0) };
    /// maintain() runs, so a WARNING is its own.
    static IS_AT_WORK: Cell<bool> = const { Cell::new(false) };
    static FIRST_WARNING: Cell<Option<Failure>> = const { Cell::new(None) };
    static NEXT_LOG_HOOK: Cell<pg_sys::emit_log_hook_type> = const { Cell::new(None) };
}

/// Where PostgreSQL starts the process.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn eventlog_maintenance_main(number: pg_sys::Datum) {
    let number = number.value() as u64;
    let Some(step) = mailbox::step(number) else { return };
    TASK.set(number);
    // SAFETY: at the start of a background worker; the functions live as long as the process.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        pg_sys::pqsignal(pg_sys::SIGTERM as c_int, Some(die));
        #[cfg(feature = "pg18")]
        pg_sys::pqsignal_be(pg_sys::SIGTERM as c_int, Some(die));
        NEXT_LOG_HOOK.set(pg_sys::emit_log_hook);
        pg_sys::emit_log_hook = Some(on_log);
        pg_sys::BackgroundWorkerUnblockSignals();
    }
    let outcome = PgTryBuilder::new(AssertUnwindSafe(|| match step {
        Step::Check(database) => check(&database),
        Step::Maintain { database, owner } => maintain(database, owner),
    }))
    .catch_others(|error| Outcome::Failed(failure_of(&error)))
    .catch_rust_panic(|error| Outcome::Failed(failure_of(&error)))
    .execute();
    // SAFETY: rolls back whatever an error left open.
    unsafe { pg_sys::AbortOutOfAnyTransaction() };
    mailbox::answer(number, outcome);
}

fn check(database: &Text<64>) -> Outcome {
    let name = mailbox::name_of(database);
    // SAFETY: once in this process; the name ends in NUL; no name of a role is the bootstrap
    // superuser.
    unsafe { pg_sys::BackgroundWorkerInitializeConnection(name.as_ptr(), ptr::null(), 0) };
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
        // SAFETY: PostgreSQL's own variable.
        return Outcome::Ready { database: unsafe { pg_sys::MyDatabaseId }, owner: role };
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
    // From 17 on a role that may not log in can still be given to a worker.
    #[cfg(not(any(feature = "pg17", feature = "pg18")))]
    let flags = 0;
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    let flags = pg_sys::BGWORKER_BYPASS_ROLELOGINCHECK;
    // SAFETY: once in this process.
    unsafe { pg_sys::BackgroundWorkerInitializeConnectionByOid(database, owner, flags) };
    settle_in(MAINTAIN);
    IS_AT_WORK.set(true);
    // SAFETY: connected, and in no transaction.
    unsafe { execute_at_top_level(MAINTAIN) };
    IS_AT_WORK.set(false);
    FIRST_WARNING.get().map_or(Outcome::Maintained, Outcome::Failed)
}

/// Settings that must not be those of the database or the role, and what `pg_stat_activity` shows.
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
    // SAFETY: all strings end in NUL, and the query lives as long as the process.
    unsafe {
        for (name, value) in settings {
            pg_sys::SetConfigOption(
                name.as_ptr(),
                value.as_ptr(),
                pg_sys::GucContext::PGC_SUSET,
                pg_sys::GucSource::PGC_S_OVERRIDE,
            );
        }
        pg_sys::debug_query_string = query.as_ptr();
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, query.as_ptr());
    }
}

/// Runs a statement as a client's would be run: a procedure that is called may then end
/// transactions, for which PostgreSQL wants a portal, and it may not inside SPI in an atomic
/// context.
///
/// # Safety
/// In no transaction, connected to a database. An error leaves everything to the caller's abort.
unsafe fn execute_at_top_level(query: &'static CStr) {
    // SAFETY: the calls and their order are those of PostgreSQL's exec_simple_query; the trees are
    // made in a context that outlives the transactions that the procedure ends.
    unsafe {
        pg_sys::StartTransactionCommand();
        pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        let statements = pg_sys::pg_parse_query(query.as_ptr());
        let statement = (*(*statements).elements).ptr_value.cast::<pg_sys::RawStmt>();
        #[cfg(feature = "pg14")]
        let queries = pg_sys::pg_analyze_and_rewrite(
            statement,
            query.as_ptr(),
            ptr::null_mut(),
            0,
            ptr::null_mut(),
        );
        #[cfg(not(feature = "pg14"))]
        let queries = pg_sys::pg_analyze_and_rewrite_fixedparams(
            statement,
            query.as_ptr(),
            ptr::null(),
            0,
            ptr::null_mut(),
        );
        let plans = pg_sys::pg_plan_queries(queries, query.as_ptr(), 0, ptr::null_mut());
        pg_sys::PopActiveSnapshot();

        let portal = pg_sys::CreatePortal(c"".as_ptr(), true, true);
        (*portal).visible = false;
        let tag = pg_sys::CommandTag::CMDTAG_CALL;
        pg_sys::PortalDefineQuery(portal, ptr::null(), query.as_ptr(), tag, plans, ptr::null_mut());
        pg_sys::PortalStart(portal, ptr::null_mut(), 0, ptr::null_mut());
        let nowhere = pg_sys::CreateDestReceiver(pg_sys::CommandDest::DestNone);
        let (all, is_top_level) = (std::ffi::c_long::MAX, true);
        #[cfg(not(feature = "pg18"))]
        pg_sys::PortalRun(portal, all, is_top_level, true, nowhere, nowhere, ptr::null_mut());
        #[cfg(feature = "pg18")]
        pg_sys::PortalRun(portal, all, is_top_level, nowhere, nowhere, ptr::null_mut());
        pg_sys::PortalDrop(portal, false);
        pg_sys::CommitTransactionCommand();
    }
}

fn failure_of(error: &CaughtError) -> Failure {
    let (CaughtError::PostgresError(report)
    | CaughtError::ErrorReport(report)
    | CaughtError::RustPanic { ereport: report, .. }) = error;
    let hint = report.hint().unwrap_or_default();
    let code = report.sql_error_code() as i32;
    Failure::new(code, report.message().as_bytes(), hint.as_bytes())
}

/// Takes two kinds of messages out of the server's log, where they would come with each run, and
/// tells them to the launcher: a FATAL, which cannot be caught and ends the process (no such
/// database, no right to connect, ended by an administrator), and a WARNING of maintain(), by which
/// it says that it could not do all (the first one; all are in `maintenance_runs`).
#[pg_guard]
unsafe extern "C-unwind" fn on_log(data: *mut pg_sys::ErrorData) {
    // SAFETY: PostgreSQL passes the message that it is about to log; its texts end in NUL.
    unsafe {
        let is_fatal = (*data).elevel == pg_sys::FATAL as c_int;
        let is_ours = (*data).elevel == pg_sys::WARNING as c_int && IS_AT_WORK.get();
        if !(is_fatal || is_ours) {
            if let Some(next) = NEXT_LOG_HOOK.get() {
                next(data);
            }
            return;
        }
        let text = |text: *const std::ffi::c_char| {
            if text.is_null() { &[][..] } else { CStr::from_ptr(text).to_bytes() }
        };
        let (message, hint) = (text((*data).message), text((*data).hint));
        let failure = Failure::new((*data).sqlerrcode, message, hint);
        (*data).output_to_server = false;
        if is_fatal {
            mailbox::answer(TASK.get(), Outcome::Failed(failure));
            // Else the postmaster logs each time that the worker exited with code 1.
            pg_sys::on_proc_exit(Some(exit_quietly), pg_sys::Datum::from(0));
        } else if FIRST_WARNING.get().is_none() {
            FIRST_WARNING.set(Some(failure));
        }
    }
}

/// The first of the callbacks, since it was registered last; the others run inside `proc_exit`.
#[pg_guard]
unsafe extern "C-unwind" fn exit_quietly(_code: c_int, _argument: pg_sys::Datum) {
    // SAFETY: allowed in a callback of proc_exit, which calls none twice.
    unsafe { pg_sys::proc_exit(0) };
}
