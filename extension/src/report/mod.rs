//! Aggregates of rollups and reports.

mod budget;
pub(crate) mod experiment;
pub(crate) mod funnel;
pub(crate) mod histogram;
mod json;
pub(crate) mod period_actors;
pub(crate) mod presence;
pub(crate) mod quarters;
pub(crate) mod rollup;
pub(crate) mod statistics;
