//! `replay_event`: an event out of the quarantine.

use pgrx::datum::{TimestampWithTimeZone, Uuid};
use pgrx::prelude::*;

use crate::error::Fault;
use crate::event::{Event, Replay};
use crate::pg::datum::{Jsonb, Text};
use crate::pg::transaction::require_read_write;
use crate::registry;
use crate::write::single;

/// Does the same as `log_event` for an event from the quarantine, whose values were hashed there.
/// For `replay_rejected`, by the log's owner.
#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments, reason = "the columns of rejected_events")]
fn replay_event(
    tenant_id: Option<Uuid>,
    name: Option<Text<'_>>,
    data: Option<Jsonb<'_>>,
    occurred_at: Option<TimestampWithTimeZone>,
    actor: Option<Text<'_>>,
    subject: Option<Text<'_>>,
    idempotency_key: Option<Text<'_>>,
    weight: Option<f32>,
) -> Option<i64> {
    require_read_write(c"replay_event()");
    match registry::current() {
        Ok(log) if !log.caller().is_owner => Fault::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            "permission denied: the quarantine is the log owner's",
        )
        .raise(),
        _ => {}
    }
    let event = Event::new(tenant_id, name, data, occurred_at, actor, subject, idempotency_key);
    single::log(&Event { replay: Some(Replay { weight }), ..event })
}
