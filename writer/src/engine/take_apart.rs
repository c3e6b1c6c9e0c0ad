//! Batches that the server undid for certain: their events go back into their lanes, so that the one
//! that is to blame is found, or waits by itself.

use super::{Engine, Instant, UnderWay};
use crate::Error;
use crate::engine::lanes::{Item, Tenant};
use crate::error::Cure;

/// How often an event that is alone in its batch may take too long.
const MOST_TRIES_ALONE: u32 = 3;

impl<W> Engine<W> {
    /// Takes a batch apart that was not written, by what helps.
    pub(super) fn take_apart(
        &mut self,
        under_way: UnderWay<W>,
        error: Error,
        cure: Cure,
        now: Instant,
    ) {
        let (events, begun) = (under_way.items.len(), under_way.begun);
        if !under_way.notes.is_empty() && cure == Cure::Search {
            if events == 0 {
                // Notes only, and they are refused.
                self.release(&under_way);
                return self.end_without_answer(under_way, error, now, None);
            }
            // Or they are to blame, and would be again on every batch.
            self.notes_go_alone = true;
        }
        let tenants = under_way.tenants.clone();
        let [tenant] = tenants[..] else {
            let groups = match cure {
                Cure::Search => halves(tenants),
                _ => suspects(&under_way),
            };
            self.restore(under_way);
            groups.into_iter().for_each(|group| self.lanes.group(group));
            return;
        };
        match cure {
            Cure::Search if events == 1 => self.reject(under_way, error, now),
            Cure::Less if events == 1 => {
                let stall = self.lanes.held_up(tenant, begun, now);
                if stall.tries >= MOST_TRIES_ALONE {
                    return self.reject(under_way, error, now);
                }
                self.restore(under_way);
                let until = now + self.backoff(stall.tries, self.chance);
                self.lanes.stall(tenant, until);
            }
            Cure::Search | Cure::Less => {
                self.restore(under_way);
                self.lanes.narrow(tenant, events.div_ceil(2));
                if cure == Cure::Less {
                    self.lanes.send_apart(tenant, now);
                }
                self.lanes.group(vec![tenant]);
            }
            _ => {
                self.restore(under_way);
                let stall = self.lanes.held_up(tenant, begun, now);
                let until = now + self.backoff(stall.tries, self.chance);
                self.lanes.stall(tenant, until);
            }
        }
    }

    /// One event alone is to blame. Notes that went with it go another time.
    fn reject(&mut self, mut under_way: UnderWay<W>, error: Error, now: Instant) {
        self.give_notes_back(&mut under_way);
        let event = &under_way.batch.events[0];
        let error = Error::rejected(error.sqlstate().map(str::to_owned), error.message());
        self.notices.rejected(&error.clone().about(event), 1, now);
        self.stats.rejected += 1;
        self.lanes.is_found(&under_way.tenants);
        self.land(&under_way, false, now);
        let waiters = under_way.items.into_iter().filter_map(|(_, waiter)| waiter);
        self.told.extend(waiters.map(|waiter| (waiter, Err(error.clone()))));
    }

    /// Its place has no connection: all of it may go by another.
    pub(super) fn put_back(&mut self, under_way: UnderWay<W>, now: Instant) {
        let (tenants, begun) = (under_way.tenants.clone(), under_way.begun);
        self.restore(under_way);
        for tenant in tenants {
            let is_first = self.lanes.ready().0 == 0;
            if self.lanes.land(tenant, now) && is_first {
                self.waits_since = begun;
            }
        }
    }

    /// Its events are at the head of their lanes again, and its notes with the losses.
    fn restore(&mut self, mut under_way: UnderWay<W>) {
        self.release(&under_way);
        self.give_notes_back(&mut under_way);
        let UnderWay { batch, items, .. } = under_way;
        let events = match std::sync::Arc::try_unwrap(batch) {
            Ok(batch) => batch.events,
            // Whoever sent it still holds it.
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

    fn give_notes_back(&mut self, under_way: &mut UnderWay<W>) {
        let notes = std::mem::take(&mut under_way.notes);
        self.stats.dropped += notes.len() as u64;
        #[cfg(test)]
        {
            self.note_ends.dropped += notes.len() as u64;
        }
        self.losses.put_back(notes);
    }
}

/// Two halves of them: the server refused one for good, and says so at once.
fn halves(mut tenants: Vec<Tenant>) -> Vec<Vec<Tenant>> {
    let rest = tenants.split_off(tenants.len() / 2);
    vec![tenants, rest]
}

/// Each by itself that may be to blame, since whoever shares a batch with it waits for as long as it
/// does; the others together. Locks that last are mostly those of idempotency keys.
fn suspects<W>(under_way: &UnderWay<W>) -> Vec<Vec<Tenant>> {
    let events = &under_way.batch.events[..under_way.items.len()];
    let keyed: std::collections::HashSet<Tenant> = events
        .iter()
        .filter(|event| event.idempotency_key.is_some())
        .map(|event| event.tenant_id)
        .collect();
    let tenants = under_way.tenants.iter().copied();
    let (alone, together): (Vec<_>, Vec<_>) = match keyed.is_empty() {
        true => (tenants.collect(), Vec::new()),
        false => tenants.partition(|tenant| keyed.contains(tenant)),
    };
    let mut groups = vec![together];
    groups.extend(alone.into_iter().map(|tenant| vec![tenant]));
    groups
}
