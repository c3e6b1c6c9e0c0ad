//! eventlog: a validated, multi-tenant, append-only log of events inside PostgreSQL.
//!
//! This crate holds only what must run inside the server; the SQL that a DBA reads is in `sql/`.
//! The rooms, from the top down: a module imports only from rooms below its own.
//!
//! | room | what it holds |
//! |---|---|
//! | `api` | the functions that SQL calls, one file each; nothing imports them |
//! | `write` | writes events into the table: single, in batches, each exactly once |
//! | `event` | checks an event on its way in: sampling, quota, quarantine, hygiene |
//! | `tenant` | finds the tenant of a connection |
//! | `registry` | the cached log: event types, callers, settings of tenants |
//! | `payload` | checks and edits a payload by the rules of its event type |
//! | `settings` | `eventlog.*` settings |
//! | `pg` | PostgreSQL's own interfaces, the home of `unsafe` |
//! | `error`, `generation` | the ground: faults, and the number of the cached state |
//! | `report` | aggregates of rollups and reports; beside, on `payload` and `pg` |
//! | `seal` | seals events, verifies seals, lets events of seals go; beside, on `pg` |
//! | `worker` | the background worker, which calls `maintain()`; beside, on `settings` and `pg` |

mod api;
mod error;
mod event;
mod generation;
mod limits;
mod payload;
mod pg;
mod registry;
mod report;
mod seal;
mod settings;
mod tenant;
mod worker;
mod write;

// pgrx 0.18.1 lets `version` overwrite `name` in the short form: both are spelled out.
#[cfg(feature = "pg18")]
pgrx::pg_module_magic!(name = c"eventlog", version = VERSION);
#[cfg(not(feature = "pg18"))]
pgrx::pg_module_magic!();

/// The version of the workspace, as a C string.
#[cfg(feature = "pg18")]
const VERSION: &core::ffi::CStr =
    match core::ffi::CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes())
    {
        Ok(version) => version,
        Err(_) => panic!("the version has a null byte"),
    };

/// Called by PostgreSQL once, when the library is loaded.
#[pgrx::pg_guard]
pub extern "C-unwind" fn _PG_init() {
    settings::define::init();
    registry::invalidation::init();
    event::quota::init();
    if pg::server::preloading() {
        worker::mailbox::init();
        worker::launcher::init();
    }
}
