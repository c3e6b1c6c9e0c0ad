//! Limits the notices about faults: the first of a topic is published at once, then one every ten
//! seconds at most, with the number of events since. Refused events are told apart by their kind.

use std::time::Duration;

use crate::Error;
use crate::engine::clock::Instant;
use crate::engine::rejections::Rejections;

/// How long faults are added up before they are published again.
const PUBLISH_EVERY: Duration = Duration::from_secs(10);

/// The kind of a notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Topic {
    /// A batch was not written, and is tried again.
    Failed,
    /// Events were refused.
    Rejected,
    /// Events were dropped, or were given up although they may have been written.
    Lost,
    /// Batches are written again.
    Recovered,
}

/// A notice for `tracing` and the application's callback.
#[derive(Debug)]
pub(crate) struct Notice {
    pub(crate) topic: Topic,
    pub(crate) error: Error,
}

/// Faults of one topic: when they were last published, and those since.
#[derive(Default)]
struct Faults {
    published_at: Option<Instant>,
    events: u64,
    error: Option<Error>,
}

impl Faults {
    fn add(&mut self, error: Error, events: u64) {
        self.events += events;
        self.error.get_or_insert(error);
    }

    /// Takes the notice that is due at `now`, or any without `now`. Its reason is that of the first
    /// event.
    fn due(&mut self, topic: Topic, now: Option<Instant>) -> Option<Notice> {
        let is_due = |now: Instant| {
            self.published_at.is_none_or(|at| now >= at.saturating_add(PUBLISH_EVERY))
        };
        if !now.is_none_or(is_due) {
            return None;
        }
        let error = self.error.take()?.of_events(std::mem::take(&mut self.events));
        self.published_at = now.or(self.published_at);
        Some(Notice { topic, error })
    }
}

/// All notices, published and pending, and the last reasons.
#[derive(Default)]
pub(crate) struct Notices {
    failed: Faults,
    rejected: Rejections,
    lost: Faults,
    failing_since: Option<Instant>,
    last_failure: Option<Error>,
    ready: Vec<Notice>,
}

impl Notices {
    /// Adds a batch of so many events that was not written and is tried again.
    pub(crate) fn failed(&mut self, error: &Error, events: u64, now: Instant) {
        self.failing_since.get_or_insert(now);
        self.last_failure = Some(error.clone());
        // A retried batch has the same events each time.
        self.failed.events = 0;
        self.failed.error = None;
        self.failed.add(error.clone(), events);
        self.ready.extend(self.failed.due(Topic::Failed, Some(now)));
    }

    /// Adds events that were refused.
    pub(crate) fn rejected(&mut self, error: &Error, events: u64, now: Instant) {
        let due = self.rejected.add(error, events, now);
        self.publish_rejections(due);
    }

    fn publish_rejections(&mut self, errors: Vec<Error>) {
        let notice = |error| Notice { topic: Topic::Rejected, error };
        self.ready.extend(errors.into_iter().map(notice));
    }

    /// Adds events that were dropped or are unconfirmed.
    pub(crate) fn lost(&mut self, error: &Error, events: u64, now: Instant) {
        self.lost.add(error.clone(), events);
        self.ready.extend(self.lost.due(Topic::Lost, Some(now)));
    }

    /// Notes that the server answered.
    pub(crate) fn answered(&mut self, now: Instant) {
        if self.failing_since.take().is_some() {
            self.last_failure = None;
            if self.failed.published_at.is_some() {
                let error = Error::lost("events are written again");
                self.ready.push(Notice { topic: Topic::Recovered, error });
            }
            self.failed = Faults::default();
        }
        let due = self.rejected.due(Some(now));
        self.publish_rejections(due);
        self.ready.extend(self.lost.due(Topic::Lost, Some(now)));
    }

    /// Makes all pending notices ready, since the writer ends.
    pub(crate) fn end(&mut self) {
        let due = self.rejected.due(None);
        self.publish_rejections(due);
        self.ready.extend(self.lost.due(Topic::Lost, None));
    }

    /// Returns since when sending has failed.
    pub(crate) fn failing_since(&self) -> Option<Instant> {
        self.failing_since
    }

    /// Returns the last failure, unless the server has answered since.
    pub(crate) fn last_failure(&self) -> Option<Error> {
        self.last_failure.clone()
    }

    /// Returns the last reason of each kind of rejected events, the newest first.
    pub(crate) fn rejections(&self) -> Vec<Error> {
        self.rejected.last()
    }

    /// Takes the notices that are ready.
    pub(crate) fn take(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fault_is_published_at_once_and_later_ones_are_added_up() {
        let mut notices = Notices::default();
        let second = Duration::from_secs(1);
        for n in 0..25 {
            notices.lost(&Error::lost(format!("loss {n}")), 3, second * n);
        }
        notices.end();
        let published: Vec<_> = notices.take();
        let published: Vec<_> = published
            .iter()
            .map(|notice| (notice.error.events(), notice.error.to_string()))
            .collect();
        let expected = [(3, "loss 0"), (30, "loss 1"), (30, "loss 11"), (12, "loss 21")];
        assert_eq!(published, expected.map(|(events, text)| (events, text.to_owned())));
    }

    #[test]
    fn a_failure_that_lasts_is_published_again_and_so_is_its_end() {
        let mut notices = Notices::default();
        let second = Duration::from_secs(1);
        for n in 0..12 {
            notices.failed(&Error::connection("refused"), 7, second * n);
        }
        assert!(notices.last_failure().is_some());
        notices.answered(second * 12);
        notices.answered(second * 13);
        let topics: Vec<_> = notices.take().iter().map(|notice| notice.topic).collect();
        assert_eq!(topics, [Topic::Failed, Topic::Failed, Topic::Recovered]);
        assert!(notices.last_failure().is_none() && notices.failing_since().is_none());
    }
}
