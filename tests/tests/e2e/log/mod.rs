//! Events on their way into the log: what is checked, written, refused and answered.

mod batches;
mod call_shapes;
mod drivers;
mod errors;
mod exactly_once;
mod flights;
mod fuzz;
mod guard;
mod labels;
mod oracle;
mod partitions;
mod payload;
mod refusals;
mod sessions;
mod waits;
