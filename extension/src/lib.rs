//! eventlog: a validated, multi-tenant, append-only log of events inside PostgreSQL.
//!
//! This crate is what must be inside the server, and nothing else; the SQL that a DBA reads is in
//! `sql/`. A verb of the API has a file of its own; below them:
//!
//! | file | what lives there |
//! |---|---|
//! | `event`, `insert` | the checks that every verb shares, and the INSERT |
//! | `batch`, `producer`, `idempotency` | many events in one statement, each exactly once |
//! | `payload`, `edit`, `jsonb`, `numeric` | the one pass over a payload, in PostgreSQL's binary form |
//! | `additions`, `enrichment`, `clock`, `hash_key` | what the log sets, looks up, reads and hashes |
//! | `sampling`, `quota`, `tenant_settings`, `tally` | what is left out, and how it is counted |
//! | `registry`, `event_type`, `nearest` | the cached enum of event types |
//! | `guard` | the policy that checks every other INSERT |
//! | `tenant`, `rights` | `current_tenant()`, and what a role may do |
//! | `door`, `quarantine`, `partition`, `owner_step` | what runs as the log's owner |
//! | `launcher`, `worker`, `task` | the background worker, which calls `maintain()` |
//! | `owner_lock`, `machine_clock` | locks that only the owner can take, and a clock that nobody sets |
//! | `late`, `histogram`, `activity` | what rollups and reports need of the library |
//! | `attempt`, `error`, `guc`, `datum`, `array`, `parse`, `spi` | faults, settings, and the server's own interfaces |

mod api;
mod error;
mod event;
mod payload;
mod pg;
mod registry;
mod report;
mod settings;
mod tenant;
mod worker;
mod write;

// pgrx 0.18.1 lets `version` overwrite `name` in the short form: both are spelled out.
#[cfg(feature = "pg18")]
pgrx::pg_module_magic!(name = c"eventlog", version = c"0.2.0");
#[cfg(not(feature = "pg18"))]
pgrx::pg_module_magic!();

/// Called by PostgreSQL once, when the library is loaded.
#[pgrx::pg_guard]
pub extern "C-unwind" fn _PG_init() {
    settings::init();
    registry::init();
    event::quota::init();
    // SAFETY: PostgreSQL's own variable.
    if unsafe { pgrx::pg_sys::process_shared_preload_libraries_in_progress } {
        worker::mailbox::init();
        worker::launcher::init();
    }
}
