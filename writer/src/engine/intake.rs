//! What comes in: into the queue, or out of it again where it is full.

use std::time::SystemTime;

use super::{Engine, Instant, Phase, Sender};
use crate::admission::Admission;
use crate::options::WhenFull;
use crate::queue::Item;
use crate::{Error, Event};

/// What became of an event that was submitted.
#[derive(Debug)]
pub(crate) enum Submitted<W> {
    /// The sample leaves it out.
    LeftOut(Option<W>),
    /// It is in the queue; whether whoever sends must be woken.
    Queued { wakes: bool },
    /// It was not taken, and is counted as what the error says.
    Refused(Error, Option<W>),
    /// There is no room yet; nothing is counted.
    Full(Event, Option<W>),
}

impl<W> Engine<W> {
    /// Takes an event, if it is admitted and there is room. The time is asked for only where a batch
    /// begins to fill: most calls read no clock for it.
    pub(crate) fn submit(
        &mut self,
        event: Event,
        admission: Admission,
        waiter: Option<W>,
        now: impl FnOnce() -> Instant,
        wall: SystemTime,
    ) -> Submitted<W> {
        if self.phase != Phase::Open {
            self.stats.submitted += 1;
            self.stats.dropped += 1;
            return Submitted::Refused(Error::lost("the writer is closed"), waiter);
        }
        let size = match admission {
            Admission::Taken(size) => size,
            Admission::LeftOut => {
                self.stats.submitted += 1;
                self.stats.sampled += 1;
                return Submitted::LeftOut(waiter);
            }
            Admission::Refused(error) => {
                self.stats.submitted += 1;
                self.stats.rejected += 1;
                return Submitted::Refused(error, waiter);
            }
        };
        if !self.has_room(size) {
            match self.options.when_full {
                WhenFull::DropOldest => self.drop_oldest(size, wall),
                WhenFull::Block(_) => return Submitted::Full(event, waiter),
                WhenFull::DropNewest => {}
            }
            if !self.has_room(size) {
                return self.drop_newest(event, waiter, wall);
            }
        }
        self.stats.submitted += 1;
        if self.queue.is_empty() {
            self.waits_since = now();
        }
        let is_awaited = waiter.is_some();
        self.queue.push(Item { event, size, waiter });
        if is_awaited {
            self.hurry = self.queue.last();
        }
        let wakes = match self.sender {
            Sender::Awake => false,
            Sender::Dozes => is_awaited || self.is_batch_overdue(),
            Sender::Sleeps => true,
        };
        if wakes {
            self.sender = Sender::Awake;
        }
        Submitted::Queued { wakes }
    }

    /// Makes room, as far as the queue has any.
    fn drop_oldest(&mut self, size: usize, wall: SystemTime) {
        while !self.has_room(size)
            && let Some(oldest) = self.queue.pop()
        {
            self.stats.dropped += 1;
            self.losses.add(oldest.event.tenant_id, oldest.event.occurred_at.unwrap_or(wall));
            let lost = Error::lost("newer events took its place in the queue");
            self.told.extend(oldest.waiter.map(|waiter| (waiter, Err(lost))));
        }
    }

    /// Whether it is worth to submit an event again that found no room: there is some, or it is too
    /// late.
    pub(crate) fn may_take(&self, size: usize) -> bool {
        self.phase != Phase::Open || self.has_room(size)
    }

    /// Whether so many events, of so many bytes together, would all be taken now.
    #[cfg(feature = "asynchronous")]
    pub(crate) fn may_take_all(&self, events: usize, bytes: usize) -> bool {
        self.phase == Phase::Open && self.has_room_for(events, bytes)
    }

    /// Gives an event up for which there was no room.
    pub(crate) fn drop_newest(
        &mut self,
        event: Event,
        waiter: Option<W>,
        wall: SystemTime,
    ) -> Submitted<W> {
        self.stats.submitted += 1;
        self.stats.dropped += 1;
        self.losses.add(event.tenant_id, event.occurred_at.unwrap_or(wall));
        Submitted::Refused(Error::lost("the queue is full"), waiter)
    }
}
