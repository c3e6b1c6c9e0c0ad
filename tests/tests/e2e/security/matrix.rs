//! Who may do what to which relation, for every relation that the catalog has: one that is new is
//! closed to everybody but the owner, or this fails until it is named here.

use eventlog_tests::{Db, TENANT_A, TENANT_B, rows, text};
use postgres::Client;

const OPERATIONS: &[&str] = &[
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "TRUNCATE",
    "COPY FROM",
    "COPY TO",
    "LOCK",
    "ALTER",
    "DROP",
    "TRIGGER",
];

/// What is open to roles other than the owner; everything else must be 42501.
fn is_open(role: &str, relation: &str, operation: &str) -> bool {
    let writes = ["writer", "member", "service"].contains(&role);
    let reads = ["reader", "member", "service"].contains(&role);
    match (relation, operation) {
        ("events", "INSERT") => writes,
        ("events" | "rejected_events" | "hygiene_counts" | "log_config", "SELECT" | "COPY TO") => {
            reads
        }
        (
            "rollup_state" | "late_events" | "hourly_counts" | "daily_counts" | "daily_subjects"
            | "monthly_actors" | "first_events" | "hourly_keys" | "daily_keys"
            | "monthly_key_actors" | "tenant_names" | "consumers" | "consumer_losses"
            | "delivery_looks" | "alerts" | "alert_changes" | "webhooks" | "webhook_retries"
            | "webhook_deliveries" | "seals" | "seal_blocks" | "unsealed_events" | "seal_receipts"
            | "seal_digests" | "seal_state",
            "SELECT" | "COPY TO",
        ) => reads,
        ("counted_keys", "SELECT" | "COPY TO") => reads,
        ("event_types", "SELECT" | "COPY TO") => reads || writes,
        // A view of the catalog.
        ("_partitions", "SELECT") => reads || writes,
        // Views with the caller's own rights.
        (
            "stat_consumers" | "stat_webhooks" | "stat_rejected" | "stat_hygiene" | "stat_log"
            | "stat_partitions" | "stat_storage" | "stat_taxonomy" | "stat_uncounted",
            "SELECT",
        ) => reads,
        _ => false,
    }
}

fn statement(relation: &str, kind: &str, operation: &str) -> Option<String> {
    let name = format!("eventlog.{relation}");
    let is_table = kind != "v" && kind != "S";
    Some(match operation {
        "SELECT" => format!("SELECT * FROM {name}"),
        "INSERT" if relation == "events" => format!(
            "INSERT INTO {name} (tenant_id, name, data) VALUES ('{TENANT_A}', 'ping', '{{}}')"
        ),
        "INSERT" if is_table => format!("INSERT INTO {name} DEFAULT VALUES"),
        "UPDATE" if is_table => {
            let column = match relation {
                "log_config" => "premake",
                "tenant_roles" | "idempotency_keys" | "tenant_settings" | "erasures"
                | "api_keys" | "api_tokens" => "tenant_id",
                "producers" => "gaps",
                "tenants_reference" => "database_name",
                "maintenance_runs" => "outcome",
                "maintenance_settings" => "rejected_limit",
                "thinned_partitions" => "deleted_rows",
                "rollup_state" => "rolled_until",
                "late_events" => "tenant_id",
                "tenant_names" => "tenant_name",
                "consumers" | "consumer_losses" => "consumer",
                "delivery_looks" => "last_id",
                "alerts" | "alert_changes" => "alert",
                "alert_state" => "closed_until",
                "webhooks" | "webhook_secrets" | "webhook_retries" | "webhook_deliveries" => {
                    "tenant_id"
                }
                "deliverers" => "pid",
                "seals" | "seal_blocks" | "unsealed_events" | "seal_receipts" => "tenant_id",
                "seal_digests" => "number",
                "seal_state" => "sealed_until",
                _ => "name",
            };
            format!("UPDATE {name} SET {column} = {column}")
        }
        "DELETE" if is_table => format!("DELETE FROM {name}"),
        "TRUNCATE" if is_table => format!("TRUNCATE {name}"),
        "COPY FROM" if is_table => format!("COPY {name} FROM PROGRAM 'true'"),
        "COPY TO" if kind == "r" => format!("COPY {name} TO STDOUT"),
        // A role with any right to write may lock as its writes do, no stronger.
        "LOCK" if is_table => format!("LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE"),
        "ALTER" if is_table => format!("ALTER TABLE {name} DISABLE ROW LEVEL SECURITY"),
        "ALTER" if kind == "S" => format!("ALTER SEQUENCE {name} RESTART"),
        "UPDATE" if kind == "S" => format!("SELECT setval('{name}', 1)"),
        "INSERT" if kind == "S" => format!("SELECT nextval('{name}')"),
        "DROP" if is_table => format!("DROP TABLE {name}"),
        "TRIGGER" if is_table => {
            format!(
                "CREATE TRIGGER t BEFORE INSERT ON {name} FOR EACH STATEMENT EXECUTE FUNCTION public.nothing()"
            )
        }
        _ => return None,
    })
}

/// A log with rows of two tenants in every table that has rows of tenants.
fn filled() -> Db {
    let db = Db::new();
    let mut owner = db.superuser();
    owner
        .batch_execute(&format!(
            "SELECT eventlog.define_event('ping');
             SELECT eventlog.set_tenant('{TENANT_A}', max_bytes => 1000, display_name => 'A');
             SELECT eventlog.set_tenant('{TENANT_B}', display_name => 'B');
             SELECT eventlog.create_consumer('c', '{TENANT_A}'), eventlog.create_consumer('c', '{TENANT_B}');
             INSERT INTO eventlog.consumer_losses SELECT tenant_id, consumer, 1 FROM eventlog.consumers;
             INSERT INTO eventlog.alerts (tenant_id, alert, condition, time_window, next_until)
             SELECT t, 'a', 'above', '1 hour', now() FROM unnest(ARRAY['{TENANT_A}', '{TENANT_B}']::uuid[]) AS t;
             INSERT INTO eventlog.alert_changes (tenant_id, alert, is_raised, details)
             SELECT t, 'a', true, '{{}}' FROM unnest(ARRAY['{TENANT_A}', '{TENANT_B}']::uuid[]) AS t;
             SELECT eventlog.create_webhook('{TENANT_A}', 'https://example.com'), eventlog.create_webhook('{TENANT_B}', 'https://example.com');
             INSERT INTO eventlog.webhook_retries SELECT webhook_id, tenant_id, false, 1, tenant_id, now(), 1, now() FROM eventlog.webhooks;
             INSERT INTO eventlog.webhook_deliveries (webhook_id, tenant_id, attempted_at, is_alert, event_id, last_event_id, deliveries, attempt, duration_ms)
             SELECT webhook_id, tenant_id, now(), false, 1, 1, 1, 1, 1 FROM eventlog.webhooks;
             INSERT INTO eventlog.seals (tenant_id, number, day, part, events, root, previous, digest)
             SELECT t, 1, '2026-01-01', 0, 1, sha256('r'), sha256('p'), 1 FROM unnest(ARRAY['{TENANT_A}', '{TENANT_B}']::uuid[]) AS t;
             INSERT INTO eventlog.seal_blocks (tenant_id, day, part, block, events, hash, seeds)
             SELECT tenant_id, day, part, 0, 1, root, 'seed' FROM eventlog.seals;
             INSERT INTO eventlog.unsealed_events VALUES ('{TENANT_A}', 1, '2026-01-01'), ('{TENANT_B}', 2, '2026-01-01');
             INSERT INTO eventlog.seal_receipts (tenant_id, first_day, last_day, events, call) SELECT tenant_id, day, day, 1, 'call' FROM eventlog.seals;
             CREATE FUNCTION public.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             GRANT EXECUTE ON FUNCTION public.nothing() TO PUBLIC;
             INSERT INTO eventlog.tenant_roles VALUES ('member', '{TENANT_A}'), ('writer', '{TENANT_A}'), ('reader', '{TENANT_A}');
             SET client_min_messages = error;
             SET eventlog.tenant_id = '{TENANT_A}';
             SELECT eventlog.log_event(NULL, 'ping', occurred_at => '2090-01-01') FROM generate_series(1, 3);
             SELECT eventlog.try_log_event(NULL, 'pong');
             SET eventlog.tenant_id = '{TENANT_B}';
             SELECT eventlog.log_event(NULL, 'ping', occurred_at => '2090-01-01') FROM generate_series(1, 5);
             SELECT eventlog.try_log_event(NULL, 'pong');
             INSERT INTO eventlog.late_events SELECT tenant_id, id, created_at FROM eventlog.events;
             INSERT INTO eventlog.hourly_counts SELECT DISTINCT tenant_id, now(), name, 1, 1, 0, 0, 0, 0 FROM eventlog.events;
             INSERT INTO eventlog.daily_counts SELECT DISTINCT tenant_id, now()::date, name, 1, 1, 0, 0, 0, 0 FROM eventlog.events;
             INSERT INTO eventlog.daily_subjects
             SELECT DISTINCT tenant_id, now()::date, name, 's', 1, 1, 0, 0, 0, 0, NULL::float8[], now(), now() FROM eventlog.events;
             INSERT INTO eventlog.monthly_actors SELECT DISTINCT tenant_id, now()::date, name, 'a', 1 FROM eventlog.events;
             INSERT INTO eventlog.first_events SELECT DISTINCT tenant_id, name, 'a', now() FROM eventlog.events;
             INSERT INTO eventlog.hourly_keys SELECT DISTINCT tenant_id, now(), name, 'k', 'v', 1, 1, 0, 0, 0, 0 FROM eventlog.events;
             INSERT INTO eventlog.daily_keys SELECT DISTINCT tenant_id, now()::date, name, 'k', 'v', 1, 1, 0, 0, 0, 0 FROM eventlog.events;
             INSERT INTO eventlog.monthly_key_actors SELECT DISTINCT tenant_id, 'k', 'v', name, now()::date, 'a', 1 FROM eventlog.events"
        ))
        .expect("a superuser may");
    db
}

/// Sets the tenant of a connection by each of the sources.
fn set_tenant(client: &mut Client, source: &str) {
    match source {
        "setting" => client.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")),
        "jwt" => client
            .batch_execute(&format!(r#"SET request.jwt.claims = '{{"tenant_id": "{TENANT_A}"}}'"#)),
        _ => Ok(()),
    }
    .expect("settings for everybody");
}

#[test]
fn only_what_is_granted_is_open_for_every_role_operation_and_relation() {
    let db = filled();
    let mut superuser = db.superuser();
    let relations = rows(
        &mut superuser,
        "SELECT relname, relkind FROM pg_class WHERE relnamespace = 'eventlog'::regnamespace
            AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f') ORDER BY relname",
    );
    assert!(relations.len() > 20, "{relations:?}");
    for source in ["setting", "jwt", "role"] {
        superuser
            .batch_execute(&format!(
                "ALTER DATABASE {} SET eventlog.tenant_source = {source}",
                db.name
            ))
            .unwrap();
        for role in ["writer", "reader", "member", "service", "outsider"] {
            let mut client = db.connect(role);
            set_tenant(&mut client, source);
            for relation in &relations {
                for operation in OPERATIONS {
                    let (relation, kind) = (relation[0].as_str(), relation[1].as_str());
                    let Some(sql) = statement(relation, kind, operation) else { continue };
                    client.batch_execute("BEGIN").unwrap();
                    let answer = client.simple_query(&sql);
                    client.batch_execute("ROLLBACK").unwrap();
                    let denied = answer
                        .as_ref()
                        .err()
                        .and_then(|error| error.code())
                        .map(|code| code.code());
                    assert_eq!(
                        denied,
                        if is_open(role, relation, operation) { None } else { Some("42501") },
                        "{source}: {role}: {sql}: {:?}",
                        answer.as_ref().err()
                    );
                }
            }
        }
    }
}

#[test]
fn a_tenants_role_reads_its_own_rows_only_and_a_service_all() {
    let db = filled();
    let mut superuser = db.superuser();
    let of_tenants = rows(
        &mut superuser,
        "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND attname = 'tenant_id'
          WHERE relnamespace = 'eventlog'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
            AND relname NOT IN ('tenant_roles', 'tenant_settings', 'idempotency_keys', 'erasures', 'retention_progress', 'api_keys', 'api_tokens', 'webhook_secrets') ORDER BY 1",
    );
    let expected = "alert_changes alerts consumer_losses consumers daily_counts daily_keys daily_subjects events first_events hourly_counts hourly_keys hygiene_counts late_events monthly_actors monthly_key_actors rejected_events seal_blocks seal_receipts seals tenant_names unsealed_events webhook_deliveries webhook_retries webhooks";
    assert_eq!(of_tenants.concat().join(" "), expected);
    for source in ["setting", "jwt", "role"] {
        superuser
            .batch_execute(&format!(
                "ALTER DATABASE {} SET eventlog.tenant_source = {source}",
                db.name
            ))
            .unwrap();
        for table in &of_tenants {
            let tenants = format!(
                "SELECT string_agg(DISTINCT tenant_id::text, ',' ORDER BY tenant_id::text) FROM eventlog.{}",
                table[0]
            );
            for role in ["reader", "member"] {
                let mut client = db.connect(role);
                set_tenant(&mut client, source);
                assert_eq!(text(&mut client, &tenants), TENANT_A, "{source}, {role}");
            }
            let mut service = db.connect("service");
            assert_eq!(
                text(&mut service, &tenants),
                format!("{TENANT_A},{TENANT_B}"),
                "a service needs no tenant"
            );
        }
    }
}

#[test]
fn a_service_writes_for_any_tenant_but_by_the_rules() {
    let db = filled();
    let mut service = db.connect("service");
    for tenant in [TENANT_A, TENANT_B] {
        text(&mut service, &format!("SELECT eventlog.log_event('{tenant}', 'ping')"));
        let insert = |name: &str| {
            format!("INSERT INTO eventlog.events (tenant_id, name) VALUES ('{tenant}', '{name}')")
        };
        service.batch_execute(&insert("ping")).expect("a good row");
        eventlog_tests::assert_refused(&mut service, &insert("pong"), "42704", "pong");
    }
    eventlog_tests::assert_refused(
        &mut service,
        "SELECT eventlog.log_event(NULL, 'ping')",
        "42501",
        "no tenant",
    );
}

#[test]
fn revoke_role_takes_everything_back() {
    let db = filled();
    let mut owner = db.connect("log_owner");
    for role in ["writer", "reader", "member", "service"] {
        owner.batch_execute(&format!("SELECT eventlog.revoke_role('{role}')")).unwrap();
    }
    let left = rows(
        &mut owner,
        "SELECT c.relname FROM pg_class c, aclexplode(relacl) a WHERE relnamespace = 'eventlog'::regnamespace AND grantee <> relowner
            AND relkind <> 'v'
         UNION ALL SELECT attname FROM pg_attribute, aclexplode(attacl) a WHERE attrelid = 'eventlog.events'::regclass
         UNION ALL SELECT polname FROM pg_policy WHERE polname LIKE '%service%'
         UNION ALL SELECT nspname FROM pg_namespace, aclexplode(nspacl) a WHERE nspname = 'eventlog'
            AND grantee IN ('writer'::regrole, 'reader'::regrole, 'member'::regrole, 'service'::regrole)",
    );
    assert_eq!(left, Vec::<Vec<String>>::new());
}
