//! What the log itself puts into a payload: defaults, what lookups give, and the client's clock taken
//! out of it.

use crate::error::Fault;
use crate::payload::check::{Checked, Terms, check};
use crate::payload::clock;
use crate::payload::edit::Set;
use crate::payload::enrichment::value_of;
use crate::payload::event_type::EventType;
use crate::payload::hash_key::HashKey;
use crate::pg::datum::Jsonb;
use crate::pg::jsonb::{Container, Value, key_order};

/// What is done about the lookups of an event's type.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lookups {
    Ask,
    /// None is asked, and each counts as missed: an event out of the quarantine, which the log's owner
    /// logs again, who may read what the caller may not.
    Miss,
}

/// What was found for one event.
#[derive(Default)]
pub(crate) struct Additions<'t> {
    /// The client's clock.
    pub(crate) occurred_at: Option<i64>,
    /// Whether the payload told it, and does not keep it.
    has_told: bool,
    /// Keys that get their default.
    defaults: Vec<(&'t [u8], Value<'t>)>,
    /// Keys that a lookup gave a value, or none.
    looked_up: Vec<(&'t str, Option<Vec<u8>>)>,
    /// Keys that a lookup gave none.
    pub(crate) missed: Vec<&'t str>,
}

impl<'t> Additions<'t> {
    pub(crate) fn new(occurred_at: Option<i64>) -> Self {
        Additions { occurred_at, ..Additions::default() }
    }

    /// Looks the payload over. Where `occurred_at` is there already, the payload keeps its own.
    pub(crate) fn collect(&mut self, event_type: &'t EventType, data: Jsonb<'_>, lookups: Lookups) {
        let root = Container::root(data.bytes());
        let value = |key: &[u8]| root.get(key).filter(|value| !matches!(value, Value::Null));
        if let Some(key) = &event_type.occurred_at_key
            && self.occurred_at.is_none()
        {
            self.occurred_at = value(key.as_bytes()).and_then(clock::told);
            self.has_told = self.occurred_at.is_some();
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

    /// Checks the payload as it will be with what was added. A lookup never stops an event: where the
    /// payload is refused, what was looked up is left out, the largest first, and counts as missed.
    pub(crate) fn check<'a>(
        &mut self,
        hash_key: &HashKey,
        event_type: &EventType,
        data: Jsonb<'a>,
        terms: Terms<'_>,
    ) -> Result<Checked<'a>, Fault> {
        loop {
            let set = if event_type.sets_keys { self.set(event_type) } else { Vec::new() };
            let checked = check(hash_key, event_type, data, Terms { set: &set, ..terms });
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

    /// The keys to set, in the order of an object's keys. A lookup wins over a default.
    fn set<'a>(&'a self, event_type: &'a EventType) -> Vec<Set<'a>> {
        let looked_up = self.looked_up.iter().map(|(key, found)| Set {
            key: key.as_bytes(),
            value: found.as_deref().and_then(value_of),
        });
        let defaults = self.defaults.iter().map(|(key, value)| Set { key, value: Some(*value) });
        let told = event_type.occurred_at_key.iter().filter(|_| self.has_told);
        let told = told.map(|key| Set { key: key.as_bytes(), value: None });
        let mut set: Vec<Set<'a>> = told.chain(looked_up).chain(defaults).collect();
        // Stable, so that of two for one key the first stays.
        set.sort_by(|a, b| key_order(a.key, b.key));
        set.dedup_by(|b, a| a.key == b.key);
        set
    }
}
