//! Relations by name, as a statement takes them.

use std::ffi::CStr;
use std::ptr;

use pgrx::pg_sys;

/// Locks a table as an INSERT does and returns true if it has the column. Its definition stays as
/// it is to the end of the transaction. 42P01 if there is no such table.
pub(crate) fn lock_and_find_column(schema: &CStr, table: &CStr, column: &CStr) -> bool {
    // SAFETY: the names end in NUL and outlive the call, which does not write to them; the relation is
    // locked while the caches are asked.
    unsafe {
        let name = pg_sys::makeRangeVar(schema.as_ptr().cast_mut(), table.as_ptr().cast_mut(), -1);
        let mode = pg_sys::RowExclusiveLock as pg_sys::LOCKMODE;
        let relation = pg_sys::RangeVarGetRelidExtended(name, mode, 0, None, ptr::null_mut());
        pg_sys::get_attnum(relation, column.as_ptr()) != 0
    }
}
