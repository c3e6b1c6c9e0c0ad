//! Decides what to do next: which batch to send from which place, or how long to wait.

use std::sync::Arc;

use super::{Action, Engine, InFlight, Instant, Phase, Sender, State};
use crate::Event;
use crate::engine::batch::Batch;
use crate::engine::lanes::Taken;

impl<W> Engine<W> {
    /// Returns true if enough events are ready to send a batch at once: a batch, or half of the queue.
    fn is_batch_due(&self) -> bool {
        self.is_ready(self.options.batch_events)
    }

    /// Returns true if the sender must be woken for a batch. That is a little after the batch is due if
    /// it may grow: by then the sender has mostly looked by itself.
    pub(super) fn is_batch_overdue(&self) -> bool {
        let events = self.options.batch_events;
        self.is_ready(self.options.most_events.min(events + events / 4))
    }

    fn is_ready(&self, most: usize) -> bool {
        let (events, bytes) = self.lanes.ready();
        events >= most.min(self.options.queue_events.div_ceil(2))
            || bytes >= self.options.batch_bytes.min(self.options.queue_bytes / 2)
    }

    fn is_flush_due(&self) -> bool {
        self.flush_through > 0 && self.lanes.has_ready_up_to(self.flush_through)
    }

    /// Returns the place for the next batch, preferring one whose last batch was answered; if there is
    /// none, when the first may be used again.
    fn free_place(&self, now: Instant) -> (Option<usize>, Option<Instant>) {
        let free = || self.places.iter().enumerate().filter(|(_, at)| at.in_flight.is_none());
        let open = free().find(|(_, place)| place.is_open);
        let place = open.or_else(|| free().find(|(_, place)| place.shut_until <= now));
        match place {
            Some((place, _)) => (Some(place), None),
            None => (None, free().map(|(_, place)| place.shut_until).min()),
        }
    }

    /// Returns true if held-up tenants may take one more place: one is always left to the others.
    fn may_go_apart(&self) -> bool {
        let apart = self.in_flight().filter(|batch| batch.is_apart).count();
        self.places.len() == 1 || apart + 1 < self.places.len()
    }

    /// Returns what to do now. After [`Action::Send`] another thread may ask, or none.
    pub(crate) fn poll(&mut self, now: Instant) -> Action {
        if self.phase == Phase::Closed || self.close_by.is_some_and(|until| until <= now) {
            return Action::End;
        }
        match self.next(now) {
            Action::Send(batch) => {
                self.sender = Sender::Asleep;
                Action::Send(batch)
            }
            Action::Wait(until) => Action::Wait(earlier(until, self.close_by)),
            Action::End => Action::End,
        }
    }

    fn next(&mut self, now: Instant) -> Action {
        self.sender = Sender::Active;
        self.lanes.tidy(now);
        let mut retry_at: Option<Instant> = None;
        for place in &mut self.places {
            let Some(in_flight) = &mut place.in_flight else { continue };
            let State::RetryAt(at) = in_flight.state else { continue };
            if now >= at {
                in_flight.state = State::Sent;
                return Action::Send(in_flight.to_send());
            }
            retry_at = Some(retry_at.map_or(at, |earlier| earlier.min(at)));
        }
        let (place, opens_at) = self.free_place(now);
        let Some(place) = place else {
            // New events do not make this earlier, so the sender is not woken for them.
            return Action::Wait(earlier(retry_at, opens_at));
        };
        let apart_at = self.lanes.apart_at().filter(|_| self.may_go_apart());
        let is_apart_due = apart_at.is_some_and(|at| at <= now);
        let (ready, _) = self.lanes.ready();
        let due = self.waits_since + self.options.linger;
        let is_ready_due = ready > 0
            && (self.phase == Phase::Closing
                || self.is_flush_due()
                || self.is_batch_due()
                || now >= due);
        // With one place, held-up tenants and the others take turns.
        let is_others_turn = is_ready_due && self.places.len() == 1 && self.was_apart;
        if is_apart_due && !is_others_turn {
            let (events, bytes) = (self.options.most_events, self.options.batch_bytes);
            if let Some(taken) = self.lanes.take_apart(now, events, bytes) {
                return Action::Send(self.begin_batch(place, Some(taken), now, true));
            }
        }
        if is_ready_due {
            self.empty_since = None;
            let (events, bytes) = (self.options.most_events, self.options.batch_bytes);
            let taken = self.lanes.take_shared(events, bytes);
            return Action::Send(self.begin_batch(place, Some(taken), now, false));
        }
        let apart_at = apart_at.filter(|at| *at > now);
        let wait_until = earlier(retry_at, apart_at);
        if ready > 0 {
            self.empty_since = None;
            self.sender = Sender::Dozing;
            return Action::Wait(earlier(wait_until, Some(due.min(self.look_at(now)))));
        }
        self.poll_empty(place, now, wait_until)
    }

    /// Returns when a batch will be full if events keep coming at the present rate. The sender looks by
    /// itself then, so that no caller of `log()` has to wake it.
    fn look_at(&self, now: Instant) -> Instant {
        let since = now.saturating_sub(self.waits_since);
        let (here, all) = (self.lanes.ready().0.max(1), self.options.batch_events);
        let left = since.mul_f64(all.saturating_sub(here) as f64 / here as f64);
        now + left.max(self.options.linger / 64)
    }

    /// Returns what to do while no event is ready: report losses, end, or wait.
    fn poll_empty(&mut self, place: usize, now: Instant, wait_until: Option<Instant>) -> Action {
        let is_closing = self.phase == Phase::Closing;
        // Losses are reported only on a path that is known to be open.
        let note_at = self.losses.due_at(is_closing).filter(|_| self.is_path_open);
        if note_at.is_some_and(|at| at <= now) {
            return Action::Send(self.begin_batch(place, None, now, false));
        }
        if is_closing && self.lanes.is_empty() && self.in_flight().next().is_none() {
            self.phase = Phase::Closed;
            return Action::End;
        }
        let wait_until = earlier(wait_until, note_at);
        // It dozes for the time of one linger: no event that is logged meanwhile is due earlier, so
        // its caller need not wake the sender.
        let until = *self.empty_since.get_or_insert(now) + self.options.linger;
        if now < until {
            self.sender = Sender::Dozing;
            return Action::Wait(earlier(wait_until, Some(until)));
        }
        self.sender = Sender::Asleep;
        Action::Wait(wait_until)
    }

    /// Makes a batch of the events taken from the lanes, or of notes only.
    fn begin_batch(
        &mut self,
        at: usize,
        taken: Option<Taken<W>>,
        now: Instant,
        is_apart: bool,
    ) -> Arc<Batch> {
        self.was_apart = is_apart;
        let is_of_notes = taken.is_none();
        let none = Taken { items: Vec::new(), tenants: Vec::new(), stalled_since: None };
        let Taken { items: mut taken, tenants, stalled_since } = taken.unwrap_or(none);
        if !is_apart {
            self.waits_since = now;
        }
        let size = taken.iter().map(|item| item.size).sum();
        self.in_flight_size = (self.in_flight_size.0 + taken.len(), self.in_flight_size.1 + size);
        let mut events: Vec<Event> = Vec::with_capacity(taken.len());
        let mut items = Vec::with_capacity(taken.len());
        for item in taken.drain(..) {
            items.push((item.seq, item.waiter));
            events.push(item.event);
        }
        let mut notes = Vec::new();
        if self.is_path_open && !is_apart && (is_of_notes || !self.notes_go_alone) {
            notes = self.losses.take(now, self.phase != Phase::Open);
            self.stats.submitted += notes.len() as u64;
            events.extend(notes.iter().map(|(tenant, loss)| loss.event(*tenant)));
        }
        let place = &mut self.places[at];
        let batch = Arc::new(Batch {
            place: at,
            number: place.next_batch,
            accounts_for: events.len(),
            events,
            with_verdicts: items.iter().any(|(_, waiter)| waiter.is_some()),
            lock_timeout: self.options.lock_timeout.filter(|_| self.lanes.has_many()),
        });
        place.next_batch += 1;
        place.in_flight = Some(InFlight {
            batch: Arc::clone(&batch),
            items,
            size,
            tenants,
            notes,
            begun: stalled_since.unwrap_or(now),
            tries: 0,
            state: State::Sent,
            is_in_doubt: false,
            is_apart,
            fence: None,
        });
        batch
    }
}

/// Returns the earlier of two times, if there is one.
fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
