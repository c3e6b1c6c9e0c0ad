//! What late events need of the library: the trigger on closed partitions, and the watermark.

use pgrx::datum::{TimestampWithTimeZone, Uuid};
use pgrx::prelude::*;

use crate::error::Fault;
use crate::pg::trigger;
use crate::registry;
use crate::write::late;

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
    TimestampWithTimeZone::try_from(watermark()).expect("a timestamp of PostgreSQL's own")
}

/// The trigger on closed partitions, for whoever inserts there: an import, or the owner's COPY. On a
/// partition that was detached it notes nothing.
#[pg_trigger]
fn late_event<'a>(
    on: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, std::convert::Infallible> {
    let log = match registry::current() {
        Ok(log) => log,
        Err(no_log) => no_log.raise(),
    };
    if trigger::partitioned_table(on) != Some(log.events) {
        if trigger::owner(on) != log.owner {
            Fault::new(
                PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
                "late_event() is for partitions of eventlog.events only",
            )
            .raise();
        }
        return Ok(None);
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
        late::note(&log, &[(Some(tenant_id), id)], created_at);
    }
    Ok(None)
}
