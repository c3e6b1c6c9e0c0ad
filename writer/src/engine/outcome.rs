//! What comes of sending a batch: counts, another try, or an end without an answer.

use std::time::SystemTime;

use super::{Engine, Instant, Phase, State, UnderWay};
use crate::Error;
use crate::batch::{Answer, Verdict};
use crate::stats::Report;

impl<W> Engine<W> {
    /// The batch is not on the wire yet: whoever sends connects first.
    pub(crate) fn connecting(&mut self) {
        if let Some(under_way) = &mut self.under_way {
            under_way.state = State::Connecting;
        }
    }

    /// It goes onto the wire now; whether it may: not where it was given up meanwhile.
    pub(crate) fn connected(&mut self) -> bool {
        let Some(under_way) = &mut self.under_way else { return false };
        under_way.state = State::Sent;
        true
    }

    /// The server answered. The fault of the first event that it refused, if that is to be reported.
    pub(crate) fn answered(&mut self, answer: Answer) -> Option<Error> {
        let under_way = self.under_way.take()?;
        self.is_path_open = true;
        self.stats.written += answer.written;
        self.stats.duplicate += answer.duplicate;
        self.stats.rejected += answer.rejected;
        // A log that is disabled answers with zeros: its owner wants the events left out.
        let all = under_way.batch.events.len() as u64;
        self.stats.sampled += answer.sampled + all.saturating_sub(answer.events());

        let refused = answer.verdicts.iter().find_map(|verdict| match verdict {
            Verdict::Rejected(error) => Some(error.clone()),
            _ => None,
        });
        let report = refused.filter(|_| !self.has_reported);
        self.has_reported = answer.rejected > 0;
        self.told.extend(under_way.waiters.into_iter().map(|(place, waiter)| {
            let told = match answer.verdicts.get(place) {
                Some(Verdict::Stored(id)) => Ok(*id),
                Some(Verdict::Rejected(error)) => Err(error.clone()),
                // Left out; or the answer to a batch that the server had seen, which says how
                // many were written and not which ids they got.
                Some(Verdict::LeftOut) | None => Ok(None),
            };
            (waiter, told)
        }));
        report
    }

    /// The batch could not be sent, or was refused whole. What is to be reported, if anything.
    pub(crate) fn failed(
        &mut self,
        error: Error,
        now: Instant,
        wall: SystemTime,
        chance: f64,
    ) -> Option<Error> {
        let under_way = self.under_way.as_mut()?;
        self.is_path_open = false;
        under_way.tries += 1;
        under_way.is_in_doubt |= under_way.state == State::Sent && error.leaves_doubt();
        let time = now.saturating_sub(under_way.begun);
        let is_over = self.options.give_up_after.is_some_and(|most| time >= most);
        if error.is_transient() && !is_over {
            // Full jitter: between nothing and twice the wait of the last time.
            let doublings = (under_way.tries - 1).min(20);
            let most = (self.options.retry_base * (1 << doublings)).min(self.options.retry_max);
            under_way.state = State::RetryAt(now + most.mul_f64(chance.clamp(0.0, 1.0)));
            return None;
        }
        let under_way = self.under_way.take().expect("checked above");
        let error = if under_way.is_in_doubt { error.unconfirmed() } else { error };
        let is_permanent = !error.is_transient();
        self.end_without_answer(under_way, &error, is_permanent, Some(wall));
        let report = (!self.has_reported).then_some(error);
        self.has_reported = true;
        report
    }

    /// Counts a batch that has no answer and gets none, and tells whoever waits. Losses are told
    /// later, unless the writer ends.
    fn end_without_answer(
        &mut self,
        under_way: UnderWay<W>,
        error: &Error,
        is_refused: bool,
        wall: Option<SystemTime>,
    ) {
        let all = under_way.batch.events.len() as u64;
        if under_way.is_in_doubt {
            self.stats.unconfirmed += all;
        } else if is_refused {
            self.stats.rejected += all;
        } else {
            self.stats.dropped += all;
            if let Some(wall) = wall {
                for event in &under_way.batch.events[..under_way.events] {
                    self.losses.add(event.tenant_id, event.occurred_at.unwrap_or(wall));
                }
                self.losses.put_back(under_way.notes);
            }
        }
        let waiters = under_way.waiters.into_iter();
        self.told.extend(waiters.map(|(_, waiter)| (waiter, Err(error.clone()))));
    }

    /// Ends at once: what is queued is dropped, and so is what is under way, unless it may have been
    /// written.
    pub(crate) fn abandon(&mut self) -> Report {
        self.phase = Phase::Closed;
        let lost = Error::lost("the writer ended before there was an answer");
        if let Some(mut under_way) = self.under_way.take() {
            under_way.is_in_doubt |= under_way.state == State::Sent;
            let lost = lost.clone();
            let lost = if under_way.is_in_doubt { lost.unconfirmed() } else { lost };
            self.end_without_answer(under_way, &lost, false, None);
        }
        while let Some(item) = self.queue.pop() {
            self.stats.dropped += 1;
            self.told.extend(item.waiter.map(|waiter| (waiter, Err(lost.clone()))));
        }
        let stats = self.stats();
        Report { stats, unconfirmed: stats.unconfirmed }
    }
}
