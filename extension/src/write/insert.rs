//! The INSERT into `events`, under the caller's own rights and policies.
//!
//! How the id comes back depends on the caller. A role that policies bind needs no right to read:
//! the guard tells the id. The log's owner, who bypasses the guard, draws the ids first and inserts
//! them, which is 5 % cheaper than RETURNING.

use pgrx::prelude::*;

use crate::error::Fault;
use crate::event::Ready;
use crate::event::hygiene;
use crate::pg::array;
use crate::pg::datum::Text;
use crate::pg::identity::As;
use crate::pg::sequence::{last_value, next_value};
use crate::pg::spi::{Kept, Mode, Params, Session};
use crate::pg::transaction::now;
use crate::pg::uuid::uuid_datum;
use crate::write::checked_rows::{Row, with_checked};
use crate::write::idempotency::{self, Key};
use crate::write::late;
use crate::write::partition;

thread_local! {
    static ONE: Kept = const { Kept::new(
        c"INSERT INTO eventlog.events (tenant_id, name, data, occurred_at, actor, subject, weight)
          VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            pg_sys::UUIDOID,
            pg_sys::TEXTOID,
            pg_sys::JSONBOID,
            pg_sys::TIMESTAMPTZOID,
            pg_sys::TEXTOID,
            pg_sys::TEXTOID,
            pg_sys::FLOAT4OID,
        ],
    ) };
    static ONE_AS_OWNER: Kept = const { Kept::new(
        c"INSERT INTO eventlog.events (tenant_id, name, data, occurred_at, actor, subject, weight, id)
          OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            pg_sys::UUIDOID,
            pg_sys::TEXTOID,
            pg_sys::JSONBOID,
            pg_sys::TIMESTAMPTZOID,
            pg_sys::TEXTOID,
            pg_sys::TEXTOID,
            pg_sys::FLOAT4OID,
            pg_sys::INT8OID,
        ],
    ) };
    /// In the target list the arrays are walked in step, without being materialized first.
    static MANY: Kept = const { Kept::new(
        c"INSERT INTO eventlog.events (tenant_id, name, data, occurred_at, actor, subject, weight)
          SELECT pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3),
                 pg_catalog.unnest($4), pg_catalog.unnest($5), pg_catalog.unnest($6),
                 pg_catalog.unnest($7)",
        &[
            pg_sys::UUIDARRAYOID,
            pg_sys::TEXTARRAYOID,
            pg_sys::JSONBARRAYOID,
            pg_sys::TIMESTAMPTZARRAYOID,
            pg_sys::TEXTARRAYOID,
            pg_sys::TEXTARRAYOID,
            pg_sys::FLOAT4ARRAYOID,
        ],
    ) };
    static MANY_AS_OWNER: Kept = const { Kept::new(
        c"INSERT INTO eventlog.events (tenant_id, name, data, occurred_at, actor, subject, weight, id)
          OVERRIDING SYSTEM VALUE
          SELECT pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3),
                 pg_catalog.unnest($4), pg_catalog.unnest($5), pg_catalog.unnest($6),
                 pg_catalog.unnest($7), pg_catalog.unnest($8)",
        &[
            pg_sys::UUIDARRAYOID,
            pg_sys::TEXTARRAYOID,
            pg_sys::JSONBARRAYOID,
            pg_sys::TIMESTAMPTZARRAYOID,
            pg_sys::TEXTARRAYOID,
            pg_sys::TEXTARRAYOID,
            pg_sys::FLOAT4ARRAYOID,
            pg_sys::INT8ARRAYOID,
        ],
    ) };
}

/// Inserts an event; its id, or nothing where a trigger of the user skipped the row.
pub(crate) fn one(ready: &Ready<'_>) -> Option<i64> {
    let id = insert_one(ready);
    if !ready.incidents.is_empty() {
        hygiene::write(&ready.log, ready.incidents.iter());
    }
    id
}

fn insert_one(ready: &Ready<'_>) -> Option<i64> {
    let is_late = partition::ensure(&ready.log);
    let id = insert_row(ready);
    if let Some(id) = id.filter(|_| is_late) {
        late::note(&ready.log, &[(Some(ready.tenant_id), id)], now());
    }
    id
}

fn insert_row(ready: &Ready<'_>) -> Option<i64> {
    let [tenant, name, data, occurred_at, actor, subject, weight] = values(ready);
    let session = Session::begin();
    if ready.caller.is_owner {
        let _owner = ready.log.without_superuser(ready.caller);
        let id = next_id(ready);
        let params = [tenant, name, data, occurred_at, actor, subject, weight, id.into_datum()];
        let written =
            ONE_AS_OWNER.with(|plan| plan.execute(&session, Mode::Write, Params::new(params)));
        return (written == 1).then_some(id);
    }
    let rows = [row(ready)];
    let params = Params::new([tenant, name, data, occurred_at, actor, subject, weight]);
    let (written, passed) =
        with_checked(&rows, || ONE.with(|plan| plan.execute(&session, Mode::Write, params)));
    if written == 0 {
        return None;
    }
    passed.lowest.or_else(|| last_id(ready))
}

/// Inserts an event, unless its idempotency key was seen; the id of the key's event.
pub(crate) fn one_keyed(ready: &Ready<'_>, key: Option<Text<'_>>) -> Result<Option<i64>, Fault> {
    let Some(key) = key else { return Ok(one(ready)) };
    let key = Key { tenant_id: ready.tenant_id, key };
    for _ in 0..idempotency::TRIES {
        if let Some(seen) = idempotency::find(&ready.log, &[key]).remove(0) {
            return Ok(seen);
        }
        let attempt = idempotency::in_subtransaction(|| {
            let id = one(ready);
            idempotency::claim(&ready.log, vec![(key, id)]).then_some(id)
        })?;
        if let Some(id) = attempt {
            return Ok(id);
        }
    }
    Err(idempotency::contended())
}

/// Inserts events with one statement; their ids in the same order, so far as they are known: where
/// a trigger of the user changes rows, not all are. Nothing where such a trigger skipped some: which
/// ones, only an INSERT of each tells, and the caller must roll this one back.
pub(crate) fn many<'r, 'a: 'r>(
    ready: impl Iterator<Item = &'r Ready<'a>> + Clone,
) -> Option<Vec<Option<i64>>> {
    let Some(first) = ready.clone().next() else { return Some(Vec::new()) };
    hygiene::write(&first.log, ready.clone().flat_map(|ready| &ready.incidents));
    let is_late = partition::ensure(&first.log);
    let ids = insert_rows(first, ready.clone())?;
    if is_late {
        let tenants = ready.map(|ready| Some(ready.tenant_id));
        let late: Vec<_> =
            tenants.zip(&ids).filter_map(|(tenant, id)| Some((tenant, (*id)?))).collect();
        late::note(&first.log, &late, now());
    }
    Some(ids)
}

/// The ids that were drawn, if every row that was to be inserted was.
fn insert_rows<'r, 'a: 'r>(
    first: &Ready<'_>,
    ready: impl Iterator<Item = &'r Ready<'a>> + Clone,
) -> Option<Vec<Option<i64>>> {
    let column = |element, value: fn(&Ready<'_>) -> Option<pg_sys::Datum>| {
        Some(array::of(element, ready.clone().map(value)))
    };
    let columns = [
        column(pg_sys::UUIDOID, |ready| values(ready)[0]),
        column(pg_sys::TEXTOID, |ready| values(ready)[1]),
        column(pg_sys::JSONBOID, |ready| values(ready)[2]),
        column(pg_sys::TIMESTAMPTZOID, |ready| values(ready)[3]),
        column(pg_sys::TEXTOID, |ready| values(ready)[4]),
        column(pg_sys::TEXTOID, |ready| values(ready)[5]),
        column(pg_sys::FLOAT4OID, |ready| values(ready)[6]),
    ];
    let session = Session::begin();
    if first.caller.is_owner {
        let _owner = first.log.without_superuser(first.caller);
        let ids: Vec<i64> = ready.map(next_id).collect();
        let [tenant, name, data, occurred_at, actor, subject, weight] = columns;
        let id = array::of(pg_sys::INT8OID, ids.iter().map(|id| (*id).into_datum()));
        let params = [tenant, name, data, occurred_at, actor, subject, weight, Some(id)];
        let written =
            MANY_AS_OWNER.with(|plan| plan.execute(&session, Mode::Write, Params::new(params)));
        return (written == ids.len() as u64).then(|| ids.into_iter().map(Some).collect());
    }
    let rows: Vec<Row<'_>> = ready.map(row).collect();
    let (written, passed) = with_checked(&rows, || {
        MANY.with(|plan| plan.execute(&session, Mode::Write, Params::new(columns)))
    });
    let mut ids = passed.ids;
    ids.resize(rows.len(), None);
    (written == rows.len() as u64).then_some(ids)
}

/// The columns that the log writes, in the order of the statements above.
fn values(ready: &Ready<'_>) -> [Option<pg_sys::Datum>; 7] {
    [
        Some(uuid_datum(&ready.tenant_id)),
        Some(ready.name.datum()),
        Some(ready.data.datum()),
        ready.occurred_at.map(pg_sys::Datum::from),
        ready.actor.map(|actor| actor.datum()),
        ready.subject.map(|subject| subject.datum()),
        ready.weight.and_then(f32::into_datum),
    ]
}

fn row<'r>(ready: &'r Ready<'_>) -> Row<'r> {
    Row {
        name: ready.name.as_str(),
        data: ready.data.bytes(),
        actor: ready.actor.map(|actor| actor.as_str()),
        subject: ready.subject.map(|subject| subject.as_str()),
        weight: ready.weight.map(f32::to_bits),
    }
}

fn next_id(ready: &Ready<'_>) -> i64 {
    next_value(ready.log.ids)
}

/// The id that this session drew last: for a role that bypasses the policies without having the
/// owner's rights, to which the guard tells nothing. (A trigger of the user that inserts would make
/// it another row's.)
fn last_id(ready: &Ready<'_>) -> Option<i64> {
    let _owner = As::role(ready.log.owner);
    last_value(ready.log.ids)
}
