//! Late events: those that are created below the watermark of the rollups, in a transaction that
//! took long or by an import. They are noted in `late_events`, as the log's owner, and maintenance
//! adds them to the rollups (`sql/177_roll_up.sql` says how).
//!
//! An ordinary event costs nothing: its partition is known together with the watermark, so that one
//! comparison tells that it is neither late nor without a partition (`partition`).

use pgrx::datum::{TimestampWithTimeZone, Uuid};
use pgrx::prelude::*;

use crate::error::Fault;
use crate::event::uuid_datum;
use crate::pg::array;
use crate::pg::spi::{As, Kept, Mode, Params, Session};
use crate::registry::{self, Log};

// SAFETY: PostgreSQL's own function, as its header declares it, which pgrx leaves out. It may raise:
// called through the guard.
unsafe extern "C-unwind" {
    fn get_partition_parent(relation: pg_sys::Oid, even_if_detached: bool) -> pg_sys::Oid;
}

thread_local! {
    static NOTE: Kept = const { Kept::new(
        c"INSERT INTO eventlog.late_events (tenant_id, id, created_at)
          SELECT pg_catalog.unnest($1), pg_catalog.unnest($2), $3
          ON CONFLICT ON CONSTRAINT late_events_pkey DO NOTHING",
        &[pg_sys::UUIDARRAYOID, pg_sys::INT8ARRAYOID, pg_sys::TIMESTAMPTZOID],
    ) };
}

/// Notes events that were created at `created_at`, by tenant (where it is known) and id.
pub(crate) fn note(log: &Log, events: &[(Option<[u8; 16]>, i64)], created_at: i64) {
    let tenants = events.iter().map(|(tenant_id, _)| tenant_id.as_ref().map(uuid_datum));
    let ids = events.iter().map(|(_, id)| (*id).into_datum());
    let params = Params::new([
        Some(array::of(pg_sys::UUIDOID, tenants)),
        Some(array::of(pg_sys::INT8OID, ids)),
        Some(pg_sys::Datum::from(created_at)),
    ]);
    let session = Session::begin();
    let _owner = As::role(log.owner);
    NOTE.with(|plan| plan.execute(&session, Mode::Write, params));
}

/// The moment below which an event is late, as the transaction has to see it now.
fn watermark() -> i64 {
    match registry::current() {
        Ok(log) => log.watermark,
        Err(no_log) => no_log.raise(),
    }
}

/// The same for SQL.
#[pg_extern(sql = false)]
fn announced_watermark() -> TimestampWithTimeZone {
    // SAFETY: a timestamp of PostgreSQL's own, or one of its infinities.
    unsafe { TimestampWithTimeZone::from_datum(watermark().into(), false) }.expect("not null")
}

/// The trigger on closed partitions, for whoever inserts there: an import, or the owner's COPY. On a
/// partition that was detached it notes nothing.
#[pg_trigger]
fn late_event<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, std::convert::Infallible> {
    let log = match registry::current() {
        Ok(log) => log,
        Err(no_log) => no_log.raise(),
    };
    // SAFETY: PostgreSQL calls a trigger with the relation it is on, which it keeps open.
    let (owner, is_partition) = unsafe {
        let relation = *trigger.trigger_data().tg_relation;
        let is_partition = (*relation.rd_rel).relispartition
            && pg_sys::ffi::pg_guard_ffi_boundary(|| get_partition_parent(relation.rd_id, true))
                == log.events;
        ((*relation.rd_rel).relowner, is_partition)
    };
    if !is_partition {
        if owner != log.owner {
            Fault::new(
                PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
                "late_event() is for partitions of eventlog.events only",
            )
            .raise();
        }
        return Ok(None);
    }
    let column = trigger.new().and_then(|row| {
        let tenant_id = row.get_by_name::<Uuid>("tenant_id").ok()??;
        let id = row.get_by_name::<i64>("id").ok()??;
        let created_at = row.get_by_name::<TimestampWithTimeZone>("created_at").ok()??;
        Some((*tenant_id.as_bytes(), id, pg_sys::TimestampTz::from(created_at)))
    });
    if let Some((tenant_id, id, created_at)) = column
        && created_at < log.watermark
    {
        note(&log, &[(Some(tenant_id), id)], created_at);
    }
    Ok(None)
}
