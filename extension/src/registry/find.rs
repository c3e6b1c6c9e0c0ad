//! Finding the type of a name, and the faults of names that no event may have.

use std::rc::Rc;

use pgrx::prelude::*;

use crate::error::{Fault, shown};
use crate::payload::event_type::EventType;
use crate::registry::log::{Log, Lookup};
use crate::registry::nearest;

impl Log {
    /// Returns the type of a name; 42704 for a name that is unknown or retired.
    pub(crate) fn find(&self, name: &str) -> Result<&Rc<EventType>, Fault> {
        match self.lookup(name) {
            Lookup::Known(event_type) => Ok(event_type),
            Lookup::Retired(event_type) => Err(retired(name, event_type)),
            Lookup::Unknown => Err(unknown(name)),
        }
    }
}

/// Returns 42704 for a name that takes no more events.
pub(crate) fn retired(name: &str, event_type: &EventType) -> Fault {
    let fault = Fault::new(
        PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
        format!("event name {} is retired", shown(name)),
    );
    match event_type.successor_hint() {
        Some(successor) => fault.hint(successor),
        None => fault.hint("SELECT eventlog.define_event('<name>', status => 'active');"),
    }
}

/// Returns 42704 for a name that is not in the taxonomy.
pub(crate) fn unknown(name: &str) -> Fault {
    Fault::new(
        PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
        format!("unknown event name {}", shown(name)),
    )
    .hint_later(nearest::hint, name)
}
