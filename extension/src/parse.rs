//! Text to jsonb by PostgreSQL's own input function.

use std::ffi::{CStr, CString};

use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgTryBuilder, direct_function_call, pg_sys};

use crate::datum::Jsonb;
use crate::error::Fault;

/// Parses JSON text.
///
/// The error is caught without a subtransaction, which is right here and nearly nowhere else:
/// `jsonb_in` takes no lock, buffer, snapshot or catalog entry, only memory of the current
/// context, so there is nothing to roll back. PostgreSQL's DETAIL quotes the text and is left out.
pub(crate) fn jsonb<'a>(text: &CStr) -> Result<Jsonb<'a>, Fault> {
    PgTryBuilder::new(|| {
        // SAFETY: jsonb_in takes a string that ends in NUL, and returns a jsonb or raises.
        let value = unsafe {
            direct_function_call(pg_sys::jsonb_in, &[Some(pg_sys::Datum::from(text.as_ptr()))])
        };
        Ok(value.expect("jsonb_in is not null"))
    })
    .catch_others(|error| match error {
        CaughtError::PostgresError(report) => {
            Err(Fault::new(report.sql_error_code(), report.message()))
        }
        other => other.rethrow(),
    })
    .execute()
}

/// Parses JSON text that PostgreSQL passed as `text`, which cannot hold a NUL.
pub(crate) fn jsonb_of<'a>(text: &str) -> Result<Jsonb<'a>, Fault> {
    let text = CString::new(text).map_err(|_| Fault::argument("data holds a NUL byte"))?;
    jsonb(&text)
}
