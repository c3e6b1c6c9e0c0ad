//! Text to values, by PostgreSQL's own input functions.

use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::panic::AssertUnwindSafe;
use std::ptr;

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgSqlErrorCode, PgTryBuilder, direct_function_call, pg_sys};

use crate::error::Fault;
use crate::pg::datum::Jsonb;
use crate::pg::jsonb::TooDeep;

/// Calls an input function of PostgreSQL and turns its error into a fault.
///
/// The error is caught without a subtransaction, which is right here and almost nowhere else:
/// `jsonb_in` and `timestamptz_in` take no lock, buffer, snapshot or catalog entry, only memory of
/// the current context, so there is nothing to roll back. PostgreSQL's DETAIL quotes the text and
/// is left out.
fn input<T>(call: impl FnOnce() -> Option<T>) -> Result<T, Fault> {
    PgTryBuilder::new(AssertUnwindSafe(|| Ok(call().expect("an input function gives a value"))))
        .catch_others(|error| match error {
            CaughtError::PostgresError(report) => {
                Err(Fault::new(report.sql_error_code(), report.message()))
            }
            other => other.rethrow(),
        })
        .execute()
}

thread_local! {
    /// Memory for the garbage of `jsonb_in`, several times the size of its result. It is reset
    /// after each call, so that one block is used again and again; in the memory of a batch the
    /// garbage of 1,000 payloads cost a fifth of the time in page faults.
    static SCRATCH: Cell<pg_sys::MemoryContext> = const { Cell::new(ptr::null_mut()) };
}

/// Size of the block that the scratch memory keeps, in bytes.
const SCRATCH_SIZE: usize = 32 * 1024;

fn scratch() -> pg_sys::MemoryContext {
    if SCRATCH.get().is_null() {
        // SAFETY: a context below the top one lives as long as the backend.
        SCRATCH.set(unsafe {
            pg_sys::AllocSetContextCreateInternal(
                pg_sys::TopMemoryContext,
                c"eventlog parse".as_ptr(),
                SCRATCH_SIZE,
                SCRATCH_SIZE,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            )
        });
    }
    SCRATCH.get()
}

/// Parses JSON text into the current memory context.
pub(crate) fn jsonb<'a>(text: &CStr) -> Result<Jsonb<'a>, Fault> {
    // SAFETY: jsonb_in takes a string that ends in NUL. The caller's context is current again
    // before the value is copied there, and the scratch is empty before this returns.
    unsafe {
        let caller = pg_sys::MemoryContextSwitchTo(scratch());
        let parsed: Result<Jsonb<'_>, Fault> = input(|| {
            direct_function_call(pg_sys::jsonb_in, &[Some(pg_sys::Datum::from(text.as_ptr()))])
        });
        pg_sys::MemoryContextSwitchTo(caller);
        let copied = parsed.map(|value| Jsonb::copy_of(value.bytes()));
        pg_sys::MemoryContextReset(scratch());
        // PostgreSQL's message is about its stack.
        copied.map_err(|fault| match fault.code {
            PgSqlErrorCode::ERRCODE_STATEMENT_TOO_COMPLEX => TooDeep.into(),
            _ => fault,
        })
    }
}

/// Parses an instant as `timestamptz` does, and keeps the text out of the message.
pub(crate) fn timestamp(text: &str) -> Result<TimestampWithTimeZone, Fault> {
    let text = CString::new(text).map_err(|_| Fault::argument("occurred_at holds a NUL byte"))?;
    // SAFETY: timestamptz_in takes a string, the type's modifier's type, and no modifier.
    let parsed = input(|| unsafe {
        direct_function_call(
            pg_sys::timestamptz_in,
            &[
                Some(pg_sys::Datum::from(text.as_ptr())),
                Some(pg_sys::Datum::from(pg_sys::InvalidOid)),
                Some(pg_sys::Datum::from(-1_i32)),
            ],
        )
    });
    parsed.map_err(|fault| Fault::new(fault.code, "occurred_at is not a timestamp"))
}

/// Parses JSON text that PostgreSQL passed as `text`, which cannot hold a NUL.
pub(crate) fn jsonb_of<'a>(text: &str) -> Result<Jsonb<'a>, Fault> {
    let text = CString::new(text).map_err(|_| Fault::argument("data holds a NUL byte"))?;
    jsonb(&text)
}

/// The text that a driver makes of an object that it should send as JSON. The fault must show the
/// developer why the event was lost.
pub(crate) const DRIVERS_OBJECT: &str = "[object Object]";

/// Parses a payload that a caller passed as `text`.
pub(crate) fn payload<'a>(text: &str) -> Result<Jsonb<'a>, Fault> {
    jsonb_of(text).map_err(|fault| match text {
        DRIVERS_OBJECT => Fault::argument(
            "data is the text \"[object Object]\": the driver sent an object as text",
        ),
        _ => fault,
    })
}

/// Quotes a string as JSON.
pub(crate) fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            c if c < ' ' => json.push_str(&format!("\\u{:04x}", c as u32)),
            c => json.push(c),
        }
    }
    json.push('"');
    json
}
