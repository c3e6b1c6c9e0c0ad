//! Idempotency keys: the first event with a key is stored, later ones get its id.
//!
//! A key is looked up before the INSERT and claimed after it, in the same subtransaction: so it
//! holds the event's id, and a rolled back transaction leaves no key. If another transaction
//! claimed the key in between, the claim fails, the subtransaction is undone, and the key is looked
//! up again. Claims are sorted, so that two batches do not wait for each other.

use std::cell::Cell;

use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;

use crate::error::Fault;
use crate::pg::array;
use crate::pg::datum::Text;
use crate::pg::identity::ActAs;
use crate::pg::spi::{Mode, Params, Prepared, Rows, Session, WithoutSeqScan};
use crate::pg::subtransaction::{self, BoundedWaits};
use crate::pg::transaction::now;
use crate::pg::uuid::uuid_datum;
use crate::registry::log::Log;
use crate::settings;

/// How often keys that another transaction claimed are looked up again.
pub(crate) const TRIES: usize = 10;

/// Whether an event with a key was logged before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Seen {
    Never,
    /// The id of the event, if it is known.
    Before {
        id: Option<i64>,
    },
}

/// Another transaction claimed a key in the meantime.
pub(crate) struct KeyTaken;

/// A key of a tenant.
#[derive(Clone, Copy)]
pub(crate) struct Key<'a> {
    pub(crate) tenant_id: [u8; 16],
    pub(crate) key: Text<'a>,
}

thread_local! {
    /// OFFSET keeps this a lookup for each key. It must use the primary key whatever the statistics
    /// say: a plan made while the table was empty would scan it for ever (2 to 6 ms a key at
    /// 60,000).
    static FIND: Prepared = const { Prepared::new(
        c"SELECT k.n, i.event_id
            FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) WITH ORDINALITY AS k (tenant_id, key, n)
           CROSS JOIN LATERAL (
                 SELECT t.event_id FROM eventlog.idempotency_keys t
                  WHERE t.tenant_id OPERATOR(pg_catalog.=) k.tenant_id
                    AND t.key OPERATOR(pg_catalog.=) k.key
                    AND t.created_at OPERATOR(pg_catalog.>) $3
                 OFFSET 0) AS i",
        &[pg_sys::UUIDARRAYOID, pg_sys::TEXTARRAYOID, pg_sys::TIMESTAMPTZOID],
    ) };
    static CLAIM: Prepared = const { Prepared::new(
        c"INSERT INTO eventlog.idempotency_keys AS i (tenant_id, key, event_id)
          SELECT k.tenant_id, k.key, k.event_id
            FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3))
                    AS k (tenant_id, key, event_id)
          ON CONFLICT ON CONSTRAINT idempotency_keys_pkey
          DO UPDATE SET event_id = excluded.event_id, created_at = excluded.created_at
              WHERE i.created_at OPERATOR(pg_catalog.<=) $4",
        &[pg_sys::UUIDARRAYOID, pg_sys::TEXTARRAYOID, pg_sys::INT8ARRAYOID, pg_sys::TIMESTAMPTZOID],
    ) };
}

thread_local! {
    /// True while keys are being claimed. An error leaves it set, which shows what failed.
    static IS_CLAIMING: Cell<bool> = const { Cell::new(false) };

    /// Transactions that have claimed keys and not ended yet, except those that wait themselves.
    static HOLDERS: Prepared = const { Prepared::new(
        c"SELECT pg_catalog.string_agg(DISTINCT coalesce(l.pid::pg_catalog.text, 'of a prepared transaction'), ', ')
            FROM pg_catalog.pg_locks l
           WHERE l.locktype OPERATOR(pg_catalog.=) 'relation' AND l.granted
             AND l.relation OPERATOR(pg_catalog.=) pg_catalog.to_regclass('eventlog.idempotency_keys')
             AND l.database OPERATOR(pg_catalog.=) (SELECT d.oid FROM pg_catalog.pg_database d
                   WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
             AND l.mode OPERATOR(pg_catalog.=) 'RowExclusiveLock'
             AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks w
                              WHERE w.pid OPERATOR(pg_catalog.=) l.pid AND NOT w.granted)",
        &[],
    ) };
}

/// Returns the start of the window: older keys count as not seen.
fn window_start() -> pg_sys::Datum {
    pg_sys::Datum::from(now() - settings::idempotency_window_micros())
}

fn columns(keys: &[Key<'_>]) -> (pg_sys::Datum, pg_sys::Datum) {
    (
        array::of(pg_sys::UUIDOID, keys.iter().map(|key| Some(uuid_datum(&key.tenant_id)))),
        array::of(pg_sys::TEXTOID, keys.iter().map(|key| Some(key.key.datum()))),
    )
}

/// Looks keys up in what is committed by now, whatever snapshot the transaction has; returns one
/// answer for each.
pub(crate) fn find(log: &Log, keys: &[Key<'_>]) -> Vec<Seen> {
    let mut found = vec![Seen::Never; keys.len()];
    let (tenants, texts) = columns(keys);
    let params = Params::new([Some(tenants), Some(texts), Some(window_start())]);
    let session = Session::begin();
    let _owner = ActAs::role(log.owner);
    let _by_index = WithoutSeqScan::begin();
    FIND.with(|plan| plan.execute(&session, Mode::ReadLatest, params));
    let rows = Rows::last(&session);
    for row in 0..rows.len() {
        if let Some(n) = rows.get::<i64>(row, 1) {
            found[n as usize - 1] = Seen::Before { id: rows.get::<i64>(row, 2) };
        }
    }
    found
}

/// Claims the keys for these events. Waits for transactions that are about to claim one; where one
/// of them did, the caller must roll back.
pub(crate) fn claim(log: &Log, mut claims: Vec<(Key<'_>, Option<i64>)>) -> Result<(), KeyTaken> {
    if claims.is_empty() {
        return Ok(());
    }
    claims.sort_by(|(a, _), (b, _)| {
        (a.tenant_id, a.key.as_str()).cmp(&(b.tenant_id, b.key.as_str()))
    });
    let keys: Vec<Key<'_>> = claims.iter().map(|(key, _)| *key).collect();
    let (tenants, texts) = columns(&keys);
    let ids = claims.iter().map(|(_, id)| id.map(pg_sys::Datum::from));
    let ids = array::of(pg_sys::INT8OID, ids);
    let params = Params::new([Some(tenants), Some(texts), Some(ids), Some(window_start())]);
    let session = Session::begin();
    let _owner = ActAs::role(log.owner);
    let _bounded = BoundedWaits::within(settings::lock_timeout_ms());
    IS_CLAIMING.set(true);
    let claimed = CLAIM.with(|plan| plan.execute(&session, Mode::Write, params));
    IS_CLAIMING.set(false);
    if claimed == claims.len() as u64 { Ok(()) } else { Err(KeyTaken) }
}

/// Does the same as `subtransaction::in_subtransaction` for a `body` that claims keys. Waiting for
/// a key of another transaction is bounded, and the error names the holder: 55P03.
pub(crate) fn in_subtransaction<T, U>(
    body: impl FnOnce() -> Result<T, U>,
) -> Result<Result<T, U>, Fault> {
    IS_CLAIMING.set(false);
    let error = match subtransaction::run(body) {
        Ok(done) => return Ok(done),
        Err(error) => error,
    };
    let is_timeout = matches!(
        &error,
        CaughtError::PostgresError(report)
            if report.sql_error_code() == PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE
    );
    if IS_CLAIMING.replace(false) && is_timeout {
        held().raise();
    }
    Err(subtransaction::of_the_event(error).unwrap_or_else(|error| error.rethrow()))
}

fn held() -> Fault {
    let session = Session::begin();
    HOLDERS.with(|plan| plan.execute(&session, Mode::ReadLatest, Params::new([])));
    let rows = Rows::last(&session);
    let holders = (rows.len() == 1).then(|| rows.get::<String>(0, 1)).flatten();
    let fault = Fault::new(
        PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE,
        "an idempotency key is held by another transaction",
    );
    let fault = match &holders {
        Some(holders) => fault.detail(format!(
            "Process {holders} logged events with keys and has not ended its transaction."
        )),
        None => fault.detail("It has ended meanwhile."),
    };
    match holders.filter(|holders| holders.bytes().all(|byte| byte.is_ascii_digit())) {
        Some(pid) => fault.hint(format!(
            "log it again when that has ended, or end it: SELECT pg_terminate_backend({pid});"
        )),
        None => fault.hint("log it again when that has ended"),
    }
}

/// Returns 40001, after many tries.
pub(crate) fn contended() -> Fault {
    Fault::new(
        PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
        "idempotency keys were claimed by other transactions again and again",
    )
}
