//! `log_event`: one event, in the caller's own transaction.

use pgrx::datum::{TimestampWithTimeZone, Uuid};
use pgrx::prelude::*;

use crate::event::Event;
use crate::pg::datum::{Jsonb, Text};
use crate::pg::transaction::require_read_write;
use crate::settings;
use crate::write::single;

/// Checks an event and inserts it; raises any fault. Returns NULL if the log is disabled, or the
/// event is not stored.
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
    if !settings::enabled() {
        return None;
    }
    require_read_write(c"log_event()");
    single::log(&Event::new(tenant_id, name, data, occurred_at, actor, subject, idempotency_key))
}
