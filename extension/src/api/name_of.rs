//! `_name_of`: the name that an alias stands for.

use pgrx::prelude::*;

use crate::pg::datum::Text;
use crate::registry;

/// Returns the name under which events of this name are stored: that of the event type that has it
/// as an alias, else the name itself.
#[pg_extern(sql = false)]
fn name_of(name: Text<'_>) -> Text<'_> {
    match registry::current() {
        Ok(log) => log.any_type_of(name.as_str()).map_or(name, |found| found.stored_name(name)),
        // Without a log there are no aliases.
        Err(_) => name,
    }
}
