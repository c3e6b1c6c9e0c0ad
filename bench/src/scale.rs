//! How much a run measures.

/// How much is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Rounds in which each contender has one turn.
    pub(crate) rounds: usize,
    /// Events in a turn.
    pub(crate) events: usize,
    /// Rows in each table before the first round.
    pub(crate) rows_before: usize,
    /// Events in the one transaction of the subject `memory`.
    pub(crate) events_in_memory: usize,
    /// Events of the subject `months`.
    pub(crate) rows_in_months: usize,
}

/// What `make bench` runs.
pub(crate) const FULL: Scale = Scale {
    rounds: 240,
    events: 500,
    rows_before: 100_000,
    events_in_memory: 1_000_000,
    rows_in_months: 10_000_000,
};

/// A taste of it.
pub(crate) const QUICK: Scale = Scale {
    rounds: 8,
    events: 1_000,
    rows_before: 10_000,
    events_in_memory: 100_000,
    rows_in_months: 200_000,
};
