//! Handles the result of sending a batch: counts it, tries it again, or gives it up.

use std::time::SystemTime;

use super::{Engine, InFlight, Instant, Phase, State};
use crate::engine::batch::{Answer, Verdict};
use crate::error::Remedy;
use crate::stats::Report;
use crate::{Error, Event};

impl<W> Engine<W> {
    /// Notes that the batch is not on the wire yet, since the sender connects first.
    pub(crate) fn connecting(&mut self, place: usize) {
        if let Some(in_flight) = &mut self.places[place].in_flight {
            in_flight.state = State::Connecting;
        }
    }

    /// Notes that the batch goes onto the wire now. Returns false if it was given up meanwhile and must
    /// not be sent.
    pub(crate) fn connected(&mut self, place: usize) -> bool {
        let Some(in_flight) = &mut self.places[place].in_flight else { return false };
        in_flight.state = State::Sent;
        true
    }

    /// Counts the server's answer, and replies to waiting callers.
    pub(crate) fn answered(&mut self, place: usize, answer: Answer, now: Instant) {
        let Some(mut in_flight) = self.places[place].in_flight.take() else { return };
        self.places[place].is_open = true;
        self.places[place].refused = 0;
        self.is_path_open = true;
        self.notices.answered(now);
        if let Some((error, remedy)) = in_flight.fence.take()
            && (!answer.is_repeat || answer.events() == 0)
        {
            // It was not written, and a copy that is still on its way will not be: the question used
            // up the number, now or when it was asked before (then its answer counts no event).
            in_flight.is_in_doubt = false;
            return self.take_apart(in_flight, error, remedy, now);
        }
        self.stats.written += answer.written;
        self.stats.duplicate += answer.duplicate;
        self.stats.rejected += answer.rejected;
        // A disabled log answers with zeros: its owner wants the events left out.
        let all = in_flight.batch.events.len() as u64;
        self.stats.sampled += answer.sampled + all.saturating_sub(answer.events());

        self.note_rejections(&in_flight.batch.events, &answer, now);
        self.reopen_lanes(&in_flight, true, now);
        for (position, (_, waiter)) in in_flight.items.into_iter().enumerate() {
            let Some(waiter) = waiter else { continue };
            let outcome = match answer.verdicts.get(position) {
                Some(verdict) => verdict.outcome(),
                None => answer.common_outcome(all),
            };
            self.replies.push((waiter, outcome));
        }
    }

    /// Adds the events that the server refused to the notices, with the reasons of the verdicts.
    fn note_rejections(&mut self, events: &[Event], answer: &Answer, now: Instant) {
        let mut noted = 0;
        for (event, verdict) in events.iter().zip(&answer.verdicts) {
            if let Verdict::Rejected(error) = verdict {
                noted += 1;
                self.notices.rejected(&error.clone().about(event), 1, now);
            }
        }
        let without_reason = answer.rejected.saturating_sub(noted);
        if without_reason > 0 {
            self.notices.rejected(&Answer::rejected(), without_reason, now);
        }
    }

    /// Opens the lanes of a finished batch again.
    pub(super) fn reopen_lanes(&mut self, in_flight: &InFlight<W>, is_well: bool, now: Instant) {
        self.release(in_flight);
        for tenant in &in_flight.tenants {
            if is_well {
                self.lanes.went_well(*tenant);
            }
            let is_first = self.lanes.ready().0 == 0;
            if self.lanes.reopen(*tenant, now) && is_first {
                self.waits_since = in_flight.begun;
            }
        }
    }

    /// Takes the batch out of the count of what is in flight.
    pub(super) fn release(&mut self, in_flight: &InFlight<W>) {
        self.in_flight_size.0 -= in_flight.items.len();
        self.in_flight_size.1 -= in_flight.size;
    }

    /// Handles a batch that could not be sent, or that the server refused as a whole. `chance` is a
    /// random number from 0 to 1.
    pub(crate) fn failed(
        &mut self,
        at: usize,
        error: Error,
        now: Instant,
        wall: SystemTime,
        chance: f64,
    ) {
        self.chance = chance;
        let is_open_elsewhere =
            self.places.iter().enumerate().any(|(other, place)| other != at && place.is_open);
        let place = &mut self.places[at];
        let Some(in_flight) = place.in_flight.as_mut() else { return };
        let was_sent = in_flight.state == State::Sent;
        in_flight.tries = in_flight.tries.saturating_add(1);
        in_flight.is_in_doubt |= was_sent && error.leaves_doubt();
        let (tries, is_in_doubt) = (in_flight.tries, in_flight.is_in_doubt);
        let time = now.saturating_sub(in_flight.begun);
        let is_over = self.options.give_up_after.is_some_and(|most| time >= most);
        let remedy = if was_sent { error.remedy(tries) } else { Remedy::Retry };
        if matches!(remedy, Remedy::Retry | Remedy::GiveUp) {
            place.is_open = false;
            self.is_path_open = self.is_path_open && is_open_elsewhere && !was_sent;
        }
        if (is_over && error.is_transient())
            || remedy == Remedy::GiveUp
            || (remedy == Remedy::Retry && !error.is_transient())
        {
            let in_flight = self.places[at].in_flight.take().expect("checked above");
            self.reopen_lanes(&in_flight, false, now);
            return self.end_without_answer(in_flight, error, now, Some(wall));
        }
        let events = in_flight.batch.events.len() as u64;
        if remedy != Remedy::Bisect {
            self.notices.failed(&error, events, now);
        }
        let backoff = self.backoff(tries, chance);
        let place = &mut self.places[at];
        match remedy {
            Remedy::Retry if !was_sent && is_open_elsewhere && !is_in_doubt => {
                // This place finds no connection (the role may have no more), but another place has
                // one: the events go there.
                let in_flight = place.in_flight.take().expect("checked above");
                place.refused = place.refused.saturating_add(1);
                let refused = place.refused;
                self.places[at].shut_until = now + self.backoff(refused, 1.0);
                self.put_back(in_flight, now);
            }
            Remedy::Retry => {
                let in_flight = place.in_flight.as_mut().expect("checked above");
                in_flight.state = State::RetryAt(now + backoff);
            }
            _ if is_in_doubt => {
                // It may have been written: ask for that first, under its number.
                let in_flight = place.in_flight.as_mut().expect("checked above");
                in_flight.fence.get_or_insert((error, remedy));
                in_flight.state = State::RetryAt(now + backoff);
            }
            _ => {
                let in_flight = place.in_flight.take().expect("checked above");
                self.take_apart(in_flight, error, remedy, now);
            }
        }
    }

    /// Returns how long to wait before the next try: full jitter, a random part of a limit that
    /// doubles with each try.
    pub(super) fn backoff(&self, tries: u32, chance: f64) -> Instant {
        let doublings = tries.saturating_sub(1).min(20);
        let most = self.options.retry_base.saturating_mul(1 << doublings);
        most.min(self.options.retry_max).mul_f64(chance.clamp(0.0, 1.0))
    }

    /// Counts a batch that gets no answer, and replies to its callers. With `wall`, its losses are
    /// reported to the log later; without it (the writer ends) they are not.
    pub(super) fn end_without_answer(
        &mut self,
        in_flight: InFlight<W>,
        error: Error,
        now: Instant,
        wall: Option<SystemTime>,
    ) {
        let all = in_flight.batch.events.len() as u64;
        let error = if in_flight.is_in_doubt { error.unconfirmed() } else { error };
        let about = match in_flight.batch.events.first() {
            Some(event) => error.clone().about(event),
            None => error.clone(),
        };
        #[cfg(test)]
        self.count_notes(&in_flight, &error);
        if in_flight.is_in_doubt {
            self.stats.unconfirmed += all;
            self.notices.lost(&about, all, now);
        } else if !error.is_transient() && !error.is_lost() {
            self.stats.rejected += all;
            self.notices.rejected(&about, all, now);
        } else {
            self.stats.dropped += all;
            self.notices.lost(&about, all, now);
            if let Some(wall) = wall {
                for event in &in_flight.batch.events[..in_flight.items.len()] {
                    self.losses.add(event.tenant_id, event.occurred_at.unwrap_or(wall));
                }
                self.losses.put_back(in_flight.notes);
            }
        }
        let waiters = in_flight.items.into_iter().filter_map(|(_, waiter)| waiter);
        self.replies.extend(waiters.map(|waiter| (waiter, Err(error.clone()))));
    }

    #[cfg(test)]
    fn count_notes(&mut self, in_flight: &InFlight<W>, error: &Error) {
        let is_gone = in_flight.is_in_doubt || !(error.is_transient() || error.is_lost());
        let notes = in_flight.notes.len() as u64;
        match is_gone {
            true => self.note_ends.gone += notes,
            false => self.note_ends.dropped += notes,
        }
    }

    /// Ends at once: events in the queue are dropped, batches on the wire count as unconfirmed.
    pub(crate) fn abandon(&mut self) -> Report {
        self.phase = Phase::Closed;
        let lost = Error::lost("the writer ended before there was an answer");
        for place in 0..self.places.len() {
            if let Some(mut in_flight) = self.places[place].in_flight.take() {
                in_flight.is_in_doubt |= in_flight.state == State::Sent;
                self.release(&in_flight);
                self.end_without_answer(in_flight, lost.clone(), Instant::ZERO, None);
            }
        }
        for item in self.lanes.drain() {
            self.stats.dropped += 1;
            self.notices.lost(&lost.clone().about(&item.event), 1, Instant::ZERO);
            self.replies.extend(item.waiter.map(|waiter| (waiter, Err(lost.clone()))));
        }
        self.notices.end();
        Report { stats: self.stats(), rejections: self.notices.rejections() }
    }
}
