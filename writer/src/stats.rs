//! What became of the events.

use std::fmt;

/// How many events had which end so far. Always:
/// `submitted = written + duplicate + sampled + rejected + dropped + unconfirmed + pending`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Stats {
    /// Given to the writer.
    pub submitted: u64,
    /// Stored, as the server said.
    pub written: u64,
    /// Not stored again: their idempotency key was seen.
    pub duplicate: u64,
    /// Left out by the log: sampled, or of a tenant that opted out.
    pub sampled: u64,
    /// Refused: by the log, which quarantined them one by one, by a permanent fault of their whole
    /// batch, which cannot have been written, or because their payload does not serialize.
    pub rejected: u64,
    /// Lost: the queue was full, or the writer gave them up, or ended, before they were sent.
    pub dropped: u64,
    /// Sent, never acknowledged, and given up: refused when they were sent again, tried for too
    /// long, or under way when the writer ended. They may have been written all the same.
    pub unconfirmed: u64,
    /// In the queue or on their way.
    pub pending: u64,
}

impl Stats {
    /// Whether the account balances; it always does.
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

/// How a writer is doing now: for metrics, and for the question whether events reach the log.
#[derive(Clone, Default, Debug)]
#[non_exhaustive]
pub struct Health {
    /// Whether the last batch was answered by the server, and not lost on the way. False until the
    /// first one.
    pub is_reaching: bool,
    /// Batches that are sent, or wait to be sent again.
    pub in_flight: usize,
    /// Tenants whose events wait by themselves, since a lock or a slow statement held them up.
    pub stalled_tenants: usize,
    /// Some of them, at most ten.
    pub stalled: Vec<Option<uuid::Uuid>>,
    /// How long sending has failed without an answer in between.
    pub failing_for: Option<std::time::Duration>,
    /// Why sending failed last; nothing once it goes well again.
    pub last_failure: Option<crate::Error>,
    /// Why events were refused last.
    pub last_rejection: Option<crate::Error>,
}

/// What a writer says when it is closed.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[must_use = "it says whether events were lost"]
pub struct Report {
    /// The account at the end: nothing is pending any more.
    pub stats: Stats,
    /// How many may have been written or not: `stats.unconfirmed`.
    pub unconfirmed: u64,
}

impl Report {
    /// Whether every event got an answer of the server.
    pub fn is_complete(&self) -> bool {
        self.stats.dropped == 0 && self.stats.unconfirmed == 0
    }
}
