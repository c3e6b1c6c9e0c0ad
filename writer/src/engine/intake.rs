//! What comes in: into the queue, or out of it again where it is full.

use std::time::SystemTime;

use super::{Engine, Instant, Phase, Sender};
use crate::engine::admission::Admission;
use crate::engine::lanes::Tenant;
use crate::options::WhenFull;
use crate::{Error, Event};

/// What became of an event that was submitted.
#[derive(Debug)]
pub(crate) enum Submitted<W> {
    /// The sample leaves it out.
    LeftOut(Option<W>),
    /// It is in the queue; whether whoever asks must be woken.
    Queued { wakes: bool },
    /// It was not taken, and is counted as what the error says.
    Refused(Error, Option<W>),
    /// There is no room yet; nothing is counted.
    Full(Event, Option<W>),
}

impl<W> Engine<W> {
    /// Takes an event, if it is admitted and there is room. The time is asked for only where a batch
    /// begins to fill, or something is to be said: most calls read no clock for it.
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
            Admission::Taken(size) => size,
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

    /// Takes an event for which there is room.
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
            self.hurry = self.lanes.last();
        }
        let wakes = may_go
            && match self.sender {
                Sender::Awake => false,
                Sender::Dozes => is_awaited || self.is_batch_overdue(),
                Sender::Sleeps => true,
            };
        if wakes {
            self.sender = Sender::Awake;
        }
        Submitted::Queued { wakes }
    }

    /// Whether there is room for that many more events of a tenant, of that many bytes together: in
    /// the queue, and in the tenant's share of it. Of a tenant that has nothing there, as much is
    /// taken as fits.
    fn has_room(&self, tenant: Tenant, events: usize, bytes: usize) -> bool {
        let (held, held_bytes) = self.held();
        // One event always finds room in an empty queue, however large it is.
        let is_alone = held == 0 && events == 1;
        let fits = held + events <= self.options.queue_events
            && (is_alone || held_bytes.saturating_add(bytes) <= self.options.queue_bytes);
        fits && (!self.has_shares() || self.is_in_share(tenant, events, bytes))
    }

    /// A writer of one tenant has nobody to share with.
    fn has_shares(&self) -> bool {
        self.lanes.has_many() && self.options.tenant_share < 1.0
    }

    /// What a tenant holds is at most its share of that and of the room that is left.
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

    /// Makes room, as far as the queue has any: the tenant's own oldest events go where it has used up
    /// its share, else the oldest of all. None goes for an event that finds no room even then.
    fn drop_oldest(
        &mut self,
        tenant: Tenant,
        size: usize,
        now: &impl Fn() -> Instant,
        wall: SystemTime,
    ) {
        let (flying, flying_bytes) = self.flying;
        let fits_bytes = size <= self.options.queue_bytes.saturating_sub(flying_bytes);
        if flying >= self.options.queue_events || !fits_bytes {
            return;
        }
        while !self.has_room(tenant, 1, size) {
            let is_over = self.has_shares() && !self.is_in_share(tenant, 1, size);
            let Some(oldest) = self.lanes.pop_oldest(is_over.then_some(tenant)) else { return };
            let lost = Error::lost("newer events took its place in the queue").about(&oldest.event);
            self.stats.dropped += 1;
            self.losses.add(oldest.event.tenant_id, oldest.event.occurred_at.unwrap_or(wall));
            self.notices.lost(&lost, 1, now());
            self.told.extend(oldest.waiter.map(|waiter| (waiter, Err(lost))));
        }
    }

    /// Whether it is worth to submit an event again that found no room: there is some, or it is too
    /// late.
    pub(crate) fn may_take(&self, tenant: Tenant, size: usize) -> bool {
        self.phase != Phase::Open || self.has_room(tenant, 1, size)
    }

    /// Whether so many events, of so many bytes together, would all be taken now: of all tenants, and
    /// of each.
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

    /// Whether so many events would be taken now, if no tenant had a share.
    #[cfg(feature = "asynchronous")]
    pub(crate) fn has_room_whatever_share(&self, events: usize, bytes: usize) -> bool {
        let (held, held_bytes) = self.held();
        self.phase == Phase::Open
            && held + events <= self.options.queue_events
            && held_bytes.saturating_add(bytes) <= self.options.queue_bytes
    }

    /// Gives an event up for which there was no room.
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
