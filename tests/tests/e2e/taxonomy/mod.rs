//! Event types and what they demand, add and hide.

mod aliases;
mod enrichment;
mod event_plan;
mod hash_key;
mod outcomes;
mod registry;
mod sampling;
mod value_types;
