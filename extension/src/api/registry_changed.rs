//! The trigger on the tables that the registry is read from.

use pgrx::prelude::*;

/// Statement trigger on the tables above: tells every backend, this one included, at the end of
/// the statement here and at commit elsewhere. Undone by ROLLBACK like the change itself.
#[pg_trigger]
fn registry_changed<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, std::convert::Infallible> {
    // SAFETY: PostgreSQL calls a trigger with the relation it is on.
    unsafe {
        let data: &pg_sys::TriggerData = trigger.trigger_data();
        pg_sys::CacheInvalidateRelcacheByRelid((*data.tg_relation).rd_id);
    }
    Ok(None)
}
