//! Invalidation messages between backends.

use std::ffi::c_int;

use pgrx::pg_sys::{self, Datum, Oid};

/// Receives changes. Both functions are called in the middle of PostgreSQL's own work: they must
/// only count.
pub(crate) trait Watch {
    /// A relation was changed; for [`Oid::INVALID`] any relation may have been.
    fn relation_changed(relation: Oid);
    /// A role or a membership was changed.
    fn role_changed();
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn relation_changed(watch: Datum, relation: Oid) {
    // SAFETY: the argument is the function that `watch` registered.
    let changed: fn(Oid) = unsafe { std::mem::transmute(watch.value()) };
    changed(relation);
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn role_changed(watch: Datum, _cache: c_int, _hash: u32) {
    // SAFETY: as above.
    let changed: fn() = unsafe { std::mem::transmute(watch.value()) };
    changed();
}

/// Registers `W` for changes for the life of the process.
pub(crate) fn watch<W: Watch>() {
    use pg_sys::SysCacheIdentifier::{AUTHMEMROLEMEM, AUTHOID};

    let relation: fn(Oid) = W::relation_changed;
    let role: fn() = W::role_changed;
    // SAFETY: the callbacks are guarded, and get the functions that they take their argument for.
    unsafe {
        let relation = Datum::from(relation as usize);
        pg_sys::CacheRegisterRelcacheCallback(Some(self::relation_changed), relation);
        for cache in [AUTHMEMROLEMEM, AUTHOID] {
            let role = Datum::from(role as usize);
            pg_sys::CacheRegisterSyscacheCallback(cache as c_int, Some(role_changed), role);
        }
    }
}

/// Handles waiting messages. An open transaction would otherwise miss what was committed.
pub(crate) fn accept() {
    // SAFETY: runs the callbacks of waiting invalidations; inside a transaction.
    unsafe { pg_sys::AcceptInvalidationMessages() };
}

/// Sends an invalidation of a relation: this backend gets it at the end of the statement, the
/// others at commit.
pub(crate) fn announce(relation: Oid) {
    // SAFETY: takes the oid of a relation; raises if it is gone.
    unsafe { pg_sys::CacheInvalidateRelcacheByRelid(relation) };
}
