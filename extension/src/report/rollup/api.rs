//! The functions of SQL: the aggregate `eventlog_private.count_all()`, and those that return what it
//! counted.

use std::cell::RefCell;

use pgrx::datum::{TimestampWithTimeZone, Uuid};
use pgrx::prelude::*;
use pgrx::{Internal, PgMemoryContexts, PgSqlErrorCode, pg_sys};

use crate::error::Fault;
use crate::pg::aggregate::{self, jsonb_argument, with_state};
use crate::pg::call::{Call, export_calls};
use crate::pg::datum::{Jsonb, Text};
use crate::pg::rows::RowSink;
use crate::report::rollup::counts::{Counts, HOUR};
use crate::report::rollup::measure::Event;

/// The argument of a step that holds the rules.
const RULES: usize = 9;
/// Most bytes that a worker can pass to its leader, a little below PostgreSQL's own limit of 1 GB.
const MOST_BYTES: usize = 1_000_000_000;

thread_local! {
    /// What the last pass of this transaction counted.
    static COUNTED: RefCell<Option<Counts>> = const { RefCell::new(None) };
}

/// Frees the counts at the end of a transaction, whatever ends it.
struct AtEnd;

impl Drop for AtEnd {
    fn drop(&mut self) {
        forget();
    }
}

fn forget() {
    // Dropped after the place is free again.
    drop(COUNTED.with(|counted| counted.take()));
}

/// Step of `count_all(id, tenant_id, name, data, actor, subject, created_at, weight, rules)`.
#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments, reason = "the columns of an event")]
fn count_step(
    state: Internal,
    id: Option<i64>,
    tenant_id: Option<Uuid>,
    name: Option<Text<'_>>,
    data: Option<Jsonb<'_>>,
    actor: Option<Text<'_>>,
    subject: Option<Text<'_>>,
    created_at: Option<TimestampWithTimeZone>,
    weight: Option<f32>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Internal {
    with_state(state, fcinfo, |counts: &mut Counts| {
        if counts.lacks_rules()
            && let Some(rules) = jsonb_argument(fcinfo, RULES)
        {
            counts.set_rules(rules);
        }
        if let (Some(id), Some(tenant_id), Some(name), Some(data), Some(created_at)) =
            (id, tenant_id, name, data, created_at)
        {
            counts.add(&Event {
                id,
                tenant_id: *tenant_id.as_bytes(),
                name: name.as_str(),
                data: data.bytes(),
                actor: actor.as_ref().map(Text::as_str),
                subject: subject.as_ref().map(Text::as_str),
                created_at: created_at.into_inner(),
                weight,
            });
        }
    })
}

#[pg_extern(sql = false)]
fn count_serialize(state: Internal) -> Option<Vec<u8>> {
    let bytes = aggregate::state::<Counts>(&state)?.to_bytes();
    if bytes.len() > MOST_BYTES {
        Fault::new(
            PgSqlErrorCode::ERRCODE_OUT_OF_MEMORY,
            format!("the counts of one process have {} bytes, limit {MOST_BYTES}", bytes.len()),
        )
        .hint("SET max_parallel_maintenance_workers = 0;")
        .raise();
    }
    Some(bytes)
}

#[pg_extern(sql = false)]
fn count_deserialize(bytes: &[u8], _internal: Internal) -> Internal {
    Internal::new(Counts::unread(bytes))
}

#[pg_extern(sql = false)]
fn count_combine(state: Internal, other: Internal, fcinfo: pg_sys::FunctionCallInfo) -> Internal {
    with_state(state, fcinfo, |counts: &mut Counts| {
        if let Some(other) = aggregate::state::<Counts>(&other) {
            counts.merge(other);
        }
    })
}

/// Keeps the counts for the functions below, and returns the number of events and how many rows each
/// rollup gets at most.
#[pg_extern(sql = false)]
fn count_final(state: Internal) -> Vec<i64> {
    let counts = aggregate::take_state::<Counts>(state).unwrap_or_default();
    let events: i64 = counts.hours.values().map(|measures| measures.events).sum();
    let sizes = counts.sizes();
    COUNTED.with(|counted| counted.replace(Some(counts)));
    PgMemoryContexts::CurTransactionContext.leak_and_drop_on_delete(AtEnd);
    std::iter::once(events).chain(sizes.into_iter().map(|rows| rows as i64)).collect()
}

/// Frees the counts.
#[pg_extern(sql = false)]
fn forget_counts() {
    forget();
}

/// Returns the uncountable events that the pass met, for a message; null if there were none.
#[pg_extern(sql = false)]
fn counted_without() -> Option<String> {
    COUNTED.with_borrow(|counted| counted.as_ref().and_then(|counts| counts.uncountable.told()))
}

/// Returns the tenants of the events that were counted.
#[pg_extern(sql = false)]
fn counted_tenants() -> Vec<Uuid> {
    COUNTED.with_borrow(|counted| {
        let tenants = counted.as_ref().map(|counts| counts.tenants.values());
        tenants
            .into_iter()
            .flatten()
            .map(|tenant| Uuid::from_bytes(tenant.try_into().expect("16 bytes")))
            .collect()
    })
}

/// Returns the start of the first hour of the events that were counted.
#[pg_extern(sql = false)]
fn counted_since() -> Option<TimestampWithTimeZone> {
    COUNTED.with_borrow(|counted| {
        let hour = counted.as_ref()?.hours.keys().map(|group| group.at).min()?;
        TimestampWithTimeZone::try_from(i64::from(hour) * HOUR).ok()
    })
}

fn rows(call: Call, of: fn(&Counts, &mut RowSink)) -> pg_sys::Datum {
    let mut rows = call.rows();
    COUNTED.with_borrow(|counted| {
        if let Some(counts) = counted {
            of(counts, &mut rows);
        }
    });
    pg_sys::Datum::null()
}

export_calls! {
    counted_hourly_counts_wrapper, pg_finfo_counted_hourly_counts_wrapper
        => |call| rows(call, Counts::hour_rows);
    counted_daily_counts_wrapper, pg_finfo_counted_daily_counts_wrapper
        => |call| rows(call, Counts::day_rows);
    counted_daily_subjects_wrapper, pg_finfo_counted_daily_subjects_wrapper
        => |call| rows(call, Counts::subject_rows);
    counted_monthly_actors_wrapper, pg_finfo_counted_monthly_actors_wrapper
        => |call| rows(call, Counts::actor_rows);
    counted_first_events_wrapper, pg_finfo_counted_first_events_wrapper
        => |call| rows(call, Counts::first_rows);
    counted_hourly_keys_wrapper, pg_finfo_counted_hourly_keys_wrapper
        => |call| rows(call, Counts::hour_key_rows);
    counted_daily_keys_wrapper, pg_finfo_counted_daily_keys_wrapper
        => |call| rows(call, Counts::day_key_rows);
    counted_monthly_key_actors_wrapper, pg_finfo_counted_monthly_key_actors_wrapper
        => |call| rows(call, Counts::key_actor_rows);
}
