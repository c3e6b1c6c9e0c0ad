//! `try_log_event`: logs an event or sets it aside. A fault of the event becomes a WARNING and a
//! row in `rejected_events`, and the result is NULL; deadlocks, cancels, lack of resources and
//! internal errors pass through.

use std::convert::Infallible;

use pgrx::datum::{TimestampWithTimeZone, Uuid};
use pgrx::prelude::*;

use crate::error::Fault;
use crate::event::Event;
use crate::event::quarantine;
use crate::event::verdict::{Reason, Verdict};
use crate::pg::datum::{Jsonb, Text};
use crate::pg::input;
use crate::pg::subtransaction::in_subtransaction;
use crate::pg::transaction::require_read_write;
use crate::settings;
use crate::write::insert;

/// The form that takes `jsonb`.
#[pg_extern(sql = false)]
fn try_log_event(
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
    require_read_write(c"try_log_event()");
    let event = Event::new(tenant_id, name, data, occurred_at, actor, subject, idempotency_key);
    end(&event, &Given { text: None, is_whole: true }, event.check())
}

/// The form that takes `text`, so that a payload that is not JSON is a fault of the event too.
#[pg_extern(sql = false)]
fn try_log_event_text(
    tenant_id: Option<Uuid>,
    name: Option<Text<'_>>,
    data: Option<Text<'_>>,
    occurred_at: Option<TimestampWithTimeZone>,
    actor: Option<Text<'_>>,
    subject: Option<Text<'_>>,
    idempotency_key: Option<Text<'_>>,
) -> Option<i64> {
    if !settings::enabled() {
        return None;
    }
    require_read_write(c"try_log_event()");
    let mut event = Event::new(tenant_id, name, None, occurred_at, actor, subject, idempotency_key);
    match data.map(|text| input::payload(text.as_str())).transpose() {
        Ok(parsed) => {
            event.data = parsed;
            end(&event, &Given { text: data, is_whole: true }, event.check())
        }
        Err(fault) => {
            let refused = event.refuse(unread(data, fault));
            end(&event, &Given { text: data, is_whole: false }, refused)
        }
    }
}

/// The payload as it came.
struct Given<'a> {
    /// Set if it came as text.
    text: Option<Text<'a>>,
    /// False if it could not be read to its end.
    is_whole: bool,
}

/// Adds the right call to the fault if a driver sent an object as text.
fn unread(text: Option<Text<'_>>, fault: Fault) -> Fault {
    match text.map(|text| text.as_str()) {
        Some(input::DRIVERS_OBJECT) => {
            fault.hint("cast the parameter: eventlog.try_log_event($1, $2, $3::jsonb)")
        }
        _ => fault,
    }
}

/// Stores an event that passed the checks, and settles one that did not. Only an INSERT needs a
/// subtransaction, so the checks came before it.
fn end(
    event: &Event<'_>,
    given: &Given<'_>,
    checked: Result<Verdict<'_, '_>, Fault>,
) -> Option<i64> {
    let stopped = match checked.unwrap_or_else(|fault| fault.raise()) {
        Verdict::Stopped(stopped) => stopped,
        Verdict::Ready(ready) => {
            let inserted = match event.idempotency_key {
                // Opens a subtransaction of its own.
                Some(_) => insert::one_keyed(&ready, event.idempotency_key),
                None => {
                    in_subtransaction(|| Ok::<_, Infallible>(insert::one(&ready))).map(|Ok(id)| id)
                }
            };
            match inserted {
                Ok(id) => return id,
                Err(fault) => event.stop(fault).unwrap_or_else(|fault| fault.raise()),
            }
        }
    };
    match stopped.settle() {
        Reason::LeftOut => {}
        Reason::OverQuota(fault) => fault.warn(),
        Reason::Quarantine(fault) | Reason::Refused(fault) => {
            quarantine::put(event, given.text, given.is_whole, fault);
        }
    }
    None
}
