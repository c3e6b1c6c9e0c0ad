//! maintain(): partitions come and go, retention gives the disk back, small tables stay small.

use eventlog_tests::{Cluster, Db, TENANT_A, TENANT_B, assert_refused, db, rows, text};
use postgres::Client;

/// A log with a year of empty partitions behind it.
fn aged() -> (Db, Client) {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    age(&mut owner);
    (db, owner)
}

fn age(owner: &mut Client) {
    owner
        .batch_execute(
            "SELECT eventlog._make_partition(date_trunc('month', now()) - g * interval '1 month')
               FROM generate_series(1, 12) g;
             SELECT eventlog.define_event('ping'), eventlog.define_event('pong')",
        )
        .unwrap();
}

/// `n` events of a tenant and a name, all in the middle of the month `months` back.
fn fill(owner: &mut Client, tenant: &str, name: &str, months: u32, n: u32) {
    owner
        .batch_execute(&format!(
            "INSERT INTO eventlog.events (tenant_id, name, data, created_at)
             SELECT '{tenant}', '{name}', jsonb_build_object('n', g, 'filler', repeat('x', 100)),
                    date_trunc('month', now()) - interval '{months} months' + interval '10 days' + g * interval '1 second'
               FROM generate_series(1, {n}) g"
        ))
        .unwrap();
}

fn maintain(client: &mut Client) -> Vec<String> {
    client.batch_execute("CALL eventlog.maintain()").unwrap();
    let last = "SELECT outcome || ': ' || array_to_string(failures, ', ') FROM eventlog.maintenance_runs ORDER BY id DESC LIMIT 1";
    assert_eq!(text(client, last), "done: ");
    rows(
        client,
        "SELECT unnest(actions) FROM eventlog.maintenance_runs WHERE id = (SELECT max(id) FROM eventlog.maintenance_runs)",
    )
    .concat()
}

#[test]
fn partitions_are_made_ahead_and_dropped_once_they_are_past_retention_and_the_run_is_noted() {
    let (_db, mut owner) = aged();
    fill(&mut owner, TENANT_A, "ping", 6, 10);
    fill(&mut owner, TENANT_A, "ping", 2, 10);
    owner
        .batch_execute(
            "DO $$ BEGIN EXECUTE format('DROP TABLE eventlog.%I', (SELECT max(partition_name) FROM eventlog._partitions)); END $$",
        )
        .unwrap();
    let actions = maintain(&mut owner);
    assert!(actions.iter().any(|line| line.starts_with("made the partition of")), "{actions:?}");
    assert!(actions.iter().any(|line| line.starts_with("dropped partition events_p")));
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.events"), "10");
    let reach = "SELECT covered_until > now() + interval '11 months' AND due = '{}' AND last_outcome = 'done' FROM eventlog.stat_maintenance";
    assert_eq!(text(&mut owner, reach), "t");
    assert_eq!(
        text(&mut owner, "SELECT count(*) FROM eventlog.stat_partitions WHERE state = 'expired'"),
        "0"
    );
    // Nothing is left to do, and the rollups still count what was dropped.
    assert_eq!(maintain(&mut owner), Vec::<String>::new());
    assert_eq!(text(&mut owner, "SELECT sum(events) FROM eventlog.daily_counts"), "20");
}

#[test]
fn a_dry_run_tells_what_a_run_would_do_and_changes_nothing() {
    let (db, mut owner) = aged();
    let told = eventlog_tests::db::shared()
        .told(
            &db.name,
            "log_owner",
            "CALL eventlog.maintain(); CALL eventlog.maintain(dry_run => true)",
        )
        .unwrap();
    assert!(!told.contains("would"), "{told}");
    fill(&mut owner, TENANT_A, "ping", 2, 10);
    owner
        .batch_execute(&format!(
            "SELECT eventlog._make_partition(now() - interval '20 months');
             SELECT eventlog.set_tenant('{TENANT_A}', retention => '7 days');
             INSERT INTO eventlog.producers (role_name, producer, updated_at) VALUES ('x', '{TENANT_A}', now() - interval '1 year')"
        ))
        .unwrap();
    let state = "SELECT string_agg(x, ' ' ORDER BY x) FROM (
        SELECT relname || pg_relation_size(oid) AS x FROM pg_class WHERE relnamespace = 'eventlog'::regnamespace) s";
    let before = text(&mut owner, state);
    let due = rows(&mut owner, "SELECT unnest(due) FROM eventlog.stat_maintenance").concat();
    for part in [
        "count late events",
        "drop partition events_p",
        "delete events of tenant aaaaaaaa",
        "delete 1 rows of producers",
    ] {
        assert!(due.iter().any(|line| line.contains(part)), "{part}: {due:?}");
    }
    owner.batch_execute("CALL eventlog.maintain(dry_run => true)").unwrap();
    assert_eq!(text(&mut owner, state), before);
}

#[test]
fn the_retention_of_a_tenant_and_of_a_name_take_just_their_events_and_give_the_space_back() {
    // Of its own: as long as an autovacuum's ANALYZE looks at the database, no rewriting gives the
    // space of rows back that were deleted since it began.
    let cluster = Cluster::start(&[("autovacuum", "off")]);
    db::create_roles(&cluster);
    db::create_log(&cluster, "app");
    let mut owner = cluster.connect("app", "log_owner");
    age(&mut owner);
    for tenant in [TENANT_A, TENANT_B] {
        for name in ["ping", "pong"] {
            fill(&mut owner, tenant, name, 2, 20_000);
        }
    }
    let partition = text(&mut owner, "SELECT tableoid::regclass FROM eventlog.events LIMIT 1");
    owner
        .batch_execute(&format!(
            "ANALYZE eventlog.events;
             SELECT eventlog.set_tenant('{TENANT_A}', retention => '7 days');
             SELECT eventlog.define_event('pong', retention => '10 days')"
        ))
        .unwrap();
    let size = format!("SELECT pg_total_relation_size('{partition}')");
    let before: i64 = text(&mut owner, &size).parse().unwrap();
    let actions = maintain(&mut owner);
    let left = rows(
        &mut owner,
        "SELECT tenant_id, name, count(*), sum((data ->> 'n')::bigint) FROM eventlog.events GROUP BY 1, 2",
    );
    assert_eq!(left, [[TENANT_B, "ping", "20000", "200010000"]]);
    let after: i64 = text(&mut owner, &size).parse().unwrap();
    assert!(after * 3 < before, "{before} bytes became {after}: {actions:?}");
    println!("a partition of {before} bytes that lost three quarters of its rows has {after}");
    // What is gone stays counted, and is told apart from a fault.
    let verified = rows(&mut owner, "SELECT DISTINCT is_sealed FROM eventlog.verify_rollups()");
    assert_eq!(verified, [["t"]]);
    assert_eq!(text(&mut owner, "SELECT sum(events) FROM eventlog.daily_counts"), "80000");
    // A day later there is a day's worth to do, today nothing.
    assert_eq!(maintain(&mut owner), Vec::<String>::new());
}

#[test]
fn the_small_tables_are_trimmed() {
    let (_db, mut owner) = aged();
    owner
        .batch_execute(&format!(
            "UPDATE eventlog.maintenance_settings SET rejected_limit = 50;
             INSERT INTO eventlog.rejected_events (created_at, sqlstate, reason, role_name)
             SELECT now() - CASE WHEN g <= 10 THEN interval '31 days' ELSE interval '1 day' END, '23514', 'x' || g, 'x'
               FROM generate_series(1, 100) g;
             INSERT INTO eventlog.idempotency_keys (tenant_id, key, created_at)
             SELECT '{TENANT_A}', 'k' || g, now() - g * interval '1 hour' FROM generate_series(1, 100) g;
             INSERT INTO eventlog.producers (role_name, producer, updated_at)
             SELECT 'x', gen_random_uuid(), now() - g * interval '10 days' FROM generate_series(0, 5) g;
             INSERT INTO eventlog.hygiene_counts (created_at, tenant_id, kind, name, events)
             SELECT date_trunc('day', now()) - (g / 10 + 1) * interval '1 day', '{TENANT_A}', 'clock_clamped', 'ping', 1
               FROM generate_series(0, 999) g;
             INSERT INTO eventlog.maintenance_runs (outcome) SELECT 'done' FROM generate_series(1, 150)"
        ))
        .unwrap();
    maintain(&mut owner);
    let count =
        |owner: &mut Client, of: &str| text(owner, &format!("SELECT count(*) FROM eventlog.{of}"));
    assert_eq!(
        text(&mut owner, "SELECT count(*) || ' ' || min(reason) FROM eventlog.rejected_events"),
        "50 x100"
    );
    // The window of idempotency is a day.
    assert_eq!(count(&mut owner, "idempotency_keys"), "23");
    assert_eq!(count(&mut owner, "producers"), "3");
    assert_eq!(
        text(&mut owner, "SELECT count(*) || ' ' || sum(events) FROM eventlog.hygiene_counts"),
        "89 890",
        "the ninetieth day before today is past the retention at any time of the day"
    );
    let runs: u32 = count(&mut owner, "maintenance_runs").parse().unwrap();
    assert!(runs <= 101, "{runs}");
}

#[test]
fn a_key_is_kept_as_long_as_any_role_or_database_has_it_count() {
    let (db, mut owner) = aged();
    owner
        .batch_execute(&format!(
            "INSERT INTO eventlog.idempotency_keys (tenant_id, key, created_at)
             SELECT '{TENANT_A}', 'k' || g, now() - g * interval '1 day' FROM generate_series(0, 9) g"
        ))
        .unwrap();
    db.superuser()
        .batch_execute(&format!(
            "LOAD 'eventlog'; ALTER DATABASE {} SET eventlog.idempotency_window = '3d'",
            db.name
        ))
        .unwrap();
    maintain(&mut owner);
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.idempotency_keys"), "3");
}

#[test]
fn only_those_with_the_owners_rights_may_call_it_and_not_inside_a_transaction() {
    let (db, _owner) = aged();
    let mut member = db.connect_as("member", TENANT_A);
    assert_refused(&mut member, "CALL eventlog.maintain()", "42501", "permission denied");
    assert_refused(
        &mut member,
        "SELECT eventlog_private.become_owner()",
        "42501",
        "permission denied",
    );
    assert_refused(&mut db.connect("log_owner"), "BEGIN; CALL eventlog.maintain()", "2D000", "");
    let empty = Db::empty();
    let mut superuser = empty.superuser();
    superuser.batch_execute("CREATE EXTENSION eventlog").unwrap();
    assert_refused(&mut superuser, "CALL eventlog.maintain()", "55000", "no log");
}

#[test]
fn a_superuser_who_calls_works_as_the_owner_whatever_a_trigger_of_the_owners_tries() {
    let (db, mut owner) = aged();
    db.superuser().batch_execute("CREATE SCHEMA own AUTHORIZATION log_owner").unwrap();
    owner
        .batch_execute(
            "CREATE TABLE own.seen (who text, got text);
             CREATE FUNCTION own.try_to_rise() RETURNS trigger LANGUAGE plpgsql AS $$
             DECLARE got text := 'risen';
             BEGIN
                 BEGIN
                     SET ROLE postgres;
                 EXCEPTION WHEN OTHERS THEN got := SQLSTATE;
                 END;
                 BEGIN
                     RESET ROLE;
                 EXCEPTION WHEN OTHERS THEN got := got || ' ' || SQLSTATE;
                 END;
                 BEGIN
                     SET SESSION AUTHORIZATION DEFAULT;
                 EXCEPTION WHEN OTHERS THEN got := got || ' ' || SQLSTATE;
                 END;
                 INSERT INTO own.seen VALUES (current_user, got);
                 RETURN NEW;
             END $$;
             CREATE TRIGGER try_to_rise BEFORE INSERT ON eventlog.maintenance_runs FOR EACH ROW EXECUTE FUNCTION own.try_to_rise()",
        )
        .unwrap();
    let mut superuser = db.superuser();
    // Names planted before those that are meant.
    superuser
        .batch_execute(
            "CREATE SCHEMA planted;
             CREATE FUNCTION planted.equal(text, text) RETURNS boolean LANGUAGE sql AS $$ SELECT 1 / 0 = 1 $$;
             CREATE OPERATOR planted.= (LEFTARG = text, RIGHTARG = text, FUNCTION = planted.equal);
             SET search_path = planted, pg_catalog",
        )
        .unwrap();
    superuser.batch_execute("CALL eventlog.maintain()").unwrap();
    assert_eq!(rows(&mut superuser, "TABLE own.seen"), [["log_owner", "42501 42501 42501"]]);
    assert_eq!(
        text(&mut superuser, "SELECT current_user || ' ' || current_setting('search_path')"),
        "postgres planted, pg_catalog"
    );
    assert_eq!(text(&mut superuser, "SELECT outcome FROM eventlog.maintenance_runs"), "done");
    assert_eq!(
        text(
            &mut superuser,
            "SELECT count(*) FROM pg_class c, eventlog._partitions p WHERE p.partition_oid OPERATOR(pg_catalog.=) c.oid AND c.relowner <> 'log_owner'::regrole"
        ),
        "0"
    );
}

#[test]
fn a_step_that_fails_is_told_and_noted_and_the_others_are_done() {
    let (db, mut owner) = aged();
    let partition = text(&mut owner, "SELECT min(partition_name) FROM eventlog._partitions");
    let mut superuser = db.superuser();
    superuser
        .batch_execute(&format!(
            "CREATE VIEW public.depends AS SELECT id FROM eventlog.{partition};
             INSERT INTO eventlog.producers (role_name, producer, updated_at) VALUES ('x', '{TENANT_A}', now() - interval '1 year')"
        ))
        .unwrap();
    owner.batch_execute("CALL eventlog.maintain()").unwrap();
    let run =
        rows(&mut owner, "SELECT outcome, failures[1] FROM eventlog.maintenance_runs").concat();
    assert_eq!(run[0], "incomplete");
    assert!(run[1].contains(&partition) && run[1].contains("depend"), "{run:?}");
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.producers"), "0");
    superuser.batch_execute("DROP VIEW public.depends").unwrap();
    maintain(&mut owner);
}

#[test]
fn a_transaction_that_holds_the_log_is_waited_for_a_little_and_named() {
    let (db, mut owner) = aged();
    owner.batch_execute("CALL eventlog.maintain()").unwrap();
    owner.batch_execute("SELECT eventlog._make_partition(now() - interval '20 months')").unwrap();
    let mut reader = db.superuser();
    reader.batch_execute("BEGIN; SELECT count(*) FROM eventlog.events").unwrap();
    owner.batch_execute("SET lock_timeout = '200ms'").unwrap();
    owner.batch_execute("CALL eventlog.maintain()").unwrap();
    let failure = text(
        &mut owner,
        "SELECT failures[1] FROM eventlog.maintenance_runs ORDER BY id DESC LIMIT 1",
    );
    assert!(
        failure.starts_with("drop partition events_p") && failure.contains("blocked by process"),
        "{failure}"
    );
    reader.batch_execute("COMMIT").unwrap();
    let actions = maintain(&mut owner);
    assert!(actions[0].starts_with("dropped partition"), "{actions:?}");
}

#[test]
fn a_log_whose_partitions_end_in_the_past_accepts_events_of_all_forms() {
    let (db, mut owner) = aged();
    owner
        .batch_execute(
            "DO $$ DECLARE p record; BEGIN FOR p IN SELECT partition_name FROM eventlog._partitions WHERE until_at > now() LOOP
             EXECUTE format('DROP TABLE eventlog.%I', p.partition_name); END LOOP; END $$",
        )
        .unwrap();
    let mut member = db.connect_as("member", TENANT_A);
    member.batch_execute("SELECT eventlog.log_event(NULL, 'ping')").unwrap();
    owner
        .batch_execute(
            "DO $$ BEGIN EXECUTE format('DROP TABLE eventlog.%I', (SELECT max(partition_name) FROM eventlog._partitions)); END $$",
        )
        .unwrap();
    let written = "SELECT written FROM eventlog.log_events(NULL, '{ping,pong}', NULL)";
    assert_eq!(text(&mut member, written), "2");
    maintain(&mut owner);
    assert_eq!(
        text(
            &mut owner,
            "SELECT covered_until > now() + interval '11 months' FROM eventlog.stat_log"
        ),
        "t"
    );
}
