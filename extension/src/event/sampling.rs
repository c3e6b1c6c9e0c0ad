//! Which events a sample keeps, and what those weigh.

use std::cell::Cell;

use eventlog_common::is_sampled;
use pgrx::pg_sys;

use crate::payload::clock;
use crate::payload::event_type::EventType;
use crate::payload::scalar::scalar_text;
use crate::pg::datum::{Jsonb, Text};
use crate::pg::jsonb::{Container, Value};

thread_local! {
    static RANDOM: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Whether the sample of the event's type keeps it. The key decides, else the actor, so that all
/// events of one are in or out, here and in a writer; an event with neither is left to chance.
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

/// A random number from 0 (inclusive) to 1 (exclusive): SplitMix64 from a seed of the system's.
pub(crate) fn chance() -> f64 {
    let state = RANDOM.get().unwrap_or_else(seed).wrapping_add(0x9e37_79b9_7f4a_7c15);
    RANDOM.set(Some(state));
    let mut mixed = state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

/// Set in the postmaster it would be the same in each of its children: taken at the first use.
fn seed() -> u64 {
    let mut seed = 0_u64;
    // SAFETY: fills the eight bytes, or says that it could not; the clock will do then.
    let is_random = unsafe { pg_sys::pg_strong_random((&raw mut seed).cast(), size_of::<u64>()) };
    if is_random { seed } else { clock::now() as u64 }
}
