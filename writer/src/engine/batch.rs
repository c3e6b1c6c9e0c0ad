//! A batch: what one statement takes, made once and sent again as it is.

use std::time::Duration;

use crate::{Error, Event};

/// Events of one statement. They become columns when they are sent, outside of any lock.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Which of the writer's connections sends it, and under which of its producers.
    pub(crate) place: usize,
    /// Rises by one each time, for each place.
    pub(crate) number: i64,
    /// None, where the batch of that number was sent and what became of it is asked for: then the
    /// server says so, or takes the number, so that what may still be on its way writes nothing.
    pub(crate) events: Vec<Event>,
    /// How many events the answer may be about.
    pub(crate) accounts_for: usize,
    /// Whether somebody waits for what became of single events.
    pub(crate) with_verdicts: bool,
    /// How long it waits for a lock of another transaction.
    pub(crate) lock_timeout: Option<Duration>,
}

/// What the server said of a batch.
#[derive(Debug, Default, Clone)]
pub(crate) struct Answer {
    pub(crate) written: u64,
    pub(crate) duplicate: u64,
    pub(crate) sampled: u64,
    pub(crate) rejected: u64,
    /// Whether the server had seen the batch.
    pub(crate) is_repeat: bool,
    /// By position, where they were asked for; none for a batch that the server had seen.
    pub(crate) verdicts: Vec<Verdict>,
}

impl Answer {
    /// Events that it accounts for.
    pub(crate) fn events(&self) -> u64 {
        [self.duplicate, self.sampled, self.rejected]
            .into_iter()
            .fold(self.written, u64::saturating_add)
    }
}

/// What became of one event.
#[derive(Debug, Clone)]
pub(crate) enum Verdict {
    /// Its id, or that of the first event of its key, where it is known.
    Stored(Option<i64>),
    /// The same of one whose idempotency key was seen.
    Duplicate(Option<i64>),
    LeftOut,
    Rejected(Error),
}

impl Batch {
    /// One of the same number, without its events.
    pub(crate) fn like(other: &Batch) -> Self {
        Batch { events: Vec::new(), ..*other }
    }
}
