//! One event, in the caller's own transaction: what `log_event` and `replay_event` do.

use crate::event::Event;
use crate::event::quarantine;
use crate::event::verdict::{Unraised, Verdict};
use crate::pg::subtransaction;
use crate::write::insert;

/// Checks the event and inserts it; returns its id, or nothing for an event that is not stored.
/// Raises any fault.
pub(crate) fn log(event: &Event<'_>) -> Option<i64> {
    match event.check() {
        Ok(Verdict::Ready(ready)) => {
            let insert = || insert::one_keyed(&ready, event.idempotency_key);
            subtransaction::with_own_sqlstates(insert).unwrap_or_else(|fault| fault.raise())
        }
        Ok(Verdict::Stopped(stopped)) => {
            if let Unraised::Quarantine(fault) = stopped.settle_or_raise() {
                quarantine::put(event, None, true, fault);
            }
            None
        }
        Err(fault) => fault.raise(),
    }
}
