//! Takes the events of the next batch out of the lanes.

use std::collections::VecDeque;

use super::{Item, Lane, Lanes, State, Tenant};
use crate::engine::clock::Instant;

/// The events of a batch.
pub(crate) struct Taken<W> {
    pub(crate) items: Vec<Item<W>>,
    pub(crate) tenants: Vec<Tenant>,
    /// Since when its only tenant has been held up, if it has.
    pub(crate) stalled_since: Option<Instant>,
}

/// The room that is left in a batch.
struct Room {
    events: usize,
    bytes: usize,
}

impl<W> Lane<W> {
    /// Moves up to `turn` events in order into the batch, until the next one does not fit.
    fn take(&mut self, turn: usize, room: &mut Room, into: &mut Vec<Item<W>>) {
        for _ in 0..turn {
            if room.events == 0 {
                return;
            }
            let is_first = into.is_empty();
            let fits = self.items.front().is_some_and(|item| is_first || item.size <= room.bytes);
            let Some(item) = fits.then(|| self.items.pop_front()).flatten() else {
                if !self.items.is_empty() {
                    room.events = 0;
                }
                return;
            };
            room.events -= 1;
            room.bytes = room.bytes.saturating_sub(item.size);
            self.bytes -= item.size;
            self.in_flight_size.0 += 1;
            self.in_flight_size.1 += item.size;
            into.push(item);
        }
    }
}

impl<W> Lanes<W> {
    /// Takes events of ready tenants in turns, so that none waits for the backlog of another.
    pub(crate) fn take_shared(&mut self, events: usize, bytes: usize) -> Taken<W> {
        let mut room = Room { events, bytes };
        let mut items = Vec::with_capacity(self.ready_events.min(events));
        let mut tenants = Vec::new();
        let turn = events.div_ceil(self.ready.len().max(1));
        let mut again = VecDeque::new();
        while room.events > 0 {
            // Tenants that had no turn yet come before those that have more events.
            let Some(tenant) = self.ready.pop_front().or_else(|| again.pop_front()) else { break };
            let Some(lane) = self.lanes.get_mut(&tenant) else { continue };
            if lane.state == State::Ready {
                self.ready_events -= lane.items.len();
                self.ready_bytes -= lane.bytes;
                lane.state = State::InFlight;
                tenants.push(tenant);
            }
            lane.take(turn, &mut room, &mut items);
            if !lane.items.is_empty() {
                again.push_back(tenant);
            }
        }
        // Tenants that found no room, since their next event was too large for the rest of the batch.
        tenants.retain(|tenant| {
            let is_in = self.lanes.get(tenant).is_some_and(|lane| lane.in_flight_size.0 > 0);
            if !is_in {
                self.make_ready(*tenant);
                self.ready.rotate_right(1);
            }
            is_in
        });
        self.taken(items, tenants)
    }

    fn taken(&mut self, items: Vec<Item<W>>, tenants: Vec<Tenant>) -> Taken<W> {
        self.events -= items.len();
        self.bytes -= items.iter().map(|item| item.size).sum::<usize>();
        let only = tenants.first().filter(|_| tenants.len() == 1);
        let stall = only.and_then(|tenant| self.lanes.get(tenant)?.stall);
        Taken { items, tenants, stalled_since: stall.map(|stall| stall.since) }
    }

    /// Takes the events of the next group that goes apart, or of a held-up tenant whose wait is over.
    pub(crate) fn take_apart(
        &mut self,
        now: Instant,
        events: usize,
        bytes: usize,
    ) -> Option<Taken<W>> {
        loop {
            let group = match self.groups.pop_front() {
                Some(group) => group,
                None => {
                    let (at, tenant) = *self.stalled.first().filter(|(at, _)| *at <= now)?;
                    self.stalled.remove(&(at, tenant));
                    vec![tenant]
                }
            };
            let mut room = Room { events, bytes };
            let (mut items, mut tenants) = (Vec::new(), Vec::new());
            for tenant in group {
                let Some(lane) = self.lanes.get_mut(&tenant) else { continue };
                if lane.items.is_empty() {
                    lane.state = State::Empty;
                    self.forget_if_idle(tenant, Some(now));
                    continue;
                }
                lane.take(lane.most.min(events), &mut room, &mut items);
                if lane.in_flight_size.0 > 0 {
                    lane.state = State::InFlight;
                    tenants.push(tenant);
                } else {
                    // No room left in this batch: the tenant gets one of its own.
                    lane.state = State::Grouped;
                    self.groups.push_front(vec![tenant]);
                }
            }
            if !items.is_empty() {
                return Some(self.taken(items, tenants));
            }
        }
    }
}
