//! Counts lost events, and makes the events (notes) that report them once the path is open again.
//!
//! Losses are added up by tenant, so that each tenant's log reports its own. Notes take no event's
//! turn and no room in the queue: up to a hundred are appended to a batch of events, and they form a
//! batch of their own only while no event waits. Losses that continue are reported every ten
//! seconds. A lost note is not a new loss: its counts return to the pending totals.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime};

use serde_json::json;
use uuid::Uuid;

use crate::Event;
use crate::engine::clock::Instant;

/// The name of the event that reports losses.
pub(crate) const EVENTS_LOST: &str = "writer_events_lost";

/// Most tenants with pending losses. Losses of further tenants are only in the [`Stats`].
///
/// [`Stats`]: crate::Stats
pub(crate) const MOST_TENANTS: usize = 1_000;

/// Most notes of a batch.
pub(crate) const MOST_NOTES: usize = 100;

/// How long losses are added up before they are reported again.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// The losses of a tenant: how many events, and between which times they occurred.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loss {
    events: u64,
    from: SystemTime,
    until: SystemTime,
}

/// A tenant and its losses, as a note reports them.
pub(crate) type Note = (Option<Uuid>, Loss);

/// Losses that are not reported yet.
#[derive(Default)]
pub(crate) struct Losses {
    by_tenant: BTreeMap<Option<Uuid>, Loss>,
    /// Those that the next batches report.
    reporting: VecDeque<Note>,
    reported_at: Option<Instant>,
}

impl Losses {
    /// Adds a lost event that occurred at `at`.
    pub(crate) fn add(&mut self, tenant: Option<Uuid>, at: SystemTime) {
        self.merge((tenant, Loss { events: 1, from: at, until: at }));
    }

    /// Adds the losses of notes that did not arrive.
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

    /// Returns when the next notes are due, if there are losses. A writer that closes reports at once.
    pub(crate) fn due_at(&self, is_closing: bool) -> Option<Instant> {
        if !self.reporting.is_empty() {
            return Some(Instant::ZERO);
        }
        let at =
            self.reported_at.filter(|_| !is_closing).map_or(Instant::ZERO, |at| at + REPORT_EVERY);
        (!self.by_tenant.is_empty()).then_some(at)
    }

    /// Takes the notes of the next batch.
    pub(crate) fn take(&mut self, now: Instant, is_closing: bool) -> Vec<Note> {
        if self.due_at(is_closing).is_none_or(|at| at > now) {
            return Vec::new();
        }
        if self.reporting.is_empty() {
            self.reported_at = Some(now);
            self.reporting = std::mem::take(&mut self.by_tenant).into_iter().collect();
        }
        let notes = self.reporting.len().min(MOST_NOTES);
        self.reporting.drain(..notes).collect()
    }

    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.by_tenant.len() + self.reporting.len()
    }
}

impl Loss {
    /// Returns the note as an event. Its times are in milliseconds since 1970.
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
    fn losses_of_many_tenants_take_bounded_memory_and_are_reported_a_hundred_at_a_time() {
        let mut losses = Losses::default();
        loss(&mut losses, 3 * MOST_TENANTS as u128);
        assert_eq!(losses.held(), MOST_TENANTS);
        let notes = losses.take(Instant::ZERO, false);
        assert_eq!((notes.len(), losses.held()), (MOST_NOTES, MOST_TENANTS - MOST_NOTES));
        // Further losses, of the same tenants and of others, wait for the next turn.
        loss(&mut losses, 3 * MOST_TENANTS as u128);
        losses.put_back(notes);
        assert_eq!(losses.held(), 2 * MOST_TENANTS - MOST_NOTES);
        let turns = (1..).take_while(|_| !losses.take(Instant::ZERO, false).is_empty()).count();
        assert_eq!((turns, losses.held()), (9, MOST_TENANTS));
        assert_eq!(losses.due_at(false), Some(REPORT_EVERY));
        assert_eq!(losses.due_at(true), Some(Instant::ZERO));
        let notes = losses.take(REPORT_EVERY, false);
        assert_eq!((notes.len(), notes[0].1.events), (MOST_NOTES, 2));
    }
}
