//! The state of an aggregate in Rust.

use pgrx::fcinfo::pg_getarg;
use pgrx::{Internal, PgMemoryContexts, pg_sys};

use crate::pg::array::Array;
use crate::pg::datum::Jsonb;

/// Changes the state of an aggregate. The first step makes it, and it lives until the aggregate
/// ends.
pub(crate) fn with_state<T: Default>(
    state: Internal,
    fcinfo: pg_sys::FunctionCallInfo,
    change: impl FnOnce(&mut T),
) -> Internal {
    let mut state = state;
    let mut context: pg_sys::MemoryContext = std::ptr::null_mut();
    // SAFETY: PostgreSQL passes a valid fcinfo; the context is set where the call is an aggregate's.
    let is_aggregate = unsafe { pg_sys::AggCheckCallContext(fcinfo, &raw mut context) } != 0;
    assert!(is_aggregate, "called outside of an aggregate");
    // SAFETY: the state of an aggregate is made here by its own step and nowhere else; `internal`
    // keeps SQL from passing another's.
    unsafe {
        PgMemoryContexts::For(context).switch_to(|_| change(state.get_or_insert_default::<T>()));
    }
    state
}

/// Returns the state of an aggregate to its final function; nothing if it had no step.
pub(crate) fn state<T>(state: &Internal) -> Option<&T> {
    // SAFETY: as above: an aggregate's last function gets what its own steps made.
    unsafe { state.get::<T>() }
}

/// Takes the state from an aggregate's final function, and leaves an empty one; nothing if it had no
/// step.
pub(crate) fn take_state<T: Default>(state: Internal) -> Option<T> {
    let mut state = state;
    // SAFETY: as above.
    unsafe { state.get_mut::<T>().map(std::mem::take) }
}

/// Returns an argument that is the same array in every step. It is fetched by the step that needs it,
/// since a variable of PL/pgSQL is flattened whenever an array is taken.
pub(crate) fn array_argument(fcinfo: pg_sys::FunctionCallInfo, position: usize) -> Option<Array> {
    // SAFETY: PostgreSQL passes a valid fcinfo, and the declaration in SQL has an array there.
    unsafe { pg_getarg(fcinfo, position) }
}

/// Returns an argument that is the same jsonb in every step.
pub(crate) fn jsonb_argument<'a>(
    fcinfo: pg_sys::FunctionCallInfo,
    position: usize,
) -> Option<Jsonb<'a>> {
    // SAFETY: as above, with a jsonb.
    unsafe { pg_getarg(fcinfo, position) }
}
