//! Rules that the PostgreSQL extension eventlog and its clients must apply alike, written once: which
//! events a sample keeps, how a path is shortened, and how tenants are named. Pure functions without
//! dependencies.

mod path;
mod sampling;
mod tenant;

pub use path::{is_absolute_path, shorten_path};
pub use sampling::{is_sampled, sampling_point};
pub use tenant::{ALL_TENANTS, TENANT_NAME_CHARACTERS, TENANT_NAMESPACE, tenant_name_fault};
