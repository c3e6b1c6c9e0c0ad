//! Logical replication into another log, and change data capture.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use eventlog_tests::cluster::{major_version, run};
use eventlog_tests::{
    Cluster, Server, TENANT_A, TENANT_B, assert_refused, catalog, db, rows, text, wait_for,
};
use postgres::Client;

const PUBLICATION: &str =
    "CREATE PUBLICATION log FOR TABLE eventlog.events WITH (publish_via_partition_root = true)";

/// Two clusters, each with roles, and with a log in `app` that knows the name `ping`.
fn pair() -> (Cluster, Cluster) {
    // The apply worker tries again at once.
    let clusters = [(); 2].map(|()| Cluster::start(&[("wal_retrieve_retry_interval", "'100ms'")]));
    for cluster in &clusters {
        db::create_roles(cluster);
        db::create_log(cluster, "app");
        cluster.psql("app", "postgres", "SELECT eventlog.define_event('ping')").unwrap();
    }
    clusters.into()
}

fn superuser(cluster: &Cluster) -> Client {
    cluster.connect("app", "postgres")
}

fn subscribe(publisher: &Cluster, options: &str) -> String {
    format!(
        "CREATE SUBSCRIPTION log CONNECTION '{}' PUBLICATION log {options}",
        publisher.conninfo("app", "postgres")
    )
}

fn log(n: u32) -> String {
    format!("SELECT eventlog.log_event('{TENANT_A}', 'ping', '{{\"n\": {n}}}')")
}

/// What the manual has a subscriber's DBA type before rows come.
const FOLLOW: &str = "SELECT eventlog.create_log()";
const ENABLE: &str = "ALTER SUBSCRIPTION log ENABLE";

/// Until the rollups, those rows that came late, and what is above the watermark are all there is.
#[track_caller]
fn assert_counted(client: &mut Client, events: &str) {
    let reported = format!(
        "SELECT events FROM eventlog.summary('2020-01-01', 'tomorrow', tenant_id => '{TENANT_A}')"
    );
    for _ in 0..3 {
        assert_eq!(text(client, &reported), events);
        client.batch_execute("CALL eventlog.maintain()").unwrap();
    }
    // Retention took some of what was counted.
    let differences = "SELECT count(*) FROM eventlog.verify_rollups('2020-01-01', 'tomorrow') WHERE NOT is_sealed";
    assert_eq!(text(client, differences), "0");
}

const COUNT: &str = "SELECT count(*) FROM eventlog.events";
const ALL: &str = "SELECT id, tenant_id, name, data::text, actor, subject, occurred_at, created_at, weight FROM eventlog.events ORDER BY id";

/// Waits until the server wrote this into its log.
#[track_caller]
fn wait_for_log(cluster: &Cluster, text: &str) {
    for _ in 0..3600 {
        if cluster.log().contains(text) {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("the server never wrote: {text}\n{}", cluster.log());
}

#[test]
fn a_subscriber_follows_partitions_made_later_and_waits_where_it_has_none_itself() {
    let (publisher, subscriber) = pair();
    let (mut from, mut to) = (superuser(&publisher), superuser(&subscriber));
    // The two sides need not have the same partitions.
    to.batch_execute("SELECT eventlog.create_log(partition_interval => '1 week')").unwrap();
    from.batch_execute(PUBLICATION).unwrap();
    to.batch_execute(&subscribe(&publisher, "")).unwrap();
    from.batch_execute(&log(1)).unwrap();
    wait_for(&mut to, COUNT, "1");

    let later = |months: u32| {
        format!(
            "INSERT INTO eventlog.events (tenant_id, name, data, created_at) VALUES ('{TENANT_A}', 'ping', '{{\"months\": {months}}}', now() + '{months} months')"
        )
    };
    from.batch_execute("SELECT eventlog.create_log(premake => '2 years')").unwrap();
    from.batch_execute(&later(20)).unwrap();
    wait_for_log(&subscriber, "no partition of relation \"events\" found for row");
    to.batch_execute("SELECT eventlog.create_log(premake => '2 years')").unwrap();
    wait_for(&mut to, COUNT, "2");

    from.batch_execute("SELECT eventlog.create_log(premake => '3 years')").unwrap();
    to.batch_execute("SELECT eventlog.create_log(premake => '3 years')").unwrap();
    from.batch_execute(&later(30)).unwrap();
    wait_for(&mut to, COUNT, "3");
    assert_eq!(rows(&mut from, ALL), rows(&mut to, ALL));
    to.batch_execute("DROP SUBSCRIPTION log").unwrap();
}

#[test]
fn a_subscribers_log_goes_on_refusing_and_its_ids_are_its_own() {
    let (publisher, subscriber) = pair();
    let (mut from, mut to) = (superuser(&publisher), superuser(&subscriber));
    from.batch_execute(PUBLICATION).unwrap();
    for n in 1..=5 {
        from.batch_execute(&log(n)).unwrap();
    }
    // The rows that were there are copied.
    to.batch_execute(&subscribe(&publisher, "")).unwrap();
    wait_for(&mut to, COUNT, "5");
    // Rows bring their ids along, and the counter stays where it is.
    assert_eq!(text(&mut to, "SELECT is_called FROM eventlog.events_id_seq"), "f");

    let mut member = subscriber.connect("app", "member");
    assert_refused(&mut member, COUNT, "42501", "no tenant");
    member.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).unwrap();
    assert_eq!(text(&mut member, COUNT), "5");
    let insert = |columns: &str, tenant: &str, values: &str| {
        format!("INSERT INTO eventlog.events (tenant_id{columns}) VALUES ('{tenant}'{values})")
    };
    for (sql, sqlstate) in [
        (insert(", name", TENANT_A, ", 'bogus'"), "42704"),
        (insert(", name", TENANT_B, ", 'ping'"), "42501"),
        (insert(", name, id", TENANT_A, ", 'ping', 7"), "428C9"),
        (insert(", name, data", TENANT_A, ", 'ping', '{\"a\": null}'"), "23514"),
        (insert(", name", TENANT_A, ", 'message_sent'"), "23514"),
    ] {
        assert_refused(&mut member, &sql, sqlstate, "");
    }
    assert_refused(&mut to, "UPDATE eventlog.events SET name = 'x'", "0A000", "append-only");

    to.batch_execute(
        "SELECT setval('eventlog.events_id_seq', (SELECT max(id) FROM eventlog.events))",
    )
    .unwrap();
    assert_eq!(text(&mut member, &log(6)), "6");
    to.batch_execute("DROP SUBSCRIPTION log").unwrap();
}

#[test]
fn an_erasure_is_replicated_and_a_partition_that_is_dropped_is_not() {
    let (publisher, subscriber) = pair();
    let (mut from, mut to) = (superuser(&publisher), superuser(&subscriber));
    from.batch_execute(PUBLICATION).unwrap();
    to.batch_execute(&subscribe(&publisher, "")).unwrap();
    from.batch_execute(&format!(
        "SELECT eventlog.log_event('{TENANT_A}', 'ping', actor => 'user-' || g % 2) FROM generate_series(1, 10) g"
    ))
    .unwrap();
    wait_for(&mut to, COUNT, "10");
    from.batch_execute("SET ROLE log_owner; DELETE FROM eventlog.events WHERE actor = 'user-1'")
        .unwrap();
    wait_for(&mut to, COUNT, "5");
    assert_eq!(rows(&mut from, ALL), rows(&mut to, ALL));
    let partition = text(&mut from, "SELECT tableoid::regclass FROM eventlog.events LIMIT 1");
    from.batch_execute(&format!(
        "ALTER TABLE eventlog.events DETACH PARTITION {partition}; DROP TABLE {partition}; SELECT eventlog.create_log()"
    ))
    .unwrap();
    from.batch_execute(&log(11)).unwrap();
    wait_for(&mut to, COUNT, "6");
    assert_eq!(text(&mut from, COUNT), "1");
    to.batch_execute("DROP SUBSCRIPTION log").unwrap();
}

/// The subscriber's watermark knows nothing of the publisher's rows, and the apply worker calls no
/// function of the extension.
#[test]
fn rows_that_are_replicated_below_the_watermark_are_counted_once() {
    let (publisher, subscriber) = pair();
    let (mut from, mut to) = (superuser(&publisher), superuser(&subscriber));
    from.batch_execute(PUBLICATION).unwrap();
    let earlier = |rows: u32| {
        format!(
            "INSERT INTO eventlog.events (tenant_id, name, actor, created_at)
             SELECT '{TENANT_A}', 'ping', 'ada', eventlog_private.next_watermark() - interval '10 minutes' FROM generate_series(1, {rows})"
        )
    };
    from.batch_execute("SELECT eventlog._make_partition(now() - interval '2 hours')").unwrap();
    from.batch_execute(&earlier(3)).unwrap();
    // Both are at the same watermark before anything is replicated.
    for client in [&mut from, &mut to] {
        client
            .batch_execute("SELECT eventlog._make_partition(now() - interval '2 hours')")
            .unwrap();
        for _ in 0..3 {
            client.batch_execute("CALL eventlog.maintain()").unwrap();
        }
    }
    to.batch_execute(&subscribe(&publisher, "WITH (enabled = false)")).unwrap();
    to.batch_execute(FOLLOW).unwrap();
    to.batch_execute(ENABLE).unwrap();
    wait_for(&mut to, COUNT, "3");
    from.batch_execute(&earlier(4)).unwrap();
    wait_for(&mut to, COUNT, "7");
    assert_eq!(text(&mut to, "SELECT count(*) FROM eventlog.late_events"), "7");
    assert_counted(&mut to, "7");
    assert_eq!(text(&mut to, "SELECT count(*) FROM eventlog.late_events"), "0");
    to.batch_execute("DROP SUBSCRIPTION log").unwrap();
}

/// The initial copy needs partitions of the past, which `create_log()` does not make; a dump
/// without the events does.
#[test]
fn a_log_with_a_past_is_copied_into_one_made_by_a_dump_without_its_events() {
    let (publisher, _) = pair();
    let mut from = superuser(&publisher);
    from.batch_execute(&format!(
        "CREATE TABLE public.old AS SELECT g::bigint AS id, '{TENANT_A}'::uuid AS tenant_id, 'ping' AS name,
                '{{}}'::jsonb AS data, now() - g * interval '1 month' AS created_at FROM generate_series(1, 24) g;
         GRANT SELECT ON public.old TO log_owner; SELECT * FROM eventlog.import_events('public.old'); DROP TABLE public.old; {PUBLICATION}"
    ))
    .unwrap();
    let subscriber = Cluster::start(&[("wal_retrieve_retry_interval", "'100ms'")]);
    db::create_roles(&subscriber);
    subscriber.psql("postgres", "postgres", "CREATE DATABASE app").unwrap();
    let dump = run(publisher.client("pg_dump").args([
        "--schema=eventlog",
        "--extension=eventlog",
        "--exclude-table-data=eventlog.(events*|rollup_state|late_events|hourly_*|daily_*|monthly_*|first_events|seal*|unsealed_events)",
        "--no-publications",
        "app",
    ]));
    subscriber.psql("app", "postgres", &dump).unwrap_or_else(|error| panic!("{error}"));
    let mut to = superuser(&subscriber);
    catalog::assert_equal(&catalog::lines(&mut from), &catalog::lines(&mut to));
    assert_eq!(text(&mut to, COUNT), "0");
    to.batch_execute(&subscribe(&publisher, "WITH (enabled = false)")).unwrap();
    to.batch_execute(FOLLOW).unwrap();
    to.batch_execute(ENABLE).unwrap();
    wait_for(&mut to, COUNT, "24");
    from.batch_execute(&log(25)).unwrap();
    wait_for(&mut to, COUNT, "25");
    assert_eq!(rows(&mut from, ALL), rows(&mut to, ALL));
    assert_counted(&mut to, "25");
    let mut member = subscriber.connect("app", "member");
    member.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).unwrap();
    let bogus =
        format!("INSERT INTO eventlog.events (tenant_id, name) VALUES ('{TENANT_A}', 'bogus')");
    assert_refused(&mut member, &bogus, "42704", "bogus");
    to.batch_execute("DROP SUBSCRIPTION log").unwrap();
}

/// Row-level security binds the apply worker: a superuser's goes past it, and since PostgreSQL 16
/// rows are applied as the table's owner.
#[test]
fn a_subscription_is_a_superusers_or_since_16_the_log_owners() {
    let (publisher, subscriber) = pair();
    let (mut from, mut to) = (superuser(&publisher), superuser(&subscriber));
    from.batch_execute(PUBLICATION).unwrap();
    let mut outsider = subscriber.connect("app", "outsider");
    assert_refused(&mut outsider, &subscribe(&publisher, ""), "42501", "");
    if major_version() < 16 {
        to.batch_execute(&subscribe(&publisher, "")).unwrap();
        let give = "ALTER SUBSCRIPTION log OWNER TO log_owner";
        assert_refused(&mut to, give, "42501", "permission denied to change owner");
        from.batch_execute(&log(1)).unwrap();
        wait_for(&mut to, COUNT, "1");
        to.batch_execute("DROP SUBSCRIPTION log").unwrap();
        return;
    }
    to.batch_execute(
        "GRANT CREATE ON DATABASE app TO log_owner, outsider;
         GRANT pg_create_subscription TO log_owner, outsider;
         GRANT USAGE ON SCHEMA eventlog TO outsider",
    )
    .unwrap();
    to.batch_execute(&subscribe(&publisher, "WITH (password_required = false)")).unwrap();
    to.batch_execute("ALTER SUBSCRIPTION log OWNER TO log_owner").unwrap();
    from.batch_execute(&log(1)).unwrap();
    wait_for(&mut to, COUNT, "1");
    // Neither the log's owner nor a member of it: nothing goes in.
    to.batch_execute("ALTER SUBSCRIPTION log OWNER TO outsider").unwrap();
    from.batch_execute(&log(2)).unwrap();
    wait_for_log(&subscriber, "\"outsider\" cannot SET ROLE to \"log_owner\"");
    assert_eq!(text(&mut to, COUNT), "1");
    to.batch_execute("ALTER SUBSCRIPTION log OWNER TO log_owner").unwrap();
    wait_for(&mut to, COUNT, "2");
    assert_eq!(rows(&mut from, ALL), rows(&mut to, ALL));
    to.batch_execute("DROP SUBSCRIPTION log").unwrap();
}

/// Payloads that a decoder could spoil.
const PAYLOADS: &[&str] = &[
    "{}",
    r#"{"n": 12345678901234567890.123456789, "z": 1.10, "e": 1e400, "m": -0.0}"#,
    r#"{"q": "\" ' \\ / $1 %s", "c": "\b\f\n\r\t\u0001\u001f\u007f", "s": "  "}"#,
    r#"{"ü€": "日本語 \ud83d\ude00 \u200b", "": [null, true, [], {}, [[{"a": [1]}]]]}"#,
    r#"{"like json": "{\"a\": \"b\"}", "like a row": "table eventlog.events: INSERT: id[bigint]:1"}"#,
];

/// A database with a slot of this plugin, and then events of these payloads: most single, one in a
/// batch, some in transactions of which all or a part was rolled back.
fn captured(plugin: &str) -> (Cluster, Client) {
    let cluster = Cluster::start(&[]);
    db::create_roles(&cluster);
    db::create_log(&cluster, "app");
    let mut client = superuser(&cluster);
    client.batch_execute("SELECT eventlog.define_event('ping', max_bytes => 100000)").unwrap();
    client.batch_execute(PUBLICATION).unwrap();
    // Since 15.19 and the like a plugin that PostgreSQL does not bring has to be allowed.
    let allowed = "SELECT count(*) FROM pg_settings WHERE name = 'output_plugin_libraries'";
    if text(&mut client, allowed) == "1" {
        let allow = format!("ALTER SYSTEM SET output_plugin_libraries = pgoutput, {plugin}");
        client.batch_execute(&allow).unwrap();
        cluster.restart();
        client = superuser(&cluster);
    }
    text(&mut client, &format!("SELECT pg_create_logical_replication_slot('capture', '{plugin}')"));
    for payload in PAYLOADS {
        client
            .batch_execute(&format!(
                "SELECT eventlog.log_event('{TENANT_A}', 'ping', $p${payload}$p$, actor => 'user ''17''')"
            ))
            .unwrap();
    }
    let long = "x".repeat(50_000);
    client
        .batch_execute(&format!(
            "SELECT eventlog.log_event('{TENANT_A}', 'ping', '{{\"long\": \"{long}\"}}', occurred_at => '2001-02-03');
             SELECT * FROM eventlog.log_events('[{{\"tenant_id\": \"{TENANT_B}\", \"name\": \"ping\"}}]');
             BEGIN; {0}; SAVEPOINT a; {1}; ROLLBACK TO a; {2}; COMMIT;
             BEGIN; {1}; ROLLBACK",
            log(1),
            log(2),
            log(3)
        ))
        .unwrap();
    (cluster, client)
}

/// Id, tenant, name and payload as the table has them.
const STORED: &str = "SELECT id, tenant_id, name, data::text FROM eventlog.events ORDER BY id";

#[test]
fn pgoutput_gives_each_payload_byte_for_byte_under_the_name_of_the_log() {
    let (_cluster, mut client) = captured("pgoutput");
    let messages = client
        .query(
            "SELECT data FROM pg_logical_slot_get_binary_changes('capture', NULL, NULL, 'proto_version', '1', 'publication_names', 'log')",
            &[],
        )
        .unwrap();
    // Names of each relation, by the number that stands for it: the partition has one as well.
    let mut relations: HashMap<&[u8], (&str, Vec<&str>)> = HashMap::new();
    let mut decoded: Vec<Vec<String>> = Vec::new();
    for message in &messages {
        let mut reader = Reader(message.get(0));
        match reader.take(1)[0] {
            b'R' => {
                let relation = reader.take(4);
                assert_eq!(reader.string(), "eventlog");
                let name = reader.string();
                reader.take(1);
                let columns = (0..reader.int16())
                    .map(|_| {
                        reader.take(1);
                        let column = reader.string();
                        reader.take(8);
                        column
                    })
                    .collect();
                relations.insert(relation, (name, columns));
            }
            b'I' => {
                let (name, columns) = &relations[reader.take(4)];
                assert_eq!(*name, "events");
                reader.take(1);
                let values: Vec<String> = (0..reader.int16()).map(|_| reader.value()).collect();
                let value = |name: &str| {
                    let at = columns.iter().position(|column| *column == name);
                    values[at.unwrap_or_else(|| panic!("no {name}: {columns:?}"))].clone()
                };
                decoded.push(["id", "tenant_id", "name", "data"].map(value).to_vec());
            }
            _ => {}
        }
    }
    assert_eq!(decoded.len(), PAYLOADS.len() + 4);
    assert_eq!(decoded, rows(&mut client, STORED));
}

/// What is left of a message of pgoutput.
struct Reader<'m>(&'m [u8]);

impl<'m> Reader<'m> {
    fn take(&mut self, count: usize) -> &'m [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn int16(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().expect("two"))
    }

    fn string(&mut self) -> &'m str {
        let end = self.0.iter().position(|byte| *byte == 0).expect("it ends");
        let text = std::str::from_utf8(self.take(end)).expect("UTF-8");
        self.take(1);
        text
    }

    /// A column's value as text; NULL is `∅`.
    fn value(&mut self) -> String {
        match self.take(1)[0] {
            b'n' => "∅".to_owned(),
            b't' => {
                let length = u32::from_be_bytes(self.take(4).try_into().expect("four"));
                String::from_utf8(self.take(length as usize).to_vec()).expect("UTF-8")
            }
            kind => panic!("a value of kind {kind}"),
        }
    }
}

#[test]
fn wal2json_gives_each_payload_byte_for_byte_under_the_name_of_its_partition() {
    if !Server::under_test().has_library("wal2json") {
        return;
    }
    let (_cluster, mut client) = captured("wal2json");
    let partitions = rows(&mut client, "SELECT partition_name FROM eventlog._partitions").concat();
    let partition = text(&mut client, "SELECT tableoid::regclass FROM eventlog.events LIMIT 1");
    let changes = rows(
        &mut client,
        "SELECT data FROM pg_logical_slot_get_changes('capture', NULL, NULL, 'format-version', '2', 'actions', 'insert')",
    );
    let mut decoded: Vec<Vec<String>> = Vec::new();
    for change in changes.concat() {
        let change: serde_json::Value = serde_json::from_str(&change).expect("JSON");
        let (action, table) = (change["action"].as_str(), change["table"].as_str());
        // Other tables of the log and of the database are there too, and each transaction's ends.
        if action != Some("I") || !table.is_some_and(|name| name.starts_with("events_p")) {
            continue;
        }
        let table = table.expect("it has one").to_owned();
        assert!(partitions.contains(&table), "{table}");
        assert_eq!(format!("{}.{table}", change["schema"].as_str().unwrap()), partition);
        let value = |name: &str| {
            let columns = change["columns"].as_array().expect("columns");
            let column = columns.iter().find(|column| column["name"] == name).expect(name);
            match &column["value"] {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            }
        };
        decoded.push(["id", "tenant_id", "name", "data"].map(value).to_vec());
    }
    assert_eq!(decoded.len(), PAYLOADS.len() + 4);
    assert_eq!(decoded, rows(&mut client, STORED));
}

/// Why the manual says to carry names by `taxonomy_import`: rows of `event_types` that the apply
/// worker writes fire no statement trigger, and so tell no backend.
#[test]
fn names_are_carried_by_the_event_plan() {
    let (publisher, subscriber) = pair();
    let (mut from, mut to) = (superuser(&publisher), superuser(&subscriber));
    let mut member = subscriber.connect("app", "member");
    member.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).unwrap();
    text(&mut member, &log(1));
    from.batch_execute("SELECT eventlog.define_event('report_exported', required_keys => '{a}')")
        .unwrap();
    let plan = text(&mut from, "SELECT eventlog.taxonomy_export()");
    to.batch_execute(&format!(
        "SELECT * FROM eventlog.taxonomy_import($plan${plan}$plan$, apply => true)"
    ))
    .unwrap();
    let known = "SELECT is_valid FROM eventlog.validate_event('report_exported', '{\"a\": 1}')";
    assert_eq!(text(&mut member, known), "t");
}
