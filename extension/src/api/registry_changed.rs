//! The trigger on the tables that the registry is read from.

use pgrx::prelude::*;

use crate::pg::invalidation;
use crate::pg::trigger;

/// Statement trigger on those tables: invalidates the registry of this backend at the end of the
/// statement and of the others at commit. ROLLBACK undoes it like the change itself.
#[pg_trigger]
fn registry_changed<'a>(
    on: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, std::convert::Infallible> {
    invalidation::announce(trigger::relation(on));
    Ok(None)
}
