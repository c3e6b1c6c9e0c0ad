//! The background worker, which calls `maintain()`.

pub(crate) mod launcher;
pub(crate) mod mailbox;
pub(crate) mod maintenance;
