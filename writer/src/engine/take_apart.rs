//! Takes a batch apart that the server certainly undid: its events return to their lanes, to find
//! the one event that is to blame, or to let one tenant wait by itself.

use super::{Engine, InFlight, Instant};
use crate::Error;
use crate::engine::lanes::{Item, Tenant};
use crate::error::Remedy;

/// How often an event that is alone in its batch may take too long before it is rejected.
const MOST_TRIES_ALONE: u32 = 3;

impl<W> Engine<W> {
    /// Takes a batch apart that was not written, as the remedy says.
    pub(super) fn take_apart(
        &mut self,
        in_flight: InFlight<W>,
        error: Error,
        remedy: Remedy,
        now: Instant,
    ) {
        let (events, begun) = (in_flight.items.len(), in_flight.begun);
        if !in_flight.notes.is_empty() && remedy == Remedy::Bisect {
            if events == 0 {
                // The batch had notes only: they are refused.
                self.release(&in_flight);
                return self.end_without_answer(in_flight, error, now, None);
            }
            // Notes may be to blame; they would be in every batch.
            self.notes_go_alone = true;
        }
        let tenants = in_flight.tenants.clone();
        let [tenant] = tenants[..] else {
            let groups = match remedy {
                Remedy::Bisect => halves(tenants),
                _ => suspects(&in_flight),
            };
            self.restore(in_flight);
            groups.into_iter().for_each(|group| self.lanes.group(group));
            return;
        };
        match remedy {
            Remedy::Bisect if events == 1 => self.reject(in_flight, error, now),
            Remedy::Shrink if events == 1 => {
                let stall = self.lanes.held_up(tenant, begun, now);
                if stall.tries >= MOST_TRIES_ALONE {
                    return self.reject(in_flight, error, now);
                }
                self.restore(in_flight);
                let until = now + self.backoff(stall.tries, self.chance);
                self.lanes.stall(tenant, until);
            }
            Remedy::Bisect | Remedy::Shrink => {
                self.restore(in_flight);
                self.lanes.narrow(tenant, events.div_ceil(2));
                if remedy == Remedy::Shrink {
                    self.lanes.send_apart(tenant, now);
                }
                self.lanes.group(vec![tenant]);
            }
            _ => {
                self.restore(in_flight);
                let stall = self.lanes.held_up(tenant, begun, now);
                let until = now + self.backoff(stall.tries, self.chance);
                self.lanes.stall(tenant, until);
            }
        }
    }

    /// Rejects the only event of a batch. Notes that went with it are sent another time.
    fn reject(&mut self, mut in_flight: InFlight<W>, error: Error, now: Instant) {
        self.give_notes_back(&mut in_flight);
        let event = &in_flight.batch.events[0];
        let error = Error::rejected(error.sqlstate().map(str::to_owned), error.message());
        self.notices.rejected(&error.clone().about(event), 1, now);
        self.stats.rejected += 1;
        self.lanes.is_found(&in_flight.tenants);
        self.reopen_lanes(&in_flight, false, now);
        let waiters = in_flight.items.into_iter().filter_map(|(_, waiter)| waiter);
        self.replies.extend(waiters.map(|waiter| (waiter, Err(error.clone()))));
    }

    /// Returns the events of a place without a connection to the queue, so that another place sends
    /// them.
    pub(super) fn put_back(&mut self, in_flight: InFlight<W>, now: Instant) {
        let (tenants, begun) = (in_flight.tenants.clone(), in_flight.begun);
        self.restore(in_flight);
        for tenant in tenants {
            let is_first = self.lanes.ready().0 == 0;
            if self.lanes.reopen(tenant, now) && is_first {
                self.waits_since = begun;
            }
        }
    }

    /// Puts the events back at the head of their lanes, and the notes back to the losses.
    fn restore(&mut self, mut in_flight: InFlight<W>) {
        self.release(&in_flight);
        self.give_notes_back(&mut in_flight);
        let InFlight { batch, items, .. } = in_flight;
        let events = match std::sync::Arc::try_unwrap(batch) {
            Ok(batch) => batch.events,
            // The sender still holds it.
            Err(batch) => batch.events.clone(),
        };
        let items = events.into_iter().zip(items).map(|(event, (seq, waiter))| Item {
            size: event.size(),
            seq,
            event,
            waiter,
        });
        self.lanes.put_back(items.collect::<Vec<_>>().into_iter());
    }

    fn give_notes_back(&mut self, in_flight: &mut InFlight<W>) {
        let notes = std::mem::take(&mut in_flight.notes);
        self.stats.dropped += notes.len() as u64;
        #[cfg(test)]
        {
            self.note_ends.dropped += notes.len() as u64;
        }
        self.losses.put_back(notes);
    }
}

/// Returns two halves of the tenants: one of their events is refused for good, and the server says
/// so quickly.
fn halves(mut tenants: Vec<Tenant>) -> Vec<Vec<Tenant>> {
    let rest = tenants.split_off(tenants.len() / 2);
    vec![tenants, rest]
}

/// Returns the tenants in groups: each that may hold up the batch alone, the others together, since
/// tenants in one batch with a blocked one wait as long as it does. Locks that are held for long are
/// mostly those of idempotency keys, so tenants with keys are suspected first.
fn suspects<W>(in_flight: &InFlight<W>) -> Vec<Vec<Tenant>> {
    let events = &in_flight.batch.events[..in_flight.items.len()];
    let keyed: std::collections::HashSet<Tenant> = events
        .iter()
        .filter(|event| event.idempotency_key.is_some())
        .map(|event| event.tenant_id)
        .collect();
    let tenants = in_flight.tenants.iter().copied();
    let (alone, together): (Vec<_>, Vec<_>) = match keyed.is_empty() {
        true => (tenants.collect(), Vec::new()),
        false => tenants.partition(|tenant| keyed.contains(tenant)),
    };
    let mut groups = vec![together];
    groups.extend(alone.into_iter().map(|tenant| vec![tenant]));
    groups
}
