//! Code that may fail: in a subtransaction, with bounded waits for locks, and with the SQLSTATE
//! that was really raised.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::panic::AssertUnwindSafe;
use std::ptr;

use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgSqlErrorCode, PgTryBuilder, pg_sys};

use crate::error::{Fault, fault_in, fault_of};

// SAFETY: PostgreSQL's own function, as its header declares it; it reads the error that is being raised.
unsafe extern "C-unwind" {
    fn geterrcode() -> c_int;
}

/// Bounds each wait for a lock until it is dropped, also on an error, but never beyond the
/// session's own `lock_timeout`. It does what `SET lock_timeout` does, and costs only the writing
/// of a variable.
pub(crate) struct BoundedWaits(c_int);

impl BoundedWaits {
    pub(crate) fn within(milliseconds: c_int) -> Self {
        // SAFETY: PostgreSQL's own variable, which only this thread reads; given back on drop.
        unsafe {
            let saved = pg_sys::LockTimeout;
            pg_sys::LockTimeout = if saved > 0 { saved.min(milliseconds) } else { milliseconds };
            BoundedWaits(saved)
        }
    }
}

/// Runs `body` with bounded waits for locks; raises `fault` if one takes too long.
pub(crate) fn with_bounded_waits<T>(
    milliseconds: c_int,
    body: impl FnOnce() -> T,
    fault: fn() -> Fault,
) -> T {
    PgTryBuilder::new(AssertUnwindSafe(|| {
        let _bounded = BoundedWaits::within(milliseconds);
        body()
    }))
    .catch_others(|error| match fault_of_any(&error) {
        Some(found) if found.code == PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE => fault().raise(),
        _ => error.rethrow(),
    })
    .execute()
}

impl Drop for BoundedWaits {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { pg_sys::LockTimeout = self.0 };
    }
}

thread_local! {
    /// The SQLSTATE of the last error inside a subtransaction of ours.
    static RAISED: Cell<c_int> = const { Cell::new(0) };
}

/// PostgreSQL calls it while it raises an error or a message: the only place that shows a SQLSTATE
/// unknown to pgrx.
unsafe extern "C-unwind" fn note_sqlstate(_arg: *mut c_void) {
    // SAFETY: an error or a message is being raised.
    RAISED.set(unsafe { geterrcode() });
}

/// Runs `body` in a subtransaction, which is rolled back if `body` raises an error or returns `Err`.
/// A fault of the event is then the answer; every other error goes on to the caller.
pub(crate) fn in_subtransaction<T, U>(
    body: impl FnOnce() -> Result<T, U>,
) -> Result<Result<T, U>, Fault> {
    run(body).map_err(|error| of_the_event(error).unwrap_or_else(|error| error.rethrow()))
}

/// Converts an error of `run` into a fault; gives the error back if it is not of the event.
#[allow(clippy::result_large_err, reason = "the error as pgrx has it, on a path that is rare")]
pub(crate) fn of_the_event(error: CaughtError) -> Result<Fault, CaughtError> {
    fault_of(error, RAISED.get())
}

/// Converts any error of `run` into a fault; a panic gives nothing.
pub(crate) fn fault_of_any(error: &CaughtError) -> Option<Fault> {
    fault_in(error, RAISED.get())
}

/// Does the same as `in_subtransaction`, but returns every error. The caller raises it again unless
/// it is of the event.
#[allow(clippy::result_large_err, reason = "the error as pgrx has it, on a path that is rare")]
pub(crate) fn run<T, U>(body: impl FnOnce() -> Result<T, U>) -> Result<Result<T, U>, CaughtError> {
    // SAFETY: as PL/pgSQL does for a block with EXCEPTION: memory context and resource owner are
    // put back, and the subtransaction has ended before an error goes on.
    unsafe {
        let context = pg_sys::CurrentMemoryContext;
        let owner = pg_sys::CurrentResourceOwner;
        pg_sys::BeginInternalSubTransaction(ptr::null());
        pg_sys::MemoryContextSwitchTo(context);
        #[allow(
            clippy::result_large_err,
            reason = "the error as pgrx has it, on a path that is rare"
        )]
        let result = PgTryBuilder::new(AssertUnwindSafe(|| Ok(with_noted_sqlstate(body))))
            .catch_others(Err)
            .catch_rust_panic(Err)
            .execute();
        match result {
            Ok(Ok(_)) => pg_sys::ReleaseCurrentSubTransaction(),
            Ok(Err(_)) | Err(_) => pg_sys::RollbackAndReleaseCurrentSubTransaction(),
        }
        pg_sys::MemoryContextSwitchTo(context);
        pg_sys::CurrentResourceOwner = owner;
        result
    }
}

/// Runs `body` in the caller's own subtransaction, if any. An error with a SQLSTATE that is not
/// standard comes out as `raise_exception` that names it, not as an internal error.
pub(crate) fn with_own_sqlstates<T>(body: impl FnOnce() -> T) -> T {
    PgTryBuilder::new(AssertUnwindSafe(|| with_noted_sqlstate(body)))
        .catch_others(|error| match fault_of_any(&error) {
            Some(fault) if fault.has_own_sqlstate() && fault.is_of_the_event() => fault.raise(),
            _ => error.rethrow(),
        })
        .execute()
}

/// Runs `body` while PostgreSQL calls `note_sqlstate` for each error. After an error PostgreSQL has
/// restored its stack of callbacks.
fn with_noted_sqlstate<T>(body: impl FnOnce() -> T) -> T {
    // SAFETY: the entry is on the stack only as long as this function is, and is taken off it before
    // the end; where an error unwinds, pgrx puts back the stack as it was before the call that failed,
    // and the guard below takes the entry off.
    unsafe {
        let mut entry = pg_sys::ErrorContextCallback {
            previous: pg_sys::error_context_stack,
            callback: Some(note_sqlstate),
            arg: ptr::null_mut(),
        };
        let _pop = Pop(pg_sys::error_context_stack);
        pg_sys::error_context_stack = &raw mut entry;
        body()
    }
}

/// Restores PostgreSQL's stack of error callbacks when it is dropped.
struct Pop(*mut pg_sys::ErrorContextCallback);

impl Drop for Pop {
    fn drop(&mut self) {
        // SAFETY: what the stack was before.
        unsafe { pg_sys::error_context_stack = self.0 };
    }
}
