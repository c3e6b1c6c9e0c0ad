//! The INSERT into `events`, with the caller's own rights and policies.
//!
//! How the id is found depends on the caller. A role that policies bind needs no right to read: the
//! guard passes the id on. The log's owner bypasses the guard, draws the ids first and inserts
//! them, which is 5 % cheaper than RETURNING.

use pgrx::prelude::*;

use crate::error::Fault;
use crate::event::Ready;
use crate::event::hygiene;
use crate::pg::array;
use crate::pg::datum::Text;
use crate::pg::identity::ActAs;
use crate::pg::sequence::{last_value, next_value};
use crate::pg::spi::{Mode, Params, Prepared, Session, Statement};
use crate::pg::transaction::now;
use crate::pg::uuid::uuid_datum;
use crate::write::checked_rows::{Row, with_checked};
use crate::write::idempotency::{self, Key, Seen};
use crate::write::late_events;
use crate::write::partition;

/// A column of `events` that the log writes.
struct Column {
    name: &'static str,
    element: pg_sys::Oid,
    array: pg_sys::Oid,
    value: fn(&Ready<'_>) -> Option<pg_sys::Datum>,
}

/// All columns of `events` that the log writes. The statements and their parameters are made from
/// this list.
const COLUMNS: [Column; 7] = [
    Column {
        name: "tenant_id",
        element: pg_sys::UUIDOID,
        array: pg_sys::UUIDARRAYOID,
        value: |ready| Some(uuid_datum(&ready.tenant_id)),
    },
    Column {
        name: "name",
        element: pg_sys::TEXTOID,
        array: pg_sys::TEXTARRAYOID,
        value: |ready| Some(ready.name.datum()),
    },
    Column {
        name: "data",
        element: pg_sys::JSONBOID,
        array: pg_sys::JSONBARRAYOID,
        value: |ready| Some(ready.data.datum()),
    },
    Column {
        name: "occurred_at",
        element: pg_sys::TIMESTAMPTZOID,
        array: pg_sys::TIMESTAMPTZARRAYOID,
        value: |ready| ready.occurred_at.map(pg_sys::Datum::from),
    },
    Column {
        name: "actor",
        element: pg_sys::TEXTOID,
        array: pg_sys::TEXTARRAYOID,
        value: |ready| ready.actor.map(|actor| actor.datum()),
    },
    Column {
        name: "subject",
        element: pg_sys::TEXTOID,
        array: pg_sys::TEXTARRAYOID,
        value: |ready| ready.subject.map(|subject| subject.datum()),
    },
    Column {
        name: "weight",
        element: pg_sys::FLOAT4OID,
        array: pg_sys::FLOAT4ARRAYOID,
        value: |ready| ready.weight.and_then(f32::into_datum),
    },
];

/// The id, which comes last. The log's owner draws it beforehand.
const ID: (&str, pg_sys::Oid, pg_sys::Oid) = ("id", pg_sys::INT8OID, pg_sys::INT8ARRAYOID);

const WITH_ID: usize = COLUMNS.len() + 1;

/// The values of a row, or the arrays of several.
type Values = [Option<pg_sys::Datum>; COLUMNS.len()];

fn with_id(values: Values, id: Option<pg_sys::Datum>) -> Params<WITH_ID> {
    let mut all = [id; WITH_ID];
    all[..values.len()].copy_from_slice(&values);
    Params::new(all)
}

/// Returns an INSERT of one row, or of arrays, and the types of its parameters. In the target list the
/// arrays are walked in step, without being materialized first.
fn statement(is_array: bool, has_id: bool) -> Statement {
    let columns = COLUMNS.iter().map(|column| (column.name, column.element, column.array));
    let columns: Vec<_> = columns.chain(has_id.then_some(ID)).collect();
    let list = |item: &dyn Fn(usize) -> String| {
        (0..columns.len()).map(item).collect::<Vec<_>>().join(", ")
    };
    let names = list(&|at| columns[at].0.to_owned());
    let overriding = if has_id { " OVERRIDING SYSTEM VALUE" } else { "" };
    let values = match is_array {
        false => format!("VALUES ({})", list(&|at| format!("${}", at + 1))),
        true => format!("SELECT {}", list(&|at| format!("pg_catalog.unnest(${})", at + 1))),
    };
    Statement {
        sql: format!("INSERT INTO eventlog.events ({names}){overriding} {values}"),
        types: columns.iter().map(|column| if is_array { column.2 } else { column.1 }).collect(),
    }
}

thread_local! {
    static ONE: Prepared = const { Prepared::built(|| statement(false, false)) };
    static ONE_AS_OWNER: Prepared = const { Prepared::built(|| statement(false, true)) };
    static MANY: Prepared = const { Prepared::built(|| statement(true, false)) };
    static MANY_AS_OWNER: Prepared = const { Prepared::built(|| statement(true, true)) };
}

/// Inserts an event and returns its id; nothing if a trigger of the user skipped the row.
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
        late_events::note(&ready.log, &[(Some(ready.tenant_id), id)], now());
    }
    id
}

fn insert_row(ready: &Ready<'_>) -> Option<i64> {
    let values: Values = COLUMNS.map(|column| (column.value)(ready));
    let session = Session::begin();
    if ready.caller.is_owner {
        let _owner = ready.log.without_superuser(ready.caller);
        let id = next_id(ready);
        let params = with_id(values, id.into_datum());
        let written = ONE_AS_OWNER.with(|plan| plan.execute(&session, Mode::Write, params));
        return (written == 1).then_some(id);
    }
    let rows = [row(ready)];
    let params = Params::new(values);
    let (written, passed) =
        with_checked(&rows, || ONE.with(|plan| plan.execute(&session, Mode::Write, params)));
    if written == 0 {
        return None;
    }
    passed.lowest.or_else(|| last_id(ready))
}

/// Inserts an event unless its idempotency key was seen; returns the id of the event that has the
/// key.
pub(crate) fn one_keyed(ready: &Ready<'_>, key: Option<Text<'_>>) -> Result<Option<i64>, Fault> {
    let Some(key) = key else { return Ok(one(ready)) };
    let key = Key { tenant_id: ready.tenant_id, key };
    for _ in 0..idempotency::TRIES {
        if let Seen::Before { id } = idempotency::find(&ready.log, &[key])[0] {
            return Ok(id);
        }
        let attempt = idempotency::in_subtransaction(|| {
            let id = one(ready);
            idempotency::claim(&ready.log, vec![(key, id)]).map(|()| id)
        })?;
        if let Ok(id) = attempt {
            return Ok(id);
        }
    }
    Err(idempotency::contended())
}

/// Inserts events with one statement and returns their ids in the same order; an id is missing if a
/// trigger of the user changed the row. Returns nothing if such a trigger skipped rows: only single
/// INSERTs show which, and the caller must roll this one back.
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
        late_events::note(&first.log, &late, now());
    }
    Some(ids)
}

/// Returns the ids, if all rows were inserted.
fn insert_rows<'r, 'a: 'r>(
    first: &Ready<'_>,
    ready: impl Iterator<Item = &'r Ready<'a>> + Clone,
) -> Option<Vec<Option<i64>>> {
    let arrays: Values =
        COLUMNS.map(|column| Some(array::of(column.element, ready.clone().map(column.value))));
    let session = Session::begin();
    if first.caller.is_owner {
        let _owner = first.log.without_superuser(first.caller);
        let ids: Vec<i64> = ready.map(next_id).collect();
        let id = array::of(pg_sys::INT8OID, ids.iter().map(|id| (*id).into_datum()));
        let params = with_id(arrays, Some(id));
        let written = MANY_AS_OWNER.with(|plan| plan.execute(&session, Mode::Write, params));
        return (written == ids.len() as u64).then(|| ids.into_iter().map(Some).collect());
    }
    let rows: Vec<Row<'_>> = ready.map(row).collect();
    let (written, passed) = with_checked(&rows, || {
        MANY.with(|plan| plan.execute(&session, Mode::Write, Params::new(arrays)))
    });
    let mut ids = passed.ids;
    ids.resize(rows.len(), None);
    (written == rows.len() as u64).then_some(ids)
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

/// Returns the id that this session drew last, for a role that bypasses the policies without the
/// owner's rights: the guard sees nothing of its rows. (A trigger of the user that inserts another
/// event makes it that one's id.)
fn last_id(ready: &Ready<'_>) -> Option<i64> {
    let _owner = ActAs::role(ready.log.owner);
    last_value(ready.log.ids)
}
