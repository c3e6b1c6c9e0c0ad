//! Rules that the extension and its clients must apply alike: which events a sample keeps, and how
//! a path is shortened. Pure functions without dependencies, so that there is one of each.

mod path;
mod sampling;

pub use path::{is_absolute_path, shorten_path};
pub use sampling::{is_sampled, sampling_point};
