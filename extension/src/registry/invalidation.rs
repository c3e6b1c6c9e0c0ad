//! Learning that a table changed that the log was read from.

use pgrx::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::generation;
use crate::pg::invalidation::{Watch, watch};

/// The tables that the registry is read from; a trigger on each tells of changes.
pub(super) const WATCHED_TABLES: [&str; 7] = [
    "events",
    "event_types",
    "enrichments",
    "tenant_settings",
    "tenant_roles",
    "log_config",
    ROLLUP_STATE,
];

/// A log of layout 1 has none.
pub(super) const ROLLUP_STATE: &str = "rollup_state";

/// Their relations, whose invalidation counts; 0 where there is no log yet.
pub(super) static WATCHED: [AtomicU32; WATCHED_TABLES.len()] =
    [const { AtomicU32::new(0) }; WATCHED_TABLES.len()];

/// Starts a new generation when a table, or what a role may do, was changed.
enum Registry {}

impl Watch for Registry {
    fn relation_changed(relation: pg_sys::Oid) {
        let oid = relation.to_u32();
        if oid == 0 || WATCHED.iter().any(|watched| watched.load(Ordering::Relaxed) == oid) {
            generation::bump();
        }
    }

    /// Roles and memberships decide who is bound by policies: `caller` keeps that by generation.
    fn role_changed() {
        generation::bump();
    }
}

/// Asks PostgreSQL for the invalidations. Once, from `_PG_init`.
pub(crate) fn init() {
    watch::<Registry>();
}
