//! A batch: what one statement takes, made once and sent again as it is.

use crate::{Error, Event};

/// Events of one statement. They become columns when they are sent, outside of any lock.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Rises by one each time.
    pub(crate) number: i64,
    pub(crate) events: Vec<Event>,
    /// Whether somebody waits for what became of single events.
    pub(crate) with_verdicts: bool,
}

/// What the server said of a batch.
#[derive(Debug, Default, Clone)]
pub(crate) struct Answer {
    pub(crate) written: u64,
    pub(crate) duplicate: u64,
    pub(crate) sampled: u64,
    pub(crate) rejected: u64,
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
    LeftOut,
    Rejected(Error),
}
