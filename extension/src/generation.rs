//! The number of the state that caches were read in.

use std::sync::atomic::{AtomicU64, Ordering};

/// Grows whenever a table that the registry was read from changed.
static GENERATION: AtomicU64 = AtomicU64::new(1);

/// The number of the state that caches were read in: what holds an older one is stale.
pub(crate) fn current() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// Makes everything that was read so far stale.
pub(crate) fn bump() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}
