//! Partitions, rollups, retention and erasure, and the worker that does them.

pub(crate) mod clock;
mod cron;
mod forget;
mod forget_runs;
mod maintain;
mod maintain_load;
mod maintain_waits;
mod partitions_others;
mod quarters;
mod retention;
mod rollup_faults;
mod rollup_memory;
mod rollup_oracle;
pub(crate) mod rollups;
mod worker;
mod worker_gives_way;
