//! What may fail, tried: in a subtransaction, with bounded waits for locks, and with the SQLSTATE that
//! was really raised.

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

/// Bounds each wait for a lock until it is dropped, an error on the way included, but never longer than the session itself
/// would wait. As `SET lock_timeout` does, at the price of writing a variable.
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

/// Runs `body`, whose waits for a lock are bounded; `fault` is raised where one lasts too long.
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
    /// The SQLSTATE of the error that was raised last inside a subtransaction of ours.
    static RAISED: Cell<c_int> = const { Cell::new(0) };
}

/// Called by PostgreSQL while it raises an error or a message: the only place that tells a SQLSTATE
/// that pgrx does not know.
unsafe extern "C-unwind" fn note_sqlstate(_arg: *mut c_void) {
    // SAFETY: an error or a message is being raised.
    RAISED.set(unsafe { geterrcode() });
}

/// Runs `body` in a subtransaction: rolled back where it raises, or gives nothing. A fault of the
/// event is then the answer; every other error goes on to the caller.
pub(crate) fn in_subtransaction<T>(body: impl FnOnce() -> Option<T>) -> Result<Option<T>, Fault> {
    attempt(body).map_err(|error| of_the_event(error).unwrap_or_else(|error| error.rethrow()))
}

/// The fault in an error that `attempt` gave, or the error back if it is not one of the event's.
#[allow(clippy::result_large_err, reason = "the error as pgrx has it, on a path that is rare")]
pub(crate) fn of_the_event(error: CaughtError) -> Result<Fault, CaughtError> {
    fault_of(error, RAISED.get())
}

/// The fault in an error that `attempt` gave, whatever it is of; nothing for a panic.
pub(crate) fn fault_of_any(error: &CaughtError) -> Option<Fault> {
    fault_in(error, RAISED.get())
}

/// As `in_subtransaction`, but every error is the answer: to be looked at and, where it is not one of
/// the event's, to be raised again.
#[allow(clippy::result_large_err, reason = "the error as pgrx has it, on a path that is rare")]
pub(crate) fn attempt<T>(body: impl FnOnce() -> Option<T>) -> Result<Option<T>, CaughtError> {
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
            Ok(Some(_)) => pg_sys::ReleaseCurrentSubTransaction(),
            Ok(None) | Err(_) => pg_sys::RollbackAndReleaseCurrentSubTransaction(),
        }
        pg_sys::MemoryContextSwitchTo(context);
        pg_sys::CurrentResourceOwner = owner;
        result
    }
}

/// Runs `body` in the caller's own subtransaction, if any. What it raises under a SQLSTATE that is no
/// standard one comes out as `raise_exception` that names it, and not as an internal error.
pub(crate) fn with_own_sqlstates<T>(body: impl FnOnce() -> T) -> T {
    PgTryBuilder::new(AssertUnwindSafe(|| with_noted_sqlstate(body)))
        .catch_others(|error| match fault_of_any(&error) {
            Some(fault) if fault.has_own_sqlstate() && fault.is_of_the_event() => fault.raise(),
            _ => error.rethrow(),
        })
        .execute()
}

/// Runs `body` while PostgreSQL tells `note_sqlstate` of what is raised. After an error PostgreSQL has
/// put its stack of callbacks back.
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

/// Puts PostgreSQL's stack of error callbacks back when it is dropped.
struct Pop(*mut pg_sys::ErrorContextCallback);

impl Drop for Pop {
    fn drop(&mut self) {
        // SAFETY: what the stack was before.
        unsafe { pg_sys::error_context_stack = self.0 };
    }
}
