//! Finding the type of a name, and what is said where there is none.

use std::rc::Rc;

use pgrx::prelude::*;

use crate::error::{Fault, shown};
use crate::payload::event_type::{EventType, Status};
use crate::registry::log::Log;
use crate::registry::nearest;

impl Log {
    /// The type of a name: its own row, or where wildcards are allowed the longest prefix's.
    pub(crate) fn find(&self, name: &str) -> Result<&Rc<EventType>, Fault> {
        match self.lookup(name) {
            Some(event_type) if event_type.status == Status::Retired => {
                let fault = Fault::new(
                    PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
                    format!("event name {} is retired", shown(name)),
                );
                Err(match &event_type.successor {
                    Some(successor) => fault.hint(format!("its successor is {}", shown(successor))),
                    None => {
                        fault.hint("SELECT eventlog.define_event('<name>', status => 'active');")
                    }
                })
            }
            Some(event_type) => Ok(event_type),
            None => Err(self.unknown(name)),
        }
    }

    fn unknown(&self, name: &str) -> Fault {
        Fault::new(
            PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
            format!("unknown event name {}", shown(name)),
        )
        .hint_later(nearest::hint, name)
    }
}
