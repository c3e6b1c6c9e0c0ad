//! What comes of sending a batch: counts, another try, or an end without an answer.

use std::time::SystemTime;

use super::{Engine, Instant, Phase, State, UnderWay};
use crate::engine::batch::{Answer, Verdict};
use crate::error::Cure;
use crate::stats::Report;
use crate::{Error, Event, Logged};

impl<W> Engine<W> {
    /// The batch is not on the wire yet: whoever sends connects first.
    pub(crate) fn connecting(&mut self, place: usize) {
        if let Some(under_way) = &mut self.places[place].under_way {
            under_way.state = State::Connecting;
        }
    }

    /// It goes onto the wire now; whether it may: not where it was given up meanwhile.
    pub(crate) fn connected(&mut self, place: usize) -> bool {
        let Some(under_way) = &mut self.places[place].under_way else { return false };
        under_way.state = State::Sent;
        true
    }

    /// The server answered.
    pub(crate) fn answered(&mut self, place: usize, answer: Answer, now: Instant) {
        let Some(mut under_way) = self.places[place].under_way.take() else { return };
        self.places[place].is_open = true;
        self.places[place].refused = 0;
        self.is_path_open = true;
        self.notices.answered(now);
        if let Some((error, cure)) = under_way.fence.take()
            && (!answer.is_repeat || answer.events() == 0)
        {
            // It was not written, and what may still be on its way will not be: the question took the
            // number, now or, where it was asked before, with an answer about nothing.
            under_way.is_in_doubt = false;
            return self.take_apart(under_way, error, cure, now);
        }
        self.stats.written += answer.written;
        self.stats.duplicate += answer.duplicate;
        self.stats.rejected += answer.rejected;
        // A log that is disabled answers with zeros: its owner wants the events left out.
        let all = under_way.batch.events.len() as u64;
        self.stats.sampled += answer.sampled + all.saturating_sub(answer.events());

        self.say_rejected(&under_way.batch.events, &answer, now);
        self.land(&under_way, true, now);
        for (place, (_, waiter)) in under_way.items.into_iter().enumerate() {
            let Some(waiter) = waiter else { continue };
            let told = match answer.verdicts.get(place) {
                Some(Verdict::Stored(id)) => Ok(Logged::Written(*id)),
                Some(Verdict::Duplicate(id)) => Ok(Logged::Duplicate(*id)),
                Some(Verdict::Rejected(error)) => Err(error.clone()),
                // Left out; or the answer to a batch that the server had seen, which says how
                // many were written and not which ids they got.
                Some(Verdict::LeftOut) | None => Ok(Logged::LeftOut),
            };
            self.told.push((waiter, told));
        }
    }

    /// Says which events the server refused, and why: by the verdicts, where there are some.
    fn say_rejected(&mut self, events: &[Event], answer: &Answer, now: Instant) {
        let mut told = 0;
        for (event, verdict) in events.iter().zip(&answer.verdicts) {
            if let Verdict::Rejected(error) = verdict {
                told += 1;
                self.notices.rejected(&error.clone().about(event), 1, now);
            }
        }
        let untold = answer.rejected.saturating_sub(told);
        if untold > 0 {
            let error =
                Error::rejected(None, "the log refused events; its rejected_events say why");
            self.notices.rejected(&error, untold, now);
        }
    }

    /// The lanes of a batch that has an end are open again.
    pub(super) fn land(&mut self, under_way: &UnderWay<W>, is_well: bool, now: Instant) {
        self.release(under_way);
        for tenant in &under_way.tenants {
            if is_well {
                self.lanes.went_well(*tenant);
            }
            let is_first = self.lanes.ready().0 == 0;
            if self.lanes.land(*tenant, now) && is_first {
                self.waits_since = under_way.begun;
            }
        }
    }

    /// It is not under way any more.
    pub(super) fn release(&mut self, under_way: &UnderWay<W>) {
        self.flying.0 -= under_way.items.len();
        self.flying.1 -= under_way.size;
    }

    /// The batch could not be sent, or was refused whole.
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
        let Some(under_way) = place.under_way.as_mut() else { return };
        let was_sent = under_way.state == State::Sent;
        under_way.tries = under_way.tries.saturating_add(1);
        under_way.is_in_doubt |= was_sent && error.leaves_doubt();
        let (tries, is_in_doubt) = (under_way.tries, under_way.is_in_doubt);
        let time = now.saturating_sub(under_way.begun);
        let is_over = self.options.give_up_after.is_some_and(|most| time >= most);
        let cure = if was_sent { error.cure(tries) } else { Cure::Again };
        if matches!(cure, Cure::Again | Cure::Nothing) {
            place.is_open = false;
            self.is_path_open = self.is_path_open && is_open_elsewhere && !was_sent;
        }
        if (is_over && error.is_transient())
            || cure == Cure::Nothing
            || (cure == Cure::Again && !error.is_transient())
        {
            let under_way = self.places[at].under_way.take().expect("checked above");
            self.land(&under_way, false, now);
            return self.end_without_answer(under_way, error, now, Some(wall));
        }
        let events = under_way.batch.events.len() as u64;
        if cure != Cure::Search {
            self.notices.failed(&error, events, now);
        }
        let backoff = self.backoff(tries, chance);
        let place = &mut self.places[at];
        match cure {
            Cure::Again if !was_sent && is_open_elsewhere && !is_in_doubt => {
                // This place finds no connection, since there is none more for the role, and another
                // place has one: its events go there.
                let under_way = place.under_way.take().expect("checked above");
                place.refused = place.refused.saturating_add(1);
                let refused = place.refused;
                self.places[at].shut_until = now + self.backoff(refused, 1.0);
                self.put_back(under_way, now);
            }
            Cure::Again => {
                let under_way = place.under_way.as_mut().expect("checked above");
                under_way.state = State::RetryAt(now + backoff);
            }
            _ if is_in_doubt => {
                // Whether it was written is asked for first, under its number.
                let under_way = place.under_way.as_mut().expect("checked above");
                under_way.fence.get_or_insert((error, cure));
                under_way.state = State::RetryAt(now + backoff);
            }
            _ => {
                let under_way = place.under_way.take().expect("checked above");
                self.take_apart(under_way, error, cure, now);
            }
        }
    }

    /// Full jitter: between nothing and twice the wait of the last time.
    pub(super) fn backoff(&self, tries: u32, chance: f64) -> Instant {
        let doublings = tries.saturating_sub(1).min(20);
        let most = self.options.retry_base.saturating_mul(1 << doublings);
        most.min(self.options.retry_max).mul_f64(chance.clamp(0.0, 1.0))
    }

    /// Counts a batch that has no answer and gets none, and tells whoever waits. Losses are told
    /// later, unless the writer ends.
    pub(super) fn end_without_answer(
        &mut self,
        under_way: UnderWay<W>,
        error: Error,
        now: Instant,
        wall: Option<SystemTime>,
    ) {
        let all = under_way.batch.events.len() as u64;
        let error = if under_way.is_in_doubt { error.unconfirmed() } else { error };
        let about = match under_way.batch.events.first() {
            Some(event) => error.clone().about(event),
            None => error.clone(),
        };
        #[cfg(test)]
        self.count_notes(&under_way, &error);
        if under_way.is_in_doubt {
            self.stats.unconfirmed += all;
            self.notices.lost(&about, all, now);
        } else if !error.is_transient() && !error.is_lost() {
            self.stats.rejected += all;
            self.notices.rejected(&about, all, now);
        } else {
            self.stats.dropped += all;
            self.notices.lost(&about, all, now);
            if let Some(wall) = wall {
                for event in &under_way.batch.events[..under_way.items.len()] {
                    self.losses.add(event.tenant_id, event.occurred_at.unwrap_or(wall));
                }
                self.losses.put_back(under_way.notes);
            }
        }
        let waiters = under_way.items.into_iter().filter_map(|(_, waiter)| waiter);
        self.told.extend(waiters.map(|waiter| (waiter, Err(error.clone()))));
    }

    #[cfg(test)]
    fn count_notes(&mut self, under_way: &UnderWay<W>, error: &Error) {
        let is_gone = under_way.is_in_doubt || !(error.is_transient() || error.is_lost());
        let notes = under_way.notes.len() as u64;
        match is_gone {
            true => self.note_ends.gone += notes,
            false => self.note_ends.dropped += notes,
        }
    }

    /// Ends at once: what is queued is dropped, and so is what is under way, unless it may have been
    /// written.
    pub(crate) fn abandon(&mut self) -> Report {
        self.phase = Phase::Closed;
        let lost = Error::lost("the writer ended before there was an answer");
        for place in 0..self.places.len() {
            if let Some(mut under_way) = self.places[place].under_way.take() {
                under_way.is_in_doubt |= under_way.state == State::Sent;
                self.release(&under_way);
                self.end_without_answer(under_way, lost.clone(), Instant::ZERO, None);
            }
        }
        for item in self.lanes.drain() {
            self.stats.dropped += 1;
            self.notices.lost(&lost.clone().about(&item.event), 1, Instant::ZERO);
            self.told.extend(item.waiter.map(|waiter| (waiter, Err(lost.clone()))));
        }
        self.notices.end();
        let stats = self.stats();
        Report { stats, unconfirmed: stats.unconfirmed }
    }
}
