//! One event, in the caller's own transaction: what `log_event` and `replay_event` do.

use crate::event::quarantine;
use crate::event::{Event, Verdict};
use crate::pg::attempt;
use crate::write::insert;

/// Checks the event and inserts it; raises any fault.
pub(crate) fn log(event: &Event<'_>) -> Option<i64> {
    match event.check() {
        Ok(Verdict::Ready(ready)) => {
            let insert = || insert::one_keyed(&ready, event.idempotency_key);
            attempt::with_own_sqlstates(insert).unwrap_or_else(|fault| fault.raise())
        }
        Ok(Verdict::Quarantine(fault)) => {
            quarantine::put(event, None, true, fault);
            event.settle_quota();
            None
        }
        Ok(Verdict::LeftOut) => {
            event.settle_quota();
            None
        }
        Ok(Verdict::OverQuota(fault)) => fault.raise(),
        Err(fault) => fault.raise(),
    }
}
