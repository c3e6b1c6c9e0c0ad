//! Other backends.

use std::ptr;
use std::sync::atomic::{Ordering, fence};

use pgrx::pg_sys::{self, Oid};

/// Returns the role of a backend that waits for its client and has no transaction id, which means
/// that it has not written in its transaction; nothing for any other backend.
pub(crate) fn role_that_has_not_written(pid: i32) -> Option<Oid> {
    // SAFETY: an entry of the array of processes stays readable when its process ends; the fields are
    // written whole. The wait is read first: what the backend did before has given it an id by then.
    unsafe {
        let process = pg_sys::BackendPidGetProc(pid);
        if process.is_null() {
            return None;
        }
        let event = ptr::read_volatile(&raw const (*process).wait_event_info);
        fence(Ordering::SeqCst);
        let id = ptr::read_volatile(&raw const (*process).xid);
        let waits = event == pg_sys::WaitEventClient::WAIT_EVENT_CLIENT_READ;
        (waits && id == pg_sys::InvalidTransactionId).then(|| (*process).roleId)
    }
}
