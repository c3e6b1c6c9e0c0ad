//! Learning that a table changed that the log was read from.

use pgrx::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::generation;

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

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn relation_changed(_arg: pg_sys::Datum, relation: pg_sys::Oid) {
    let oid = relation.to_u32();
    if oid == 0 || WATCHED.iter().any(|watched| watched.load(Ordering::Relaxed) == oid) {
        generation::bump();
    }
}

/// Roles and memberships decide who is bound by policies: `rights` keeps that by generation.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn roles_changed(_arg: pg_sys::Datum, _cache: SyscacheId, _hash: u32) {
    generation::bump();
}

/// Asks PostgreSQL for the invalidations. Once, from `_PG_init`.
pub(crate) fn init() {
    use pg_sys::SysCacheIdentifier::{AUTHMEMROLEMEM, AUTHOID};

    // SAFETY: the callbacks are guarded and only count.
    unsafe {
        pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), pg_sys::Datum::null());
        for cache in [AUTHMEMROLEMEM, AUTHOID] {
            let none = pg_sys::Datum::null();
            pg_sys::CacheRegisterSyscacheCallback(cache as SyscacheId, Some(roles_changed), none);
        }
    }
}

/// PostgreSQL's number of a system cache.
type SyscacheId = std::ffi::c_int;
