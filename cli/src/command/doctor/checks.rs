//! The checks of `eventlog doctor`. Each is a query in a file of its own, with a row for each finding:
//! whether it is wrong (false: advice, null: all is well), what was found, the command that fixes it, and
//! the role that runs it: `owner`, `superuser`, or null if it is not SQL.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio_postgres::{Error, Row, Transaction};

use super::finding::{Finding, Place, State};
use crate::output::Failure;

pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
    /// The finding if the query returns no row.
    pub(super) good: &'static str,
    /// False for checks of maintenance, which does not run on a standby.
    pub(super) is_for_standbys: bool,
    /// True for checks that are skipped silently without the right to run them: other checks cover them.
    pub(super) is_for_superusers: bool,
}

impl Check {
    const fn new(name: &'static str, good: &'static str, sql: &'static str) -> Self {
        Check { name, sql, good, is_for_standbys: true, is_for_superusers: false }
    }

    const fn of_primaries(self) -> Self {
        Check { is_for_standbys: false, ..self }
    }

    const fn of_superusers(self) -> Self {
        Check { is_for_superusers: true, ..self }
    }

    pub(super) fn finding(&self, row: &Row, place: &Place) -> Finding {
        let state = match row.get::<_, Option<bool>>(0) {
            Some(true) => State::Wrong,
            Some(false) => State::Advice,
            None => State::Good,
        };
        let finding = Finding::new(self.name, state, row.get::<_, String>(1));
        let Some(fix) = row.get::<_, Option<String>>(2) else { return finding };
        match row.get::<_, Option<&str>>(3) {
            Some("owner") => {
                finding.fix(fix).typed_by(place.owner.as_deref().unwrap_or("superuser"), place)
            }
            Some(role) => finding.fix(fix).typed_by(role, place),
            None => finding.fix(fix),
        }
    }

    pub(super) fn unseen(&self, error: Error) -> Finding {
        let message = error.as_db_error().map_or("no answer", |server| server.message()).to_owned();
        let finding = Finding::new(self.name, State::Unknown, message);
        match error.code().is_some_and(|code| code.code() == "42501") {
            true => finding.fix("as the log's owner or a superuser: eventlog doctor"),
            false => finding,
        }
    }
}

/// Checks that there is an extension and a log; all other checks depend on them.
pub(super) async fn extension(
    transaction: &Transaction<'_>,
    place: &Place,
) -> Result<Vec<Finding>, Failure> {
    const NAME: &str = "extension";
    let sql = "SELECT (SELECT e.extversion FROM pg_extension e WHERE e.extname = 'eventlog'),
                      (SELECT a.default_version::text FROM pg_available_extensions a WHERE a.name = 'eventlog'),
                      to_regclass('eventlog.events') IS NOT NULL, current_database()::text,
                      current_setting('server_version')";
    let rows = transaction.query_typed(sql, &[]).await?;
    let row = rows.first().ok_or_else(|| Failure::new("the server did not answer"))?;
    let (installed, available): (Option<String>, Option<String>) = (row.get(0), row.get(1));
    let (database, server): (String, String) = (row.get(3), row.get(4));
    let wrong = |found: String, fix: &str| {
        let finding = Finding::new(NAME, State::Wrong, found).fix(fix);
        let is_sql = fix.ends_with(';');
        Ok(vec![if is_sql { finding.typed_by("superuser", place) } else { finding }])
    };
    let (Some(installed), Some(available)) = (&installed, &available) else {
        return match (installed, available) {
            (Some(installed), _) => wrong(
                format!("{database} has {installed}, whose files are not on the server"),
                "make install",
            ),
            (None, Some(_)) => wrong(
                format!("the database {database} does not have it"),
                "CREATE EXTENSION eventlog;",
            ),
            (None, None) => wrong("the server does not have it".to_owned(), "make install"),
        };
    };
    if installed != available {
        let found = format!("{database} has {installed}, the server has {available}");
        return wrong(found, "ALTER EXTENSION eventlog UPDATE; SELECT eventlog.migrate_log();");
    }
    let found = format!("{installed} in {database}, on PostgreSQL {server}");
    let mut findings = vec![Finding::new(NAME, State::Good, found)];
    if installed != env!("CARGO_PKG_VERSION") {
        let found = format!("this program has version {}", env!("CARGO_PKG_VERSION"));
        findings
            .push(Finding::new(NAME, State::Advice, found).fix("install the same version of both"));
    }
    if !row.get::<_, bool>(2) {
        let fix = "SELECT eventlog.create_log(owner => 'ROLE');";
        let finding = Finding::new("log", State::Wrong, "there is no log yet").fix(fix);
        findings.push(finding.typed_by("superuser", place));
    }
    Ok(findings)
}

/// Returns the owner of the log, and whether the server is a standby.
pub(super) async fn place(transaction: &Transaction<'_>) -> Result<Place, Failure> {
    let sql = "SELECT (SELECT pg_get_userbyid(c.relowner)::text FROM pg_class c
                        WHERE c.oid = to_regclass('eventlog.events')), pg_is_in_recovery()";
    let rows = transaction.query_typed(sql, &[]).await?;
    let row = rows.first().ok_or_else(|| Failure::new("the server did not answer"))?;
    Ok(Place { owner: row.get(0), is_standby: row.get(1) })
}

/// Compares the server's clock with this machine's. created_at is the server's time, occurred_at the
/// client's, which the log drops if it is far ahead.
pub(super) async fn clock(transaction: &Transaction<'_>) -> Result<Finding, Failure> {
    const NAME: &str = "clock";
    const MOST_SECONDS: f64 = 5.0;
    let began = Instant::now();
    let here = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
    let sql = "SELECT extract(epoch FROM clock_timestamp())::float8";
    let rows = transaction.query_typed(sql, &[]).await?;
    let travelled = began.elapsed().as_secs_f64();
    let there = rows.first().map_or(here, |row| row.get(0));
    let differ = there - (here + travelled / 2.0);
    if differ.abs() - travelled / 2.0 <= MOST_SECONDS {
        return Ok(Finding::new(
            NAME,
            State::Good,
            "the server's clock agrees with this machine's",
        ));
    }
    let which = if differ > 0.0 { "ahead of" } else { "behind" };
    let found = format!("the server's clock is {:.0} s {which} this machine's", differ.abs());
    Ok(Finding::new(NAME, State::Advice, found).fix("set the clocks by NTP: chronyc tracking"))
}

pub(super) const ALL: [Check; 20] = [
    Check::new("layout", "the tables are those of this version", include_str!("sql/layout.sql")),
    Check::new("owner", "a role of its own that cannot log in", include_str!("sql/owner.sql")),
    Check::new(
        "objects",
        "the schemas hold nothing but the extension and the log",
        include_str!("sql/objects.sql"),
    ),
    Check::new(
        "policies",
        "row-level security is on, with the policies that the log makes",
        include_str!("sql/policies.sql"),
    ),
    Check::new(
        "triggers",
        "events are append-only, and every connection hears of changes",
        include_str!("sql/triggers.sql"),
    ),
    Check::new(
        "indexes",
        "all keys and indexes are there, on each partition",
        include_str!("sql/indexes.sql"),
    ),
    Check::new("grants", "no extra privileges", include_str!("sql/grants.sql")),
    Check::new("partitions", "they reach ahead without a gap", include_str!("sql/partitions.sql")),
    Check::new(
        "rollups",
        "the reports have the events of all partitions",
        include_str!("sql/rollups.sql"),
    ),
    Check::new("seals", "all days are sealed", include_str!("sql/seals.sql")).of_primaries(),
    Check::new("consumers", "they read on and lose nothing", include_str!("sql/consumers.sql"))
        .of_primaries(),
    Check::new("settings", "no unusual settings", include_str!("sql/settings.sql")),
    Check::new(
        "files",
        "the server's files set nothing that is unknown",
        include_str!("sql/files.sql"),
    )
    .of_superusers(),
    Check::new("preload", "the library is preloaded", include_str!("sql/preload.sql"))
        .of_primaries(),
    Check::new("worker", "it serves this database", include_str!("sql/worker.sql")).of_primaries(),
    Check::new("maintenance", "nothing is due", include_str!("sql/maintenance.sql")).of_primaries(),
    Check::new(
        "quarantine",
        "nothing was refused in the last day",
        include_str!("sql/quarantine.sql"),
    ),
    Check::new("webhooks", "all are served and accepted", include_str!("sql/webhooks.sql"))
        .of_primaries(),
    Check::new("alerts", "they are evaluated in time", include_str!("sql/alerts.sql"))
        .of_primaries(),
    Check::new("taxonomy", "it has event types", include_str!("sql/taxonomy.sql")),
];
