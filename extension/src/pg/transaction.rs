//! The state of the transaction and of the stack.

use std::ffi::CStr;

use pgrx::pg_sys;

// SAFETY: PostgreSQL's own functions, as its headers declare them. They read a variable and raise
// nothing, so they need not pay for pgrx's guard against errors (60 to 110 instructions a call).
unsafe extern "C-unwind" {
    safe fn GetCurrentTransactionStartTimestamp() -> i64;
    safe fn stack_is_too_deep() -> bool;
}

/// Returns what `now()` does in SQL: the start of the transaction.
pub(crate) fn now() -> i64 {
    GetCurrentTransactionStartTimestamp()
}

/// Returns true if the stack is near `max_stack_depth`, as PostgreSQL's own recursive functions
/// check.
pub(crate) fn is_too_deep() -> bool {
    stack_is_too_deep()
}

/// Returns true during a parallel query, in its leader and in its workers.
pub(crate) fn in_parallel_mode() -> bool {
    // SAFETY: reads the transaction's state.
    unsafe { pg_sys::IsInParallelMode() }
}

/// Refuses to write in a READ ONLY transaction and on a standby, as INSERT does: 25006.
pub(crate) fn require_read_write(verb: &CStr) {
    // SAFETY: reads a variable; the name ends in NUL; raises or does nothing.
    unsafe {
        if pg_sys::XactReadOnly {
            pg_sys::PreventCommandIfReadOnly(verb.as_ptr());
        }
    }
}
