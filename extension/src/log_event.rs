//! `log_event`: one event, in the caller's own transaction.

use pgrx::datum::{TimestampWithTimeZone, Uuid};
use pgrx::prelude::*;

use crate::datum::{Jsonb, Text};
use crate::event::{Event, Verdict};
use crate::rights::require_read_write;
use crate::{guc, insert, quarantine};

/// Validates and inserts; raises on any fault. NULL where the log is disabled.
#[pg_extern(sql = false)]
fn log_event(
    tenant_id: Option<Uuid>,
    name: Option<Text<'_>>,
    data: Option<Jsonb<'_>>,
    occurred_at: Option<TimestampWithTimeZone>,
    actor: Option<Text<'_>>,
    subject: Option<Text<'_>>,
    idempotency_key: Option<Text<'_>>,
) -> Option<i64> {
    if !guc::enabled() {
        return None;
    }
    require_read_write(c"log_event()");
    let event = Event { tenant_id, name, data, occurred_at, actor, subject, idempotency_key };
    match event.check() {
        Ok(Verdict::Ready(ready)) => match insert::one_keyed(&ready, idempotency_key) {
            Ok(id) => id,
            Err(fault) => fault.raise(),
        },
        Ok(Verdict::Quarantine(fault)) => {
            quarantine::put(&event, None, true, fault);
            None
        }
        Err(fault) => fault.raise(),
    }
}
