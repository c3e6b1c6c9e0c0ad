//! A log with a past: eighty days of tenant A, some hours of tenant B, rolled up, and some rows since.

use eventlog_tests::{Cluster, rows};

/// What would run in a page that took it for markup.
pub(crate) const MARKUP: &str = "<img src=x onerror=alert(1)><script>alert(2)</script>";

/// Fills the log of a database that `db::create_log` made.
pub(crate) fn seed(cluster: &Cluster, database: &str) {
    // As psql does it: statement by statement, as `maintain` commits.
    cluster.psql(database, "postgres", include_str!("seed.sql")).expect("the log is there");
    let counts = "SELECT (SELECT count(*) FROM eventlog.events), (SELECT sum(events) FROM eventlog.daily_counts)";
    let counts = rows(&mut cluster.connect(database, "postgres"), counts).concat();
    let [all, rolled] = [0, 1].map(|n| counts[n].parse::<u64>().expect("a count"));
    assert!(all == 6140 && rolled > 5000, "{counts:?}");
}
