//! End-to-end tests of the extension against private clusters.

mod batches;
mod call_shapes;
mod catalog;
mod errors;
mod exactly_once;
mod flights;
mod fuzz;
mod guard;
mod hostile;
mod import;
mod matrix;
mod oracle;
mod partitions;
mod payload;
mod readme;
mod registry;
mod restore;
mod sessions;
mod tenant;
