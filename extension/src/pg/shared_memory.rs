//! Values in shared memory, under a lock.

use std::ffi::CStr;

use pgrx::PGRXSharedMemory;
use pgrx::lwlock::PgLwLock;

/// A value that every process can read as it is: `Copy` excludes everything that owns memory of one
/// process, `Send` excludes pointers. It must not hold a reference either, unless to a constant.
pub(crate) struct Plain<T: Copy + Send + 'static>(pub(crate) T);

// SAFETY: bytes without a pointer into the memory of one process, as said above.
unsafe impl<T: Copy + Send + 'static> PGRXSharedMemory for Plain<T> {}

/// A value in shared memory and its lock.
pub(crate) type Shared<T> = PgLwLock<Plain<T>>;

/// Declares a shared value; `pg_shmem_init!` makes it. `name` begins with the name of the
/// extension.
pub(crate) const fn shared<T: Copy + Send + 'static>(name: &'static CStr) -> Shared<T> {
    // SAFETY: the name is the extension's own.
    unsafe { PgLwLock::new(name) }
}
