//! Takes events into the queue, or drops some when it is full.

use std::time::SystemTime;

use super::{Engine, Instant, Phase, Sender};
use crate::engine::admission::Admission;
use crate::engine::lanes::Tenant;
use crate::options::WhenFull;
use crate::{Error, Event};

/// The result of submitting an event.
#[derive(Debug)]
pub(crate) enum Submitted<W> {
    /// The sample leaves the event out.
    LeftOut(Option<W>),
    /// The event is in the queue; `wakes` tells the caller to wake the sender.
    Queued { wakes: bool },
    /// The event was not taken. It is counted as rejected or dropped, as the error is.
    Refused(Error, Option<W>),
    /// There is no room yet. Nothing is counted, and the event may be submitted again.
    Full(Event, Option<W>),
}

impl<W> Engine<W> {
    /// Takes an event that is admitted, if there is room. `now` is called only when a batch begins
    /// to fill or a notice is due, so most calls read no clock.
    pub(crate) fn submit(
        &mut self,
        event: Event,
        admission: Admission,
        waiter: Option<W>,
        now: impl Fn() -> Instant,
        wall: SystemTime,
    ) -> Submitted<W> {
        if self.phase != Phase::Open {
            let error = Error::lost("the writer is closed");
            self.stats.submitted += 1;
            self.stats.dropped += 1;
            self.notices.lost(&error.clone().about(&event), 1, now());
            return Submitted::Refused(error, waiter);
        }
        let size = match admission {
            Admission::Accepted(size) => size,
            Admission::LeftOut => {
                self.stats.submitted += 1;
                self.stats.sampled += 1;
                return Submitted::LeftOut(waiter);
            }
            Admission::Refused(error) => {
                let error = error.about(&event);
                self.stats.submitted += 1;
                self.stats.rejected += 1;
                self.notices.rejected(&error, 1, now());
                return Submitted::Refused(error, waiter);
            }
        };
        let tenant = event.tenant_id;
        if !self.has_room(tenant, 1, size) {
            match self.options.when_full {
                WhenFull::DropOldest => self.drop_oldest(tenant, size, &now, wall),
                WhenFull::Block(_) => return Submitted::Full(event, waiter),
                WhenFull::DropNewest => {}
            }
            if !self.has_room(tenant, 1, size) {
                return self.drop_newest(event, waiter, &now, wall);
            }
        }
        self.enqueue(event, size, waiter, now)
    }

    /// Puts an event into the queue. The caller has checked that there is room.
    pub(crate) fn enqueue(
        &mut self,
        event: Event,
        size: usize,
        waiter: Option<W>,
        now: impl Fn() -> Instant,
    ) -> Submitted<W> {
        self.stats.submitted += 1;
        let is_first = self.lanes.ready().0 == 0;
        let is_awaited = waiter.is_some();
        let may_go = self.lanes.push(event, size, waiter, &now);
        if may_go && is_first {
            self.waits_since = now();
        }
        if is_awaited {
            self.flush_through = self.lanes.last();
        }
        let wakes = may_go
            && match self.sender {
                Sender::Active => false,
                Sender::Dozing => is_awaited || self.is_batch_overdue(),
                Sender::Asleep => true,
            };
        if wakes {
            self.sender = Sender::Active;
        }
        Submitted::Queued { wakes }
    }

    /// Returns true if the queue, and the tenant's share of it, have room for so many more events and
    /// bytes. A tenant without events in the queue may exceed its share.
    fn has_room(&self, tenant: Tenant, events: usize, bytes: usize) -> bool {
        let (held, held_bytes) = self.held();
        // One event always finds room in an empty queue, however large it is.
        let is_alone = held == 0 && events == 1;
        let fits = held + events <= self.options.queue_events
            && (is_alone || held_bytes.saturating_add(bytes) <= self.options.queue_bytes);
        fits && (!self.has_shares() || self.is_in_share(tenant, events, bytes))
    }

    /// Returns true if tenants share the queue: not while only one tenant was seen.
    fn has_shares(&self) -> bool {
        self.lanes.has_many() && self.options.tenant_share < 1.0
    }

    /// Returns true if the tenant would hold at most `tenant_share` of what it holds now and the free
    /// room together.
    fn is_in_share(&self, tenant: Tenant, events: usize, bytes: usize) -> bool {
        let (own, own_bytes) = self.lanes.held_by(tenant);
        if own == 0 {
            return true;
        }
        let (held, held_bytes) = self.held();
        let share = |own: usize, room: usize| {
            (self.options.tenant_share * (own.saturating_add(room)) as f64).ceil() as usize
        };
        let room = self.options.queue_events.saturating_sub(held);
        let room_bytes = self.options.queue_bytes.saturating_sub(held_bytes);
        own + events <= share(own, room)
            && own_bytes.saturating_add(bytes) <= share(own_bytes, room_bytes)
    }

    /// Makes room by dropping the oldest events: those of the tenant if it has used up its share, else
    /// those of all tenants. Drops nothing if the event would find no room even in an empty queue.
    fn drop_oldest(
        &mut self,
        tenant: Tenant,
        size: usize,
        now: &impl Fn() -> Instant,
        wall: SystemTime,
    ) {
        let (in_flight_size, in_flight_bytes) = self.in_flight_size;
        let fits_bytes = size <= self.options.queue_bytes.saturating_sub(in_flight_bytes);
        if in_flight_size >= self.options.queue_events || !fits_bytes {
            return;
        }
        while !self.has_room(tenant, 1, size) {
            let is_over = self.has_shares() && !self.is_in_share(tenant, 1, size);
            let Some(oldest) = self.lanes.pop_oldest(is_over.then_some(tenant)) else { return };
            let lost = Error::lost("the queue was full, and newer events took its place")
                .about(&oldest.event);
            self.stats.dropped += 1;
            self.losses.add(oldest.event.tenant_id, oldest.event.occurred_at.unwrap_or(wall));
            self.notices.lost(&lost, 1, now());
            self.replies.extend(oldest.waiter.map(|waiter| (waiter, Err(lost))));
        }
    }

    /// Returns true if a refused submit may be tried again: there is room, or the writer is closing.
    pub(crate) fn may_take(&self, tenant: Tenant, size: usize) -> bool {
        self.phase != Phase::Open || self.has_room(tenant, 1, size)
    }

    /// Returns true if all of these events would be taken now. The map has the number of events and of
    /// bytes by tenant.
    #[cfg(feature = "asynchronous")]
    pub(crate) fn may_take_all(
        &self,
        by_tenant: &std::collections::HashMap<Tenant, (usize, usize)>,
    ) -> bool {
        let (held, held_bytes) = self.held();
        let events: usize = by_tenant.values().map(|(events, _)| events).sum();
        let bytes: usize = by_tenant.values().map(|(_, bytes)| bytes).sum();
        let is_alone = held == 0 && events == 1;
        self.phase == Phase::Open
            && held + events <= self.options.queue_events
            && (is_alone || held_bytes.saturating_add(bytes) <= self.options.queue_bytes)
            && by_tenant.iter().all(|(tenant, (events, bytes))| {
                *events == 0 || !self.has_shares() || self.is_in_share(*tenant, *events, *bytes)
            })
    }

    /// Returns true if so many events would be taken now if tenants had no shares.
    #[cfg(feature = "asynchronous")]
    pub(crate) fn has_room_whatever_share(&self, events: usize, bytes: usize) -> bool {
        let (held, held_bytes) = self.held();
        self.phase == Phase::Open
            && held + events <= self.options.queue_events
            && held_bytes.saturating_add(bytes) <= self.options.queue_bytes
    }

    /// Drops an event that found no room.
    pub(crate) fn drop_newest(
        &mut self,
        event: Event,
        waiter: Option<W>,
        now: impl Fn() -> Instant,
        wall: SystemTime,
    ) -> Submitted<W> {
        let (held, _) = self.held();
        let error = match held < self.options.queue_events && self.has_shares() {
            true => Error::lost("the tenant's share of the queue is full"),
            false => Error::lost("the queue is full"),
        };
        self.stats.submitted += 1;
        self.stats.dropped += 1;
        self.losses.add(event.tenant_id, event.occurred_at.unwrap_or(wall));
        self.notices.lost(&error.clone().about(&event), 1, now());
        Submitted::Refused(error, waiter)
    }
}
