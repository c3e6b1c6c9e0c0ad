//! The INSERT into `events`, under the caller's own rights and policies.

use std::panic::AssertUnwindSafe;

use pgrx::PgTryBuilder;
use pgrx::prelude::*;

use crate::event::Ready;
use crate::guard::{self, Row};
use crate::partition;
use crate::spi::{Kept, Mode, Params, Rows, Session};

const TYPES: &[pg_sys::Oid] = &[
    pg_sys::UUIDOID,
    pg_sys::TEXTOID,
    pg_sys::JSONBOID,
    pg_sys::TIMESTAMPTZOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
];

thread_local! {
    /// For roles that policies bind: the guard tells the id, so no right to read is needed.
    static ONE: Kept = const { Kept::new(
        c"INSERT INTO eventlog.events (tenant_id, name, data, occurred_at, actor, subject)
          VALUES ($1, $2, $3, $4, $5, $6)",
        TYPES,
    ) };
    /// For roles that bypass them, and so the guard.
    static ONE_RETURNING: Kept = const { Kept::new(
        c"INSERT INTO eventlog.events (tenant_id, name, data, occurred_at, actor, subject)
          VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
        TYPES,
    ) };
}

fn row<'r>(ready: &'r Ready<'_>) -> Row<'r> {
    Row {
        tenant_id: ready.tenant_id,
        name: ready.name.as_str(),
        data: ready.data.bytes(),
        occurred_at: ready.occurred_at,
        actor: ready.actor.map(|actor| actor.as_str()),
        subject: ready.subject.map(|subject| subject.as_str()),
        weight: None,
    }
}

/// Inserts an event; its id, or nothing where a trigger of the user skipped the row.
pub(crate) fn one(ready: &Ready<'_>) -> Option<i64> {
    partition::ensure(&ready.log);
    let params = Params::new([
        Some(pg_sys::Datum::from(ready.tenant_id.as_ptr())),
        Some(ready.name.datum()),
        Some(ready.data.datum()),
        ready.occurred_at.map(pg_sys::Datum::from),
        ready.actor.map(|actor| actor.datum()),
        ready.subject.map(|subject| subject.datum()),
    ]);
    let session = Session::begin();
    if !ready.is_bound {
        let written = ONE_RETURNING.with(|plan| plan.execute(&session, Mode::Write, params));
        return (written == 1).then(|| Rows::last(&session).get::<i64>(0, 1)).flatten();
    }
    let rows = [row(ready)];
    let (written, passed) = explained(ready, || {
        guard::with_checked(&rows, || {
            ONE.with(|plan| plan.execute(&session, Mode::Write, params))
        })
    });
    if written == 1 { passed.lowest } else { None }
}

/// Runs `insert`; where PostgreSQL says no more than "permission denied", says why.
fn explained<T>(ready: &Ready<'_>, insert: impl FnOnce() -> T) -> T {
    PgTryBuilder::new(AssertUnwindSafe(insert))
        .catch_when(PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE, |error| {
            match ready.log.require_writer() {
                Err(fault) => fault.raise(),
                Ok(()) => error.rethrow(),
            }
        })
        .execute()
}
