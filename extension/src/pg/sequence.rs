//! Sequences.

use pgrx::datum::IntoDatum;
use pgrx::direct_function_call;
use pgrx::pg_sys::{self, Oid};

/// Returns the next value of a sequence; raises if the current role may not use it.
pub(crate) fn next_value(sequence: Oid) -> i64 {
    // SAFETY: takes a sequence's oid; raises if it is gone.
    let id = unsafe { direct_function_call::<i64>(pg_sys::nextval_oid, &[sequence.into_datum()]) };
    id.expect("nextval is not null")
}

/// Returns the value that this session drew last; raises if it drew none.
pub(crate) fn last_value(sequence: Oid) -> Option<i64> {
    // SAFETY: as above.
    unsafe { direct_function_call::<i64>(pg_sys::currval_oid, &[sequence.into_datum()]) }
}
