//! Retention keeps events that a consumer has not read, for a while, and counts what it lost.

use eventlog_tests::{Db, TENANT_A, TENANT_B, rows, text};
use postgres::Client;

/// A log that keeps events for 30 days, with one event a day and tenant for 60 days.
fn log() -> (Db, Client) {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute(&format!(
            "SELECT eventlog.define_event('ping'), eventlog.define_event('pong');
             SELECT eventlog.create_log(retention => '30 days');
             SELECT eventlog._make_partition(now() - g * interval '1 month') FROM generate_series(1, 3) g;
             INSERT INTO eventlog.events (tenant_id, name, created_at)
             SELECT t, 'ping', date_trunc('day', now(), 'UTC') - g * interval '1 day' + interval '1 hour'
               FROM generate_series(60, 0, -1) g, unnest('{{{TENANT_A}, {TENANT_B}}}'::uuid[]) t ORDER BY g DESC, t"
        ))
        .expect("events of 61 days");
    (db, owner)
}

/// Creates a consumer that has read the events that are older than so many days.
fn create(owner: &mut Client, consumer: &str, tenant: &str, read_until_days: u32, more: &str) {
    owner
        .batch_execute(&format!(
            "SELECT eventlog.create_consumer('{consumer}', tenant_id => {tenant} {more}, start => (
                 SELECT coalesce(max(id), 0)::text FROM eventlog.events
                  WHERE created_at < date_trunc('day', now(), 'UTC') - interval '{read_until_days} days'))"
        ))
        .expect("a consumer");
}

/// Runs maintain(), and returns how many days of events each tenant has.
fn days_kept(owner: &mut Client) -> [String; 2] {
    owner.batch_execute("CALL eventlog.maintain()").expect("maintenance");
    let outcome = "SELECT outcome || array_to_string(failures, '; ') FROM eventlog.maintenance_runs ORDER BY id DESC LIMIT 1";
    assert_eq!(text(owner, outcome), "done");
    [TENANT_A, TENANT_B].map(|tenant| {
        let sql = "SELECT (date_trunc('day', now(), 'UTC')::date - min(created_at AT TIME ZONE 'UTC')::date)";
        text(owner, &format!("{sql} FROM eventlog.events WHERE tenant_id = '{tenant}'"))
    })
}

fn lost(owner: &mut Client) -> Vec<Vec<String>> {
    rows(owner, "SELECT consumer, lost_events FROM eventlog.stat_consumers ORDER BY consumer")
}

#[test]
fn events_that_a_consumer_has_not_read_are_kept_a_week_longer() {
    let (_db, mut owner) = log();
    create(&mut owner, "behind", "eventlog.all_tenants()", 33, "");
    create(&mut owner, "up_to_date", &format!("'{TENANT_B}'"), 0, "");
    // The next that is not read is of 33 days ago.
    assert_eq!(days_kept(&mut owner), ["33", "33"]);
    assert_eq!(lost(&mut owner), [["behind", "0"], ["up_to_date", "0"]]);
    let next = "SELECT min(id) FROM eventlog.read_events_after('behind', tenant_id => eventlog.all_tenants())";
    let oldest = "SELECT min(id) FROM eventlog.events";
    assert_eq!(text(&mut owner, next), text(&mut owner, oldest));

    owner
        .batch_execute(&format!(
            "SELECT eventlog.acknowledge('behind', ({next}) + 5, eventlog.all_tenants())"
        ))
        .expect("6 events are read");
    assert_eq!(days_kept(&mut owner), ["30", "30"]);
    assert_eq!(text(&mut owner, "SELECT due FROM eventlog.stat_maintenance"), "{}");
    assert_eq!(lost(&mut owner), [["behind", "0"], ["up_to_date", "0"]]);
}

#[test]
fn after_a_week_events_go_and_each_consumer_knows_how_many_it_lost() {
    let (_db, mut owner) = log();
    create(&mut owner, "all", "eventlog.all_tenants()", 50, "");
    create(&mut owner, "own", &format!("'{TENANT_A}'"), 45, "");
    create(&mut owner, "others", &format!("'{TENANT_A}'"), 60, ", names => '{pong}'");
    assert_eq!(days_kept(&mut owner), ["37", "37"]);
    // Days 50 to 38 of two tenants, and 45 to 38 of one.
    let expected = [["all", "26"], ["others", "0"], ["own", "8"]];
    assert_eq!(lost(&mut owner), expected);
    assert_eq!(days_kept(&mut owner), ["37", "37"]);
    assert_eq!(lost(&mut owner), expected);
    // Nobody waits for a consumer that is gone, and a new one has lost nothing.
    owner
        .batch_execute("SELECT eventlog.drop_consumer('all', eventlog.all_tenants())")
        .expect("gone");
    assert_eq!(days_kept(&mut owner), ["37", "37"], "days of all tenants go together");
    owner
        .batch_execute(&format!("SELECT eventlog.drop_consumer('own', '{TENANT_A}')"))
        .expect("gone");
    assert_eq!(days_kept(&mut owner), ["30", "30"]);
    create(&mut owner, "own", &format!("'{TENANT_A}'"), 1, "");
    assert_eq!(lost(&mut owner), [["others", "0"], ["own", "0"]]);
}

#[test]
fn the_retention_of_a_tenant_waits_for_those_who_read_that_tenant() {
    let (_db, mut owner) = log();
    owner
        .batch_execute(&format!(
            "SELECT eventlog.set_tenant('{TENANT_A}', retention => '10 days'), eventlog.set_tenant('{TENANT_B}', retention => '10 days');
             UPDATE eventlog.maintenance_settings SET consumer_wait = '2 days'"
        ))
        .expect("shorter retentions");
    create(&mut owner, "own", &format!("'{TENANT_A}'"), 11, "");
    assert_eq!(days_kept(&mut owner), ["11", "10"]);
    owner
        .batch_execute("UPDATE eventlog.maintenance_settings SET consumer_wait = '0'")
        .expect("no wait");
    assert_eq!(days_kept(&mut owner), ["10", "10"]);
    assert_eq!(lost(&mut owner), [["own", "1"]]);
    owner.batch_execute(&format!("CALL eventlog.forget_tenant('{TENANT_A}')")).expect("forgotten");
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.consumer_losses"), "0");
}

#[test]
fn retention_waits_for_webhooks_that_are_enabled() {
    let (_db, mut owner) = log();
    owner
        .batch_execute(&format!(
            "SELECT eventlog.create_webhook('{TENANT_A}', 'https://example.com', start => (
                 SELECT max(id)::text FROM eventlog.events WHERE created_at < date_trunc('day', now(), 'UTC') - interval '40 days'))"
        ))
        .expect("a webhook");
    assert_eq!(days_kept(&mut owner), ["37", "37"]);
    assert_eq!(text(&mut owner, "SELECT lost_events FROM eventlog.stat_webhooks"), "3");
    owner
        .batch_execute("SELECT eventlog.disable_webhook(webhook_id) FROM eventlog.webhooks")
        .expect("disabled");
    assert_eq!(days_kept(&mut owner), ["30", "30"]);
    owner
        .batch_execute("SELECT eventlog.drop_webhook(webhook_id) FROM eventlog.webhooks")
        .expect("dropped");
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.consumer_losses"), "0");
}
