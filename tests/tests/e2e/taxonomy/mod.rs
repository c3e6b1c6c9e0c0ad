//! Event types and what they demand, add and hide.

mod enrichment;
mod event_plan;
mod hash_key;
mod outcomes;
mod registry;
mod sampling;
