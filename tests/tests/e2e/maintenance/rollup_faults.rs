//! What comes into the log past its rules keeps nothing else out of the rollups, and what was away
//! when they were counted comes in later.

use eventlog_tests::{Db, TENANT_A, TENANT_B, assert_refused, rows, text};
use postgres::Client;

fn log() -> (Db, Client) {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute(
            "SELECT eventlog.define_event('ping', duration_key => 'ms', success_key => 'ok', error_key => 'error')",
        )
        .unwrap();
    (db, owner)
}

/// Rows that the owner's INSERT, COPY or a restore brings in, and no rule would.
const ODD: &str = "
    INSERT INTO eventlog.events (tenant_id, name, data, actor, subject, weight, occurred_at, created_at)
    SELECT 'TENANT', o.name, o.data::jsonb, o.actor, o.subject, o.weight::real, o.occurred_at::timestamptz, AT
      FROM (VALUES ('ping', '{\"ms\": 1}', random_text, NULL, NULL, NULL),
                   ('ping', '{\"ms\": 1}', NULL, random_text, NULL, NULL),
                   (left(random_text, 600), '{}', 'a', NULL, NULL, NULL),
                   ('', '{}', 'a', NULL, NULL, NULL),
                   ('ping', '{\"ms\": 1}', 'a', NULL, 'NaN', NULL),
                   ('ping', '{\"ms\": 1}', 'a', NULL, 'Infinity', NULL),
                   ('ping', '{\"ms\": 1}', 'a', NULL, '-2', NULL),
                   ('ping', '[1]', 'a', NULL, NULL, NULL),
                   ('ping', 'null', 'a', NULL, NULL, NULL),
                   ('ping', '{\"ms\": 1e400, \"ok\": \"no\", \"error\": null}', 'odd', 's', NULL, '-infinity')
           ) AS o (name, data, actor, subject, weight, occurred_at)";

fn put_odd(owner: &mut Client, tenant: &str, at: &str) {
    let random = "(SELECT string_agg(md5(g::text || random()), '') FROM generate_series(1, 94) g)";
    let sql = ODD.replace("random_text", random).replace("TENANT", tenant).replace("AT", at);
    owner.batch_execute(&sql).unwrap();
}

const LAST_RUN: &str = "SELECT outcome, array_to_string(failures, '; ') FROM eventlog.maintenance_runs ORDER BY id DESC LIMIT 1";
const COUNTED: &str =
    "SELECT sum(events) || ' ' || sum(weighted_events) FROM eventlog.daily_counts";
const DIFFERENCES: &str = "SELECT count(*) FROM eventlog.verify_rollups() WHERE NOT is_sealed";

#[test]
fn a_row_that_cannot_be_counted_is_named_and_keeps_no_other_out_nor_any_retention_back() {
    let (db, mut owner) = log();
    owner
        .batch_execute(&format!(
            "SELECT eventlog._make_partition(now() - interval '40 days');
             SELECT eventlog.set_tenant('{TENANT_B}', retention => '30 days');
             INSERT INTO eventlog.events (tenant_id, name, created_at)
             SELECT '{TENANT_B}', 'ping', now() - interval '40 days' FROM generate_series(1, 10) g"
        ))
        .unwrap();
    // In the way of the first count, and of late events.
    put_odd(&mut owner, TENANT_A, "now() - interval '40 days'");
    owner.batch_execute("CALL eventlog.maintain()").unwrap();
    assert_eq!(text(&mut owner, COUNTED), "11 11");
    put_odd(&mut owner, TENANT_A, "now() - interval '40 days'");
    owner.batch_execute("CALL eventlog.maintain()").unwrap();
    assert_eq!(text(&mut owner, COUNTED), "12 12");

    let run = rows(&mut owner, LAST_RUN).concat();
    assert_eq!(run[0], "incomplete");
    let first = text(&mut owner, "SELECT min(id) FROM eventlog.events WHERE id > 20");
    assert!(
        run[1].starts_with(&format!("left out of the rollups: id {first} (actor), id "))
            && run[1].ends_with(" and 4 more"),
        "{run:?}"
    );
    let gone = "SELECT count(*) FROM eventlog.events WHERE tenant_id = ";
    assert_eq!(text(&mut owner, &format!("{gone}'{TENANT_B}'")), "0");
    assert_eq!(text(&mut owner, &format!("{gone}'{TENANT_A}'")), "20");
    assert_eq!(text(&mut owner, DIFFERENCES), "0");
    let columns = "SELECT column_name, count(*) FROM eventlog.stat_uncounted GROUP BY 1 ORDER BY 1";
    assert_eq!(
        rows(&mut owner, columns),
        [["actor", "2"], ["data", "4"], ["name", "4"], ["subject", "2"], ["weight", "6"]]
    );
    // Others read none of it, and the tenant its own.
    let mut other = db.connect_as("member", TENANT_B);
    assert_eq!(rows(&mut other, columns), Vec::<Vec<String>>::new());
    let mut member = db.connect_as("member", TENANT_A);
    assert_eq!(rows(&mut member, columns).len(), 5);
    // The next run has nothing to tell, and the views that look into payloads work.
    owner.batch_execute("CALL eventlog.maintain()").unwrap();
    assert_eq!(rows(&mut owner, LAST_RUN), [["done", ""]]);
    owner.batch_execute("TABLE eventlog.stat_storage; TABLE eventlog.stat_taxonomy").unwrap();
}

/// Detaches the partition of 40 days ago; how to attach it again, and its name.
fn detach(owner: &mut Client) -> [String; 2] {
    let of = "FROM eventlog._partitions WHERE from_at <= now() - interval '40 days' AND until_at > now() - interval '40 days'";
    let attach = text(
        owner,
        &format!(
            "SELECT format('ALTER TABLE eventlog.events ATTACH PARTITION eventlog.%I FOR VALUES FROM (%L) TO (%L)', partition_name, from_at, until_at) {of}"
        ),
    );
    let name = text(owner, &format!("SELECT 'eventlog.' || partition_name {of}"));
    owner.batch_execute(&format!("ALTER TABLE eventlog.events DETACH PARTITION {name}")).unwrap();
    [attach, name]
}

#[test]
fn a_partition_that_was_away_while_maintain_went_on_is_found_and_counted_once() {
    let (_db, mut owner) = log();
    let old = format!(
        "SELECT eventlog._make_partition(now() - interval '40 days');
         INSERT INTO eventlog.events (tenant_id, name, data, actor, subject, created_at)
         SELECT CASE WHEN g % 2 = 0 THEN '{TENANT_A}' ELSE '{TENANT_B}' END::uuid, 'ping', '{{\"ms\": 7}}', 'a' || g, 's',
                now() - interval '40 days' - g * interval '10 minutes'
           FROM generate_series(1, 20) g"
    );
    owner.batch_execute(&old).unwrap();
    let [attach, name] = detach(&mut owner);
    owner.batch_execute("CALL eventlog.maintain()").unwrap();
    owner.batch_execute(&attach).unwrap();
    assert_ne!(text(&mut owner, DIFFERENCES), "0");
    let to_count =
        "SELECT 'eventlog.' || partition_name FROM eventlog_private.partitions_to_count()";
    assert_eq!(rows(&mut owner, to_count), [[name.clone()]]);
    let count = format!("SELECT eventlog.count_events('{name}')");
    assert_eq!(text(&mut owner, &count), "20");
    assert_eq!(text(&mut owner, COUNTED), "20 20");
    assert_eq!(text(&mut owner, DIFFERENCES), "0");
    assert_eq!(text(&mut owner, &count), "0");
    assert_eq!(rows(&mut owner, to_count), Vec::<Vec<String>>::new());

    // Late events of a partition that is away wait for it.
    owner.batch_execute(&old).unwrap();
    let [attach, _] = detach(&mut owner);
    owner.batch_execute("CALL eventlog.maintain()").unwrap();
    let due = "SELECT count(*) FROM eventlog.stat_maintenance, unnest(due) AS d WHERE d LIKE '%late events%'";
    assert_eq!(text(&mut owner, due), "0");
    owner.batch_execute(&attach).unwrap();
    assert_eq!(text(&mut owner, &count), "0");
    owner.batch_execute("CALL eventlog.maintain()").unwrap();
    assert_eq!(text(&mut owner, COUNTED), "40 40");
    assert_eq!(text(&mut owner, DIFFERENCES), "0");

    assert_refused(
        &mut owner,
        "SELECT eventlog.count_events('eventlog.producers')",
        "22023",
        "is not a partition of the log",
    );
    assert_refused(&mut owner, "SELECT eventlog.count_events(NULL)", "22023", "null is not");
}
