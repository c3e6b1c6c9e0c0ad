//! Numbers inside jsonb, by PostgreSQL's own `numeric` functions.

use std::ffi::CStr;

use pgrx::direct_function_call;
use pgrx::pg_sys::{self, Datum};

/// Copies a number to where PostgreSQL wants a `numeric` aligned.
fn datum(bytes: &[u8]) -> Datum {
    // SAFETY: palloc gives that many bytes, all of which are written.
    unsafe {
        let copy = pg_sys::palloc(bytes.len()).cast::<u8>();
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), copy, bytes.len());
        Datum::from(copy)
    }
}

/// Returns true if two numbers are equal: 1 and 1.0 are.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    // SAFETY: both are a `numeric` with its header, as jsonb holds them.
    unsafe {
        direct_function_call(pg_sys::numeric_eq, &[Some(datum(a)), Some(datum(b))])
            .expect("numeric_eq is not null")
    }
}

/// Returns the number in decimal, exactly.
pub(crate) fn to_text(number: &[u8]) -> String {
    // SAFETY: as above; numeric_out returns a string that ends in NUL.
    unsafe {
        direct_function_call::<&CStr>(pg_sys::numeric_out, &[Some(datum(number))])
            .expect("numeric_out is not null")
            .to_string_lossy()
            .into_owned()
    }
}
