//! `try_log_event`: fire and forget. Faults of the event become a WARNING, a row in
//! `rejected_events`, and NULL; deadlock, cancel, resource and internal errors pass through.

use pgrx::datum::{TimestampWithTimeZone, Uuid};
use pgrx::prelude::*;

use crate::error::Fault;
use crate::event::quarantine;
use crate::event::{Event, Verdict};
use crate::pg::attempt::in_subtransaction;
use crate::pg::datum::{Jsonb, Text};
use crate::pg::input;
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
    run(&event, None)
}

/// The form that takes `text`, so that a payload that is no JSON is a fault of the event too.
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
    let mut event =
        Event { tenant_id, name, occurred_at, actor, subject, idempotency_key, ..Event::default() };
    match data.map(|text| input::payload(text.as_str())).transpose() {
        Ok(parsed) => {
            event.data = parsed;
            run(&event, data)
        }
        Err(fault) => {
            let refused = event.refuse(unread(data, fault));
            end(&event, data, false, refused)
        }
    }
}

/// The fault of a payload that could not be read, with what to write where a driver's is at fault.
fn unread(text: Option<Text<'_>>, fault: Fault) -> Fault {
    match text.map(|text| text.as_str()) {
        Some(input::DRIVERS_OBJECT) => {
            fault.hint("cast the parameter: eventlog.try_log_event($1, $2, $3::jsonb)")
        }
        _ => fault,
    }
}

/// Checks before it opens its subtransaction, which an event that is refused then never needs.
fn run(event: &Event<'_>, text: Option<Text<'_>>) -> Option<i64> {
    end(event, text, true, event.check())
}

/// The end of an event: `is_whole` says whether it was read to its end.
fn end(
    event: &Event<'_>,
    text: Option<Text<'_>>,
    is_whole: bool,
    checked: Result<Verdict<'_>, Fault>,
) -> Option<i64> {
    let fault = match checked {
        Ok(Verdict::Ready(ready)) => {
            let inserted = match event.idempotency_key {
                // Opens a subtransaction of its own.
                Some(_) => insert::one_keyed(&ready, event.idempotency_key),
                None => in_subtransaction(|| Some(insert::one(&ready))).map(Option::flatten),
            };
            match inserted {
                Ok(id) => return id,
                Err(fault) => fault,
            }
        }
        Ok(Verdict::LeftOut) => {
            event.settle_quota();
            return None;
        }
        Ok(Verdict::OverQuota(fault)) => {
            event.settle_quota();
            fault.warn();
            return None;
        }
        Ok(Verdict::Quarantine(fault)) => {
            event.settle_quota();
            quarantine::put(event, text, is_whole, fault);
            return None;
        }
        Err(fault) => fault,
    };
    if !fault.is_of_the_event() {
        fault.raise();
    }
    event.settle_quota();
    quarantine::put(event, text, is_whole, fault);
    None
}
