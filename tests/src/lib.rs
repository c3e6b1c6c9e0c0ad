//! The harness of eventlog's tests: private PostgreSQL clusters, a database for each test.
//!
//! Nothing is mocked. `PG_CONFIG` selects the PostgreSQL; the extension must be installed there
//! (`make install`). Servers refuse root, so as root they run as user `postgres`. A cluster lives in
//! a temporary folder, listens on a socket in it, and is removed at the end of the process, however
//! that comes.

pub mod ask;
pub mod catalog;
pub mod cluster;
pub mod db;
pub mod json;
pub mod program;
pub mod random;
pub mod receiver;
pub mod server;

pub use ask::{assert_refused, refused, rows, text, wait_for};
pub use cluster::Cluster;
pub use db::Db;
pub use server::Server;

/// Tenants for tests.
pub const TENANT_A: &str = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa";
/// Another tenant.
pub const TENANT_B: &str = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb";

/// `short` in `make test`, `long` in `make proof` (`EVENTLOG_PROOF=1`).
pub fn scaled(short: usize, long: usize) -> usize {
    if std::env::var_os("EVENTLOG_PROOF").is_some_and(|value| value == "1") { long } else { short }
}
