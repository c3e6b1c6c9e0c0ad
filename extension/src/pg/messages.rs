//! Messages on their way into the server's log.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int};

use pgrx::pg_sys;

/// A message that the server is about to log.
pub(crate) struct Message<'a> {
    pub(crate) severity: Severity,
    /// The SQLSTATE as PostgreSQL packs it.
    pub(crate) sqlstate: i32,
    pub(crate) message: &'a [u8],
    pub(crate) hint: &'a [u8],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    Warning,
    Fatal,
    Other,
}

/// Receives each message; returns true to keep it out of the server's log.
pub(crate) type Take = fn(&Message<'_>) -> bool;

thread_local! {
    static TAKE: Cell<Option<Take>> = const { Cell::new(None) };
    static NEXT_HOOK: Cell<pg_sys::emit_log_hook_type> = const { Cell::new(None) };
}

/// Passes the messages of this process to `take` for the rest of its life. Once in a process.
pub(crate) fn intercept(take: Take) {
    TAKE.set(Some(take));
    // SAFETY: the hook is guarded and lives as long as the process.
    unsafe {
        NEXT_HOOK.set(pg_sys::emit_log_hook);
        pg_sys::emit_log_hook = Some(on_log);
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn on_log(data: *mut pg_sys::ErrorData) {
    // SAFETY: PostgreSQL passes the message that it is about to log; its texts end in NUL.
    unsafe {
        let text = |text: *const c_char| {
            if text.is_null() { &[][..] } else { CStr::from_ptr(text).to_bytes() }
        };
        let message = Message {
            severity: match (*data).elevel {
                level if level == pg_sys::FATAL as c_int => Severity::Fatal,
                level if level == pg_sys::WARNING as c_int => Severity::Warning,
                _ => Severity::Other,
            },
            sqlstate: (*data).sqlerrcode,
            message: text((*data).message),
            hint: text((*data).hint),
        };
        if TAKE.get().is_some_and(|take| take(&message)) {
            (*data).output_to_server = false;
        } else if let Some(next) = NEXT_HOOK.get() {
            next(data);
        }
    }
}
