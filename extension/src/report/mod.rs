//! Aggregates of rollups and reports.

mod budget;
pub(crate) mod funnel;
pub(crate) mod histogram;
pub(crate) mod period_actors;
pub(crate) mod presence;
pub(crate) mod quarters;
pub(crate) mod rollup;
