//! What forget_actor() and forget_tenant() find, and what they leave alone.

use std::sync::OnceLock;

use eventlog_tests::cluster::run;
use eventlog_tests::db::shared;
use eventlog_tests::{Db, TENANT_A, TENANT_B, refused, rows, text, wait_for};
use postgres::Client;

/// Nobody else's name contains it.
pub(crate) const ERIN: &str = "erin@example.com";

/// The last of the ninety days.
pub(crate) const LAST_DAY: &str = "2020-03-31 12:00+00";

/// A log of daily partitions, 90 of them with events of ten actors in two tenants and of Erin.
pub(crate) fn ninety_days() -> (Db, Client) {
    static TEMPLATE: OnceLock<Db> = OnceLock::new();
    let template = TEMPLATE.get_or_init(|| {
        let db = Db::empty();
        db.superuser()
            .batch_execute(&format!(
                "SET client_min_messages = error;
                 CREATE EXTENSION eventlog;
                 SELECT eventlog.create_log(owner => 'log_owner', partition_interval => '1 day', premake => '1 day');
                 SELECT eventlog.grant_service('service');
                 SELECT eventlog.grant_writer('member'), eventlog.grant_reader('member');
                 SELECT eventlog.define_event('ping', actor_key => 'userId');
                 DO $$ BEGIN FOR day IN 0..89 LOOP
                     PERFORM eventlog._make_partition('{LAST_DAY}'::timestamptz - day * interval '1 day'); END LOOP; END $$;
                 INSERT INTO eventlog.events (tenant_id, name, data, actor, created_at)
                 SELECT CASE WHEN n % 2 = 0 THEN '{TENANT_A}' ELSE '{TENANT_B}' END::uuid, 'ping',
                        jsonb_build_object('n', n), 'user-' || n % 10, '{LAST_DAY}'::timestamptz - n % 90 * interval '1 day'
                   FROM generate_series(1, 1800) n;
                 INSERT INTO eventlog.events (tenant_id, name, data, actor, created_at)
                 SELECT '{TENANT_A}', 'ping', '{{\"userId\": \"{ERIN}\"}}', '{ERIN}', '{LAST_DAY}'::timestamptz - day * interval '1 day'
                   FROM generate_series(0, 89) day"
            ))
            .unwrap();
        db
    });
    let db = Db::from_template(&template.name);
    let mut superuser = db.superuser();
    superuser.batch_execute("SET client_min_messages = error").unwrap();
    (db, superuser)
}

/// The rollups and what maintain() keeps, where this version does not make them yet.
pub(crate) fn make_rollups(superuser: &mut Client) {
    superuser
        .batch_execute(&format!(
            "INSERT INTO eventlog.monthly_actors
             SELECT tenant_id, date_trunc('month', created_at)::date, name, actor, 1 FROM eventlog.events WHERE actor IS NOT NULL GROUP BY 1, 2, 3, 4;
             INSERT INTO eventlog.first_events
             SELECT tenant_id, name, actor, min(created_at) FROM eventlog.events WHERE actor IS NOT NULL GROUP BY 1, 2, 3;
             INSERT INTO eventlog.monthly_key_actors SELECT tenant_id, 'k', 'v', name, month, actor, days FROM eventlog.monthly_actors;
             INSERT INTO eventlog.daily_counts
             SELECT tenant_id, created_at::date, name, count(*), count(*), 0, 0, 0, 0, NULL FROM eventlog.events GROUP BY 1, 2, 3;
             INSERT INTO eventlog.hourly_counts SELECT tenant_id, day, name, events, weighted_events, 0, 0, 0, 0, NULL FROM eventlog.daily_counts;
             INSERT INTO eventlog.daily_keys SELECT tenant_id, day, name, 'k', 'v', events, weighted_events, 0, 0, 0, 0, NULL FROM eventlog.daily_counts;
             INSERT INTO eventlog.hourly_keys SELECT tenant_id, day, name, 'k', 'v', events, weighted_events, 0, 0, 0, 0, NULL FROM eventlog.daily_counts;
             INSERT INTO eventlog.daily_subjects VALUES ('{TENANT_A}', now(), 'ping', 's', 1, 1, 0, 0, 0, 0, NULL, now(), now()),
                                                        ('{TENANT_B}', now(), 'ping', 's', 1, 1, 0, 0, 0, 0, NULL, now(), now());
             INSERT INTO eventlog.late_events SELECT tenant_id, id, created_at FROM eventlog.events WHERE id % 7 = 0 OR actor = '{ERIN}';
             INSERT INTO eventlog.unsealed_events SELECT tenant_id, id, created_at FROM eventlog.events WHERE id % 5 = 0 OR actor = '{ERIN}'"
        ))
        .unwrap();
}

/// All rows of every table but the erasing's own, without those that a condition on the table holds
/// for; partitions by way of events.
fn rows_but(client: &mut Client, doomed: &[(&str, String)]) -> Vec<String> {
    let tables = rows(
        client,
        "SELECT relname FROM pg_class WHERE relnamespace = 'eventlog'::regnamespace AND relkind IN ('r', 'p')
            AND NOT relispartition AND relname NOT IN ('erasures', 'thinned_partitions') ORDER BY 1",
    )
    .concat();
    let mut all = Vec::new();
    for table in &tables {
        let condition = doomed.iter().find(|(name, _)| name == table).map_or("false", |(_, c)| c);
        let found = rows(
            client,
            &format!(
                "SELECT '{table} ' || t::text FROM eventlog.{table} t WHERE ({condition}) IS NOT TRUE ORDER BY 1"
            ),
        );
        all.extend(found.concat());
    }
    assert!(all.len() > 50);
    all
}

/// Rows of a table that a condition holds for.
fn count(client: &mut Client, table: &str, condition: &str) -> String {
    text(client, &format!("SELECT count(*) FROM eventlog.{table} t WHERE {condition}"))
}

/// What a CALL said was erased of each table.
fn erased(client: &mut Client, call: &str) -> Vec<(String, String)> {
    let answer = rows(client, &format!("CALL eventlog.{call}"));
    let pairs = format!("SELECT key, value FROM jsonb_each_text('{}') ORDER BY 1", answer[0][1]);
    rows(client, &pairs).into_iter().map(|row| (row[0].clone(), row[1].clone())).collect()
}

#[test]
fn an_actor_of_90_partitions_quarantine_and_rollups_is_found_nowhere_afterwards_and_others_are_as_they_were()
 {
    let (db, mut client) = ninety_days();
    client
        .batch_execute(&format!(
            "SELECT eventlog.log_event('{TENANT_A}', 'ping', actor => '{ERIN}', idempotency_key => 'a' || n) FROM generate_series(1, 5) n;
             SELECT eventlog.log_event('{TENANT_A}', 'ping', actor => 'user-1', idempotency_key => 'b' || n) FROM generate_series(1, 5) n;
             SELECT eventlog.log_event('{TENANT_B}', 'ping', actor => 'user-1', idempotency_key => 'a' || n) FROM generate_series(1, 5) n;
             SELECT eventlog.try_log_event('{TENANT_A}', 'bogus', '{{}}', actor => '{ERIN}');
             SELECT eventlog.try_log_event('{TENANT_A}', 'bogus', '{{}}', actor => 'user-1');
             INSERT INTO eventlog.api_tokens (id, key_id, kind, secret_hash, tenant_id, scope, expires_at)
             SELECT lpad(n::text, 16, '0'), 'aaaaaaaaaaaaaaaa', 'share', sha256('a'), tenant,
                    jsonb_build_object('filters', jsonb_build_array(jsonb_build_object('actor', jsonb_build_object('is', who)))), 'infinity'
               FROM (VALUES (1, '{TENANT_A}'::uuid, '{ERIN}'), (2, '{TENANT_A}', 'user-1'), (3, '{TENANT_B}', 'user-1')) v (n, tenant, who);
             SELECT eventlog.set_tenant('{TENANT_A}', max_bytes => 1000);
             SELECT eventlog.create_webhook('{TENANT_A}', 'https://example.com'), eventlog.create_webhook(eventlog.all_tenants(), 'https://example.com');
             INSERT INTO eventlog.webhook_retries
             SELECT w.webhook_id, w.tenant_id, false, e.id, e.tenant_id, e.created_at, 1, now()
               FROM eventlog.webhooks w, eventlog.events e WHERE e.id % 7 = 0;
             INSERT INTO eventlog.webhook_deliveries (webhook_id, tenant_id, attempted_at, is_alert, event_id, last_event_id, event_tenant_id, deliveries, attempt, duration_ms)
             SELECT r.webhook_id, r.tenant_id, now(), false, r.event_id, r.event_id, r.event_tenant_id, 1, 1, 5 FROM eventlog.webhook_retries r"
        ))
        .unwrap();
    make_rollups(&mut client);
    let of_erin = format!("tenant_id = '{TENANT_A}' AND actor = '{ERIN}'");
    let ids = format!("SELECT id FROM eventlog.events WHERE {of_erin}");
    let doomed = [
        ("events", of_erin.clone()),
        ("monthly_actors", of_erin.clone()),
        ("first_events", of_erin.clone()),
        ("monthly_key_actors", of_erin.clone()),
        ("rejected_events", format!("claimed_tenant_id = '{TENANT_A}' AND actor = '{ERIN}'")),
        ("late_events", format!("id IN ({ids})")),
        ("unsealed_events", format!("id IN ({ids})")),
        ("idempotency_keys", format!("event_id IN ({ids})")),
        ("webhook_retries", format!("event_id IN ({ids})")),
        ("webhook_deliveries", format!("event_id IN ({ids})")),
        // A share link that is of the actor.
        ("api_tokens", "id = '0000000000000001'".to_owned()),
    ];
    let mut expected: Vec<(String, String)> = doomed
        .iter()
        .map(|(table, condition)| (table.to_string(), count(&mut client, table, condition)))
        .collect();
    expected.sort();
    let others = rows_but(&mut client, &doomed);
    let everything = rows_but(&mut client, &[]);
    let spread = format!("SELECT count(DISTINCT tableoid) FROM eventlog.events WHERE {of_erin}");
    assert_eq!(text(&mut client, &spread), "91", "ninety days, and today");

    let dry_run = format!("forget_actor('{TENANT_A}', '{ERIN}', dry_run => true)");
    assert_eq!(erased(&mut client, &dry_run), expected);
    assert_eq!(rows_but(&mut client, &[]), everything, "a dry run erases nothing");
    assert_eq!(count(&mut client, "erasures", "true"), "0", "and gives no receipt");

    let call = format!("forget_actor('{TENANT_A}', '{ERIN}')");
    assert_eq!(erased(&mut client, &call), expected);
    assert_eq!(rows_but(&mut client, &[]), others);
    let dump = run(shared().client("pg_dump").arg(&db.name));
    assert!(dump.contains("user-1") && !dump.contains(ERIN));
    // The receipt: what, how much, by whom; not who.
    let receipt = rows(
        &mut client,
        "SELECT kind, tenant_id, role_name, calls, finished_at >= started_at, progress, actor_digest, to_analyze, erased -> 'events'
           FROM eventlog.erasures",
    );
    assert_eq!(receipt, [["actor", TENANT_A, "postgres", "1", "t", "∅", "∅", "{}", "95"]]);
    let thinned = "SELECT count(*), sum(deleted_rows) FROM eventlog.thinned_partitions";
    assert_eq!(rows(&mut client, thinned), [["91", "95"]]);
    // Its keys are free again, and nothing is left to find.
    let again = format!(
        "SELECT eventlog.log_event('{TENANT_A}', 'ping', idempotency_key => 'a1') > (SELECT max(id) FROM eventlog.events)"
    );
    assert_eq!(text(&mut client, &again), "t");
    assert!(erased(&mut client, &call).iter().all(|(_, rows)| rows == "0"));
}

#[test]
fn a_tenant_is_found_nowhere_afterwards_and_its_roles_log_no_more() {
    let (db, mut client) = ninety_days();
    client
        .batch_execute(&format!(
            "INSERT INTO eventlog.tenant_roles VALUES ('member', '{TENANT_A}'), ('writer', '{TENANT_B}');
             INSERT INTO eventlog.api_keys (id, tenant_id, kind, secret_hash) VALUES
                ('aaaaaaaaaaaaaaaa', '{TENANT_A}', 'read', sha256('a')), ('bbbbbbbbbbbbbbbb', '{TENANT_B}', 'read', sha256('b'));
             INSERT INTO eventlog.api_tokens (id, key_id, kind, secret_hash, tenant_id, scope, expires_at) VALUES
                ('0000000000000001', 'aaaaaaaaaaaaaaaa', 'session', sha256('a'), NULL, NULL, 'infinity'),
                ('0000000000000002', 'aaaaaaaaaaaaaaaa', 'share', sha256('a'), '{TENANT_A}', '{{}}', 'infinity'),
                ('0000000000000003', 'bbbbbbbbbbbbbbbb', 'share', sha256('a'), '{TENANT_B}', '{{}}', 'infinity');
             SELECT eventlog.set_tenant('{TENANT_A}', events_per_minute => 1000, display_name => 'A');
             SELECT eventlog.set_tenant('{TENANT_B}', is_opted_out => true);
             SELECT eventlog.create_consumer('c', '{TENANT_A}'), eventlog.create_consumer('c', '{TENANT_B}');
             INSERT INTO eventlog.consumer_losses SELECT tenant_id, consumer, 1 FROM eventlog.consumers;
             SELECT eventlog.create_alert('a', 'not_received', tenant_id => '{TENANT_A}'), eventlog.create_alert('a', 'not_received', tenant_id => '{TENANT_B}');
             INSERT INTO eventlog.alert_changes (tenant_id, alert, is_raised, details) SELECT tenant_id, alert, true, '{{}}' FROM eventlog.alerts;
             SELECT eventlog.create_webhook('{TENANT_A}', 'https://example.com'), eventlog.create_webhook('{TENANT_B}', 'https://example.com');
             INSERT INTO eventlog.webhook_retries SELECT webhook_id, tenant_id, true, 1, tenant_id, now(), 1, now() FROM eventlog.webhooks;
             INSERT INTO eventlog.webhook_deliveries (webhook_id, tenant_id, attempted_at, is_alert, event_id, last_event_id, deliveries, attempt, duration_ms)
             SELECT webhook_id, tenant_id, now(), true, 1, 1, 1, 1, 1 FROM eventlog.webhooks;
             SELECT eventlog.log_event('{TENANT_A}', 'ping', occurred_at => '2090-01-01', idempotency_key => 'a' || n) FROM generate_series(1, 5) n;
             SELECT eventlog.try_log_event('{TENANT_A}', 'bogus', '{{}}'), eventlog.try_log_event('{TENANT_B}', 'bogus', '{{}}');
             ALTER DATABASE {} SET eventlog.tenant_source = role",
            db.name
        ))
        .unwrap();
    make_rollups(&mut client);
    let mut member = db.connect("member");
    assert_eq!(text(&mut member, "SELECT eventlog.try_log_event(NULL, 'bogus')"), "∅");
    let tables = rows(
        &mut client,
        "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND attname = 'tenant_id'
          WHERE relnamespace = 'eventlog'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition AND relname NOT IN ('erasures', 'seals', 'seal_blocks', 'seal_receipts') ORDER BY 1",
    )
    .concat();
    let of_a = format!("'{TENANT_A}' IN (tenant_id)");
    let mut doomed: Vec<(&str, String)> = Vec::new();
    for table in &tables {
        doomed.push((
            table,
            match table.as_str() {
                "rejected_events" => of_a.replace("(tenant_id)", "(tenant_id, claimed_tenant_id)"),
                // A session is of no tenant, but of a key.
                "api_tokens" => "key_id = 'aaaaaaaaaaaaaaaa'".to_owned(),
                _ => of_a.clone(),
            },
        ));
    }
    let expected: Vec<(String, String)> = doomed
        .iter()
        .map(|(table, condition)| (table.to_string(), count(&mut client, table, condition)))
        .collect();
    let is_filled = |(table, rows): &(String, String)| rows != "0" || table == "retention_progress";
    assert!(expected.iter().all(is_filled), "{expected:?}");
    let others = rows_but(&mut client, &doomed);

    let dry_run = format!("forget_tenant('{TENANT_A}', dry_run => true)");
    assert_eq!(erased(&mut client, &dry_run), expected);
    assert_eq!(erased(&mut client, &format!("forget_tenant('{TENANT_A}')")), expected);
    assert_eq!(rows_but(&mut client, &[]), others);
    let dump = run(shared().client("pg_dump").args(["-T", "eventlog.erasures"]).arg(&db.name));
    assert!(dump.contains(TENANT_B) && !dump.contains(TENANT_A));
    // In a session that was logging as well.
    let log = "SELECT eventlog.log_event(NULL, 'ping')";
    assert_eq!(refused(&mut member, log).code().code(), "42501");

    // Who opted out stays so.
    erased(&mut client, &format!("forget_tenant('{TENANT_B}')"));
    let left = "SELECT tenant_id, is_opted_out FROM eventlog.tenant_settings";
    assert_eq!(rows(&mut client, left), [[TENANT_B, "t"]]);
    assert_eq!(count(&mut client, "events", "true"), "0");
}

#[test]
fn more_rows_than_a_batch_of_one_time_are_all_found() {
    let (_db, mut client) = ninety_days();
    client
        .batch_execute(&format!(
            "INSERT INTO eventlog.events (tenant_id, name, actor, created_at)
             SELECT '{TENANT_A}', 'ping', CASE WHEN n % 5 = 0 THEN 'user-1' ELSE '{ERIN}' END, now() - interval '1 minute'
               FROM generate_series(1, 40000) n;
             INSERT INTO eventlog.events (tenant_id, name, actor, created_at)
             SELECT '{TENANT_A}', 'ping', '{ERIN}', '{LAST_DAY}'::timestamptz + n * interval '1 ms' FROM generate_series(1, 20000) n;
             INSERT INTO eventlog.idempotency_keys (tenant_id, key, event_id, created_at)
             SELECT tenant_id, 'k' || id, id, created_at FROM eventlog.events WHERE tenant_id = '{TENANT_A}'"
        ))
        .unwrap();
    let others = count(&mut client, "events", &format!("actor <> '{ERIN}'"));
    let keys = format!("event_id NOT IN (SELECT id FROM eventlog.events WHERE actor = '{ERIN}')");
    let keys = count(&mut client, "idempotency_keys", &keys);
    let found = erased(&mut client, &format!("forget_actor('{TENANT_A}', '{ERIN}')"));
    let number = (32_000 + 20_000 + 90).to_string();
    assert_eq!(
        found,
        [
            ("api_tokens", "0"),
            ("events", &*number),
            ("first_events", "0"),
            ("idempotency_keys", &number),
            ("late_events", "0"),
            ("monthly_actors", "0"),
            ("monthly_key_actors", "0"),
            ("rejected_events", "0"),
            ("unsealed_events", "0"),
            ("webhook_deliveries", "0"),
            ("webhook_retries", "0"),
        ]
        .map(|(table, rows)| (table.to_owned(), rows.to_owned()))
    );
    assert_eq!(count(&mut client, "events", "true"), others);
    assert_eq!(count(&mut client, "idempotency_keys", "true"), keys);
}

#[test]
fn an_actor_is_found_in_the_quarantine_by_what_would_have_become_the_actor_and_in_no_other_tenant()
{
    let (_db, mut client) = ninety_days();
    let long = "x".repeat(600);
    let call = |tenant: &str, name: &str, data: &str, actor: &str| {
        format!("SELECT eventlog.try_log_event({tenant}, '{name}', '{data}', actor => {actor});")
    };
    let (a, b) = (format!("'{TENANT_A}'"), format!("'{TENANT_B}'"));
    let calls = [
        // Goes: given, cut, in the payload, with an escape, for another's tenant, under a wildcard.
        call(&a, "bogus", "{}", "'17'"),
        call(&a, "ping", &format!(r#"{{"userId": "17", "x": "{}"}}"#, "y".repeat(3000)), "NULL"),
        call(&a, "ping", &format!(r#"{{"userId": 17, "x": "{}"}}"#, "y".repeat(3000)), "NULL"),
        call(
            &a,
            "ping",
            &format!(r#"{{"userId": "\u00317", "x": "{}"}}"#, "y".repeat(3000)),
            "NULL",
        ),
        call(&a, "app.opened", r#"{"who": "17"}"#, "NULL"),
        // Stays: other actors, names without an actor_key, what cannot be read, other tenants.
        call(&a, "bogus", r#"{"userId": "17"}"#, "NULL"),
        call(&a, "bogus", "{}", "'170'"),
        call(&a, "ping", &format!(r#"{{"userId": "17", "x": "{}"}}"#, "y".repeat(3000)), "'18'"),
        call(&a, "ping", r#"{"userId": "17""#, "NULL"),
        call(&a, "ping", r#"["17"]"#, "NULL"),
        call(&a, "bogus", &"[".repeat(20_000), "NULL"),
        call(&b, "bogus", "{}", "'17'"),
    ];
    client
        .batch_execute(&format!(
            "INSERT INTO eventlog.event_types (name, actor_key) VALUES ('app.*', 'who');
             SET client_min_messages = error; {}
             SELECT eventlog.log_event('{TENANT_A}', 'ping', actor => '17'), eventlog.log_event('{TENANT_B}', 'ping', actor => '17');",
            calls.concat()
        ))
        .unwrap();
    assert_eq!(count(&mut client, "rejected_events", "true"), "12");
    let found = erased(&mut client, &format!("forget_actor('{TENANT_A}', '17')"));
    assert!(found.contains(&("events".to_owned(), "1".to_owned())), "{found:?}");
    assert!(found.contains(&("rejected_events".to_owned(), "5".to_owned())), "{found:?}");
    assert_eq!(count(&mut client, "rejected_events", "true"), "7");
    assert_eq!(count(&mut client, "events", "actor = '17'"), "1", "the other tenant's");
    // As a tenant of the caller's, and one that is longer than the quarantine keeps.
    client
        .batch_execute(&format!(
            "SET eventlog.tenant_id = '{TENANT_B}'; {} RESET eventlog.tenant_id",
            call("NULL", "ping", "{}", &format!("'{long}'"))
        ))
        .unwrap();
    let found = erased(&mut client, &format!("forget_actor('{TENANT_B}', '{long}')"));
    assert!(found.contains(&("rejected_events".to_owned(), "1".to_owned())), "{found:?}");
}

#[test]
fn an_actor_is_found_under_its_hash_and_a_key_that_is_wrong_is_an_error_before_anything_goes() {
    let (db, mut client) = ninety_days();
    let file = shared().write_secret("forget_key", b"a key that is long enough");
    let other = shared().write_secret("forget_other_key", b"another key that is long enough");
    client
        .batch_execute(&format!(
            "ALTER DATABASE {} SET eventlog.hash_key_file = '{}'; SET eventlog.hash_key_file = '{1}';
             SELECT eventlog.define_event('signed_up', actor_key => 'userId', hash_actor => true, required_keys => '{{plan}}');
             SELECT eventlog.log_event('{TENANT_A}', 'signed_up', '{{\"plan\": 1}}', actor => '{ERIN}') FROM generate_series(1, 3);
             SELECT eventlog.log_event('{TENANT_A}', 'signed_up', '{{\"plan\": 1, \"userId\": \"{ERIN}\"}}');
             SELECT eventlog.log_event('{TENANT_A}', 'signed_up', '{{\"plan\": 1, \"userId\": \"someone\"}}');
             SELECT eventlog.try_log_event('{TENANT_A}', 'signed_up', '{{}}'::jsonb, actor => '{ERIN}');
             SELECT eventlog.try_log_event('{TENANT_A}', 'signed_up', '{{\"userId\": \"{ERIN}\"}}'::jsonb);
             SELECT eventlog.try_log_event('{TENANT_A}', 'signed_up', '{{\"userId\": \"someone\"}}'::jsonb)",
            db.name,
            file.display()
        ))
        .unwrap();
    let hash = text(&mut client, &format!("SELECT eventlog_private.hash_actor('{ERIN}')"));
    assert_eq!(hash.len(), 64);
    let everything = rows_but(&mut client, &[]);
    let call = format!("CALL eventlog.forget_actor('{TENANT_A}', '{ERIN}')");
    for (setting, message) in [
        (other.display().to_string(), "is not the one"),
        ("/nowhere".to_owned(), "cannot be read"),
        (String::new(), "is not set"),
    ] {
        client.batch_execute(&format!("SET eventlog.hash_key_file = '{setting}'")).unwrap();
        let outcome = refused(&mut client, &call);
        assert_eq!(outcome.code().code(), "55000", "{outcome:?}");
        assert!(outcome.message().contains(message), "{outcome:?}");
    }
    assert_eq!(rows_but(&mut client, &[]), everything);
    client.batch_execute("RESET eventlog.hash_key_file").unwrap();
    let mut owner = db.connect("log_owner");
    let found = erased(&mut owner, &format!("forget_actor('{TENANT_A}', '{ERIN}')"));
    assert!(found.contains(&("events".to_owned(), "94".to_owned())), "{found:?}");
    assert!(found.contains(&("rejected_events".to_owned(), "2".to_owned())), "{found:?}");
    let dump = run(shared().client("pg_dump").arg(&db.name));
    assert!(!dump.contains(ERIN) && !dump.contains(&hash));
    assert_eq!(count(&mut client, "events", "name = 'signed_up'"), "1");
    // Hashing is the owner's: others could try out whom a hash stands for.
    for role in ["member", "service"] {
        let outcome = refused(&mut db.connect(role), "SELECT eventlog_private.hash_actor('a')");
        assert_eq!(outcome.code().code(), "42501");
    }
}

#[test]
fn the_planners_samples_of_who_went_go_as_well() {
    let (_db, mut client) = ninety_days();
    let samples = format!(
        "SELECT count(*), count(*) FILTER (WHERE inherited) FROM pg_stats WHERE schemaname = 'eventlog'
            AND concat(most_common_vals, histogram_bounds) LIKE '%{ERIN}%'"
    );
    client.batch_execute("ANALYZE").unwrap();
    let before = rows(&mut client, &samples);
    assert!(before[0][0] != "0" && before[0][1] != "0", "{before:?}");
    erased(&mut client, &format!("forget_actor('{TENANT_A}', '{ERIN}')"));
    assert_eq!(rows(&mut client, &samples), [["0", "0"]]);
    let analyzed = "SELECT count(*) FROM pg_stats WHERE tablename = 'events' AND inherited";
    assert_ne!(text(&mut client, analyzed), "0");
}

/// The trigger does not wait for maintenance, which may be counting the tenant's events.
#[test]
fn a_tenant_that_is_deleted_while_its_events_are_counted_keeps_no_counts() {
    let counted = "SELECT count(*) FROM eventlog.hourly_counts";
    let actors = "SELECT count(*) FROM eventlog.monthly_actors";
    for is_deleted_first in [true, false] {
        let (db, mut client) = ninety_days();
        client
            .batch_execute(&format!(
                "CREATE TABLE public.tenants (id uuid PRIMARY KEY); INSERT INTO public.tenants VALUES ('{TENANT_A}'), ('{TENANT_B}');
                 GRANT ALL ON public.tenants TO service; GRANT SELECT ON public.tenants TO log_owner;
                 SELECT eventlog.reference_tenants('public.tenants')"
            ))
            .unwrap();
        let mut owner = db.connect("log_owner");
        // Announced and waited for, and nothing counted yet.
        owner.batch_execute("SELECT eventlog_private.do_roll_up('watermark')").unwrap();
        owner.batch_execute("SELECT eventlog_private.writers_have_ended()").unwrap();
        assert_eq!(text(&mut client, counted), "0");
        let mut service = db.connect("service");
        let (count, delete) = ("SELECT eventlog_private.roll_up()", "DELETE FROM public.tenants");
        let (first, second): ((&mut Client, &str), (&mut Client, &str)) = if is_deleted_first {
            ((&mut service, delete), (&mut owner, count))
        } else {
            ((&mut owner, count), (&mut service, delete))
        };
        first.0.batch_execute(&format!("BEGIN; {}", first.1)).unwrap();
        std::thread::scope(|scope| {
            let waits = scope.spawn(move || second.0.batch_execute(second.1));
            let waiting = format!(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND wait_event = 'object'",
                db.name
            );
            wait_for(&mut client, &waiting, "1");
            first.0.batch_execute("COMMIT").unwrap();
            waits.join().unwrap().unwrap();
        });
        assert_eq!(text(&mut client, counted), "0");
        assert_eq!(text(&mut client, actors), "0");
    }
}

#[test]
fn a_tenant_that_is_deleted_takes_along_what_forget_tenant_erases() {
    for method in ["trigger", "foreign_key"] {
        let (db, mut client) = ninety_days();
        client
            .batch_execute(&format!(
                "CREATE TABLE public.tenants (id uuid PRIMARY KEY); INSERT INTO public.tenants VALUES ('{TENANT_A}'), ('{TENANT_B}');
                 GRANT ALL ON public.tenants TO service; GRANT SELECT ON public.tenants TO log_owner;
                 INSERT INTO eventlog.tenant_roles VALUES ('member', '{TENANT_A}'), ('writer', '{TENANT_B}');
                 SELECT eventlog.set_tenant('{TENANT_A}', events_per_minute => 1000);
                 SELECT eventlog.log_event('{TENANT_A}', 'ping', occurred_at => '2090-01-01', idempotency_key => 'a');
                 SELECT eventlog.try_log_event('{TENANT_A}', 'bogus', '{{}}');
                 SELECT eventlog.reference_tenants('public.tenants', '{method}');
                 DROP EXTENSION eventlog CASCADE; CREATE EXTENSION eventlog; SELECT eventlog.create_log()"
            ))
            .unwrap();
        // Without rollups and with them, which come while a backend has done it without.
        let mut service = db.connect("service");
        service.batch_execute("DELETE FROM public.tenants WHERE false").unwrap();
        make_rollups(&mut client);
        service
            .batch_execute(&format!("DELETE FROM public.tenants WHERE id = '{TENANT_A}'"))
            .unwrap();
        let dump = run(shared().client("pg_dump").arg(&db.name));
        assert!(dump.contains(TENANT_B) && !dump.contains(TENANT_A), "{method}");
        assert_ne!(count(&mut client, "events", "true"), "0");
        assert_eq!(count(&mut client, "monthly_actors", "tenant_id IS NULL"), "0");
        service.batch_execute("DELETE FROM public.tenants").unwrap();
        assert_eq!(count(&mut client, "events", "true"), "0");
        assert_eq!(count(&mut client, "monthly_actors", "true"), "0");
    }
}
