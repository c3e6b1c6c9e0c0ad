//! Locks that only the log's owner can take, and descriptions of lock holders.
//!
//! Every role of the cluster can take an advisory lock, and so could stop maintenance, erasures and
//! the creation of partitions. These locks are of the kind that PostgreSQL takes on parts of
//! objects, with numbers of `events` that no column has: no statement takes them, and the function
//! below requires the owner's rights. They end with the transaction, as locks of tables do, and
//! `pg_locks` shows them (locktype `object`, objid `events`, objsubid the number).

use pgrx::prelude::*;

use crate::error::{Fault, shown};
use crate::pg::array;
use crate::pg::identity::{ActAs, bypasses_policies, current_role, has_rights_of, is_member_of};
use crate::pg::lock::{self, Strength};
use crate::pg::process;
use crate::pg::spi::{Mode, Params, Prepared, Rows, Session};

/// Purposes and the numbers of their locks, above those of all columns (1600 at most).
const PURPOSES: [(&str, u16); 4] =
    [("partitions", 10_001), ("maintenance", 10_002), ("erasure", 10_003), ("alerts", 10_004)];

thread_local! {
    /// Does not use the registry: create_log() takes a lock before it completes the tables of the
    /// log.
    static EVENTS: Prepared = const { Prepared::new(
        c"SELECT oid, relowner FROM pg_catalog.pg_class
           WHERE oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass('eventlog.events')",
        &[],
    ) };

    /// Describes these processes, or for null those that have been in a transaction of this
    /// database for more than an hour. Never shows the query, which may hold data that the reader
    /// must not see.
    static DESCRIBE: Prepared = const { Prepared::new(
        c"SELECT pg_catalog.string_agg(d.line, '; ' ORDER BY d.since) OPERATOR(pg_catalog.||)
                 CASE WHEN pg_catalog.max(d.found) OPERATOR(pg_catalog.>) 5
                      THEN pg_catalog.format('; and %s more', pg_catalog.max(d.found) OPERATOR(pg_catalog.-) 5) ELSE '' END
            FROM (SELECT pg_catalog.format('process %s of %s%s, %s, in a transaction since %s UTC', a.pid,
                             CASE WHEN a.usename IS NULL THEN a.backend_type ELSE pg_catalog.format('role %I', a.usename) END,
                             CASE WHEN a.application_name OPERATOR(pg_catalog.<>) ''
                                  THEN pg_catalog.format(', application %L', a.application_name) END,
                             COALESCE(a.state, 'at work'),
                             pg_catalog.to_char(pg_catalog.timezone('UTC', s.since), 'YYYY-MM-DD HH24:MI:SS')) AS line,
                         s.since, pg_catalog.count(*) OVER () AS found
                    FROM pg_catalog.pg_stat_activity a,
                         LATERAL (SELECT COALESCE(a.xact_start, a.backend_start) AS since) s
                   WHERE a.pid OPERATOR(pg_catalog.=) ANY ($1)
                      OR ($1 IS NULL AND a.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
                          AND a.xact_start OPERATOR(pg_catalog.<) (pg_catalog.now() OPERATOR(pg_catalog.-) '1 hour'::pg_catalog.interval))
                   ORDER BY s.since LIMIT 5) d",
        &[pg_sys::INT4ARRAYOID],
    ) };
}

/// Returns the relation of the events and the log's owner; 55000 if there is no log.
fn events() -> Result<(pg_sys::Oid, pg_sys::Oid), Fault> {
    let session = Session::begin();
    let found = EVENTS.with(|plan| plan.execute(&session, Mode::ReadLatest, Params::new([])));
    let rows = Rows::last(&session);
    (found == 1)
        .then(|| Some((rows.get(0, 1)?, rows.get(0, 2)?)))
        .flatten()
        .ok_or_else(Fault::no_log)
}

/// Does the same for a caller with the rights of the owner; 42501 for others.
fn events_of_the_caller() -> Result<(pg_sys::Oid, pg_sys::Oid), Fault> {
    let (events, owner) = events()?;
    if has_rights_of(current_role(), owner) {
        return Ok((events, owner));
    }
    Err(Fault::new(
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
        "permission denied: the log belongs to another role",
    ))
}

/// Takes a lock until the transaction ends, waiting for it or not; returns true if it was taken.
#[pg_extern(sql = false)]
fn take_lock(purpose: &str, is_shared: bool, may_wait: bool) -> bool {
    let (events, _) = match events_of_the_caller() {
        Ok(found) => found,
        Err(fault) => fault.raise(),
    };
    let Some((_, number)) = PURPOSES.iter().find(|(name, _)| *name == purpose) else {
        Fault::argument(format!("there is no lock {}", shown(purpose))).raise();
    };
    let strength = if is_shared { Strength::Shared } else { Strength::Exclusive };
    lock::part_of_relation(events, *number, strength, may_wait)
}

/// Describes processes by role, application, state and start of their transaction, leaving out
/// those that have ended. The log's owner could not read all of that in `pg_stat_activity`.
#[pg_extern(sql = false)]
fn describe_processes(pids: Option<Vec<Option<i32>>>) -> Option<String> {
    if let Err(fault) = events_of_the_caller() {
        fault.raise();
    }
    let pids =
        pids.map(|pids| array::of(pg_sys::INT4OID, pids.iter().map(|pid| (*pid)?.into_datum())));
    let session = Session::begin();
    // The statement reads nothing but the catalog.
    let _superuser = ActAs::role(pg_sys::Oid::from(pg_sys::BOOTSTRAP_SUPERUSERID));
    DESCRIBE.with(|plan| plan.execute(&session, Mode::ReadLatest, Params::new([pids])));
    Rows::last(&session).get::<String>(0, 1)
}

/// Lists the processes of this database: the id of the transaction of each, if it has written;
/// whether it is idle, which means that it waits for its client and has not written; and whether
/// policies bind its role, so that its rows pass the guard.
///
/// An idle process may hold the lock for writing, which PREPARE takes for everybody who may use the
/// schema. Whoever asks who is writing must ask this before `pg_locks`: a transaction that is being
/// prepared leaves its process idle, and the lock is the prepared transaction's from then on.
#[pg_extern(sql = false)]
fn processes() -> TableIterator<
    'static,
    (name!(pid, i32), name!(xid, Option<i64>), name!(is_idle, bool), name!(is_bound, bool)),
> {
    let owner = match events_of_the_caller() {
        Ok((_, owner)) => owner,
        Err(fault) => fault.raise(),
    };
    let is_bound = move |role| {
        role != pg_sys::InvalidOid && !is_member_of(role, owner) && !bypasses_policies(role)
    };
    TableIterator::new(process::backends().into_iter().map(move |backend| {
        let is_idle = backend.waits_for_client && backend.xid.is_none();
        (backend.pid, backend.xid.map(i64::from), is_idle, is_bound(backend.role))
    }))
}
