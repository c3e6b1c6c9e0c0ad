//! SQL functions for late events: the trigger on closed partitions, and the watermark.

use pgrx::datum::{TimestampWithTimeZone, Uuid};
use pgrx::prelude::*;

use crate::error::Fault;
use crate::pg::trigger;
use crate::registry;
use crate::write::late_events;

/// Returns the moment below which an event is late, as this transaction has to see it now.
fn watermark() -> i64 {
    registry::require().watermark
}

/// Returns the watermark to SQL.
#[pg_extern(sql = false)]
fn announced_watermark() -> TimestampWithTimeZone {
    TimestampWithTimeZone::try_from(watermark()).expect("a timestamp of PostgreSQL's own")
}

/// Notes a row that is inserted into a closed partition: by an import, or by the owner's COPY. On a
/// detached partition it does nothing.
#[pg_extern(sql = false)]
fn late_event(fcinfo: pg_sys::FunctionCallInfo) {
    trigger::run(fcinfo, "late_event", on_late_event);
}

fn on_late_event(on: &PgTrigger<'_>) {
    let log = registry::require();
    if trigger::partitioned_table(on) != Some(log.events) {
        if trigger::owner(on) != log.owner {
            Fault::new(
                PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
                "late_event() is for partitions of eventlog.events only",
            )
            .raise();
        }
        return;
    }
    let column = on.new().and_then(|row| {
        let tenant_id = row.get_by_name::<Uuid>("tenant_id").ok()??;
        let id = row.get_by_name::<i64>("id").ok()??;
        let created_at = row.get_by_name::<TimestampWithTimeZone>("created_at").ok()??;
        Some((*tenant_id.as_bytes(), id, pg_sys::TimestampTz::from(created_at)))
    });
    if let Some((tenant_id, id, created_at)) = column
        && created_at < log.watermark
    {
        late_events::note(&log, &[(Some(tenant_id), id)], created_at);
    }
}
