//! Writing events into the table.

pub(crate) mod batch;
pub(crate) mod checked_rows;
pub(crate) mod idempotency;
pub(crate) mod insert;
pub(crate) mod late_events;
pub(crate) mod partition;
pub(crate) mod producer;
pub(crate) mod single;
pub(crate) mod verdicts;
