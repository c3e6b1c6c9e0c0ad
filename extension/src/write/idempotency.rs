//! Idempotency keys: the first event of a key is the event; later ones get its id.
//!
//! A key is looked up before the INSERT and claimed after it, in the same subtransaction, so that
//! it holds the event's id and a key seen in a transaction that rolled back was never seen. Where
//! another transaction claimed it in between, the claim fails, the subtransaction is undone, and
//! the key is looked up again. Claims are sorted, else two batches could wait for each other.

use std::cell::Cell;

use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;

use crate::error::Fault;
use crate::pg::array;
use crate::pg::attempt::{self, BoundedWaits};
use crate::pg::datum::Text;
use crate::pg::identity::As;
use crate::pg::spi::{ByIndex, Kept, Mode, Params, Rows, Session};
use crate::pg::transaction::now;
use crate::pg::uuid::uuid_datum;
use crate::registry::log::Log;
use crate::settings;

/// How often keys are looked up again that another transaction claimed meanwhile.
pub(crate) const TRIES: usize = 10;

/// A key of a tenant.
#[derive(Clone, Copy)]
pub(crate) struct Key<'a> {
    pub(crate) tenant_id: [u8; 16],
    pub(crate) key: Text<'a>,
}

thread_local! {
    /// OFFSET keeps it a lookup for each key. It must be one by the primary key whatever the
    /// statistics say: planned while the table was empty, it would scan it for ever (2 to 6 ms a key
    /// at 60,000).
    static FIND: Kept = const { Kept::new(
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
    static CLAIM: Kept = const { Kept::new(
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
    /// Whether keys are being claimed: an error leaves it set, which tells what failed.
    static IS_CLAIMING: Cell<bool> = const { Cell::new(false) };

    /// The transactions that have claimed keys and not ended yet, but for those that wait themselves.
    static HOLDERS: Kept = const { Kept::new(
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

/// Keys that are older than this were not seen.
fn window_start() -> pg_sys::Datum {
    pg_sys::Datum::from(now() - settings::idempotency_window_micros())
}

fn columns(keys: &[Key<'_>]) -> (pg_sys::Datum, pg_sys::Datum) {
    (
        array::of(pg_sys::UUIDOID, keys.iter().map(|key| Some(uuid_datum(&key.tenant_id)))),
        array::of(pg_sys::TEXTOID, keys.iter().map(|key| Some(key.key.datum()))),
    )
}

/// For each key: nothing if it was not seen, else the id of its event, so far as that is known.
/// Sees what is committed by now, whatever snapshot the transaction has.
pub(crate) fn find(log: &Log, keys: &[Key<'_>]) -> Vec<Option<Option<i64>>> {
    let mut found = vec![None; keys.len()];
    let (tenants, texts) = columns(keys);
    let params = Params::new([Some(tenants), Some(texts), Some(window_start())]);
    let session = Session::begin();
    let _owner = As::role(log.owner);
    let _by_index = ByIndex::only();
    FIND.with(|plan| plan.execute(&session, Mode::ReadLatest, params));
    let rows = Rows::last(&session);
    for row in 0..rows.len() {
        if let Some(n) = rows.get::<i64>(row, 1) {
            found[n as usize - 1] = Some(rows.get::<i64>(row, 2));
        }
    }
    found
}

/// Claims the keys for these events; false if one of them is another transaction's by now, and the
/// caller must roll back. Waits for transactions that are about to claim one.
pub(crate) fn claim(log: &Log, mut claims: Vec<(Key<'_>, Option<i64>)>) -> bool {
    if claims.is_empty() {
        return true;
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
    let _owner = As::role(log.owner);
    let _bounded = BoundedWaits::within(settings::lock_timeout_ms());
    IS_CLAIMING.set(true);
    let claimed = CLAIM.with(|plan| plan.execute(&session, Mode::Write, params));
    IS_CLAIMING.set(false);
    claimed == claims.len() as u64
}

/// As `attempt::in_subtransaction`, for a `body` that claims keys. A wait for a key that another
/// transaction holds is bounded, and the error says who holds it: 55P03.
pub(crate) fn in_subtransaction<T>(body: impl FnOnce() -> Option<T>) -> Result<Option<T>, Fault> {
    IS_CLAIMING.set(false);
    let error = match attempt::attempt(body) {
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
    Err(attempt::of_the_event(error).unwrap_or_else(|error| error.rethrow()))
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

/// 40001, after many tries.
pub(crate) fn contended() -> Fault {
    Fault::new(
        PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
        "idempotency keys were claimed by other transactions again and again",
    )
}
