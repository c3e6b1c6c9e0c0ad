//! Counts that do not fit into memory are made in parts.

use eventlog_tests::{Db, TENANT_A, TENANT_B, assert_refused, rows, text};
use postgres::Client;

/// A log with a past month, whose owner has the least memory for maintenance: the counts may take 4 MB.
fn with_little_memory() -> (Db, Client) {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(&format!("ALTER DATABASE {} SET maintenance_work_mem = '1MB'", db.name))
        .expect("a setting");
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute(
            "SELECT eventlog._make_partition(date_trunc('month', now()) - interval '1 month');
             SELECT eventlog.define_event('ping', duration_key => 'ms', count_keys => '{plan}')",
        )
        .expect("a partition");
    (db, owner)
}

/// Inserts events that all have an actor, a subject and a counted value of their own, this far apart.
fn fill(owner: &mut Client, mark: &str, events: u32, apart: &str) {
    owner
        .batch_execute(&format!(
            "INSERT INTO eventlog.events (tenant_id, name, actor, subject, data, created_at)
             SELECT CASE WHEN g % 3 = 0 THEN '{TENANT_B}' ELSE '{TENANT_A}' END::uuid, 'ping',
                    '{mark}-actor-' || g, '{mark}-subject-' || g, jsonb_build_object('plan', '{mark}-' || g, 'ms', g),
                    date_trunc('month', now(), 'UTC') - interval '20 days' + g * interval '{apart}'
               FROM generate_series(1, {events}) g"
        ))
        .expect("events");
}

fn maintain(owner: &mut Client) -> String {
    owner.batch_execute("CALL eventlog.maintain()").expect("a run");
    text(
        owner,
        "SELECT outcome || ': ' || array_to_string(failures, ', ') FROM eventlog.maintenance_runs ORDER BY id DESC LIMIT 1",
    )
}

fn assert_counted(owner: &mut Client, events: u32) {
    assert_eq!(
        rows(owner, "SELECT * FROM eventlog.verify_rollups() WHERE NOT is_sealed"),
        Vec::<Vec<String>>::new()
    );
    for (rollup, column) in [("daily_subjects", "events"), ("hourly_keys", "events")] {
        let counted = text(owner, &format!("SELECT sum({column}) FROM eventlog.{rollup}"));
        assert_eq!(counted, events.to_string(), "{rollup}");
    }
    for rollup in ["monthly_actors", "monthly_key_actors", "first_events"] {
        let counted =
            text(owner, &format!("SELECT count(*) FROM eventlog.{rollup} WHERE name = 'ping'"));
        assert_eq!(counted, events.to_string(), "{rollup}");
    }
    assert_eq!(text(owner, "SELECT count(*) FROM eventlog.late_events"), "0");
}

#[test]
fn events_of_many_actors_and_subjects_are_counted_in_parts_over_days_or_at_one_instant() {
    for apart in ["20 seconds", "0 seconds"] {
        let (_db, mut owner) = with_little_memory();
        fill(&mut owner, "own", 30_000, apart);
        assert_eq!(maintain(&mut owner), "done: ", "{apart}");
        assert_counted(&mut owner, 30_000);
    }
}

#[test]
fn late_events_of_many_actors_and_subjects_are_counted_in_parts() {
    let (_db, mut owner) = with_little_memory();
    assert_eq!(maintain(&mut owner), "done: ");
    fill(&mut owner, "late", 30_000, "20 seconds");
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.late_events"), "30000");
    while text(&mut owner, "SELECT count(*) FROM eventlog.late_events") != "0" {
        assert_eq!(maintain(&mut owner), "done: ");
    }
    assert_counted(&mut owner, 30_000);
}

#[test]
fn counts_that_fit_nowhere_say_which_setting_limits_them() {
    let (_db, mut owner) = with_little_memory();
    fill(&mut owner, "own", 30_000, "0 seconds");
    let count = "SELECT eventlog_private.count_all(e.id, e.tenant_id, e.name, e.data, e.actor, e.subject, e.created_at, e.weight, NULL)
                   FROM eventlog.events e";
    assert_refused(&mut owner, count, "53200", "the counts of the rollups take more than 4 MB");
    owner.batch_execute("SET maintenance_work_mem = '64MB'").expect("a setting");
    owner.batch_execute(count).expect("256 MB are enough");
}
