//! Retention to the day, of what comes late as well, and shares of the quarantine.

use eventlog_tests::{Db, TENANT_A, TENANT_B, rows, text};
use postgres::Client;

fn log() -> (Db, Client) {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute("SELECT eventlog.define_event('ping'), eventlog.define_event('pong')")
        .unwrap();
    (db, owner)
}

fn maintain(owner: &mut Client) -> Vec<String> {
    owner.batch_execute("CALL eventlog.maintain()").unwrap();
    let last = "FROM eventlog.maintenance_runs ORDER BY id DESC LIMIT 1";
    assert_eq!(
        text(owner, &format!("SELECT outcome || array_to_string(failures, '; ') {last}")),
        "done"
    );
    rows(owner, &format!("SELECT unnest(actions) FROM (SELECT actions {last}) r")).concat()
}

#[test]
fn the_retention_of_the_log_is_kept_to_the_day() {
    let (_db, mut owner) = log();
    // An event an hour since the month before last, and a retention that ends amid last month.
    owner
        .batch_execute(&format!(
            "SELECT eventlog._make_partition(now() - g * interval '1 month') FROM generate_series(1, 3) g;
             INSERT INTO eventlog.events (tenant_id, name, created_at)
             SELECT CASE WHEN extract(hour FROM h) < 12 THEN '{TENANT_A}' ELSE '{TENANT_B}' END::uuid, 'ping', h
               FROM generate_series(date_trunc('month', now()) - interval '2 months', now() - interval '6 hours', interval '1 hour') h;
             UPDATE eventlog.log_config SET retention =
                    (now()::date - (date_trunc('month', now()) - interval '1 month' + interval '14 days')::date) * interval '1 day'"
        ))
        .unwrap();
    let all = text(&mut owner, "SELECT count(*) FROM eventlog.events");
    let actions = maintain(&mut owner);
    assert!(
        actions.contains(&"deleted 336 events past the retention of the log".to_owned()),
        "{actions:?}"
    );
    let hours = text(
        &mut owner,
        "SELECT count(*) FROM generate_series(date_trunc('month', now()) - interval '2 months', date_trunc('month', now()) - interval '1 month 1 hour', interval '1 hour')",
    );
    let said = format!("of {hours} events that were counted there");
    assert!(actions.iter().any(|line| line.ends_with(&said)), "{actions:?}");
    let oldest = "SELECT min(created_at) = date_trunc('month', now()) - interval '1 month' + interval '14 days',
                         count(*) = extract(epoch FROM date_trunc('hour', max(created_at)) - min(created_at)) / 3600 + 1
                    FROM eventlog.events";
    assert_eq!(rows(&mut owner, oldest), [["t", "t"]]);
    assert_eq!(text(&mut owner, "SELECT sum(events) FROM eventlog.daily_counts"), all);
    assert_eq!(
        text(&mut owner, "SELECT count(*) FROM eventlog.verify_rollups() WHERE NOT is_sealed"),
        "0"
    );
    // Nothing is left to do today.
    assert_eq!(text(&mut owner, "SELECT due FROM eventlog.stat_maintenance"), "{}");
    assert_eq!(maintain(&mut owner), Vec::<String>::new());
}

#[test]
fn the_open_partition_keeps_a_short_retention_too() {
    let (_db, mut owner) = log();
    owner
        .batch_execute(&format!(
            "SELECT eventlog.create_log(retention => '1 day');
             SELECT eventlog._make_partition(now() - g * interval '1 month') FROM generate_series(1, 2) g;
             INSERT INTO eventlog.events (tenant_id, name, created_at)
             SELECT '{TENANT_A}', 'ping', now() - g * interval '1 day' FROM generate_series(0, 50) g"
        ))
        .unwrap();
    maintain(&mut owner);
    assert_eq!(
        text(
            &mut owner,
            "SELECT min(created_at) >= date_trunc('day', now() - interval '1 day') FROM eventlog.events"
        ),
        "t"
    );
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.events"), "2");
}

#[test]
fn late_and_imported_events_past_a_retention_that_was_applied_go_as_well() {
    let (_db, mut owner) = log();
    owner
        .batch_execute(&format!(
            "SELECT eventlog.create_log(retention => '2 years');
             SELECT eventlog.set_tenant('{TENANT_A}', retention => '30 days');
             SELECT eventlog.define_event('pong', retention => '20 days')"
        ))
        .unwrap();
    maintain(&mut owner);
    owner
        .batch_execute(&format!(
            "CREATE TABLE eventlog.history AS
             SELECT g AS id, CASE WHEN g % 2 = 0 THEN '{TENANT_A}' ELSE '{TENANT_B}' END::uuid AS tenant_id,
                    CASE WHEN g % 4 < 2 THEN 'ping' ELSE 'pong' END AS name, '{{}}'::jsonb AS data,
                    now() - interval '200 days' AS created_at
               FROM generate_series(1, 40) g;
             SELECT eventlog.import_events('eventlog.history')"
        ))
        .unwrap();
    let left = "SELECT tenant_id, name, count(*) FROM eventlog.events GROUP BY 1, 2";
    let dry = "SELECT unnest(due) FROM eventlog.stat_maintenance";
    assert_ne!(rows(&mut owner, dry), Vec::<Vec<String>>::new());
    maintain(&mut owner);
    assert_eq!(rows(&mut owner, left), [[TENANT_B, "ping", "10"]]);
    // The same for what is inserted into a partition that is closed.
    owner
        .batch_execute(
            "INSERT INTO eventlog.events (tenant_id, name, created_at) SELECT tenant_id, name, created_at FROM eventlog.history",
        )
        .unwrap();
    maintain(&mut owner);
    assert_eq!(rows(&mut owner, left), [[TENANT_B, "ping", "20"]]);
    assert_eq!(text(&mut owner, "SELECT sum(events) FROM eventlog.daily_counts"), "80");
}

#[test]
fn a_partition_is_rewritten_once_a_day_at_most() {
    let (_db, mut owner) = log();
    owner
        .batch_execute(&format!(
            "SELECT eventlog._make_partition(now() - interval '62 days');
             INSERT INTO eventlog.events (tenant_id, name, created_at)
             SELECT CASE WHEN g <= 500 THEN '{TENANT_A}' ELSE '{TENANT_B}' END::uuid, 'ping', now() - interval '62 days'
               FROM generate_series(1, 1000) g;
             ANALYZE eventlog.events;
             SELECT eventlog.set_tenant('{TENANT_A}', retention => '30 days')"
        ))
        .unwrap();
    let rewrote = |actions: Vec<String>| actions.iter().any(|line| line.starts_with("rewrote"));
    assert!(rewrote(maintain(&mut owner)));
    owner
        .batch_execute(&format!("SELECT eventlog.set_tenant('{TENANT_B}', retention => '30 days')"))
        .unwrap();
    let actions = maintain(&mut owner);
    assert!(actions.iter().any(|line| line.starts_with("deleted 500")), "{actions:?}");
    assert!(!rewrote(actions));
    owner
        .batch_execute(
            "UPDATE eventlog.thinned_partitions SET rewritten_at = now() - interval '1 day'",
        )
        .unwrap();
    assert!(rewrote(maintain(&mut owner)));
}

#[test]
fn a_tenant_that_fills_the_quarantine_takes_nobody_elses_place() {
    let (_db, mut owner) = log();
    owner
        .batch_execute(&format!(
            "UPDATE eventlog.maintenance_settings SET rejected_limit = 100;
             INSERT INTO eventlog.rejected_events (tenant_id, claimed_tenant_id, sqlstate, reason, role_name)
             SELECT CASE WHEN g <= 30 THEN '{TENANT_B}'::uuid WHEN g > 35 AND g <= 1000 THEN '{TENANT_A}' END,
                    CASE WHEN g > 1000 THEN '{TENANT_A}'::uuid WHEN g > 30 AND g <= 34 THEN gen_random_uuid()
                         WHEN g <= 30 THEN '{TENANT_A}' END, '23514', 'x' || g, 'x'
               FROM generate_series(1, 1100) g"
        ))
        .unwrap();
    let due = "SELECT d FROM eventlog.stat_maintenance, unnest(due) AS d WHERE d LIKE '%rejected%'";
    assert_eq!(text(&mut owner, due), "delete 1000 rows of rejected_events");
    maintain(&mut owner);
    // 30 of one, four of tenants that somebody named, one of nobody's; the newest 65 of the one that is
    // full, whether it wrote them or a service named it.
    let kept = "SELECT count(*), count(*) FILTER (WHERE substr(reason, 2)::integer <= 35),
                       min(substr(reason, 2)::integer) FILTER (WHERE substr(reason, 2)::integer > 35)
                  FROM eventlog.rejected_events";
    assert_eq!(rows(&mut owner, kept), [["100", "35", "1036"]]);
    // As many tenants as there are places, and more.
    owner
        .batch_execute(
            "UPDATE eventlog.maintenance_settings SET rejected_limit = 3;
             UPDATE eventlog.maintenance_settings SET rejected_retention = '1 day'",
        )
        .unwrap();
    maintain(&mut owner);
    assert_eq!(text(&mut owner, "SELECT count(*) <= 3 FROM eventlog.rejected_events"), "t");
}

#[test]
fn what_is_in_the_way_of_a_step_is_named_and_the_run_ends() {
    let (db, mut owner) = log();
    let mut superuser = db.superuser();
    owner
        .batch_execute(&format!(
            "SELECT eventlog._make_partition(now() - interval '200 days');
             INSERT INTO eventlog.events (tenant_id, name, created_at) VALUES ('{TENANT_A}', 'ping', now() - interval '200 days');
             SELECT eventlog.set_tenant('{TENANT_A}', retention => '30 days');
             ALTER TABLE eventlog.producers RENAME updated_at TO changed_at"
        ))
        .unwrap();
    let partition = text(&mut owner, "SELECT min(partition_name) FROM eventlog._partitions");
    superuser
        .batch_execute(&format!("ALTER TABLE eventlog.{partition} OWNER TO outsider"))
        .unwrap();
    owner.batch_execute("CALL eventlog.maintain()").unwrap();
    let run = rows(
        &mut owner,
        "SELECT outcome, array_to_string(failures, '; ') FROM eventlog.maintenance_runs ORDER BY id DESC LIMIT 1",
    )
    .concat();
    assert_eq!(run[0], "incomplete");
    assert!(
        run[1].contains(&partition) && run[1].contains("trim: column t.updated_at does not exist"),
        "{run:?}"
    );
}
