//! Aggregates that rollups and reports need.

pub(crate) mod activity;
pub(crate) mod histogram;
