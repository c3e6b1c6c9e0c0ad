//! Settings of single tenants: opted out, smaller payloads, events a minute.

use std::thread;
use std::time::{Duration, SystemTime};

use eventlog_tests::{Cluster, Db, TENANT_A, TENANT_B, assert_refused, db, rows, scaled, text};
use postgres::Client;

const TOOL: &str = r#"'{"toolName": "t"}'"#;

/// Quotas are by the minute of the server's clock: waits for one that does not end soon.
fn early_in_a_minute() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let second = now.as_secs() % 60;
    if second > 40 {
        thread::sleep(Duration::from_secs(61 - second));
    }
}

fn set(db: &Db, settings: &str) {
    db.connect("log_owner")
        .batch_execute(&format!("SELECT eventlog.set_tenant('{TENANT_A}', {settings})"))
        .unwrap();
}

fn count(client: &mut Client, sql: &str) -> i64 {
    text(client, sql).parse().unwrap()
}

#[test]
fn nothing_is_logged_of_a_tenant_that_opted_out() {
    let db = Db::new();
    let mut member = db.connect_as("member", TENANT_A);
    let log = format!("SELECT eventlog.log_event(NULL, 'tool_used', {TOOL})");
    assert_ne!(text(&mut member, &log), "∅");
    set(&db, "is_opted_out => true");
    for _ in 0..2 {
        assert_eq!(text(&mut member, &log), "∅");
    }
    assert_eq!(
        text(
            &mut member,
            &format!("SELECT eventlog.try_log_event(NULL, 'tool_used', {TOOL}::jsonb)")
        ),
        "∅"
    );
    let batch = "SELECT written, sampled, rejected FROM eventlog.log_events(NULL, '{tool_used,nonsense}', NULL)";
    assert_eq!(rows(&mut member, batch), [["0", "2", "0"]]);
    let insert = |tenant: &str| {
        format!(
            "INSERT INTO eventlog.events (tenant_id, name, data) VALUES ('{tenant}', 'tool_used', {TOOL})"
        )
    };
    assert_refused(&mut member, &insert(TENANT_A), "23514", "opted out");
    // Others go on, a service for it does not.
    db.connect_as("member", TENANT_B).batch_execute(&insert(TENANT_B)).unwrap();
    let mut service = db.connect("service");
    let call = |tenant: &str| format!("SELECT eventlog.log_event('{tenant}', 'tool_used', {TOOL})");
    assert_eq!(text(&mut service, &call(TENANT_A)), "∅");
    assert_ne!(text(&mut service, &call(TENANT_B)), "∅");
    set(&db, "is_opted_out => false");
    assert_ne!(text(&mut member, &log), "∅");
}

#[test]
fn a_tenants_own_limit_of_size_counts_where_it_is_stricter() {
    let db = Db::new();
    set(&db, "max_bytes => 100");
    let mut member = db.connect_as("member", TENANT_A);
    let data = |length: usize| format!(r#"'{{"toolName": "{}"}}'"#, "x".repeat(length));
    let log =
        |length: usize| format!("SELECT eventlog.log_event(NULL, 'tool_used', {})", data(length));
    member.batch_execute(&log(10)).unwrap();
    assert_refused(&mut member, &log(100), "54000", "limit 100");
    let insert = format!(
        "INSERT INTO eventlog.events (tenant_id, name, data) VALUES ('{TENANT_A}', 'tool_used', {})",
        data(100)
    );
    assert_refused(&mut member, &insert, "54000", "limit 100");
    db.connect_as("member", TENANT_B).batch_execute(&log(100)).unwrap();
    set(&db, "max_bytes => 100000");
    member.batch_execute(&log(100)).unwrap();
    assert_refused(&mut member, &log(3000), "54000", "limit 2048");
    db.connect("log_owner")
        .batch_execute(&format!("SELECT eventlog.reset_tenant('{TENANT_A}')"))
        .unwrap();
    assert_eq!(count(&mut db.superuser(), "SELECT count(*) FROM eventlog.tenant_settings"), 0);
}

#[test]
fn more_events_than_the_quota_are_rejected_and_counted() {
    let db = Db::new();
    set(&db, "events_per_minute => 20");
    early_in_a_minute();
    let mut member = db.connect_as("member", TENANT_A);
    let log = format!("SELECT eventlog.log_event(NULL, 'tool_used', {TOOL})");
    for _ in 0..20 {
        member.batch_execute(&log).unwrap();
    }
    for _ in 0..5 {
        assert_refused(&mut member, &log, "53400", "over its quota of 20 events a minute");
    }
    let insert = format!(
        "INSERT INTO eventlog.events (tenant_id, name, data) VALUES ('{TENANT_A}', 'tool_used', {TOOL})"
    );
    assert_refused(&mut member, &insert, "53400", "quota");
    member
        .batch_execute(&format!("SELECT eventlog.try_log_event(NULL, 'tool_used', {TOOL}::jsonb)"))
        .expect("a WARNING");
    let batch = "SELECT written, rejected FROM eventlog.log_events(NULL, array_fill('tool_used'::text, '{100}'), array_fill('{\"toolName\": \"t\"}'::text, '{100}'))";
    assert_eq!(rows(&mut member, batch), [["0", "100"]]);
    let mut superuser = db.superuser();
    assert_eq!(count(&mut superuser, "SELECT count(*) FROM eventlog.events"), 20);
    assert_eq!(count(&mut superuser, "SELECT count(*) FROM eventlog.rejected_events"), 0);
    // Those that an error refused are counted with the next call that ends well.
    let over = "SELECT tenant_id, kind, events FROM eventlog.stat_hygiene";
    assert_eq!(rows(&mut superuser, over), [[TENANT_A, "over_quota", "107"]]);
    // The other tenant's is its own.
    let mut other = db.connect_as("member", TENANT_B);
    for _ in 0..30 {
        other.batch_execute(&log).unwrap();
    }
    set(&db, "events_per_minute => 1000000");
    member.batch_execute(&log).expect("a new quota counts at once");
}

#[test]
fn more_events_than_the_quota_are_sampled_and_the_weights_keep_the_count() {
    let db = Db::new();
    set(&db, "events_per_minute => 100, over_quota => 'sample'");
    early_in_a_minute();
    let mut member = db.connect_as("member", TENANT_A);
    member
        .batch_execute(
            "SELECT eventlog.log_events(NULL, array_fill('tool_used'::text, '{10000}'), array_fill('{\"toolName\": \"t\"}'::text, '{10000}'))",
        )
        .unwrap();
    let stored = rows(
        &mut db.superuser(),
        "SELECT count(*), count(weight), sum(coalesce(weight, 1))::int FROM eventlog.events",
    );
    let number = |i: usize| stored[0][i].parse::<i64>().unwrap();
    let (all, weighted, sum) = (number(0), number(1), number(2));
    assert_eq!(all - weighted, 100);
    // 100 + 100 ln 100 = 560 are expected, and weights that add up to 10,000 with a sigma of 707:
    // seven sigma.
    assert!((350..800).contains(&all), "{all}");
    assert!((sum - 10_000).abs() < 5_000, "{sum}");
    let over = "SELECT sum(events) FROM eventlog.stat_hygiene WHERE kind = 'over_quota'";
    assert_eq!(count(&mut db.superuser(), over), 9_900);
}

#[test]
fn more_events_than_the_quota_go_to_the_quarantine_and_can_be_replayed() {
    let db = Db::new();
    set(&db, "events_per_minute => 3, over_quota => 'quarantine'");
    early_in_a_minute();
    let mut member = db.connect_as("member", TENANT_A);
    let log = format!("SELECT eventlog.log_event(NULL, 'tool_used', {TOOL})");
    member.batch_execute("SET client_min_messages = error").unwrap();
    let ids: Vec<String> = (0..5).map(|_| text(&mut member, &log)).collect();
    assert!(ids[..3].iter().all(|id| id != "∅") && ids[3..].iter().all(|id| id == "∅"), "{ids:?}");
    let batch = "SELECT written, rejected FROM eventlog.log_events(NULL, '{tool_used}', '{\"{\\\"toolName\\\": 1}\"}')";
    assert_eq!(rows(&mut member, batch), [["0", "1"]]);
    let mut owner = db.connect("log_owner");
    let kept = "SELECT count(*), min(sqlstate), bool_and(can_replay) FROM eventlog.rejected_events";
    assert_eq!(rows(&mut owner, kept), [["3", "53400", "t"]]);
    assert_eq!(rows(&mut owner, "SELECT * FROM eventlog.replay_rejected()"), [["3", "0"]]);
    assert_eq!(count(&mut owner, "SELECT count(*) FROM eventlog.events"), 6);
}

#[test]
fn wrong_settings_and_other_roles_are_refused() {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    let set = |settings: &str| format!("SELECT eventlog.set_tenant('{TENANT_A}', {settings})");
    assert_refused(
        &mut owner,
        &set("max_bytes => 0"),
        "22023",
        "max_bytes must be from 8 to 16777216, got 0",
    );
    assert_refused(
        &mut owner,
        &set("events_per_minute => -1"),
        "22023",
        "events_per_minute must not be negative, got -1",
    );
    assert_refused(&mut owner, &set("over_quota => 'drop'"), "22023", "unknown over_quota");
    assert_refused(&mut owner, &set("retention => '-1 day'"), "22023", "must be positive");
    assert_refused(&mut owner, "SELECT eventlog.set_tenant(NULL)", "22004", "null");
    for role in ["member", "service", "outsider"] {
        let mut client = db.connect_as(role, TENANT_A);
        assert_refused(&mut client, &set("is_opted_out => true"), "42501", "permission denied");
        let reset = format!("SELECT eventlog.reset_tenant('{TENANT_A}')");
        assert_refused(&mut client, &reset, "42501", "permission denied");
    }
}

/// The steady tenant's events come through while another floods; across backends the quota is one.
#[test]
fn where_the_library_is_preloaded_a_quota_holds_across_backends_and_a_flood_costs_others_nothing() {
    let cluster = Cluster::start(&[("shared_preload_libraries", "eventlog")]);
    db::create_roles(&cluster);
    db::create_log(&cluster, "flood");
    let connect = |role: &str, tenant: &str| {
        let mut client = cluster.connect("flood", role);
        client.batch_execute(&format!("SET eventlog.tenant_id = '{tenant}'")).unwrap();
        client
    };
    let mut owner = cluster.connect("flood", "log_owner");
    let quota = 50;
    owner
        .batch_execute(&format!(
            "SELECT eventlog.set_tenant('{TENANT_A}', events_per_minute => {quota});
             SELECT eventlog.set_tenant('{TENANT_B}', events_per_minute => 1000000)"
        ))
        .unwrap();
    early_in_a_minute();
    let log = format!("SELECT eventlog.log_event(NULL, 'tool_used', {TOOL})");
    let each = scaled(400, 20_000);
    let mut stored = 0;
    let mut steady = 0;
    thread::scope(|scope| {
        let floods: Vec<_> = (0..4)
            .map(|_| {
                let (log, mut client) = (&log, connect("member", TENANT_A));
                scope.spawn(move || (0..each).filter(|_| client.batch_execute(log).is_ok()).count())
            })
            .collect();
        let mut client = connect("member", TENANT_B);
        steady = (0..each / 2).filter(|_| client.batch_execute(&log).is_ok()).count();
        stored = floods.into_iter().map(|flood| flood.join().unwrap()).sum::<usize>();
    });
    let rejected = 4 * each - stored;
    assert_eq!(steady, each / 2);
    if scaled(0, 1) == 0 {
        assert_eq!(stored, quota, "the quota of all four backends together");
    }
    // What errors refused is written with the next call of any backend that ends well.
    let batch =
        "SELECT rejected FROM eventlog.log_events(NULL, array_fill('nonsense'::text, '{1}'), NULL)";
    connect("member", TENANT_A).batch_execute(batch).unwrap();
    owner
        .batch_execute(&format!(
            "SELECT eventlog.set_tenant('{TENANT_A}', events_per_minute => 1000000)"
        ))
        .unwrap();
    thread::sleep(Duration::from_millis(1_100));
    connect("member", TENANT_A).batch_execute(&log).unwrap();
    let over = "SELECT sum(events) FROM eventlog.stat_hygiene WHERE kind = 'over_quota'";
    // An unknown name counts as well.
    assert_eq!(count(&mut owner, over), rejected as i64 + 1);
    // Another database of the cluster counts its own.
    db::create_log(&cluster, "other");
    let mut other = cluster.connect("other", "log_owner");
    other
        .batch_execute(&format!(
            "SET eventlog.tenant_id = '{TENANT_A}'; SELECT eventlog.set_tenant('{TENANT_A}', events_per_minute => 1)"
        ))
        .unwrap();
    early_in_a_minute();
    other.batch_execute(&log).unwrap();
    assert_refused(&mut other, &log, "53400", "quota of 1 events");
    // It survives a crash, which empties shared memory.
    drop((owner, other));
    cluster.crash();
    let mut member = connect("member", TENANT_A);
    member.batch_execute(&log).unwrap();
}
