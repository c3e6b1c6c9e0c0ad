//! What the tests of the writer share.

use std::time::Duration;

use eventlog_tests::{Cluster, Db, TENANT_A, db};
use eventlog_writer::{Event, EventName, Options};
use postgres::Config;
use uuid::Uuid;

/// Generous: nothing here should take as long.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) fn tenant() -> Uuid {
    TENANT_A.parse().unwrap()
}

/// How a role connects to a database of the shared cluster.
pub(crate) fn config(db: &Db, role: &str) -> Config {
    db::shared().config(&db.name, role)
}

/// A cluster of its own with a log in the database `app`, for tests that break it.
pub(crate) fn own_cluster() -> Cluster {
    let cluster = Cluster::start(&[]);
    db::create_roles(&cluster);
    db::create_log(&cluster, "app");
    cluster
}

/// Options of a service that waits little.
pub(crate) fn options() -> Options {
    Options::new()
        .enabled(true)
        .linger(Duration::from_millis(5))
        .retry(Duration::from_millis(10), Duration::from_millis(200))
}

/// The nth event of a stream: its number is in the payload.
pub(crate) fn numbered(n: u64) -> Event {
    Event::new(EventName::ToolUsed)
        .tenant(tenant())
        .data(&serde_json::json!({ "toolName": "t", "n": n }))
}

/// Where the events stand in the log that [`numbered`] made, in its order.
pub(crate) fn numbers(client: &mut postgres::Client) -> Vec<u64> {
    let sql = "SELECT (data ->> 'n')::bigint FROM eventlog.events WHERE data ? 'n' ORDER BY id";
    let rows = client.query(sql, &[]).unwrap();
    rows.iter().map(|row| row.get::<_, i64>(0) as u64).collect()
}
