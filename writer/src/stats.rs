//! Counts of events by outcome, and how a writer is doing.

use std::fmt;
use std::time::Duration;

use uuid::Uuid;

use crate::Error;

/// The number of events by outcome so far. At all times
/// `submitted = written + duplicate + sampled + rejected + dropped + unconfirmed + pending`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Stats {
    /// Given to the writer.
    pub submitted: u64,
    /// Stored, as the server confirmed.
    pub written: u64,
    /// Not stored again, since an event of their idempotency key was stored before.
    pub duplicate: u64,
    /// Left out by the log: sampled out, or of a tenant that opted out.
    pub sampled: u64,
    /// Refused: by the log, which puts single events into its quarantine; with their whole batch, by
    /// a permanent error; or by the writer, since they cannot be sent. They are not in the log.
    pub rejected: u64,
    /// Lost: the queue was full, or the writer gave up or ended before they were sent. They are not
    /// in the log.
    pub dropped: u64,
    /// Sent, never acknowledged, and given up: refused when sent again, tried for too long, or in
    /// flight when the writer ended. They may be in the log.
    pub unconfirmed: u64,
    /// In the queue or in flight.
    pub pending: u64,
}

impl Stats {
    /// Returns true if the counts add up, which they always do.
    pub fn is_balanced(&self) -> bool {
        let answered = self.written + self.duplicate + self.sampled + self.rejected;
        self.submitted == answered + self.dropped + self.unconfirmed + self.pending
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} submitted: {} written, {} duplicate, {} sampled, {} rejected, {} dropped, \
             {} unconfirmed, {} pending",
            self.submitted,
            self.written,
            self.duplicate,
            self.sampled,
            self.rejected,
            self.dropped,
            self.unconfirmed,
            self.pending
        )
    }
}

/// How a writer is doing now, for metrics and health checks.
#[derive(Clone, Default, Debug)]
#[non_exhaustive]
pub struct Health {
    /// True if the server answered the last batch. False until the first one.
    pub is_reaching: bool,
    /// Batches that are sent, or wait to be sent again.
    pub in_flight: usize,
    /// Tenants whose events wait by themselves, since a lock or a slow statement held them up.
    pub stalled_tenants: usize,
    /// At most ten of those tenants; `None` is the tenant of the connection.
    pub stalled: Vec<Option<Uuid>>,
    /// How long sending has failed without an answer in between; `None` while it works.
    pub failing_for: Option<Duration>,
    /// Why sending failed last; `None` while it works.
    pub last_failure: Option<Error>,
    /// Why events were refused: the last error of each kind (event name and SQLSTATE), the newest of
    /// at most ten kinds first, each with the number of events of its kind ([`Error::events`]).
    pub rejections: Vec<Error>,
}

/// The result of closing a writer. Its text has the counts and, if events were refused, why.
#[derive(Clone, Default, Debug)]
#[non_exhaustive]
#[must_use = "it says whether events were lost"]
pub struct Report {
    /// The counts at the end: nothing is pending any more.
    pub stats: Stats,
    /// Why events were refused, as in [`Health::rejections`].
    pub rejections: Vec<Error>,
}

impl Report {
    /// Returns true if the server answered for every event. Events that it refused count as
    /// answered: see `stats.rejected`.
    pub fn is_complete(&self) -> bool {
        self.stats.dropped == 0 && self.stats.unconfirmed == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.stats)?;
        for (place, reason) in self.rejections.iter().enumerate() {
            let lead = if place == 0 { "; rejected" } else { "," };
            write!(f, "{lead} {}", reason.events())?;
            if let Some(name) = reason.event_name() {
                write!(f, " {name}")?;
            }
            write!(f, ": {reason}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Event;

    #[test]
    fn a_report_says_why_events_were_refused() {
        let stats = Stats { submitted: 4, written: 1, rejected: 3, ..Stats::default() };
        let event = Event::new("tool_used");
        let reason = Error::rejected(Some("22023".into()), "key toolName is missing");
        let other = Error::rejected(None, "the payload is too large: 9 bytes, limit 8");
        let rejections = vec![reason.about(&event).of_events(2), other];
        let report = Report { stats, rejections };
        assert_eq!(
            report.to_string(),
            "4 submitted: 1 written, 0 duplicate, 0 sampled, 3 rejected, 0 dropped, 0 unconfirmed, \
             0 pending; rejected 2 tool_used: key toolName is missing (SQLSTATE 22023), \
             1: the payload is too large: 9 bytes, limit 8"
        );
        assert!(report.is_complete());
    }
}
