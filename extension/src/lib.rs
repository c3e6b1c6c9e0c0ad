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

mod activity;
mod additions;
mod array;
mod attempt;
mod batch;
mod check_import;
mod clock;
mod datum;
mod door;
mod edit;
mod enrichment;
mod erase_tenant;
mod error;
mod event;
mod event_type;
mod guard;
mod guc;
mod hash_key;
mod histogram;
mod idempotency;
mod insert;
mod jsonb;
mod late;
mod launcher;
mod log_event;
mod log_events;
mod machine_clock;
mod nearest;
mod numeric;
mod owner_lock;
mod owner_step;
mod parse;
mod partition;
mod payload;
mod producer;
mod quarantine;
mod quota;
mod registry;
mod rights;
mod sampling;
mod spi;
mod tally;
mod task;
mod tenant;
mod tenant_settings;
mod try_log_event;
mod validate_event;
mod worker;

// pgrx 0.18.1 lets `version` overwrite `name` in the short form: both are spelled out.
#[cfg(feature = "pg18")]
pgrx::pg_module_magic!(name = c"eventlog", version = VERSION);
#[cfg(not(feature = "pg18"))]
pgrx::pg_module_magic!();

/// The version of the workspace, as a C string.
#[cfg(feature = "pg18")]
const VERSION: &core::ffi::CStr =
    match core::ffi::CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => panic!("the version has a null byte"),
    };

/// Called by PostgreSQL once, when the library is loaded.
#[pgrx::pg_guard]
pub extern "C-unwind" fn _PG_init() {
    guc::init();
    registry::init();
    quota::init();
    // SAFETY: PostgreSQL's own variable.
    if unsafe { pgrx::pg_sys::process_shared_preload_libraries_in_progress } {
        task::init();
        launcher::init();
    }
}
