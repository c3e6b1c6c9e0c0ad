//! Limits the notices about refused events: the first of each kind is published at once, then one a
//! minute at most, with the number of events since. A kind is an event name and a SQLSTATE.

use std::collections::VecDeque;
use std::time::Duration;

use crate::Error;
use crate::engine::clock::Instant;

/// How long refused events of a kind are added up before they are published again.
const PUBLISH_EVERY: Duration = Duration::from_secs(60);

/// Most kinds that are kept, and most new ones that are published at once within a minute: an
/// application that makes up names must not flood its own log.
const MOST_KINDS: usize = 10;

/// Refused events of one kind.
struct Kind {
    /// The last error, about all events of the kind.
    last: Error,
    published_at: Instant,
    /// Events since then.
    unpublished: u64,
}

/// The kinds that occurred last.
#[derive(Default)]
pub(crate) struct Rejections {
    /// The kind that occurred last is the last one.
    kinds: VecDeque<Kind>,
    /// When new kinds were published, as far as it is less than a minute ago.
    firsts: VecDeque<Instant>,
    /// Unpublished events of kinds that are not kept any more.
    others: Option<Error>,
    others_published_at: Option<Instant>,
}

impl Rejections {
    /// Adds events that were refused, and returns the notices that are due.
    pub(crate) fn add(&mut self, error: &Error, events: u64, now: Instant) -> Vec<Error> {
        let mut due = Vec::new();
        let place = self.kinds.iter().position(|kind| kind.last.is_of_kind(error));
        if let Some(mut kind) = place.and_then(|place| self.kinds.remove(place)) {
            let all = kind.last.events().saturating_add(events);
            kind.last = error.clone().of_events(all);
            kind.unpublished += events;
            self.kinds.push_back(kind);
        } else {
            if self.kinds.len() == MOST_KINDS {
                // Its count must not be lost.
                if let Some(rest) = self.kinds.pop_front().and_then(|kind| kind.rest()) {
                    let before = self.others.as_ref().map_or(0, Error::events);
                    self.others = Some(rest.clone().of_events(before + rest.events()));
                }
            }
            while self.firsts.front().is_some_and(|at| now >= at.saturating_add(PUBLISH_EVERY)) {
                self.firsts.pop_front();
            }
            let last = error.clone().of_events(events);
            let is_first = self.firsts.len() < MOST_KINDS;
            if is_first {
                self.firsts.push_back(now);
                due.push(last.clone());
            }
            let unpublished = if is_first { 0 } else { events };
            self.kinds.push_back(Kind { last, published_at: now, unpublished });
        }
        due.extend(self.due(Some(now)));
        due
    }

    /// Takes the notices that are due at `now`, or all without `now`.
    pub(crate) fn due(&mut self, now: Option<Instant>) -> Vec<Error> {
        let mut due = Vec::new();
        for kind in &mut self.kinds {
            let is_due = |now: Instant| now >= kind.published_at.saturating_add(PUBLISH_EVERY);
            if now.is_none_or(is_due)
                && let Some(error) = kind.rest()
            {
                kind.unpublished = 0;
                kind.published_at = now.unwrap_or(kind.published_at);
                due.push(error);
            }
        }
        let is_due = |now: Instant| {
            self.others_published_at.is_none_or(|at| now >= at.saturating_add(PUBLISH_EVERY))
        };
        if now.is_none_or(is_due) && self.others.is_some() {
            self.others_published_at = now.or(self.others_published_at);
            due.extend(self.others.take());
        }
        due
    }

    /// Returns the last error of each kind, about all its events, the newest first.
    pub(crate) fn last(&self) -> Vec<Error> {
        self.kinds.iter().rev().map(|kind| kind.last.clone()).collect()
    }
}

impl Kind {
    fn rest(&self) -> Option<Error> {
        (self.unpublished > 0).then(|| self.last.clone().of_events(self.unpublished))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Event;

    const SECOND: Duration = Duration::from_secs(1);

    fn error(name: &str, message: &str) -> Error {
        Error::rejected(Some("23514".into()), message).about(&Event::new(name.to_owned()))
    }

    fn texts(errors: &[Error]) -> Vec<String> {
        let text =
            |e: &Error| format!("{} {}: {}", e.events(), e.event_name().unwrap(), e.message());
        errors.iter().map(text).collect()
    }

    #[test]
    fn the_first_of_each_kind_is_published_at_once_and_later_ones_once_a_minute() {
        let mut rejections = Rejections::default();
        let mut said = Vec::new();
        for n in 0..70 {
            said.extend(rejections.add(&error("a", &format!("{n} bytes")), 2, SECOND * n));
            if n == 5 {
                said.extend(rejections.add(&error("b", "key k is missing"), 1, SECOND * n));
            }
        }
        said.extend(rejections.due(None));
        assert_eq!(
            texts(&said),
            ["2 a: 0 bytes", "1 b: key k is missing", "120 a: 60 bytes", "18 a: 69 bytes"]
        );
        assert_eq!(texts(&rejections.last()), ["140 a: 69 bytes", "1 b: key k is missing"]);
    }

    #[test]
    fn a_flood_of_kinds_publishes_ten_at_once_and_loses_no_count() {
        let mut rejections = Rejections::default();
        let mut at_once = 0;
        let (mut counted, mut notices) = (0, 0);
        for n in 0..1000 {
            let said = rejections.add(&error(&format!("name_{n}"), "unknown"), 1, Duration::ZERO);
            at_once +=
                usize::from(said.iter().any(|e| e.event_name() == Some(&format!("name_{n}"))));
            counted += said.iter().map(Error::events).sum::<u64>();
            notices += said.len();
        }
        let rest = rejections.due(None);
        counted += rest.iter().map(Error::events).sum::<u64>();
        notices += rest.len();
        assert_eq!((at_once, counted, rejections.last().len()), (MOST_KINDS, 1000, MOST_KINDS));
        assert!(notices <= 2 * MOST_KINDS + 2, "{notices}");
    }
}
