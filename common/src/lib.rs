//! Rules that the PostgreSQL extension eventlog and its clients must apply alike, written once: which
//! events a sample keeps, and how a path is shortened. Pure functions without dependencies.

mod path;
mod sampling;

pub use path::{is_absolute_path, shorten_path};
pub use sampling::{is_sampled, sampling_point};
