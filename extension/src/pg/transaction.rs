//! The state of the transaction and of the stack.

use std::ffi::CStr;

use pgrx::pg_sys;

// SAFETY: PostgreSQL's own functions, as its headers declare them. They read a variable and raise
// nothing, so they need not pay for pgrx's guard against errors (60 to 110 instructions a call).
unsafe extern "C-unwind" {
    safe fn GetCurrentTransactionStartTimestamp() -> i64;
    safe fn stack_is_too_deep() -> bool;
}

/// What `now()` gives: when the transaction began.
pub(crate) fn now() -> i64 {
    GetCurrentTransactionStartTimestamp()
}

/// Whether the stack is near `max_stack_depth`, as PostgreSQL's own recursive functions ask.
pub(crate) fn is_too_deep() -> bool {
    stack_is_too_deep()
}

/// Whether a parallel query is under way, in its leader or in a worker.
pub(crate) fn in_parallel_mode() -> bool {
    // SAFETY: reads the transaction's state.
    unsafe { pg_sys::IsInParallelMode() }
}

/// Refuses to write in a READ ONLY transaction and on a standby, as INSERT does (25006).
pub(crate) fn require_read_write(verb: &CStr) {
    // SAFETY: reads a variable; the name ends in NUL; raises or does nothing.
    unsafe {
        if pg_sys::XactReadOnly {
            pg_sys::PreventCommandIfReadOnly(verb.as_ptr());
        }
    }
}
