//! The generation of the cached state. What was cached in an older generation is stale.

use std::sync::atomic::{AtomicU64, Ordering};

/// Grows whenever a table that the registry was read from changed.
static GENERATION: AtomicU64 = AtomicU64::new(1);

/// Returns the current generation.
pub(crate) fn current() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// Starts a new generation, so that everything cached is read again.
pub(crate) fn bump() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}
