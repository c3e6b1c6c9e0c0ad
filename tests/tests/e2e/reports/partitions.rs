//! Reports open the partitions of their span, however many there are: each one opened is locked, and so
//! are its indexes.

use eventlog_tests::{Db, TENANT_A, text};
use postgres::Client;

use super::every_report::reports;

/// How many partitions a statement locks, once the session has run it often enough for a plan that
/// would serve all arguments.
fn locked(client: &mut Client, sql: &str) -> i64 {
    for _ in 0..6 {
        client.batch_execute(sql).unwrap();
    }
    client.batch_execute("BEGIN").unwrap();
    client.batch_execute(sql).unwrap();
    let count = text(
        client,
        "SELECT count(DISTINCT l.relation) FROM pg_locks l JOIN pg_inherits i ON i.inhrelid = l.relation
          WHERE l.pid = pg_backend_pid() AND i.inhparent = 'eventlog.events'::regclass",
    );
    client.batch_execute("COMMIT").unwrap();
    count.parse().unwrap()
}

#[test]
fn reports_lock_the_partitions_of_their_span_only() {
    let db = Db::empty();
    db.superuser()
        .batch_execute(
            "CREATE EXTENSION eventlog;
             SELECT eventlog.create_log(owner => 'log_owner', partition_interval => '1 day', premake => '50 days', retention => '50 years');
             SELECT eventlog.grant_reader('reader');
             SELECT eventlog._make_partition(now() - g * interval '1 day') FROM generate_series(1, 50) g",
        )
        .unwrap();
    let mut owner = db.connect("log_owner");
    let events = format!(
        "INSERT INTO eventlog.events (tenant_id, name, data, actor, subject, created_at)
         SELECT '{TENANT_A}', name, '{{}}', 'a', 's', now() - g * interval '1 day'
           FROM generate_series(0, 44, 4) g,
                unnest('{{conversation_started,escalation_triggered,skill_executed,integration_failed}}'::text[]) AS name"
    );
    owner.batch_execute(&events).unwrap();
    assert_eq!(text(&mut owner, "SELECT count(*) > 100 FROM eventlog._partitions"), "t");
    let reports = reports(&mut db.superuser());
    let mut reader = db.connect_as("reader", TENANT_A);
    reader.batch_execute("SET timezone = 'America/New_York'").unwrap();
    let span = [
        ("since", "date_trunc('day', now(), 'UTC')::timestamptz - interval '20 days'"),
        ("until", "date_trunc('day', now(), 'UTC')::timestamptz - interval '18 days'"),
    ];
    for state in ["raw", "rolled up", "with a late event"] {
        for report in &reports {
            let mut arguments = Vec::new();
            if report.has("within") {
                arguments.push(("within", "'1 day'"));
            }
            if report.has("period") {
                arguments.push(("period", "'day'"));
            }
            if report.has("since") {
                // Of type date where the argument is one.
                let is_of_days = text(
                    &mut reader,
                    &format!(
                        "SELECT 'date'::regtype = ANY (proargtypes) FROM pg_proc WHERE oid::regproc::text = 'eventlog.{}'",
                        report.name
                    ),
                );
                let cast = if is_of_days == "t" { "::date" } else { "" };
                let span = span.map(|(name, value)| (name, format!("({value}){cast}")));
                let mut arguments = arguments.clone();
                arguments.extend(span.iter().map(|(name, value)| (*name, value.as_str())));
                // Two days and what the session's zone adds to them, and what follows within a day.
                let limit = match report.name.as_str() {
                    "active_actors" if state == "raw" => 35,
                    // The first events ever, until a rollup has them.
                    "cohort_retention" if state == "raw" => 60,
                    // The last event of a tenant can be in any partition before the end.
                    "tenants_overview" => 105,
                    _ => 8,
                };
                let found = locked(&mut reader, &report.call(&arguments));
                assert!(found <= limit, "{state}: {}: {found}", report.name);
            }
            // By default the last days, and at most the next one.
            if state != "raw" {
                let found = locked(&mut reader, &report.call(&arguments));
                let limit = if report.name == "tenants_overview" { 105 } else { 53 };
                assert!(found <= limit, "{state}: {}: {found}", report.name);
                let from_rollups = [
                    "events_per_day",
                    "subject_stats",
                    "top_subjects",
                    "usage_summary",
                    "unused_subjects",
                    "success_rate",
                    "active_actors",
                    "cohort_retention",
                ];
                assert!(
                    !from_rollups.contains(&report.name.as_str()) || found <= 6,
                    "{state}: {}: {found}",
                    report.name
                );
            }
        }
        if state == "raw" {
            owner.batch_execute("CALL eventlog.maintain()").unwrap();
        } else if state == "rolled up" {
            owner.batch_execute(&events.replace("(0, 44, 4)", "(19, 19)")).unwrap();
            assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.late_events"), "4");
            // One of them as a service's plain INSERT notes it.
            owner
                .batch_execute("UPDATE eventlog.late_events SET tenant_id = NULL WHERE id = (SELECT min(id) FROM eventlog.late_events)")
                .unwrap();
        }
    }
}
