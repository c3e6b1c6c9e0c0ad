//! The trigger on the tables that the registry is read from.

use pgrx::prelude::*;

use crate::pg::invalidation;
use crate::pg::trigger;

/// Statement trigger on the tables above: tells every backend, this one included, at the end of
/// the statement here and at commit elsewhere. Undone by ROLLBACK like the change itself.
#[pg_trigger]
fn registry_changed<'a>(
    on: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, std::convert::Infallible> {
    invalidation::announce(trigger::relation(on));
    Ok(None)
}
