//! Aggregates of rollups and reports.

pub(crate) mod activity;
pub(crate) mod histogram;
pub(crate) mod quarters;
pub(crate) mod rollup;
