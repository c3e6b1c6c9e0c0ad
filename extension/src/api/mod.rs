//! The functions that SQL calls, one file each. Nothing imports them.

mod become_owner;
mod check_import;
mod current_tenant;
mod door;
mod erase_tenant;
mod guard;
mod hash_key;
mod late_event;
mod log_event;
mod log_events;
mod machine_clock;
mod name_of;
mod name_tenant;
mod owner_lock;
mod registry_changed;
mod replay_event;
mod tenant;
mod try_log_event;
mod validate_event;
