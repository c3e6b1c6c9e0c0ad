//! First-time retention and active actors in time zones, beside plain SQL over a copy of all events
//! that were ever logged.

use eventlog_tests::{Db, TENANT_A, TENANT_B, assert_refused, rows, text};
use postgres::Client;

const ALL_TENANTS: &str = "ffffffff-ffff-ffff-ffff-ffffffffffff";

/// A year of events of three names and two tenants, of the same actors. `copy` keeps what the log may
/// lose.
const EVENTS: &str = "
    SELECT eventlog.create_log(retention => '50 years');
    SELECT eventlog.define_event('ping'), eventlog.define_event('pong'), eventlog.define_event('pang');
    SELECT eventlog._make_partition(timestamptz '2024-08-15' + g * interval '1 month') FROM generate_series(0, 13) g;
    CREATE TABLE copy AS
    SELECT CASE WHEN random() < 0.8 THEN 'TENANT_A'::uuid ELSE 'TENANT_B' END AS tenant_id,
           CASE WHEN random() < 0.6 THEN 'ping' WHEN random() < 0.8 THEN 'pong' ELSE 'pang' END AS name,
           nullif('a' || floor(random() * random() * 250), 'a0') AS actor,
           jsonb_build_object('plan', CASE WHEN random() < 0.3 THEN 'pro' ELSE 'free' END) AS data,
           timestamptz '2024-09-01 00:00+00' + random() * interval '365 days' AS created_at
      FROM generate_series(1, 4000);
    -- At the ends of days, where it shows to which one they belong.
    INSERT INTO copy
    SELECT 'TENANT_A', 'pong', 'b' || g, '{\"plan\": \"pro\"}', timestamptz '2024-10-25 00:00+00' + g * interval '7 hours 15 minutes'
      FROM generate_series(1, 600) g;";

const INSERT: &str = "INSERT INTO eventlog.events (tenant_id, name, actor, data, created_at)
    SELECT tenant_id, name, actor, data, created_at FROM copy";

const RETAINED: &str = "
    WITH p AS MATERIALIZED (SELECT row_number() OVER (ORDER BY s) AS n, s::date AS s
                 FROM generate_series(date_trunc('PERIOD', timestamp 'SINCE'), timestamp 'UNTIL' - interval '1 day', interval '1 PERIOD') s),
         e AS MATERIALIZED (SELECT e.actor, e.name, e.data, e.created_at, (SELECT max(p.n) FROM p WHERE p.s <= (e.created_at AT TIME ZONE 'TZ')::date) AS n
                 FROM copy e WHERE e.tenant_id = 'TENANT' AND (e.created_at AT TIME ZONE 'TZ')::date < 'UNTIL'),
         f AS MATERIALIZED (SELECT DISTINCT ON (e.actor) e.actor, e.n FROM e WHERE e.actor IS NOT NULL AND (FIRST) ORDER BY e.actor, e.created_at),
         size AS MATERIALIZED (SELECT p.n, p.s, (SELECT count(*) FROM f WHERE f.n = p.n) AS actors FROM p),
         back AS MATERIALIZED (SELECT f.n AS cohort, e.n, count(DISTINCT e.actor) AS actors
                    FROM e JOIN f ON f.actor = e.actor WHERE RETURNING GROUP BY 1, 2)
    SELECT c.s, c.actors, r.n - c.n, coalesce(b.actors, 0), round(coalesce(b.actors, 0) / nullif(c.actors, 0)::numeric, 4)
      FROM size c JOIN p r ON r.n >= c.n LEFT JOIN back b ON b.cohort = c.n AND b.n = r.n
     ORDER BY 1, 3";

const ACTIVE: &str = "
    WITH e AS MATERIALIZED (SELECT DISTINCT actor, (created_at AT TIME ZONE 'TZ')::date AS day FROM copy WHERE tenant_id = 'TENANT' AND NAMED)
    SELECT d::date, (SELECT count(actor) FROM e WHERE day = d::date),
           (SELECT count(DISTINCT actor) FROM e WHERE day BETWEEN d::date - 6 AND d::date),
           (SELECT count(DISTINCT actor) FROM e WHERE day BETWEEN d::date - 29 AND d::date)
      FROM generate_series(timestamp 'SINCE', timestamp 'UNTIL' - interval '1 day', interval '1 day') d ORDER BY 1";

/// Zones of whole, half and quarter hours, in which clocks move at several times of the year.
const ZONES: &[&str] = &[
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
    "America/St_Johns",
];

/// Both sides of clocks that are set back, and forward.
const SPANS: &[(&str, &str)] =
    &[("2024-10-28", "2024-11-18"), ("2025-03-03", "2025-04-14"), ("2024-12-01", "2025-08-20")];

/// What is logged from then on comes in a second step.
const LATE: &str = "2025-02-10";

fn filled(superuser: &mut Client) {
    let sql = EVENTS.replace("TENANT_A", TENANT_A).replace("TENANT_B", TENANT_B);
    superuser.batch_execute("SET timezone = 'UTC'; SET jit = off; SELECT setseed(0.5)").unwrap();
    superuser.batch_execute(&sql).unwrap();
    superuser.batch_execute(&format!("{INSERT} WHERE created_at < '{LATE}'")).unwrap();
}

fn maintain(db: &Db) {
    db.connect("log_owner").batch_execute("CALL eventlog.maintain()").unwrap();
}

fn expected(sql: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(sql.to_owned(), |sql, (key, value)| sql.replace(key, value))
}

fn assert_retained(client: &mut Client, state: &str) {
    let cases = [
        ("NULL, NULL", "true", "true", None),
        ("'ping', 'pong'", "e.name = 'ping'", "e.name = 'pong'", None),
        ("'pong', NULL", "e.name = 'pong'", "e.name = 'pang'", Some(r#"{"name": "pang"}"#)),
    ];
    for (number, zone) in ZONES.iter().enumerate() {
        for (since, until) in SPANS {
            for (place, period) in ["day", "week", "month"].into_iter().enumerate() {
                if period == "day" && *since == "2024-12-01" {
                    continue;
                }
                for (case, (names, first, returning, filters)) in cases.iter().enumerate() {
                    // Each zone with each period.
                    if (number + place + case) % 3 > 0 {
                        continue;
                    }
                    let filters = filters.map_or(String::new(), |f| format!(", filters => '{f}'"));
                    let report = format!(
                        "SELECT cohort, actors, period_number, returned, share
                           FROM eventlog.cohort_retention({names}, '{period}', '{since}', '{until}', '{TENANT_A}', time_zone => '{zone}'{filters})"
                    );
                    let plain = expected(
                        RETAINED,
                        &[
                            ("SINCE", since),
                            ("UNTIL", until),
                            ("PERIOD", period),
                            ("TZ", zone),
                            ("TENANT", TENANT_A),
                            ("FIRST", first),
                            ("RETURNING", returning),
                        ],
                    );
                    assert_eq!(rows(client, &report), rows(client, &plain), "{state}: {report}");
                }
            }
        }
    }
}

fn assert_active(client: &mut Client, state: &str) {
    for zone in ZONES {
        for (since, until) in &SPANS[..2] {
            for (name, named) in [("NULL", "true"), ("'pong'", "name = 'pong'")] {
                let report = format!(
                    "SELECT day, daily, weekly, monthly
                       FROM eventlog.active_actors('{since}', '{until}', {name}, '{TENANT_A}', time_zone => '{zone}')"
                );
                let plain = expected(
                    ACTIVE,
                    &[
                        ("SINCE", since),
                        ("UNTIL", until),
                        ("TZ", zone),
                        ("TENANT", TENANT_A),
                        ("NAMED", named),
                    ],
                );
                assert_eq!(rows(client, &report), rows(client, &plain), "{state}: {report}");
            }
        }
    }
}

#[test]
fn first_time_retention_is_by_the_first_event_ever_in_every_zone_also_where_it_was_dropped() {
    let db = Db::new();
    let mut client = db.superuser();
    filled(&mut client);
    maintain(&db);
    client.batch_execute(&format!("{INSERT} WHERE created_at >= '{LATE}'")).unwrap();
    let late = "SELECT count(*) > 500 FROM eventlog.late_events";
    assert_eq!(text(&mut client, late), "t");
    assert_retained(&mut client, "half is late");
    assert_active(&mut client, "half is late");
    maintain(&db);
    assert_eq!(text(&mut client, "SELECT count(*) > 200 FROM eventlog.first_events"), "t");
    assert_retained(&mut client, "rollups");
    assert_active(&mut client, "rollups");
    // Retention drops the first events of most.
    let before = text(&mut client, "SELECT count(*) FROM eventlog.events");
    client.batch_execute("SELECT eventlog.create_log(retention => now() - '2025-03-20')").unwrap();
    maintain(&db);
    let after = text(&mut client, "SELECT count(*) FROM eventlog.events");
    assert!(after.parse::<i64>().unwrap() * 2 < before.parse().unwrap(), "{after} of {before}");
    assert_retained(&mut client, "the first events are gone");
    assert_active(&mut client, "the first events are gone");
}

/// An import of what happened before moves the first event of those who were there.
#[test]
fn a_late_event_is_the_first_one_if_it_is_the_earliest() {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute(&format!(
            "SELECT eventlog.create_log(retention => '50 years');
             SELECT eventlog._make_partition('2025-01-01'), eventlog._make_partition('2025-02-01');
             INSERT INTO eventlog.events (tenant_id, name, actor, created_at)
             SELECT '{TENANT_A}', 'tool_used', actor, '2025-02-03 10:00+00' FROM unnest('{{old,new}}'::text[]) AS actor"
        ))
        .unwrap();
    maintain(&db);
    let report = "SELECT cohort, actors, period_number, returned FROM eventlog.cohort_retention(
                      period => 'month', since => '2025-01-01', until => '2025-03-01') WHERE actors > 0";
    let mut reader = db.connect_as("reader", TENANT_A);
    assert_eq!(rows(&mut reader, report), [["2025-02-01", "2", "0", "2"]]);
    owner
        .batch_execute(&format!(
            "WITH late AS (INSERT INTO eventlog.events (tenant_id, name, actor, created_at)
                           VALUES ('{TENANT_A}', 'tool_used', 'old', '2025-01-07 10:00+00') RETURNING tenant_id, id, created_at)
             INSERT INTO eventlog.late_events SELECT * FROM late ON CONFLICT DO NOTHING"
        ))
        .unwrap();
    let moved = [
        ["2025-01-01", "1", "0", "1"],
        ["2025-01-01", "1", "1", "1"],
        ["2025-02-01", "1", "0", "1"],
    ];
    assert_eq!(rows(&mut reader, report), moved);
    maintain(&db);
    assert_eq!(rows(&mut reader, report), moved);
    // In a span after it, that actor is not new, unless the first in the span is asked for.
    let later = |more: &str| {
        format!(
            "SELECT DISTINCT actors FROM eventlog.cohort_retention(period => 'month', since => '2025-02-01', until => '2025-03-01'{more})"
        )
    };
    assert_eq!(text(&mut reader, &later("")), "1");
    assert_eq!(text(&mut reader, &later(", first_ever => false")), "2");
}

#[test]
fn filters_apply_to_those_who_return_and_to_the_first_in_the_span_but_not_ever() {
    let db = Db::new();
    let mut client = db.superuser();
    filled(&mut client);
    client
        .batch_execute(
            "DELETE FROM copy WHERE created_at >= '2025-02-10';
             SELECT eventlog.define_event(name, count_keys => '{plan}') FROM unnest('{ping,pong}'::text[]) AS name",
        )
        .unwrap();
    let pro = "e.data ->> 'plan' = 'pro'";
    let (since, until) = ("2024-11-01", "2025-01-20");
    for state in ["raw rows", "rollups"] {
        for (is_ever, first) in [("true", "true"), ("false", pro)] {
            let report = format!(
                r#"SELECT cohort, actors, period_number, returned, share
                     FROM eventlog.cohort_retention(NULL, NULL, 'week', '{since}', '{until}', '{TENANT_A}', time_zone => 'America/New_York',
                          filters => '{{"data.plan": "pro"}}', first_ever => {is_ever})"#
            );
            let begins = "date_trunc('week', timestamp 'SINCE')";
            let first = if is_ever == "true" {
                first.to_owned()
            } else {
                format!("{first} AND (e.created_at AT TIME ZONE 'TZ') >= {begins}")
            };
            let values = [("FIRST", first.as_str()), ("RETURNING", pro), ("PERIOD", "week")];
            let plain = expected(
                &expected(RETAINED, &values),
                &[
                    ("SINCE", since),
                    ("UNTIL", until),
                    ("TZ", "America/New_York"),
                    ("TENANT", TENANT_A),
                ],
            );
            assert_eq!(rows(&mut client, &report), rows(&mut client, &plain), "{state}, {is_ever}");
        }
        let active = format!(
            r#"SELECT day, daily, weekly, monthly FROM eventlog.active_actors('{since}', '{until}', NULL, '{TENANT_A}',
                   filters => '{{"data.plan": "pro", "name": ["ping", "pong"]}}', time_zone => 'Asia/Kolkata')"#
        );
        let plain = expected(
            ACTIVE,
            &[
                ("SINCE", since),
                ("UNTIL", until),
                ("TZ", "Asia/Kolkata"),
                ("TENANT", TENANT_A),
                ("NAMED", "data ->> 'plan' = 'pro' AND name <> 'pang'"),
            ],
        );
        assert_eq!(rows(&mut client, &active), rows(&mut client, &plain), "{state}");
        maintain(&db);
        if state == "rollups" {
            // Both names count by this key, so that it takes no events.
            client.batch_execute("DELETE FROM eventlog.events").unwrap();
            assert_eq!(rows(&mut client, &active), rows(&mut client, &plain), "no rows");
            let retained = r#"SELECT count(*) FILTER (WHERE returned > 0) > 10 FROM eventlog.cohort_retention('ping', 'pong', 'week', '2024-11-01', '2025-01-20', 'TENANT', filters => '{"data.plan": ["pro", "free"]}')"#;
            assert_eq!(text(&mut client, &retained.replace("TENANT", TENANT_A)), "t");
        }
    }
}

#[test]
fn actors_of_different_tenants_are_different_actors() {
    let db = Db::new();
    let mut client = db.superuser();
    filled(&mut client);
    for state in ["raw rows", "rollups"] {
        for zone in ["UTC", "America/New_York"] {
            let active = |tenant: &str| {
                format!(
                    "SELECT sum(daily), sum(weekly), sum(monthly)
                       FROM eventlog.active_actors('2024-10-01', '2024-12-01', tenant_id => '{tenant}', time_zone => '{zone}')"
                )
            };
            let retained = |tenant: &str| {
                format!(
                    "SELECT sum(actors), sum(returned)
                       FROM eventlog.cohort_retention(period => 'week', since => '2024-10-01', until => '2024-12-01', tenant_id => '{tenant}', time_zone => '{zone}')"
                )
            };
            let funnel = |tenant: &str| {
                format!(
                    "SELECT sum(reached) FROM eventlog.funnel('{{ping,pong}}', since => '2024-10-01', until => '2024-12-01', tenant_id => '{tenant}')"
                )
            };
            for report in [&active as &dyn Fn(&str) -> String, &retained, &funnel] {
                let mut sums = |tenant: &str| -> Vec<i64> {
                    rows(&mut client, &report(tenant))[0]
                        .iter()
                        .map(|n| n.parse().unwrap())
                        .collect()
                };
                let both: Vec<i64> =
                    sums(TENANT_A).iter().zip(sums(TENANT_B)).map(|(a, b)| a + b).collect();
                assert_eq!(sums(ALL_TENANTS), both, "{state}: {}", report("all"));
            }
        }
        maintain(&db);
    }
}

#[test]
fn a_day_of_active_actors_that_is_not_over_is_marked_in_its_own_zone() {
    let db = Db::new();
    let mut reader = db.connect_as("reader", TENANT_A);
    for zone in ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"] {
        let report = format!(
            "SELECT count(*), min(day) = today - 29, max(day) = today, bool_and(is_complete = (day < today))
               FROM eventlog.active_actors(time_zone => '{zone}'), LATERAL (SELECT (now() AT TIME ZONE '{zone}')::date AS today) t GROUP BY today"
        );
        assert_eq!(rows(&mut reader, &report), [["30", "t", "t", "t"]], "{zone}");
        let report = format!(
            "SELECT bool_and(is_complete = (cohort + 7 * (period_number + 1) <= (now() AT TIME ZONE '{zone}')::date)), bool_and(extract(isodow FROM cohort) = 1)
               FROM eventlog.cohort_retention(time_zone => '{zone}')"
        );
        assert_eq!(rows(&mut reader, &report), [["t", "t"]], "{zone}");
    }
    for (call, sqlstate, message) in [
        ("active_actors(time_zone => 'Mars/Olympus')", "22023", "not recognized"),
        ("cohort_retention(time_zone => NULL)", "22004", "time_zone must not be null"),
        ("active_actors(filters => '[1]')", "22023", "filters must be an array of objects"),
        ("cohort_retention(filters => '{\"plan\": 1}')", "22023", "unknown filter \"plan\""),
    ] {
        assert_refused(&mut reader, &format!("SELECT * FROM eventlog.{call}"), sqlstate, message);
    }
}
