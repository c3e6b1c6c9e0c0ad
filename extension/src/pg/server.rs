//! The server, the database and this process: PostgreSQL's own variables, read safely.

use pgrx::pg_sys::{self, Oid};

// SAFETY: PostgreSQL's own function, as its header declares it. It reads the clock and raises
// nothing.
unsafe extern "C-unwind" {
    safe fn GetCurrentTimestamp() -> i64;
}

/// Returns the server's clock now, in PostgreSQL's microseconds (since 2000-01-01).
pub(crate) fn clock() -> i64 {
    GetCurrentTimestamp()
}

/// Returns true while `shared_preload_libraries` is being loaded.
pub(crate) fn preloading() -> bool {
    // SAFETY: reads PostgreSQL's own variable.
    unsafe { pg_sys::process_shared_preload_libraries_in_progress }
}

/// Returns true while pg_upgrade runs the server.
pub(crate) fn in_binary_upgrade() -> bool {
    // SAFETY: reads PostgreSQL's own variable.
    unsafe { pg_sys::IsBinaryUpgrade }
}

/// Returns the database that this process is connected to.
pub(crate) fn database() -> Oid {
    // SAFETY: reads PostgreSQL's own variable.
    unsafe { pg_sys::MyDatabaseId }
}

/// Returns `maintenance_work_mem`, in bytes.
pub(crate) fn maintenance_work_mem() -> usize {
    // SAFETY: reads PostgreSQL's own variable, in kB.
    let kilobytes = unsafe { pg_sys::maintenance_work_mem };
    usize::try_from(kilobytes).unwrap_or(0) << 10
}

/// Returns the operating system's user that the server runs as.
pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Shows in `pg_stat_activity` that this process is idle.
pub(crate) fn report_idle() {
    // SAFETY: takes no string, and this process has an entry.
    unsafe {
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null());
    }
}

/// Handles invalidations that other processes wait for, for a process that sleeps outside of
/// transactions.
pub(crate) fn catch_up() {
    // SAFETY: made for the main loop of a process, outside of a transaction.
    unsafe { pg_sys::ProcessCatchupInterrupt() };
}

/// Reads the configuration files anew.
pub(crate) fn reload_configuration() {
    // SAFETY: made for the main loop of a process, outside of a transaction.
    unsafe { pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP) };
}

/// Ends this process. With 0 the postmaster does not start a background worker again.
pub(crate) fn exit(code: i32) {
    // SAFETY: the end of the process.
    unsafe { pg_sys::proc_exit(code) };
}
