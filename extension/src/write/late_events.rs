//! Late events: created below the watermark of the rollups, in a long transaction or by an import.
//! They are noted in `late_events` as the log's owner, and maintenance adds them to the rollups
//! (`sql/70_maintenance/roll_up.sql` explains how).
//!
//! An ordinary event costs nothing: its partition and the watermark are cached together, so that
//! one comparison shows that the event is not late and has a partition (`partition`).

use pgrx::prelude::*;

use crate::pg::array;
use crate::pg::identity::ActAs;
use crate::pg::spi::{Mode, Params, Prepared, Session};
use crate::pg::uuid::uuid_datum;
use crate::registry::log::Log;

thread_local! {
    static NOTE: Prepared = const { Prepared::new(
        c"INSERT INTO eventlog.late_events (tenant_id, id, created_at)
          SELECT pg_catalog.unnest($1), pg_catalog.unnest($2), $3
          ON CONFLICT ON CONSTRAINT late_events_pkey DO NOTHING",
        &[pg_sys::UUIDARRAYOID, pg_sys::INT8ARRAYOID, pg_sys::TIMESTAMPTZOID],
    ) };
}

/// Notes events that were created at `created_at`, by tenant (if known) and id.
pub(crate) fn note(log: &Log, events: &[(Option<[u8; 16]>, i64)], created_at: i64) {
    let tenants = events.iter().map(|(tenant_id, _)| tenant_id.as_ref().map(uuid_datum));
    let ids = events.iter().map(|(_, id)| (*id).into_datum());
    let params = Params::new([
        Some(array::of(pg_sys::UUIDOID, tenants)),
        Some(array::of(pg_sys::INT8OID, ids)),
        Some(pg_sys::Datum::from(created_at)),
    ]);
    let session = Session::begin();
    let _owner = ActAs::role(log.owner);
    NOTE.with(|plan| plan.execute(&session, Mode::Write, params));
}
