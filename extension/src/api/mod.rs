//! The functions that SQL calls, a file each; nothing imports them.

mod become_owner;
mod check_import;
pub(crate) mod door;
mod erase_tenant;
pub(crate) mod guard;
mod log_event;
mod log_events;
mod machine_clock;
mod owner_lock;
mod try_log_event;
mod validate_event;
