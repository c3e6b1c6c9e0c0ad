//! Background workers: starting one, and the duties of one at its own start and end.

use std::ffi::{CStr, c_int};
use std::ptr;

use pgrx::bgworkers::BackgroundWorkerBuilder;
use pgrx::pg_sys::{self, Datum, Oid};

// SAFETY: PostgreSQL's own handler of SIGTERM, as its headers declare it; without pgrx's guard,
// which a handler of signals must not have.
unsafe extern "C-unwind" {
    fn die(signal: c_int);
}

/// A worker that this process started, from its registration to its end.
pub(crate) struct Worker(*mut pg_sys::BackgroundWorkerHandle);

impl Worker {
    /// Starts `function` of this library with `argument`; returns nothing if no slot is free. The
    /// current memory context must outlive the worker.
    pub(crate) fn start(name: &str, function: &str, argument: u64) -> Option<Self> {
        // SAFETY: the number of this process.
        let me = unsafe { pg_sys::MyProcPid };
        let builder = BackgroundWorkerBuilder::new(name)
            .set_library("eventlog")
            .set_function(function)
            .set_argument(Some(Datum::from(argument)))
            .enable_spi_access()
            .set_notify_pid(me);
        let mut worker = pg_sys::BackgroundWorker::from(&builder);
        let mut handle = ptr::null_mut();
        // SAFETY: both live through the call.
        let has_slot = unsafe { pg_sys::RegisterDynamicBackgroundWorker(&mut worker, &mut handle) };
        has_slot.then(|| Worker(handle))
    }

    /// Returns true once the worker has ended.
    pub(crate) fn has_ended(&self) -> bool {
        let mut pid = 0;
        // SAFETY: the handle is not freed before the drop.
        let status = unsafe { pg_sys::GetBackgroundWorkerPid(self.0, &mut pid) };
        status == pg_sys::BgwHandleStatus::BGWH_STOPPED
    }

    /// Asks the postmaster to end the worker.
    pub(crate) fn terminate(&self) {
        // SAFETY: as above.
        unsafe { pg_sys::TerminateBackgroundWorker(self.0) };
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // SAFETY: allocated by RegisterDynamicBackgroundWorker, and not used any more.
        unsafe { pg_sys::pfree(self.0.cast()) };
    }
}

/// Lets SIGTERM cancel the work of this process, as it does for a backend of a client.
pub(crate) fn let_sigterm_end_it() {
    // SAFETY: at the start of a background worker; the handler is PostgreSQL's own.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        pg_sys::pqsignal(pg_sys::SIGTERM as c_int, Some(die));
        #[cfg(feature = "pg18")]
        pg_sys::pqsignal_be(pg_sys::SIGTERM as c_int, Some(die));
        pg_sys::BackgroundWorkerUnblockSignals();
    }
}

/// Connects this worker to a database as the bootstrap superuser. Once in a process.
pub(crate) fn connect(database: &CStr) {
    // SAFETY: the name ends in NUL; no name of a role stands for the bootstrap superuser.
    unsafe { pg_sys::BackgroundWorkerInitializeConnection(database.as_ptr(), ptr::null(), 0) };
}

/// Connects this worker to a database as `role`, or for [`Oid::INVALID`] as the bootstrap
/// superuser. Once in a process. From PostgreSQL 17 on the role need not have LOGIN.
pub(crate) fn connect_as(database: Oid, role: Oid) {
    #[cfg(not(any(feature = "pg17", feature = "pg18")))]
    let flags = 0;
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    let flags = pg_sys::BGWORKER_BYPASS_ROLELOGINCHECK;
    // SAFETY: PostgreSQL ends the process with a FATAL where it cannot connect.
    unsafe { pg_sys::BackgroundWorkerInitializeConnectionByOid(database, role, flags) };
}

/// Shows in `pg_stat_activity` that this worker runs `statement`.
pub(crate) fn report_running(statement: &'static CStr) {
    // SAFETY: the statement lives as long as the process.
    unsafe {
        pg_sys::debug_query_string = statement.as_ptr();
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, statement.as_ptr());
    }
}

/// Rolls back whatever an error left open.
pub(crate) fn abort_transaction() {
    // SAFETY: does nothing where no transaction is open.
    unsafe { pg_sys::AbortOutOfAnyTransaction() };
}

/// Makes this worker end with code 0, also after a FATAL: the postmaster logs any other.
pub(crate) fn exit_quietly() {
    // SAFETY: the callback is guarded.
    unsafe { pg_sys::on_proc_exit(Some(exit_with_0), Datum::from(0)) };
}

/// The first of the callbacks, since it was registered last; the others run inside `proc_exit`.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn exit_with_0(_code: c_int, _argument: Datum) {
    // SAFETY: allowed in a callback of proc_exit, which calls none twice.
    unsafe { pg_sys::proc_exit(0) };
}
