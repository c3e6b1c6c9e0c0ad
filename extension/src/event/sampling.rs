//! Sampling: which events are kept.

use eventlog_common::is_sampled;

use crate::payload::event_type::EventType;
use crate::payload::scalar::scalar_text;
use crate::pg::datum::{Jsonb, Text};
use crate::pg::jsonb::{Container, Value};

/// Returns true if the sample of the event's type keeps the event. The key decides, else the actor,
/// so that all events of one are in or out, here and in a writer; an event with neither is left to
/// chance.
pub(crate) fn keeps(event_type: &EventType, data: Jsonb<'_>, actor: Option<Text<'_>>) -> bool {
    let rate = event_type.sample_rate;
    let value = |key: &str| {
        let value = Container::root(data.bytes()).get(key.as_bytes())?;
        (!matches!(value, Value::Null | Value::Container(_))).then(|| scalar_text(value))
    };
    let key = match (&event_type.sample_key, actor) {
        (Some(key), _) => value(key),
        (None, Some(actor)) => Some(actor.as_str().into()),
        (None, None) => event_type.actor_key.as_ref().and_then(|key| value(key)),
    };
    match key {
        Some(key) => is_sampled(&key, rate),
        None => chance() < rate,
    }
}

/// Returns a random number from 0 (inclusive) to 1 (exclusive). The generator is seeded at its
/// first use, so that the children of the postmaster do not share a seed.
pub(crate) fn chance() -> f64 {
    fastrand::f64()
}
