//! What the writer says of faults: the first of a kind at once, then every ten seconds at most, with
//! how many events it is about since.

use std::time::Duration;

use crate::Error;
use crate::engine::clock::Instant;

/// How long what goes on is added up before it is said again.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// What a notice is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Topic {
    /// A batch was not written, and is tried again.
    Failed,
    /// Events were refused.
    Rejected,
    /// Events were dropped, or may have been written and are given up.
    Lost,
    /// Sending goes well again.
    Recovered,
}

/// What is said.
#[derive(Debug)]
pub(crate) struct Notice {
    pub(crate) topic: Topic,
    pub(crate) error: Error,
}

/// What was said of one topic, and what was not yet.
#[derive(Default)]
struct Said {
    at: Option<Instant>,
    events: u64,
    error: Option<Error>,
}

impl Said {
    fn add(&mut self, error: Error, events: u64) {
        self.events += events;
        self.error.get_or_insert(error);
    }

    /// What is to be said now. The reason is that of the first event it is about.
    fn due(&mut self, topic: Topic, now: Option<Instant>) -> Option<Notice> {
        let is_due = |now: Instant| self.at.is_none_or(|at| now >= at.saturating_add(SAY_EVERY));
        if !now.is_none_or(is_due) {
            return None;
        }
        let error = self.error.take()?.of_events(std::mem::take(&mut self.events));
        self.at = now.or(self.at);
        Some(Notice { topic, error })
    }
}

/// All that was and is to be said.
#[derive(Default)]
pub(crate) struct Notices {
    failed: Said,
    rejected: Said,
    lost: Said,
    failing_since: Option<Instant>,
    last_failure: Option<Error>,
    last_rejection: Option<Error>,
    ready: Vec<Notice>,
}

impl Notices {
    /// A batch of so many events was not written, and is tried again.
    pub(crate) fn failed(&mut self, error: &Error, events: u64, now: Instant) {
        self.failing_since.get_or_insert(now);
        self.last_failure = Some(error.clone());
        // It is the same events each time.
        self.failed.events = 0;
        self.failed.error = None;
        self.failed.add(error.clone(), events);
        self.ready.extend(self.failed.due(Topic::Failed, Some(now)));
    }

    pub(crate) fn rejected(&mut self, error: &Error, events: u64, now: Instant) {
        self.last_rejection = Some(error.clone());
        self.rejected.add(error.clone(), events);
        self.ready.extend(self.rejected.due(Topic::Rejected, Some(now)));
    }

    pub(crate) fn lost(&mut self, error: &Error, events: u64, now: Instant) {
        self.lost.add(error.clone(), events);
        self.ready.extend(self.lost.due(Topic::Lost, Some(now)));
    }

    /// The server answered.
    pub(crate) fn answered(&mut self, now: Instant) {
        if self.failing_since.take().is_some() {
            self.last_failure = None;
            if self.failed.at.is_some() {
                let error = Error::lost("events are written again");
                self.ready.push(Notice { topic: Topic::Recovered, error });
            }
            self.failed = Said::default();
        }
        self.ready.extend(self.rejected.due(Topic::Rejected, Some(now)));
        self.ready.extend(self.lost.due(Topic::Lost, Some(now)));
    }

    /// The writer ends: whatever was not said yet is.
    pub(crate) fn end(&mut self) {
        self.ready.extend(self.rejected.due(Topic::Rejected, None));
        self.ready.extend(self.lost.due(Topic::Lost, None));
    }

    pub(crate) fn failing_since(&self) -> Option<Instant> {
        self.failing_since
    }

    pub(crate) fn last_failure(&self) -> Option<Error> {
        self.last_failure.clone()
    }

    pub(crate) fn last_rejection(&self) -> Option<Error> {
        self.last_rejection.clone()
    }

    pub(crate) fn take(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_said_at_once_and_those_that_follow_are_added_up() {
        let mut notices = Notices::default();
        let second = Duration::from_secs(1);
        for n in 0..25 {
            notices.lost(&Error::lost(format!("loss {n}")), 3, second * n);
        }
        notices.end();
        let said: Vec<_> = notices.take();
        let said: Vec<_> =
            said.iter().map(|notice| (notice.error.events(), notice.error.to_string())).collect();
        let expected = [(3, "loss 0"), (30, "loss 1"), (30, "loss 11"), (12, "loss 21")];
        assert_eq!(said, expected.map(|(events, text)| (events, text.to_owned())));
    }

    #[test]
    fn a_failure_that_goes_on_is_said_again_and_once_more_when_it_is_over() {
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
