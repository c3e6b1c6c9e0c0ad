//! Memory contexts.

use pgrx::pg_sys;

/// Runs `body` in a memory context of its own and frees that context afterwards. After an error
/// the end of the transaction frees it.
///
/// `body` must not return anything that lives in PostgreSQL's memory.
pub(crate) fn in_own_memory<T: 'static>(body: impl FnOnce() -> T) -> T {
    // SAFETY: the context is a child of the current one, which is current again before the child
    // goes; a `'static` result borrows nothing from it.
    unsafe {
        let outer = pg_sys::CurrentMemoryContext;
        let own = pg_sys::AllocSetContextCreateInternal(
            outer,
            c"eventlog batch".as_ptr(),
            pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
        );
        pg_sys::MemoryContextSwitchTo(own);
        let result = body();
        pg_sys::MemoryContextSwitchTo(outer);
        pg_sys::MemoryContextDelete(own);
        result
    }
}
