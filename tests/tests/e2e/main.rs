//! End-to-end tests of the extension against private clusters.

mod call_shapes;
mod errors;
mod guard;
mod payload;
mod registry;
