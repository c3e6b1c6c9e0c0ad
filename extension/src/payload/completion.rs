//! What the log itself adds to a payload: defaults and looked-up values; and the client's clock,
//! which it takes out.

use crate::error::Fault;
use crate::payload::check::{CheckOptions, Checked, check};
use crate::payload::clock;
use crate::payload::edit::SetKey;
use crate::payload::enrichment::value_of;
use crate::payload::event_type::EventType;
use crate::payload::hash_key::HashKey;
use crate::pg::datum::Jsonb;
use crate::pg::jsonb::{Container, Value, key_order};

/// Whether the lookups of the type are asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lookups {
    Ask,
    /// None is asked, and each counts as missed: the log's owner replays an event from the
    /// quarantine, and may read what the caller may not.
    Miss,
}

/// What was found for one event.
#[derive(Default)]
pub(crate) struct Completion<'t> {
    /// The client's clock.
    pub(crate) occurred_at: Option<i64>,
    /// True if the payload had the clock, which is then removed from it.
    is_clock_from_payload: bool,
    /// Keys that get their default.
    defaults: Vec<(&'t [u8], Value<'t>)>,
    /// Keys of lookups, with the value found.
    looked_up: Vec<(&'t str, Option<Vec<u8>>)>,
    /// Keys of lookups that found nothing.
    pub(crate) missed: Vec<&'t str>,
}

impl<'t> Completion<'t> {
    pub(crate) fn new(occurred_at: Option<i64>) -> Self {
        Completion { occurred_at, ..Completion::default() }
    }

    /// Reads the payload. If `occurred_at` is given already, the payload keeps its own.
    pub(crate) fn collect(&mut self, event_type: &'t EventType, data: Jsonb<'_>, lookups: Lookups) {
        let root = Container::root(data.bytes());
        let value = |key: &[u8]| root.get(key).filter(|value| !matches!(value, Value::Null));
        if let Some(key) = &event_type.occurred_at_key
            && self.occurred_at.is_none()
        {
            self.occurred_at = value(key.as_bytes()).and_then(clock::parse);
            self.is_clock_from_payload = self.occurred_at.is_some();
        }
        let when = &event_type.default_when_key;
        if when.as_ref().is_none_or(|key| value(key.as_bytes()).is_some()) {
            self.defaults = event_type.defaults().filter(|(key, _)| value(key).is_none()).collect();
        }
        for enrichment in &event_type.enrichments {
            let Some(source) = value(enrichment.source_key.as_bytes()) else { continue };
            let found = match lookups {
                Lookups::Ask => enrichment.look_up(source, event_type.max_bytes),
                Lookups::Miss => None,
            };
            if found.is_none() {
                self.missed.push(&enrichment.target_key);
            }
            self.looked_up.push((&enrichment.target_key, found));
        }
    }

    /// Checks the payload with all that was added. A lookup never stops an event: if the payload is
    /// refused, looked-up values are left out, the largest first, and count as missed.
    pub(crate) fn check<'a>(
        &mut self,
        hash_key: &HashKey,
        event_type: &EventType,
        data: Jsonb<'a>,
        options: CheckOptions<'_>,
    ) -> Result<Checked<'a>, Fault> {
        loop {
            let set = if event_type.sets_keys { self.set(event_type) } else { Vec::new() };
            let checked = check(hash_key, event_type, data, CheckOptions { set: &set, ..options });
            drop(set);
            if checked.is_ok() || !self.leave_out_largest() {
                return checked;
            }
        }
    }

    fn leave_out_largest(&mut self) -> bool {
        let found = |(_, found): &&mut (&'t str, Option<Vec<u8>>)| found.as_ref().map(Vec::len);
        let Some((key, value)) =
            self.looked_up.iter_mut().filter(|one| one.1.is_some()).max_by_key(found)
        else {
            return false;
        };
        *value = None;
        self.missed.push(key);
        true
    }

    /// Returns the keys to set, in the order of an object's keys. A lookup wins over a default.
    fn set<'a>(&'a self, event_type: &'a EventType) -> Vec<SetKey<'a>> {
        let looked_up = self.looked_up.iter().map(|(key, found)| SetKey {
            key: key.as_bytes(),
            value: found.as_deref().and_then(value_of),
        });
        let defaults = self.defaults.iter().map(|(key, value)| SetKey { key, value: Some(*value) });
        let told = event_type.occurred_at_key.iter().filter(|_| self.is_clock_from_payload);
        let told = told.map(|key| SetKey { key: key.as_bytes(), value: None });
        let mut set: Vec<SetKey<'a>> = told.chain(looked_up).chain(defaults).collect();
        // The sort is stable, so that of two for one key the first stays.
        set.sort_by(|a, b| key_order(a.key, b.key));
        set.dedup_by(|b, a| a.key == b.key);
        set
    }
}
