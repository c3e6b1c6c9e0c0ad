//! Text to values by PostgreSQL's own input functions.

use std::ffi::{CStr, CString};
use std::panic::AssertUnwindSafe;

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgTryBuilder, direct_function_call, pg_sys};

use crate::datum::Jsonb;
use crate::error::Fault;

/// Calls an input function of PostgreSQL; what it raises is a fault.
///
/// The error is caught without a subtransaction, which is right here and nearly nowhere else:
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

/// Parses JSON text.
pub(crate) fn jsonb<'a>(text: &CStr) -> Result<Jsonb<'a>, Fault> {
    // SAFETY: jsonb_in takes a string that ends in NUL.
    input(|| unsafe {
        direct_function_call(pg_sys::jsonb_in, &[Some(pg_sys::Datum::from(text.as_ptr()))])
    })
}

/// Parses an instant as `timestamptz` does, without the text in the message.
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

/// A string as JSON.
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
