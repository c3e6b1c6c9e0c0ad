//! Events that were lost, and the events that tell of them once the path is open again.
//!
//! What is lost is added up by tenant, so that each one's log tells of its own. Telling takes no
//! event's turn and no room in the queue: notes go on top of a batch of events, a hundred at most,
//! and by themselves only where no event waits. Losses that go on are told of every ten seconds. A
//! note that is lost is none more: what it told goes back to what is still to be told.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime};

use serde_json::json;
use uuid::Uuid;

use crate::Event;
use crate::engine::clock::Instant;

/// The name of the event that tells of lost ones.
pub(crate) const EVENTS_LOST: &str = "writer_events_lost";

/// Tenants whose losses are told; those of more at a time are in the account only.
pub(crate) const MOST_TENANTS: usize = 1_000;

/// Notes that a batch takes along.
pub(crate) const MOST_NOTES: usize = 100;

/// How long losses that go on are added up before they are told again.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What a tenant lost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loss {
    events: u64,
    from: SystemTime,
    until: SystemTime,
}

/// What is told to a tenant.
pub(crate) type Note = (Option<Uuid>, Loss);

/// Losses that are not told yet.
#[derive(Default)]
pub(crate) struct Losses {
    by_tenant: BTreeMap<Option<Uuid>, Loss>,
    /// Those whose turn it is.
    telling: VecDeque<Note>,
    told_at: Option<Instant>,
}

impl Losses {
    /// One more, which occurred then.
    pub(crate) fn add(&mut self, tenant: Option<Uuid>, at: SystemTime) {
        self.merge((tenant, Loss { events: 1, from: at, until: at }));
    }

    /// Notes that did not arrive.
    pub(crate) fn put_back(&mut self, notes: Vec<Note>) {
        notes.into_iter().for_each(|note| self.merge(note));
    }

    fn merge(&mut self, (tenant, more): Note) {
        if let Some(loss) = self.by_tenant.get_mut(&tenant) {
            loss.events += more.events;
            loss.from = loss.from.min(more.from);
            loss.until = loss.until.max(more.until);
        } else if self.by_tenant.len() < MOST_TENANTS {
            self.by_tenant.insert(tenant, more);
        }
    }

    /// When there is something to tell, if there is. A writer that closes tells at once.
    pub(crate) fn due_at(&self, is_closing: bool) -> Option<Instant> {
        if !self.telling.is_empty() {
            return Some(Instant::ZERO);
        }
        let at = self.told_at.filter(|_| !is_closing).map_or(Instant::ZERO, |at| at + TELL_EVERY);
        (!self.by_tenant.is_empty()).then_some(at)
    }

    /// The notes that the next batch takes along.
    pub(crate) fn take(&mut self, now: Instant, is_closing: bool) -> Vec<Note> {
        if self.due_at(is_closing).is_none_or(|at| at > now) {
            return Vec::new();
        }
        if self.telling.is_empty() {
            self.told_at = Some(now);
            self.telling = std::mem::take(&mut self.by_tenant).into_iter().collect();
        }
        let notes = self.telling.len().min(MOST_NOTES);
        self.telling.drain(..notes).collect()
    }

    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.by_tenant.len() + self.telling.len()
    }
}

impl Loss {
    /// How many, and from when until when, in milliseconds since 1970.
    pub(crate) fn event(&self, tenant: Option<Uuid>) -> Event {
        let time = |at: SystemTime| {
            let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            since.as_millis() as u64
        };
        let (from, until) = (time(self.from), time(self.until));
        let mut event = Event::new(EVENTS_LOST)
            .data(&json!({ "count": self.events, "from": from, "until": until }))
            .occurred_at(self.until);
        event.tenant_id = tenant;
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(losses: &mut Losses, tenants: u128) {
        for tenant in 0..tenants {
            losses.add(Some(Uuid::from_u128(tenant)), SystemTime::UNIX_EPOCH);
        }
    }

    #[test]
    fn losses_of_many_tenants_take_bounded_memory_and_are_told_a_hundred_at_a_time() {
        let mut losses = Losses::default();
        loss(&mut losses, 3 * MOST_TENANTS as u128);
        assert_eq!(losses.held(), MOST_TENANTS);
        let notes = losses.take(Instant::ZERO, false);
        assert_eq!((notes.len(), losses.held()), (MOST_NOTES, MOST_TENANTS - MOST_NOTES));
        // Further losses of those that were told, and of others, wait for the next turn.
        loss(&mut losses, 3 * MOST_TENANTS as u128);
        losses.put_back(notes);
        assert_eq!(losses.held(), 2 * MOST_TENANTS - MOST_NOTES);
        let turns = (1..).take_while(|_| !losses.take(Instant::ZERO, false).is_empty()).count();
        assert_eq!((turns, losses.held()), (9, MOST_TENANTS));
        assert_eq!(losses.due_at(false), Some(TELL_EVERY));
        assert_eq!(losses.due_at(true), Some(Instant::ZERO));
        let notes = losses.take(TELL_EVERY, false);
        assert_eq!((notes.len(), notes[0].1.events), (MOST_NOTES, 2));
    }
}
