//! End-to-end tests of the extension against private clusters.

mod call_shapes;
mod catalog;
mod errors;
mod flights;
mod fuzz;
mod guard;
mod hostile;
mod matrix;
mod oracle;
mod payload;
mod registry;
mod sessions;
mod tenant;
