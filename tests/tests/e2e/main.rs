//! End-to-end tests of the extension against private clusters.

mod batches;
mod call_shapes;
mod catalog;
mod enrichment;
mod errors;
mod event_plan;
mod exactly_once;
mod flights;
mod fuzz;
mod guard;
mod hash_key;
mod hostile;
mod import;
mod matrix;
mod oracle;
mod partitions;
mod payload;
mod quotas;
mod readme;
mod registry;
mod restore;
mod sampling;
mod secrets;
mod sessions;
mod tenant;
mod worker;
