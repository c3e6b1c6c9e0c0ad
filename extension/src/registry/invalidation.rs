//! Invalidation of the cached log, when a table that it was read from is changed.

use pgrx::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::generation;
use crate::pg::invalidation::{Watch, watch};

/// The tables that the registry is read from. A trigger on each announces changes.
pub(crate) const WATCHED_TABLES: [&str; 7] = [
    "events",
    "event_types",
    "enrichments",
    "tenant_settings",
    "tenant_roles",
    "log_config",
    ROLLUP_STATE,
];

/// Missing in a log of layout 1.
pub(super) const ROLLUP_STATE: &str = "rollup_state";

/// The oids of these tables; 0 if there is no log yet.
pub(super) static WATCHED: [AtomicU32; WATCHED_TABLES.len()] =
    [const { AtomicU32::new(0) }; WATCHED_TABLES.len()];

/// Starts a new generation when one of the tables, or the rights of a role, changed.
enum Registry {}

impl Watch for Registry {
    fn relation_changed(relation: pg_sys::Oid) {
        let oid = relation.to_u32();
        if oid == 0 || WATCHED.iter().any(|watched| watched.load(Ordering::Relaxed) == oid) {
            generation::bump();
        }
    }

    /// Roles and memberships decide which policies bind a role: `caller` caches that by generation.
    fn role_changed() {
        generation::bump();
    }
}

/// Registers for invalidations. Called once, from `_PG_init`.
pub(crate) fn init() {
    watch::<Registry>();
}
