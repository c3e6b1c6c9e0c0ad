//! A backup brings the log back as it was: rows, policies, row-level security, grants, and it works.

use std::fs;

use eventlog_tests::cluster::run;
use eventlog_tests::{Cluster, TENANT_A, TENANT_B, assert_refused, catalog, db, rows, text};
use postgres::Client;

const GOOD: &str = r#"'conversation_started', '{"sessionId": 1, "conversationId": 2}'"#;
const TABLES: &[&str] = &[
    "events",
    "event_types",
    "rejected_events",
    "tenant_roles",
    "tenant_settings",
    "tenants_reference",
    "tenant_names",
    "enrichments",
    "hygiene_counts",
    "log_config",
    "producers",
    "idempotency_keys",
    "erasures",
    "maintenance_runs",
    "maintenance_settings",
    "thinned_partitions",
    "retention_progress",
    "rollup_state",
    "late_events",
    "hourly_counts",
    "daily_counts",
    "daily_subjects",
    "monthly_actors",
    "first_events",
    "hourly_keys",
    "daily_keys",
    "counted_keys",
    "monthly_key_actors",
    "api_keys",
    "api_tokens",
    "consumer_losses",
    "consumers",
    "delivery_looks",
    "webhooks",
    "webhook_secrets",
    "webhook_retries",
    "webhook_deliveries",
    "deliverers",
    "alerts",
    "alert_changes",
    "alert_state",
    "seals",
    "seal_blocks",
    "unsealed_events",
    "seal_receipts",
    "seal_digests",
    "seal_state",
];

/// A cluster with a log of which every part differs from a new one's.
fn source(method: &str) -> Cluster {
    let cluster = Cluster::start(&[]);
    fill(&cluster, method);
    cluster
}

/// Makes and fills that log.
pub(crate) fn fill(cluster: &Cluster, method: &str) {
    db::create_roles(cluster);
    db::create_log(cluster, "app");
    cluster
        .psql(
            "app",
            "postgres",
            &format!(
                "CREATE TABLE public.tenants (id uuid PRIMARY KEY, name text);
                 ALTER TABLE public.tenants OWNER TO log_owner;
                 INSERT INTO public.tenants VALUES ('{TENANT_A}', 'A'), ('{TENANT_B}', 'B');
                 CREATE TABLE public.accounts (slug text, tenant uuid GENERATED ALWAYS AS (eventlog.tenant(slug)) STORED);
                 CREATE INDEX ON public.accounts (eventlog.tenant(slug));
                 ALTER TABLE public.accounts OWNER TO log_owner;
                 INSERT INTO public.accounts VALUES ('acme');
                 SELECT eventlog.set_tenant(tenant_name => 'acme', display_name => 'Acme, Inc.');
                 SELECT eventlog.define_event('own', required_keys => '{{a}}', allowed_values => '{{\"a\": [1, 2]}}', redact_keys => '{{secret}}', sample_rate => 0.999999);
                 SELECT eventlog.add_enrichment('own', 'tenant', 'tenantId', 'public.tenants', 'id', 'id');
                 SELECT eventlog.set_tenant('{TENANT_A}', max_bytes => 1000, events_per_minute => 100000);
                 SELECT eventlog.define_event('message_sent', max_bytes => 4096);
                 SELECT eventlog.retire_event('plan_updated');
                 INSERT INTO eventlog.tenant_roles VALUES ('member', '{TENANT_A}');
                 INSERT INTO eventlog.api_keys (id, tenant_id, kind, secret_hash) VALUES ('0123456789abcdef', '{TENANT_A}', 'read', sha256('x'));
                 INSERT INTO eventlog.api_tokens (id, key_id, kind, secret_hash, tenant_id, scope, expires_at)
                 VALUES ('0123456789abcdee', '0123456789abcdef', 'share', sha256('y'), '{TENANT_A}', '{{}}', 'infinity');
                 SELECT eventlog.log_event(CASE WHEN g % 3 = 0 THEN '{TENANT_A}'::uuid ELSE '{TENANT_B}'::uuid END, {GOOD}, idempotency_key => 'k' || g)
                   FROM generate_series(1, 90) g;
                 SELECT * FROM eventlog.log_events(ARRAY['{TENANT_A}', '{TENANT_A}']::uuid[], '{{own,bogus}}', ARRAY['{{\"a\": 1}}', '{{}}'],
                        producer => '{TENANT_B}', batch_number => 7);
                 SELECT eventlog.log_event('{TENANT_B}', {GOOD}, occurred_at => '2090-01-01');
                 CALL eventlog.forget_actor('{TENANT_B}', 'nobody');
                 INSERT INTO eventlog.alerts (tenant_id, alert, condition, time_window, next_until) VALUES ('{TENANT_A}', 'silence', 'not_received', '1 hour', now());
                 SELECT eventlog.create_webhook('{TENANT_A}', 'https://example.com');
                 INSERT INTO eventlog.webhook_retries SELECT webhook_id, tenant_id, true, 1, tenant_id, now(), 1, now() FROM eventlog.webhooks;
                 INSERT INTO eventlog.webhook_deliveries (webhook_id, tenant_id, attempted_at, is_alert, event_id, last_event_id, deliveries, attempt, duration_ms)
                 SELECT webhook_id, tenant_id, now(), true, 1, 1, 1, 1, 1 FROM eventlog.webhooks;
                 INSERT INTO eventlog.deliverers VALUES ('d', 1, now());
                 INSERT INTO eventlog.seals (tenant_id, number, day, part, events, root, previous, digest) VALUES ('{TENANT_A}', 1, '2026-01-01', 0, 1, sha256('r'), sha256('p'), 1);
                 INSERT INTO eventlog.seal_blocks (tenant_id, day, part, block, events, hash, seeds) VALUES ('{TENANT_A}', '2026-01-01', 0, 0, 1, sha256('h'), 'seed');
                 INSERT INTO eventlog.unsealed_events VALUES ('{TENANT_A}', 1, '2026-01-01');
                 INSERT INTO eventlog.seal_receipts (tenant_id, first_day, last_day, events, call) VALUES ('{TENANT_A}', '2026-01-01', '2026-01-01', 1, 'call');
                 INSERT INTO eventlog.seal_digests (number, day, root, previous, digest) VALUES (1, '2026-01-01', sha256('r'), sha256('p'), sha256('d'));
                 UPDATE eventlog.seal_state SET sealed_until = '2026-01-02';
                 INSERT INTO eventlog.alert_changes (tenant_id, alert, is_raised, details) VALUES ('{TENANT_A}', 'silence', true, '{{}}');
                 SET SESSION AUTHORIZATION log_owner;
                 SELECT eventlog.reference_tenants('public.tenants', '{method}', name_column => 'name');"
            ),
        )
        .expect("the log is filled");
}

/// An empty cluster with the roles, and with the extension where only a superuser may make it.
pub(crate) fn target(with_extension: bool) -> Cluster {
    let cluster = Cluster::start(&[]);
    db::create_roles(&cluster);
    let mut superuser = cluster.connect("postgres", "postgres");
    superuser.batch_execute("CREATE DATABASE app OWNER log_owner").unwrap();
    if with_extension {
        cluster.psql("app", "postgres", "CREATE EXTENSION eventlog; GRANT ALL ON SCHEMA eventlog TO log_owner WITH GRANT OPTION").unwrap();
    }
    cluster
}

/// Everything in the tables, as text.
pub(crate) fn contents(client: &mut Client) -> Vec<Vec<String>> {
    TABLES
        .iter()
        .flat_map(|table| {
            rows(client, &format!("SELECT t::text FROM eventlog.{table} t ORDER BY 1"))
        })
        .collect()
}

#[test]
fn the_contents_that_are_compared_are_those_of_every_table() {
    let db = eventlog_tests::Db::new();
    let tables =
        rows(&mut db.superuser(), "SELECT table_name FROM eventlog_private.relations() ORDER BY 1");
    let mut compared = TABLES.to_vec();
    compared.sort_unstable();
    assert_eq!(tables.concat(), compared);
}

pub(crate) fn next_id(client: &mut Client) -> String {
    text(client, "SELECT last_value + is_called::int FROM eventlog.events_id_seq")
}

/// A writer's event goes in, bad ones and other tenants' do not, and ids go on.
pub(crate) fn assert_the_log_works(cluster: &Cluster) {
    let mut superuser = cluster.connect("app", "postgres");
    let expected = next_id(&mut superuser);
    let mut member = cluster.connect("app", "member");
    member.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).unwrap();
    assert_eq!(text(&mut member, &format!("SELECT eventlog.log_event(NULL, {GOOD})")), expected);
    assert_refused(
        &mut member,
        "SELECT eventlog.log_event(NULL, 'own', '{\"a\": 3}')",
        "23514",
        "breaks 1 rule",
    );
    let stored = "SELECT stored FROM eventlog.validate_event('own', '{\"a\": 2, \"secret\": 1}')";
    assert_eq!(text(&mut member, stored), "{\"a\": 2}");
    let large = format!(
        "SELECT eventlog.log_event(NULL, 'own', '{{\"a\": 1, \"b\": \"{}\"}}')",
        "x".repeat(1000)
    );
    assert_refused(&mut member, &large, "54000", "limit 1000");
    assert_refused(
        &mut member,
        "SELECT eventlog.log_event(NULL, 'plan_updated')",
        "42704",
        "retired",
    );
    assert_refused(
        &mut member,
        &format!("INSERT INTO eventlog.events (tenant_id, name) VALUES ('{TENANT_A}', 'bogus')"),
        "42704",
        "bogus",
    );
    assert_refused(
        &mut member,
        &format!("SELECT eventlog.log_event('{TENANT_B}', {GOOD})"),
        "42501",
        "this connection",
    );
    assert_eq!(text(&mut member, "SELECT count(DISTINCT tenant_id) FROM eventlog.events"), "1");
    assert_refused(&mut superuser, "UPDATE eventlog.events SET name = 'x'", "0A000", "append-only");
    // A batch and a key that were seen before the dump are known.
    let mut again = cluster.connect("app", "postgres");
    let batch = format!(
        "SELECT is_repeat FROM eventlog.log_events(NULL, '{{own}}', NULL, producer => '{TENANT_B}', batch_number => 7)"
    );
    assert_eq!(text(&mut again, &batch), "t");
    assert_eq!(
        text(
            &mut again,
            &format!("SELECT eventlog.log_event('{TENANT_A}', {GOOD}, idempotency_key => 'k3')")
        ),
        "3"
    );
}

#[test]
fn a_plain_dump_restored_by_a_superuser_is_the_same_log_object_by_object() {
    for method in ["foreign_key", "trigger"] {
        let source = source(method);
        let mut before = source.connect("app", "postgres");
        let dump = run(source.client("pg_dump").arg("app"));
        let target = target(false);
        target.psql("app", "postgres", &dump).unwrap_or_else(|error| panic!("{error}"));
        let mut after = target.connect("app", "postgres");
        catalog::assert_equal(&catalog::lines(&mut before), &catalog::lines(&mut after));
        assert_eq!(contents(&mut before), contents(&mut after));
        assert_eq!(next_id(&mut before), next_id(&mut after));
        assert_the_log_works(&target);
        // The tie to the tenants is there.
        after
            .batch_execute(&format!("DELETE FROM public.tenants WHERE id = '{TENANT_B}'"))
            .unwrap();
        assert_eq!(
            text(
                &mut after,
                &format!("SELECT count(*) FROM eventlog.events WHERE tenant_id = '{TENANT_B}'")
            ),
            "0"
        );
        target
            .psql("app", "postgres", "SELECT eventlog.create_log()")
            .expect("nothing is left to make");
        let mut before = source.connect("app", "postgres");
        catalog::assert_equal(&catalog::lines(&mut before), &catalog::lines(&mut after));
    }
}

/// The extension is the superuser's to make beforehand; the dump is the owner's.
#[test]
fn the_logs_owner_restores_its_own_dump() {
    let source = source("trigger");
    let mut before = source.connect("app", "postgres");
    let file = source.folder().join("dump");
    run(source.client("pg_dump").args(["-Fc", "-U", "log_owner", "-f"]).arg(&file).arg("app"));
    let target = target(true);
    // The schema and the extension are there: their entries are left out.
    let list = run(source.client("pg_restore").arg("-l").arg(&file));
    let wanted: Vec<&str> = list
        .lines()
        .filter(|line| {
            !line.contains(" EXTENSION ") && !line.contains("; 2615 ") && !line.contains(" SCHEMA ")
        })
        .collect();
    let list_file = source.folder().join("list");
    fs::write(&list_file, wanted.join("\n")).unwrap();
    run(target
        .client("pg_restore")
        .args(["-U", "log_owner", "--exit-on-error", "-d", "app", "-L"])
        .arg(&list_file)
        .arg(&file));
    // USAGE of the schema is an entry of the schema.
    target
        .psql(
            "app",
            "log_owner",
            "GRANT USAGE ON SCHEMA eventlog TO writer, reader, member, service",
        )
        .unwrap();
    let mut after = target.connect("app", "postgres");
    let lines = |client: &mut Client| -> Vec<String> {
        catalog::lines(client).into_iter().filter(|line| !line.starts_with("schema ")).collect()
    };
    catalog::assert_equal(&lines(&mut before), &lines(&mut after));
    assert_eq!(contents(&mut before), contents(&mut after));
    assert_the_log_works(&target);
}

#[test]
fn a_custom_dump_restored_in_parallel_is_the_same_log() {
    let source = source("foreign_key");
    let mut before = source.connect("app", "postgres");
    let file = source.folder().join("dump");
    run(source.client("pg_dump").args(["-Fc", "-f"]).arg(&file).arg("app"));
    let target = target(false);
    run(target.client("pg_restore").args(["--exit-on-error", "-j", "4", "-d", "app"]).arg(&file));
    let mut after = target.connect("app", "postgres");
    catalog::assert_equal(&catalog::lines(&mut before), &catalog::lines(&mut after));
    assert_eq!(contents(&mut before), contents(&mut after));
    assert_the_log_works(&target);
}

#[test]
fn schema_only_and_data_only_make_the_log_in_two_steps() {
    let source = source("foreign_key");
    let mut before = source.connect("app", "postgres");
    let schema = run(source.client("pg_dump").args(["--schema-only", "app"]));
    let data = run(source.client("pg_dump").args(["--data-only", "--disable-triggers", "app"]));
    let target = target(false);
    target.psql("app", "postgres", &schema).unwrap_or_else(|error| panic!("{error}"));
    let mut after = target.connect("app", "postgres");
    catalog::assert_equal(&catalog::lines(&mut before), &catalog::lines(&mut after));
    assert_eq!(text(&mut after, "SELECT count(*) FROM eventlog.events"), "0");
    target.psql("app", "postgres", &data).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(contents(&mut before), contents(&mut after));
    assert_the_log_works(&target);
}

#[test]
fn data_of_a_log_goes_into_a_new_one_whose_own_rows_are_left_out() {
    let source = source("none");
    let mut before = source.connect("app", "postgres");
    let data = run(source.client("pg_dump").args(["--data-only", "--schema", "eventlog", "app"]));
    let target = target(false);
    target
        .psql("app", "postgres", "CREATE EXTENSION eventlog; SELECT eventlog.create_log(owner => 'log_owner', taxonomies => '{}'); TRUNCATE eventlog.log_config, eventlog.rollup_state, eventlog.seal_state, eventlog.maintenance_settings")
        .unwrap();
    target.psql("app", "postgres", &data).unwrap_or_else(|error| panic!("{error}"));
    let mut after = target.connect("app", "postgres");
    assert_eq!(contents(&mut before), contents(&mut after));
    target
        .psql(
            "app",
            "log_owner",
            "SELECT eventlog.grant_writer('member'); SELECT eventlog.grant_reader('member')",
        )
        .unwrap();
    assert_the_log_works(&target);
}

#[test]
fn a_single_table_comes_back_closed_and_create_log_completes_it() {
    let source = source("none");
    let mut before = source.connect("app", "postgres");
    let dump = run(source.client("pg_dump").args([
        "-t",
        "eventlog.events",
        "-t",
        "eventlog.events_p*",
        "app",
    ]));
    let target = target(true);
    target.psql("app", "postgres", &dump).unwrap_or_else(|error| panic!("{error}"));
    let mut after = target.connect("app", "postgres");
    let events = "SELECT e::text FROM eventlog.events e ORDER BY id";
    assert_eq!(rows(&mut before, events), rows(&mut after, events));
    let open = "SELECT relname FROM pg_class WHERE relnamespace = 'eventlog'::regnamespace AND relkind IN ('r', 'p') AND NOT relrowsecurity";
    assert_eq!(rows(&mut after, open), Vec::<Vec<String>>::new());
    after.batch_execute("SELECT eventlog.create_log()").unwrap();
    assert_eq!(
        text(&mut after, &format!("SELECT eventlog.log_event('{TENANT_A}', {GOOD}) > 90")),
        "t"
    );
}

#[test]
fn drop_extension_leaves_the_log_closed_and_create_log_gives_the_same_catalog_again() {
    let cluster = source("trigger");
    let mut superuser = cluster.connect("app", "postgres");
    let before = catalog::lines(&mut superuser);
    let rows_before = contents(&mut superuser);
    superuser.batch_execute("DROP EXTENSION eventlog CASCADE").unwrap();

    let relations = rows(&mut superuser, "SELECT relname FROM pg_class WHERE relnamespace = 'eventlog'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1").concat();
    for role in ["writer", "reader", "member", "service", "outsider"] {
        let mut client = cluster.connect("app", role);
        client.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).unwrap();
        for relation in &relations {
            // What has no tenant stays readable for whom it was granted to.
            let is_open =
                ["event_types", "log_config", "rollup_state", "seal_digests", "seal_state"]
                    .contains(&relation.as_str());
            match client.simple_query(&format!("SELECT * FROM eventlog.{relation}")) {
                Ok(_) if is_open => {}
                Ok(answer) => assert!(
                    !answer
                        .iter()
                        .any(|message| matches!(message, postgres::SimpleQueryMessage::Row(_))),
                    "{role} reads {relation}"
                ),
                Err(error) => assert_eq!(error.code().unwrap().code(), "42501"),
            }
            for sql in [
                format!("DELETE FROM eventlog.{relation}"),
                format!("TRUNCATE eventlog.{relation}"),
                format!("INSERT INTO eventlog.{relation} DEFAULT VALUES"),
            ] {
                assert_refused(&mut client, &sql, "42501", "");
            }
        }
        for tenant in [TENANT_A, TENANT_B] {
            let insert = format!(
                "INSERT INTO eventlog.events (tenant_id, name) VALUES ('{tenant}', 'unchecked')"
            );
            assert_refused(&mut client, &insert, "42501", "");
        }
    }
    assert_eq!(contents(&mut superuser), rows_before);

    superuser.batch_execute("CREATE EXTENSION eventlog; SELECT eventlog.create_log()").unwrap();
    catalog::assert_equal(&before, &catalog::lines(&mut superuser));
    assert_eq!(contents(&mut superuser), rows_before);
    assert_the_log_works(&cluster);
}
