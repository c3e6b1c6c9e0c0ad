//! `log_event`: one event, in the caller's own transaction.

use pgrx::datum::{TimestampWithTimeZone, Uuid};
use pgrx::prelude::*;

use crate::error::Fault;
use crate::event::quarantine;
use crate::event::{Event, Replay, Verdict};
use crate::pg::attempt;
use crate::pg::datum::{Jsonb, Text};
use crate::registry;
use crate::registry::caller::require_read_write;
use crate::settings;
use crate::write::insert;

/// Validates and inserts; raises on any fault. NULL where the log is disabled, and for what it
/// leaves out.
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
    let event = Event {
        tenant_id,
        name,
        data,
        occurred_at,
        actor,
        subject,
        idempotency_key,
        ..Event::default()
    };
    run(&event)
}

/// As `log_event`, for an event from the quarantine, whose values were hashed there: for
/// `replay_rejected`, by the log's owner.
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
    let event = Event {
        tenant_id,
        name,
        data,
        occurred_at,
        actor,
        subject,
        idempotency_key,
        replay: Some(Replay { weight }),
    };
    run(&event)
}

fn run(event: &Event<'_>) -> Option<i64> {
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
