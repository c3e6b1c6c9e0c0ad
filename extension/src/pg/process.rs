//! Other backends.

use std::ptr;
use std::slice;
use std::sync::atomic::{Ordering, fence};

use pgrx::pg_sys::{self, Oid};

/// A backend of this database.
pub(crate) struct Backend {
    pub(crate) pid: i32,
    pub(crate) role: Oid,
    /// The id of its transaction, if it has written in it.
    pub(crate) xid: Option<u32>,
    /// Whether it waited for its client just before it had this id, or none.
    pub(crate) waits_for_client: bool,
}

/// Returns the backends of this database, each as it was at one moment during the call.
pub(crate) fn backends() -> Vec<Backend> {
    // SAFETY: the array of processes is made when the server starts and stays where it is; what is
    // read of an entry is written whole, also while processes come and go.
    unsafe {
        let global = pg_sys::ProcGlobal;
        let processes = slice::from_raw_parts(
            (*global).allProcs.cast_const().cast::<std::cell::UnsafeCell<pg_sys::PGPROC>>(),
            (*global).allProcCount as usize,
        );
        processes.iter().filter_map(|process| backend(process.get())).collect()
    }
}

/// Reads an entry of the array of processes; nothing if it is free or of another database.
///
/// # Safety
///
/// `process` is an entry of the array of processes.
unsafe fn backend(process: *const pg_sys::PGPROC) -> Option<Backend> {
    // SAFETY: the caller's. The wait is read before the id: what the backend wrote before it waited
    // has given it an id by then.
    unsafe {
        let pid = ptr::read_volatile(&raw const (*process).pid);
        if pid == 0 || ptr::read_volatile(&raw const (*process).databaseId) != pg_sys::MyDatabaseId
        {
            return None;
        }
        let event = ptr::read_volatile(&raw const (*process).wait_event_info);
        fence(Ordering::SeqCst);
        let xid = ptr::read_volatile(&raw const (*process).xid);
        Some(Backend {
            pid,
            role: ptr::read_volatile(&raw const (*process).roleId),
            xid: (xid != pg_sys::InvalidTransactionId).then(|| xid.into_inner()),
            waits_for_client: event == pg_sys::WaitEventClient::WAIT_EVENT_CLIENT_READ,
        })
    }
}
