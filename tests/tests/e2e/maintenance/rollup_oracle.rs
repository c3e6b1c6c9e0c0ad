//! Every rollup against plain SQL over the rows: what the pass counts, in all the ways it is made.

use std::thread;
use std::time::{Duration, Instant};

use eventlog_tests::random::Random;
use eventlog_tests::{Db, TENANT_A, TENANT_B, rows, scaled, text};
use postgres::Client;

const QUICK: &str = "CREATE OR REPLACE FUNCTION eventlog_private.next_watermark() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS 'SELECT pg_catalog.clock_timestamp() - interval ''100 milliseconds'''";

const TYPES: &str = "
    SELECT eventlog.define_event('ping', duration_key => 'ms', success_key => 'ok', count_keys => '{k,l,k}');
    SELECT eventlog.define_event('pong', error_key => 'error', count_subjects => false);
    SELECT eventlog.define_event('pang', duration_key => 'ms', success_key => 'ok', success_values => '{yes,1,true}',
                                 error_key => 'error', count_keys => '{k}')";

/// Sums are compared by nine digits, since they are added up in another order, and times pi, so that none
/// lies at the edge between two roundings.
const MEASURES: &str = "count(*), to_char(pi() * sum(e.weight), '9.99999999EEEE'),
    to_char(pi() * coalesce(sum(e.weight) FILTER (WHERE e.has_failed), 0), '9.99999999EEEE'),
    to_char(pi() * coalesce(sum(e.weight) FILTER (WHERE NOT e.has_failed), 0), '9.99999999EEEE'),
    to_char(pi() * coalesce(sum(e.weight) FILTER (WHERE e.duration IS NOT NULL), 0), '9.99999999EEEE'),
    to_char(pi() * coalesce(sum(e.weight * e.duration), 0), '9.99999999EEEE'),
    eventlog._histogram(e.duration, e.weight) FILTER (WHERE e.duration IS NOT NULL)";
const STORED: &str = "events, to_char(pi() * weighted_events, '9.99999999EEEE'), to_char(pi() * failures, '9.99999999EEEE'), to_char(pi() * successes, '9.99999999EEEE'),
    to_char(pi() * duration_count, '9.99999999EEEE'), to_char(pi() * duration_sum, '9.99999999EEEE'), duration_histogram";
const ACTIVE: &str = "bit_or(1 << (extract(day FROM e.created_at)::integer - 1)),
    string_agg(DISTINCT decode(lpad(to_hex(floor(extract(epoch FROM e.created_at - date_trunc('month', e.created_at)) / 900)::integer),
                                    4, '0'), 'hex'), ''::bytea
               ORDER BY decode(lpad(to_hex(floor(extract(epoch FROM e.created_at - date_trunc('month', e.created_at)) / 900)::integer),
                                    4, '0'), 'hex'))";

/// Each rollup, its key columns, what else it stores, and the same from rows `e` and keys `k` of them.
const ROLLUPS: &[(&str, &str, &str, &str)] = &[
    (
        "hourly_counts",
        "tenant_id, hour, name, STORED",
        "e.tenant_id, date_trunc('hour', e.created_at), e.name, MEASURES",
        "e GROUP BY 1, 2, 3",
    ),
    (
        "daily_counts",
        "tenant_id, day, name, STORED",
        "e.tenant_id, e.created_at::date, e.name, MEASURES",
        "e GROUP BY 1, 2, 3",
    ),
    (
        "daily_subjects",
        "tenant_id, day, name, subject, STORED, first_at, last_at",
        "e.tenant_id, e.created_at::date, e.name, e.subject, MEASURES, min(e.created_at), max(e.created_at)",
        "e WHERE e.subject IS NOT NULL AND e.name <> 'pong' GROUP BY 1, 2, 3, 4",
    ),
    (
        "monthly_actors",
        "tenant_id, month, name, actor, days, quarters",
        "e.tenant_id, date_trunc('month', e.created_at)::date, n.name, e.actor, ACTIVE",
        "e CROSS JOIN LATERAL (VALUES (e.name), ('')) n (name) WHERE e.actor IS NOT NULL GROUP BY 1, 2, 3, 4",
    ),
    (
        "first_events",
        "tenant_id, name, actor, first_at",
        "e.tenant_id, n.name, e.actor, min(e.created_at)",
        "e CROSS JOIN LATERAL (VALUES (e.name), ('')) n (name) WHERE e.actor <> '' GROUP BY 1, 2, 3",
    ),
    (
        "hourly_keys",
        "tenant_id, hour, name, key, value, STORED",
        "e.tenant_id, date_trunc('hour', e.created_at), e.name, k.key, left(e.data ->> k.key, 200), MEASURES",
        "e KEYED GROUP BY 1, 2, 3, 4, 5",
    ),
    (
        "daily_keys",
        "tenant_id, day, name, key, value, STORED",
        "e.tenant_id, e.created_at::date, e.name, k.key, left(e.data ->> k.key, 200), MEASURES",
        "e KEYED GROUP BY 1, 2, 3, 4, 5",
    ),
    (
        "monthly_key_actors",
        "tenant_id, key, value, name, month, actor, days, quarters",
        "e.tenant_id, k.key, left(e.data ->> k.key, 200), e.name, date_trunc('month', e.created_at)::date, e.actor, ACTIVE",
        "e KEYED AND e.actor <> '' GROUP BY 1, 2, 3, 4, 5, 6",
    ),
];
const KEYED: &str = "JOIN (VALUES ('ping', 'k'), ('ping', 'l'), ('pang', 'k')) k (name, key)
    ON k.name = e.name WHERE e.data ->> k.key IS NOT NULL";

/// Compares every rollup with the rows, of which all have to be counted.
fn assert_equal(client: &mut Client, when: &str) {
    assert_eq!(text(client, "SELECT count(*) FROM eventlog.late_events"), "0", "{when}");
    for (table, stored, counted, of) in ROLLUPS {
        let fill = |sql: &str| {
            sql.replace("STORED", STORED)
                .replace("MEASURES", MEASURES)
                .replace("ACTIVE", ACTIVE)
                .replace("KEYED", KEYED)
        };
        let sql = format!(
            "WITH counted AS (SELECT {} FROM eventlog._measured_events() {}), stored AS (SELECT {} FROM eventlog.{table})
             SELECT (SELECT count(*) FROM (TABLE counted EXCEPT ALL TABLE stored) c),
                    (SELECT count(*) FROM (TABLE stored EXCEPT ALL TABLE counted) s), (SELECT count(*) > 20 FROM stored)",
            fill(counted),
            fill(of),
            fill(stored)
        );
        assert_eq!(rows(client, &sql), [["0", "0", "t"]], "{table} {when}");
    }
    let differences = rows(client, "SELECT * FROM eventlog.verify_rollups() LIMIT 5");
    assert_eq!(differences, Vec::<Vec<String>>::new(), "{when}");
}

/// A statement that inserts events of all kinds between two times.
fn events(random: &mut Random, number: usize, since: &str, until: &str) -> String {
    let at = format!(
        "date_bin(CASE WHEN r[15] < 0.1 THEN interval '1 day' WHEN r[15] < 0.3 THEN interval '15 minutes' ELSE interval '1 microsecond' END,
                  {since}, '2000-01-01 00:00:00+00')
             + CASE WHEN r[15] < 0.1 THEN interval '-1 microsecond' ELSE interval '0' END + r[16] * ({until} - ({since}))"
    );
    events_at(random, number, &at)
}

/// A statement that inserts events of all kinds now. The owner's own INSERT into the current month, below
/// the watermark, would not be noted.
fn events_now(random: &mut Random, number: usize) -> String {
    events_at(random, number, "now()")
}

fn events_at(random: &mut Random, number: usize, at: &str) -> String {
    format!(
        "SELECT setseed({seed});
         INSERT INTO eventlog.events (tenant_id, name, data, actor, subject, created_at, weight)
         SELECT (ARRAY['{TENANT_A}', '{TENANT_B}', '00000000-0000-0000-0000-000000000000'])[1 + floor(3 * r[1] * r[1])::integer]::uuid,
                (ARRAY['ping', 'pong', 'pang', 'undefined'])[1 + floor(4 * r[2])::integer],
                jsonb_strip_nulls(jsonb_build_object(
                    'ms', (ARRAY['12.25', '-5', '1e400', '1e15', '1000000000000000.01', '1e-310', '0', '0.000001', '123456789012.123456789',
                                 '7', '\"7\"', '99999999999999999', '1234.5678', '0.1'])[1 + floor(16 * r[3])::integer]::jsonb,
                    'ok', (ARRAY['true', 'false', '\"yes\"', '1', '1.0', '[]', '\"true\"'])[1 + floor(9 * r[4])::integer]::jsonb,
                    'success', (ARRAY['true', 'false', '0'])[1 + floor(6 * r[5])::integer]::jsonb,
                    'error', (ARRAY['\"E1\"', '0'])[1 + floor(8 * r[6])::integer]::jsonb,
                    'k', (ARRAY['\"v\"', '\"w\"', '\"\"', '1', '1.0', '1.50', 'true', '{{\"b\": [1, \"ä\"], \"a\": {{}}}}', '[1, 2]',
                                to_jsonb(repeat('ä€', 150))::text])[1 + floor(13 * r[7])::integer]::jsonb,
                    'l', CASE WHEN r[8] < 0.3 THEN to_jsonb(floor(5 * r[9])) END,
                    -- Compressed, or out of line.
                    'filling', CASE WHEN r[10] < 0.02 THEN repeat('x', 5000)
                                    WHEN r[10] < 0.04 THEN (SELECT string_agg(md5(g::text || r[10]), '') FROM generate_series(1, 300) g) END))
                || CASE WHEN r[6] > 0.95 THEN jsonb '{{\"error\": null, \"k\": null}}' ELSE '{{}}' END,
                CASE WHEN r[11] < 0.9 THEN 'actor ' || floor(40 * r[12]) WHEN r[11] < 0.95 THEN '' END,
                CASE WHEN r[13] < 0.8 THEN 'subject/' || floor(10 * r[14]) WHEN r[13] < 0.85 THEN '' END,
                {at},
                CASE WHEN r[17] < 0.2 THEN 2 WHEN r[17] < 0.3 THEN 2.5 END
           FROM generate_series(1, {number}) g
          CROSS JOIN LATERAL (SELECT array_agg(random()) AS r FROM generate_series(1, 17 + g * 0)) r;",
        seed = random.below(1_000_000) as f64 / 1e6,
    )
}

fn uncountable() -> String {
    format!(
        "INSERT INTO eventlog.events (tenant_id, name, data, actor, created_at, weight) VALUES
            ('{TENANT_A}', 'ping', '[1]', NULL, now() - interval '40 days', NULL),
            ('{TENANT_A}', 'ping', '\"x\"', NULL, now() - interval '40 days', NULL),
            ('{TENANT_A}', 'ping', '{{}}', repeat('a', 513), now() - interval '40 days', NULL),
            ('{TENANT_A}', repeat('p', 129), '{{}}', NULL, now() - interval '40 days', NULL);"
    )
}

fn catch_up(owner: &mut Client) {
    thread::sleep(Duration::from_millis(150));
    owner.batch_execute("CALL eventlog.maintain()").unwrap();
}

/// A log with a quick watermark and partitions from 1999 on.
fn log() -> (Db, Client) {
    let db = Db::new();
    db.superuser().batch_execute(QUICK).unwrap();
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute(&format!(
            "SET timezone = 'UTC'; UPDATE eventlog.log_config SET retention = '100 years';
             SELECT eventlog._make_partition(t) FROM unnest('{{1999-12-15,2000-01-15,2004-02-15}}'::timestamptz[]) t;
             SELECT eventlog._make_partition(now() - g * interval '1 month') FROM generate_series(1, 3) g; {TYPES}"
        ))
        .unwrap();
    (db, owner)
}

const FORCED: &str =
    "SET max_parallel_maintenance_workers = 4; SET min_parallel_table_scan_size = 0;
    SET min_parallel_index_scan_size = 0; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0";

fn count_and_compare(mode: &str, prepare: &str) {
    let (db, mut owner) = log();
    let mut random = Random::new();
    db.superuser().batch_execute(prepare).unwrap();
    let mut owner_of_runs = db.connect("log_owner");
    if mode == "workers" {
        owner_of_runs.batch_execute(FORCED).unwrap();
        let plan = rows(
            &mut owner_of_runs,
            "EXPLAIN SELECT c.counted, pg_backend_pid() FROM (
                SELECT eventlog_private.count_all(e.id, e.tenant_id, e.name, e.data, e.actor, e.subject, e.created_at, e.weight, '{}') AS counted
                  FROM eventlog.events e) c",
        );
        assert!(plan.concat().concat().contains("Partial Aggregate"), "{plan:?}");
    }
    owner
        .batch_execute(
            &(events(&mut random, 300, "timestamptz '1999-12-20'", "timestamptz '2000-01-20'")
                + &events(
                    &mut random,
                    100,
                    "timestamptz '2004-02-27'",
                    "timestamptz '2004-02-29 23:59'",
                )
                + &events(&mut random, 3000, "now() - interval '80 days'", "now()")
                + &uncountable()),
        )
        .unwrap();
    catch_up(&mut owner_of_runs);
    assert_equal(&mut owner, mode);
    // More of the current hour, and of times that are counted: in parts, and as late events.
    for round in 0..3 {
        let recent = events_now(&mut random, 100);
        let late = events(
            &mut random,
            200,
            "date_trunc('month', now()) - interval '50 days'",
            "date_trunc('month', now())",
        );
        owner.batch_execute(&recent).unwrap();
        owner.batch_execute(&late).unwrap();
        catch_up(&mut owner_of_runs);
        catch_up(&mut owner_of_runs);
        assert_equal(&mut owner, &format!("{mode}, round {round}"));
    }
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.stat_uncounted"), "4");
}

#[test]
fn the_pass_in_one_process_counts_what_plain_sql_counts() {
    count_and_compare("alone", "ALTER ROLE log_owner SET max_parallel_maintenance_workers = 0");
}

#[test]
fn the_pass_in_workers_counts_what_plain_sql_counts() {
    count_and_compare("workers", "SELECT");
}

#[test]
fn the_pass_in_stretches_of_a_partition_counts_what_plain_sql_counts() {
    count_and_compare(
        "stretches",
        "CREATE OR REPLACE FUNCTION eventlog_private.stretch_of(partition oid, from_at timestamptz, since timestamptz, until timestamptz)
         RETURNS timestamptz LANGUAGE sql AS $$ SELECT least(until, date_trunc('day', since, 'UTC') + interval '37 hours') $$",
    );
}

/// A million in each of ten rounds with EVENTLOG_PROOF=1.
#[test]
fn many_events_are_counted_in_every_rollup() {
    let (_db, mut owner) = log();
    let mut random = Random::new();
    for _ in 0..10 {
        let number = scaled(2_000, 1_000_000);
        let month = "date_trunc('month', now()) - interval '50 days'";
        owner.batch_execute(&events(&mut random, number, month, "now()")).unwrap();
    }
    owner.batch_execute("ANALYZE eventlog.events").unwrap();
    let begun = Instant::now();
    catch_up(&mut owner);
    println!("counted in {:.1} s", begun.elapsed().as_secs_f64());
    assert_equal(&mut owner, "many");
}

#[test]
fn first_events_are_those_of_min_created_at_also_when_retention_has_dropped_them() {
    let (_db, mut owner) = log();
    let mut random = Random::new();
    owner
        .batch_execute(
            &(events(&mut random, 2000, "now() - interval '80 days'", "now() - interval '1 day'")
                + "CREATE TABLE eventlog.history AS SELECT tenant_id, name, actor, created_at FROM eventlog.events"),
        )
        .unwrap();
    catch_up(&mut owner);
    owner.batch_execute("UPDATE eventlog.log_config SET retention = '20 days'").unwrap();
    catch_up(&mut owner);
    assert_eq!(
        text(
            &mut owner,
            "SELECT count(*) FROM eventlog.events WHERE created_at < now() - interval '60 days'"
        ),
        "0"
    );
    owner
        .batch_execute(
            &(events_now(&mut random, 500)
                + "INSERT INTO eventlog.history SELECT tenant_id, name, actor, created_at FROM eventlog.events"),
        )
        .unwrap();
    catch_up(&mut owner);
    catch_up(&mut owner);
    let expected = "SELECT tenant_id, n.name, actor, min(created_at) FROM eventlog.history h
        CROSS JOIN LATERAL (VALUES (h.name), ('')) n (name) WHERE actor <> '' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";
    let stored =
        "SELECT tenant_id, name, actor, first_at FROM eventlog.first_events ORDER BY 1, 2, 3";
    assert!(rows(&mut owner, stored) == rows(&mut owner, expected));
    let gone = "SELECT count(*) > 50 FROM eventlog.first_events WHERE first_at < now() - interval '60 days'";
    assert_eq!(text(&mut owner, gone), "t");
    // What is missing of the rows is told apart from what is wrong.
    assert_eq!(
        text(&mut owner, "SELECT count(*) FROM eventlog.verify_rollups() WHERE NOT is_sealed"),
        "0"
    );
    owner.batch_execute(&format!("CALL eventlog.forget_actor('{TENANT_A}', 'actor 1')")).unwrap();
    let forgotten = format!(
        "SELECT (SELECT count(*) FROM eventlog.first_events f WHERE f.tenant_id = '{TENANT_A}' AND f.actor = 'actor 1')
              + (SELECT count(*) FROM eventlog.monthly_key_actors a WHERE a.tenant_id = '{TENANT_A}' AND a.actor = 'actor 1')"
    );
    assert_eq!(text(&mut owner, &forgotten), "0");
}

#[test]
fn a_key_that_is_counted_later_is_counted_from_then_on_and_by_recount_from_the_beginning() {
    let (_db, mut owner) = log();
    let mut random = Random::new();
    owner.batch_execute("SELECT eventlog.define_event('ping', count_keys => '{}')").unwrap();
    owner
        .batch_execute(&events(
            &mut random,
            1500,
            "now() - interval '50 days'",
            "now() - interval '2 days'",
        ))
        .unwrap();
    catch_up(&mut owner);
    let keys = "SELECT name, key, isfinite(since) FROM eventlog.counted_keys ORDER BY 1, 2";
    assert_eq!(rows(&mut owner, keys), [["pang", "k", "f"]]);
    owner.batch_execute("SELECT eventlog.define_event('ping', count_keys => '{k,l}')").unwrap();
    owner.batch_execute(&events_now(&mut random, 300)).unwrap();
    catch_up(&mut owner);
    catch_up(&mut owner);
    assert_eq!(
        rows(&mut owner, keys),
        [["pang", "k", "f"], ["ping", "k", "t"], ["ping", "l", "t"]]
    );
    let none = Vec::<Vec<String>>::new();
    let differences = "SELECT * FROM eventlog.verify_rollups() LIMIT 5";
    assert_eq!(rows(&mut owner, differences), none, "nothing is said of what came before");

    assert_ne!(text(&mut owner, "SELECT eventlog.recount('ping')"), "0");
    assert_eq!(
        rows(&mut owner, keys),
        [["pang", "k", "f"], ["ping", "k", "f"], ["ping", "l", "f"]]
    );
    assert_equal(&mut owner, "recounted");
    assert_eq!(text(&mut owner, "SELECT eventlog.recount('ping')"), "0");

    // A key that no run has seen yet is counted from the beginning too.
    let choose = |keys: &str| {
        format!(
            "SELECT eventlog.define_event('ping', count_keys => '{keys}'); SELECT eventlog.recount('ping')"
        )
    };
    owner.batch_execute(&choose("{k,l,m}")).unwrap();
    let of_m = "SELECT isfinite(since) FROM eventlog.counted_keys WHERE key = 'm'";
    assert_eq!(rows(&mut owner, of_m), [["f"]]);
    owner.batch_execute(&choose("{k,l}")).unwrap();
    owner.batch_execute("DELETE FROM eventlog.counted_keys WHERE key = 'm'").unwrap();

    // Outcomes of keys are measured anew too.
    owner.batch_execute("SELECT eventlog.define_event('ping', success_key => 'success')").unwrap();
    assert_ne!(rows(&mut owner, differences), none);
    assert_ne!(text(&mut owner, "SELECT eventlog.recount('ping')"), "0");
    assert_equal(&mut owner, "measured anew");

    // A day that lost an event keeps what it has; the key is counted from the day after.
    owner
        .batch_execute(&format!(
            "DELETE FROM eventlog.daily_keys WHERE name = 'ping';
             DELETE FROM eventlog.events WHERE id = (SELECT id FROM eventlog.events WHERE name = 'ping' AND tenant_id = '{TENANT_A}'
                AND data ? 'k' AND created_at < now() - interval '20 days' ORDER BY created_at DESC LIMIT 1);
             UPDATE eventlog.counted_keys SET since = now() WHERE name = 'ping'; SELECT eventlog.recount('ping')"
        ))
        .unwrap();
    let since = "SELECT count(*) FROM eventlog.counted_keys WHERE name = 'ping'
        AND since BETWEEN now() - interval '27 days' AND now() - interval '19 days'";
    assert_eq!(text(&mut owner, since), "2");
    owner.batch_execute("SELECT eventlog.define_event('ping', count_keys => '{l}')").unwrap();
    owner.batch_execute(&events_now(&mut random, 10)).unwrap();
    catch_up(&mut owner);
    let keys = "SELECT name, key FROM eventlog.counted_keys ORDER BY 1, 2";
    assert_eq!(rows(&mut owner, keys), [["pang", "k"], ["ping", "l"]]);
}
