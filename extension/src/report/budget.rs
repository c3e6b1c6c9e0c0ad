//! What the states of a report's aggregates may take. They lie outside of work_mem, and the server ends
//! as a whole if memory for them cannot be had.

use std::cell::Cell;

use pgrx::PgSqlErrorCode;

use crate::error::Fault;

/// Most bytes of all states of a backend.
const MOST: usize = 512 << 20;

thread_local! {
    static TAKEN: Cell<usize> = const { Cell::new(0) };
}

/// The part of one state, which goes back when the state is dropped.
#[derive(Default)]
pub(super) struct Budget(usize);

impl Budget {
    /// Takes so many bytes, or raises 54000.
    pub(super) fn take(&mut self, bytes: usize) {
        let all = TAKEN.get().saturating_add(bytes);
        if all > MOST {
            Fault::new(
                PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                format!("the report needs more than {} MB of memory", MOST >> 20),
            )
            .hint("choose a later since, an earlier until, fewer values (top) or a filter")
            .raise();
        }
        TAKEN.set(all);
        self.0 += bytes;
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        TAKEN.set(TAKEN.get().saturating_sub(self.0));
    }
}
