//! Erasing that is cut short, doubled, hindered, refused, or called by the wrong one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use eventlog_tests::ask::db_error;
use eventlog_tests::{Cluster, Db, TENANT_A, TENANT_B, assert_refused, db, refused, rows, text};
use postgres::Client;

use super::forget::{ERIN, LAST_DAY, make_rollups, ninety_days};

fn call() -> String {
    format!("CALL eventlog.forget_actor('{TENANT_A}', '{ERIN}')")
}

/// Waits until a condition holds; minutes without it are a failure, not a slow machine.
fn until(client: &mut Client, condition: &str) {
    for _ in 0..24_000 {
        if text(client, &format!("SELECT {condition}")) == "t" {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("it never came: {condition}");
}

/// Holds Erin's event of a day, so that erasing it waits; to be dropped.
fn hold(mut client: Client, day: usize) -> Client {
    let held = rows(
        &mut client,
        &format!(
            "BEGIN; SELECT id FROM eventlog.events WHERE actor = '{ERIN}'
                AND created_at = '{LAST_DAY}'::timestamptz - {day} * interval '1 day' FOR UPDATE"
        ),
    );
    assert_eq!(held.len(), 1);
    client
}

/// A connection that waits for locks longer than any machine is slow.
fn patient(mut client: Client) -> Client {
    client.batch_execute("LOAD 'eventlog'; SET eventlog.lock_timeout = '10min'").unwrap();
    client
}

const MAINTENANCE: &str = "eventlog_private.lock_maintenance()";

const WAITS: &str =
    "EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'CALL%' AND wait_event_type = 'Lock'
                        AND datname = current_database())";

#[test]
fn a_call_that_was_terminated_is_finished_by_the_next_and_the_receipt_counts_both() {
    let (db, mut client) = ninety_days();
    make_rollups(&mut client);
    let mut seen = Vec::<usize>::new();
    for day in [80, 55, 20, 0] {
        let holder = hold(db.superuser(), day);
        let caller = thread::spawn({
            let mut caller = patient(db.superuser());
            move || caller.simple_query(&call()).map(drop)
        });
        until(&mut client, WAITS);
        text(
            &mut client,
            "SELECT bool_and(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'CALL%' AND datname = current_database()",
        );
        caller.join().unwrap().expect_err("terminated");
        drop(holder);
        let left = format!("SELECT count(*) FROM eventlog.events WHERE actor = '{ERIN}'");
        seen.push(text(&mut client, &left).parse().unwrap());
        let receipts = rows(
            &mut client,
            "SELECT finished_at IS NULL, calls, (erased ->> 'events')::bigint, progress LIKE 'eventlog.events_p%', actor_digest IS NOT NULL FROM eventlog.erasures",
        );
        let calls = seen.len().to_string();
        let gone = (90 - seen[seen.len() - 1]).to_string();
        assert_eq!(receipts, [["t", &calls, &gone, "t", "t"]], "one receipt, of what is gone");
    }
    assert_eq!(seen, [81, 56, 21, 1]);
    // Another actor's, meanwhile, is another receipt.
    client.batch_execute(&format!("CALL eventlog.forget_actor('{TENANT_A}', 'user-2')")).unwrap();
    client.batch_execute(&call()).unwrap();
    let receipts = "SELECT calls, erased -> 'events', erased -> 'monthly_actors' <> '0', finished_at IS NOT NULL, actor_digest
                      FROM eventlog.erasures ORDER BY started_at";
    assert_eq!(
        rows(&mut client, receipts),
        [["5", "90", "t", "t", "∅"], ["1", "180", "t", "t", "∅"]]
    );
}

#[test]
fn a_crash_loses_no_more_than_a_batch_and_the_next_call_finishes() {
    let cluster = Cluster::start(&[]);
    db::create_roles(&cluster);
    cluster.connect("postgres", "postgres").batch_execute("CREATE DATABASE app").unwrap();
    let fill = format!(
        "SET client_min_messages = error; CREATE EXTENSION eventlog;
         SELECT eventlog.create_log(owner => 'log_owner', partition_interval => '1 day', premake => '1 day');
         SELECT eventlog.define_event('ping');
         DO $$ BEGIN FOR day IN 0..29 LOOP PERFORM eventlog._make_partition('{LAST_DAY}'::timestamptz - day * interval '1 day'); END LOOP; END $$;
         INSERT INTO eventlog.events (tenant_id, name, actor, created_at)
         SELECT '{TENANT_A}', 'ping', actor, '{LAST_DAY}'::timestamptz - day * interval '1 day'
           FROM generate_series(0, 29) day, unnest(ARRAY['{ERIN}', 'user-1']) actor"
    );
    cluster.psql("app", "postgres", &fill).unwrap();
    for (crashes, day) in [(1, 25), (2, 12), (3, 3)] {
        let holder = hold(cluster.connect("app", "postgres"), day);
        let caller = thread::spawn({
            let mut caller = patient(cluster.connect("app", "postgres"));
            move || caller.simple_query(&call()).map(drop)
        });
        let mut client = cluster.connect("app", "postgres");
        until(&mut client, WAITS);
        cluster.crash();
        caller.join().unwrap().expect_err("crashed");
        drop(holder);
        let mut client = cluster.connect("app", "postgres");
        let state = "SELECT calls, (erased ->> 'events')::bigint + (SELECT count(*) FROM eventlog.events) FROM eventlog.erasures";
        assert_eq!(rows(&mut client, state), [[&*crashes.to_string(), "60"]]);
    }
    let mut client = cluster.connect("app", "postgres");
    client.batch_execute(&call()).unwrap();
    let state = "SELECT calls, erased -> 'events', finished_at IS NOT NULL, (SELECT string_agg(DISTINCT actor, ',') FROM eventlog.events) FROM eventlog.erasures";
    assert_eq!(rows(&mut client, state), [["4", "30", "t", "user-1"]]);
}

#[test]
fn calls_at_once_and_writers_meanwhile_hinder_nobody() {
    let (db, mut client) = ninety_days();
    client
        .batch_execute(&format!(
            "INSERT INTO eventlog.events (tenant_id, name, actor, created_at)
             SELECT '{TENANT_A}', 'ping', '{ERIN}', '{LAST_DAY}'::timestamptz - n % 90 * interval '1 day' FROM generate_series(1, 30000) n"
        ))
        .unwrap();
    let calls = [
        call(),
        call(),
        format!("CALL eventlog.forget_actor('{TENANT_A}', 'user-4')"),
        format!("CALL eventlog.forget_tenant('{TENANT_B}')"),
    ];
    let is_over = AtomicBool::new(false);
    let logged = thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|n| {
                let (db, is_over) = (&db, &is_over);
                scope.spawn(move || {
                    let mut service = db.connect("service");
                    let mut logged = 0;
                    while !is_over.load(Ordering::Relaxed) || logged == 0 {
                        service.batch_execute(&format!(
                            "SELECT eventlog.log_event('{TENANT_A}', 'ping', actor => 'new-{n}', idempotency_key => '{n}-{logged}')"
                        )).unwrap();
                        logged += 1;
                    }
                    logged
                })
            })
            .collect();
        let callers: Vec<_> = calls
            .iter()
            .map(|call| {
                let db = &db;
                scope.spawn(move || db.superuser().batch_execute(call).unwrap())
            })
            .collect();
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        is_over.store(true, Ordering::Relaxed);
        writers.into_iter().map(|writer| writer.join().unwrap()).sum::<usize>()
    });
    let left = rows(
        &mut client,
        "SELECT actor, count(*) FROM eventlog.events WHERE actor !~ '^new' GROUP BY 1 ORDER BY 1",
    );
    assert_eq!(left, ["user-0", "user-2", "user-6", "user-8"].map(|actor| [actor, "180"]));
    for table in ["events WHERE actor ~ '^new'", "idempotency_keys"] {
        let count = text(&mut client, &format!("SELECT count(*) FROM eventlog.{table}"));
        assert_eq!(count, logged.to_string());
    }
    let receipts = "SELECT kind, sum((erased ->> 'events')::bigint), bool_and(finished_at IS NOT NULL) FROM eventlog.erasures GROUP BY 1 ORDER BY 1";
    assert_eq!(rows(&mut client, receipts), [["actor", "30270", "t"], ["tenant", "900", "t"]]);
}

#[test]
fn erasing_waits_for_the_step_of_maintenance_that_runs() {
    let (db, mut client) = ninety_days();
    let mut maintenance = db.superuser();
    maintenance.batch_execute(&format!("BEGIN; SELECT {MAINTENANCE}")).unwrap();
    let caller = thread::spawn({
        let mut caller = db.superuser();
        move || caller.batch_execute(&call())
    });
    until(&mut client, &WAITS.replace("'Lock'", "'Lock' AND wait_event = 'object'"));
    let left = format!("SELECT count(*) FROM eventlog.events WHERE actor = '{ERIN}'");
    assert_eq!(text(&mut client, &left), "90");
    maintenance.batch_execute("COMMIT").unwrap();
    caller.join().unwrap().unwrap();
    assert_eq!(text(&mut client, &left), "0");
}

#[test]
fn whatever_isolation_the_session_prefers_what_was_committed_is_found() {
    for isolation in ["repeatable read", "serializable"] {
        let (db, mut client) = ninety_days();
        let holder = hold(db.superuser(), 0);
        let caller = thread::spawn({
            let mut caller = patient(db.superuser());
            let set = format!("SET default_transaction_isolation = '{isolation}'");
            caller.batch_execute(&set).unwrap();
            move || caller.batch_execute(&call())
        });
        until(&mut client, WAITS);
        // Maintenance is next in the queue, before the batch of today's partition.
        let maintenance = thread::spawn({
            let mut maintenance = db.superuser();
            move || {
                maintenance.batch_execute(&format!("BEGIN; SELECT {MAINTENANCE}")).unwrap();
                maintenance
            }
        });
        until(
            &mut client,
            "EXISTS (SELECT FROM pg_locks WHERE locktype = 'object' AND NOT granted
                        AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))",
        );
        drop(holder);
        let mut maintenance = maintenance.join().unwrap();
        until(&mut client, &WAITS.replace("'Lock'", "'Lock' AND wait_event = 'object'"));
        client
            .batch_execute(&format!(
                "SELECT eventlog.log_event('{TENANT_A}', 'ping', actor => '{ERIN}') FROM generate_series(1, 5)"
            ))
            .unwrap();
        maintenance.batch_execute("COMMIT").unwrap();
        caller.join().unwrap().unwrap();
        assert_eq!(text(&mut client, "SELECT erased -> 'events' FROM eventlog.erasures"), "95");
    }
}

#[test]
fn what_an_import_brings_while_its_tenant_is_erased_stays_and_is_counted() {
    let (db, mut client) = ninety_days();
    client.batch_execute("UPDATE eventlog.log_config SET retention = '20 years'").unwrap();
    client.batch_execute("CALL eventlog.maintain()").unwrap();

    client
        .batch_execute(&format!(
            "INSERT INTO eventlog.rejected_events (tenant_id, sqlstate, reason, role_name) VALUES ('{TENANT_A}', '23514', 'x', 'x');
             CREATE TABLE public.more AS SELECT 1000000 + n::bigint AS id, '{TENANT_A}'::uuid AS tenant_id, 'ping'::text AS name,
                '{{}}'::jsonb AS data, '{LAST_DAY}'::timestamptz - n * interval '3 days' AS created_at FROM generate_series(1, 7) n;
             GRANT SELECT ON public.more TO log_owner"
        ))
        .unwrap();
    // Its events are gone, and what comes after them is held up.
    let mut holder = db.superuser();
    holder.batch_execute("BEGIN; SELECT FROM eventlog.rejected_events FOR UPDATE").unwrap();
    let caller = thread::spawn({
        let mut caller = patient(db.superuser());
        move || caller.batch_execute(&format!("CALL eventlog.forget_tenant('{TENANT_A}')"))
    });
    until(&mut client, WAITS);
    let imported = "SELECT imported FROM eventlog.import_events('public.more')";
    assert_eq!(text(&mut client, imported), "7");
    drop(holder);
    caller.join().unwrap().unwrap();
    client.batch_execute("CALL eventlog.maintain()").unwrap();
    let of_a = format!("tenant_id = '{TENANT_A}'");
    for what in [
        "count(*) FROM eventlog.events",
        "sum(events) FROM eventlog.daily_counts",
        "sum(events) FROM eventlog.hourly_counts",
    ] {
        assert_eq!(text(&mut client, &format!("SELECT {what} WHERE {of_a}")), "7", "{what}");
    }
}

#[test]
fn a_wrong_call_is_refused_with_nothing_done() {
    let (db, mut client) = ninety_days();
    for (sql, sqlstate, message) in [
        ("forget_actor(NULL, 'a')", "22004", "tenant_id must not be null"),
        ("forget_actor('{A}', NULL)", "22004", "actor must not be null"),
        ("forget_actor('{A}', 'a', NULL)", "22004", "dry_run must not be null"),
        ("forget_tenant(NULL)", "22004", "tenant_id must not be null"),
        ("forget_tenant('{A}', NULL)", "22004", "dry_run must not be null"),
    ] {
        let sql = format!("CALL eventlog.{}", sql.replace("{A}", TENANT_A));
        assert_refused(&mut client, &sql, sqlstate, message);
    }
    for sql in [call(), format!("CALL eventlog.forget_tenant('{TENANT_A}', dry_run => true)")] {
        client.batch_execute("BEGIN").unwrap();
        assert_refused(&mut client, &sql, "2D000", "invalid transaction termination");
        client.batch_execute("ROLLBACK").unwrap();
        for role in ["member", "service", "outsider"] {
            let mut other = db.connect_as(role, TENANT_A);
            let outcome = refused(&mut other, &sql);
            assert_eq!(outcome.code().code(), "42501", "{role}: {outcome:?}");
        }
    }
    assert_eq!(text(&mut client, "SELECT count(*) FROM eventlog.events"), "1890");
    assert_eq!(text(&mut client, "SELECT count(*) FROM eventlog.erasures"), "0");
    // Nobody and nowhere: zeros, a receipt, and no error.
    for sql in [
        format!("CALL eventlog.forget_actor('{TENANT_A}', '')"),
        format!("CALL eventlog.forget_actor('{TENANT_A}', '{}')", "🙂%_\\''\"".repeat(10_000)),
        "CALL eventlog.forget_tenant('00000000-0000-0000-0000-000000000000')".to_owned(),
    ] {
        let answer = rows(&mut client, &sql);
        assert!(answer[0][1].contains("\"events\": 0"), "{answer:?}");
    }
    assert_eq!(
        text(&mut client, "SELECT count(*) FROM eventlog.erasures WHERE finished_at IS NOT NULL"),
        "3"
    );

    client.batch_execute("DROP TABLE eventlog.erasures").unwrap();
    let outcome = refused(&mut client, &call());
    assert_eq!(outcome.code().code(), "55000");
    assert_eq!(outcome.hint(), Some("SELECT eventlog.create_log();"));
    client.batch_execute("SELECT eventlog.create_log()").unwrap();
    client.batch_execute(&call()).unwrap();
    let empty = Db::empty();
    let mut client = empty.superuser();
    client.batch_execute("CREATE EXTENSION eventlog").unwrap();
    assert_refused(&mut client, &call(), "55000", "no log");
}

#[test]
fn whoever_calls_each_step_runs_as_the_logs_owner_and_with_its_own_search_path() {
    let (db, mut client) = ninety_days();
    client
        .batch_execute(&format!(
            "CREATE ROLE deputy_{0} LOGIN IN ROLE log_owner;
             CREATE TABLE public.seen (who text, path text); GRANT INSERT ON public.seen TO PUBLIC;
             CREATE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN INSERT INTO public.seen VALUES (current_user, pg_catalog.current_setting('search_path')); RETURN NULL; END $$;
             CREATE TRIGGER see AFTER DELETE ON eventlog.events FOR EACH ROW EXECUTE FUNCTION public.see();
             CREATE CONSTRAINT TRIGGER see AFTER INSERT OR UPDATE ON eventlog.erasures DEFERRABLE INITIALLY DEFERRED
                 FOR EACH ROW EXECUTE FUNCTION public.see()",
            db.name
        ))
        .unwrap();
    let mut deputy = db.connect(&format!("deputy_{}", db.name));
    for (n, caller) in [&mut client, &mut deputy].into_iter().enumerate() {
        let session = "SELECT current_user, current_setting('role'), current_setting('search_path'), current_setting('lock_timeout'), current_setting('transaction_isolation')";
        let before = rows(caller, session);
        caller
            .batch_execute(&format!("CALL eventlog.forget_actor('{TENANT_A}', 'user-{}')", n * 2))
            .unwrap();
        assert_eq!(rows(caller, session), before);
    }
    assert_eq!(
        rows(&mut client, "SELECT who, path, count(*) > 360 FROM public.seen GROUP BY 1, 2"),
        [["log_owner", "pg_catalog, pg_temp", "t"]]
    );
    assert_eq!(
        rows(
            &mut client,
            "SELECT role_name, erased -> 'events' FROM eventlog.erasures ORDER BY started_at"
        ),
        [
            ["postgres".to_owned(), "180".to_owned()],
            [format!("deputy_{}", db.name), "180".to_owned()]
        ]
    );
    drop(deputy);
    client.batch_execute(&format!("DROP ROLE deputy_{}", db.name)).unwrap();
}

#[test]
fn planted_objects_change_nothing() {
    let (_db, mut client) = ninety_days();
    let plant = |schema: &str| {
        format!(
            "CREATE FUNCTION {schema}.never(uuid, uuid) RETURNS boolean LANGUAGE sql AS 'SELECT 1/0 = 1';
             CREATE FUNCTION {schema}.never(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT 1/0 = 1';
             CREATE OPERATOR {schema}.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = {schema}.never);
             CREATE OPERATOR {schema}.= (LEFTARG = text, RIGHTARG = text, FUNCTION = {schema}.never);
             CREATE FUNCTION {schema}.array_remove(anyarray, anyelement) RETURNS anyarray LANGUAGE sql AS 'SELECT NULL::text[]';
             CREATE FUNCTION {schema}.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS 'SELECT 1/0';
             CREATE FUNCTION {schema}.to_regclass(text) RETURNS regclass LANGUAGE sql AS 'SELECT NULL::regclass';
             CREATE FUNCTION {schema}.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT '2000-01-01'::timestamptz $$;
             CREATE TYPE {schema}.text AS ENUM ('x'); CREATE TYPE {schema}.uuid AS ENUM ('x'); CREATE TYPE {schema}.name AS ENUM ('x');
             CREATE TYPE {schema}.int4 AS ENUM ('x'); CREATE TYPE {schema}.bool AS ENUM ('x'); CREATE TYPE {schema}.jsonb AS ENUM ('x');
             CREATE TABLE {schema}.events (id bigint); CREATE TABLE {schema}.erasures (id bigint); CREATE TABLE {schema}.pg_class (oid oid);
             CREATE TABLE {schema}.pg_inherits (oid oid); CREATE TABLE {schema}.pg_roles (oid oid);"
        )
    };
    // Each plants with the path of now, so that its own names do not get in its way.
    client.batch_execute(&plant("public")).unwrap();
    client
        .batch_execute(&plant("pg_temp").replace("regclass LANG", "pg_catalog.regclass LANG"))
        .unwrap();
    for (n, path) in
        ["''", "public, pg_catalog", "pg_temp, public, pg_catalog, eventlog", "nowhere"]
            .iter()
            .enumerate()
    {
        client.batch_execute(&format!("SET search_path = {path}")).unwrap();
        client
            .batch_execute(&format!("CALL eventlog.forget_actor('{TENANT_A}', 'user-{}')", n * 2))
            .unwrap_or_else(|error| panic!("{path}: {:?}", db_error(error, path)));
    }
    client.batch_execute(&format!("CALL eventlog.forget_tenant('{TENANT_B}')")).unwrap();
    client.batch_execute("DISCARD ALL").unwrap();
    let left = "SELECT pg_catalog.string_agg(DISTINCT actor, ',') FROM eventlog.events";
    assert_eq!(text(&mut client, left), format!("{ERIN},user-8"));
}

#[test]
fn rows_that_a_trigger_keeps_are_an_error_and_not_a_receipt() {
    let (_db, mut client) = ninety_days();
    client
        .batch_execute(
            "CREATE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER keep BEFORE DELETE ON eventlog.events FOR EACH ROW EXECUTE FUNCTION public.keep()",
        )
        .unwrap();
    assert_refused(&mut client, &call(), "55000", "1 rows of eventlog.events_p");
    let unfinished = "SELECT finished_at IS NULL FROM eventlog.erasures";
    assert_eq!(text(&mut client, unfinished), "t");
    client.batch_execute("DROP TRIGGER keep ON eventlog.events").unwrap();
    client.batch_execute(&call()).unwrap();
    assert_eq!(text(&mut client, unfinished), "f");
}

#[test]
fn partitions_by_any_name_and_owner_are_searched_or_refused() {
    let (db, mut client) = ninety_days();
    let partition = text(&mut client, "SELECT min(partition_name) FROM eventlog._partitions");
    client
        .batch_execute(&format!(
            "CREATE SCHEMA \"the Archive\" AUTHORIZATION log_owner;
             ALTER TABLE eventlog.{partition} SET SCHEMA \"the Archive\";
             ALTER TABLE \"the Archive\".{partition} RENAME TO \"p; \"\"1\"\"\";
             CREATE TABLE eventlog.events_rest PARTITION OF eventlog.events DEFAULT;
             INSERT INTO eventlog.events (tenant_id, name, actor, created_at) VALUES ('{TENANT_A}', 'ping', '{ERIN}', '1999-01-01')"
        ))
        .unwrap();
    let outcome = refused(&mut client, &call());
    assert_eq!(outcome.code().code(), "55000");
    assert!(outcome.message().contains("events_rest does not belong"), "{outcome:?}");
    client.batch_execute("ALTER TABLE eventlog.events_rest OWNER TO log_owner").unwrap();
    let answer = rows(&mut db.connect("log_owner"), &call());
    assert!(answer[0][1].contains("\"events\": 91"), "{answer:?}");
    // What an import by a superuser makes is the owner's.
    let strange = "SELECT count(*) FROM eventlog._partitions p JOIN pg_class c ON c.oid = p.partition_oid WHERE relowner <> 'log_owner'::regrole";
    client
        .batch_execute(
            "DROP TABLE eventlog.events_rest; CREATE TABLE public.old (id bigint, tenant_id uuid, name text, data jsonb, created_at timestamptz);
             INSERT INTO public.old VALUES (1, gen_random_uuid(), 'ping', '{}', '2001-01-01'); GRANT SELECT ON public.old TO log_owner; SELECT eventlog.import_events('public.old')",
        )
        .unwrap();
    assert_eq!(text(&mut client, strange), "0");
}
