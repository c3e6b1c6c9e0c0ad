//! The trigger on the tables that the registry is read from.

use pgrx::prelude::*;

use crate::pg::invalidation;
use crate::pg::trigger;
use crate::registry::invalidation::WATCHED_TABLES;

/// Returns the tables that need this trigger: those that the registry is read from, but for `events`, of
/// which it reads no row.
#[pg_extern(sql = false)]
fn cached_tables() -> Vec<&'static str> {
    WATCHED_TABLES.into_iter().filter(|table| *table != "events").collect()
}

/// Statement trigger on those tables: invalidates the registry of this backend at the end of the
/// statement and of the others at commit. ROLLBACK undoes it like the change itself.
#[pg_extern(sql = false)]
fn registry_changed(fcinfo: pg_sys::FunctionCallInfo) {
    trigger::run(fcinfo, "registry_changed", on_registry_changed);
}

fn on_registry_changed(on: &PgTrigger<'_>) {
    invalidation::announce(trigger::relation(on));
}
