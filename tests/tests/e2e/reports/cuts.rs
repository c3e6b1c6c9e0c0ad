//! Reports under filters and breakdowns, in time zones, against plain SQL over raw rows (cuts.sql).

use eventlog_tests::{Db, TENANT_A, rows, text};
use postgres::Client;

/// Filters, and what they mean in SQL.
const FILTERS: &[(&str, &str)] = &[
    ("NULL", "true"),
    (r#"'{"name": ["tool", "ping"]}'"#, "name IN ('tool', 'ping')"),
    (r#"'{"name": {"not": "tool"}}'"#, "name <> 'tool'"),
    (r#"'{"data.plan": "free"}'"#, "data ->> 'plan' = 'free'"),
    (
        r#"'{"name": "tool", "data.plan": ["free", "it''s \"x\\\""]}'"#,
        r#"name = 'tool' AND data ->> 'plan' IN ('free', 'it''s "x\"')"#,
    ),
    (r#"'{"name": "message", "data.plan": null}'"#, "name = 'message' AND NOT data ? 'plan'"),
    (r#"'{"data.plan": {"not": "free"}}'"#, "coalesce(data ->> 'plan', '') <> 'free'"),
    (
        r#"'{"data.plan": {"prefix": "p"}, "name": {"prefix": "t"}}'"#,
        "data ->> 'plan' LIKE 'p%' AND name LIKE 't%'",
    ),
    (r#"'{"data.plan": 7.0}'"#, "data -> 'plan' = '7'"),
    (
        r#"'{"data.plan": true, "actor": {"present": true}}'"#,
        "data -> 'plan' = 'true' AND actor <> ''",
    ),
    (
        r#"'{"data.size": {">": 4, "<=": 12}}'"#,
        "jsonb_typeof(data -> 'size') = 'number' AND (data ->> 'size')::numeric BETWEEN 4.5 AND 12",
    ),
    (
        r#"'{"actor": ["u1", "u5"], "subject": {"not": "s1"}}'"#,
        "actor IN ('u1', 'u5') AND coalesce(subject, '') <> 's1'",
    ),
    (
        r#"'[{"subject": null}, {"data.it''s": {"prefix": "v1"}}]'"#,
        "subject IS NULL AND data ->> 'it''s' LIKE 'v1%'",
    ),
];

/// Breakdowns, and what they mean in SQL.
pub(super) const BREAKDOWNS: &[(&str, &str)] = &[
    ("'name'", "name"),
    ("'data.plan'", "data ->> 'plan'"),
    ("'data.it''s'", "data ->> 'it''s'"),
    ("'subject'", "subject"),
    ("'actor'", "nullif(actor, '')"),
];

pub(super) const STATES: [&str; 3] = ["raw rows", "rolled up", "with late events"];

pub(super) fn log() -> Db {
    let db = Db::new();
    db.superuser().batch_execute(include_str!("cuts.sql")).unwrap();
    db.connect("log_owner").batch_execute("SET timezone = 'UTC'").unwrap();
    add_events(&db, "0.1, 3000");
    db
}

fn add_events(db: &Db, arguments: &str) {
    let mut owner = db.superuser();
    owner.batch_execute(&format!("SELECT public.add_events({arguments}); ANALYZE")).unwrap();
}

/// Brings the log into a state, with the same events for all that is compared then.
pub(super) fn enter(db: &Db, state: &str) {
    match state {
        "rolled up" => {
            db.connect("log_owner").batch_execute("CALL eventlog.maintain()").unwrap();
        }
        "with late events" => add_events(db, "0.2, 500"),
        _ => {}
    }
}

pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A tenant's own reader, and the owner, who counts raw rows.
pub(super) fn clients(db: &Db) -> (Client, Client) {
    let mut clients = (db.connect_as("reader", TENANT_A), db.superuser());
    for client in [&mut clients.0, &mut clients.1] {
        client.batch_execute("SET timezone = 'UTC'; SET client_min_messages = warning").unwrap();
    }
    clients
}

/// Median and mean, which may be off by 2 % and by a rounding.
fn is_near(found: &str, expected: &str) -> bool {
    match (found.parse::<f64>(), expected.parse::<f64>()) {
        (Ok(found), Ok(expected)) => (found - expected).abs() <= 0.02 * expected + 0.1,
        _ => found == expected,
    }
}

#[test]
fn a_summary_equals_plain_sql_under_every_filter_and_breakdown() {
    let db = log();
    let (mut reader, mut owner) = clients(&db);
    let mut compared = 0;
    for (round, state) in STATES.iter().enumerate() {
        enter(&db, state);
        let breakdowns = [("NULL", "NULL")].iter().chain(BREAKDOWNS);
        for (n, ((filters, condition), (breakdown, value))) in FILTERS
            .iter()
            .flat_map(|filter| breakdowns.clone().map(move |breakdown| (filter, breakdown)))
            .enumerate()
        {
            // Each combination in two of the three states.
            if n % 3 == round {
                continue;
            }
            let (since, until) = [
                ("2013-03-05 07:20", "2013-04-02 19:40:30"),
                ("2013-03-02", "2013-04-14"),
                ("2013-03-10 03:00:01", "2013-03-10 09:10"),
            ][n / 3 % 3];
            let found = rows(
                &mut reader,
                &format!(
                    "SELECT breakdown_value, is_others, events, names_seen, actors, successes, failures, last_at, mean_duration, median_duration
                       FROM eventlog.summary('{since}', '{until}', filters => {filters}, breakdown => {breakdown}, top => 4)
                      WHERE events > 0 ORDER BY is_others, events DESC, breakdown_value"
                ),
            );
            let expected = rows(
                &mut owner,
                &format!(
                    "SELECT value, is_others, events, names, actors, successes, failures, last_at, mean, round(median, 1)
                       FROM public.expected({}, {}, 'NULL', '{since}', '{until}', 4) ORDER BY is_others, events DESC, value",
                    quoted(condition),
                    quoted(value)
                ),
            );
            let what = format!("{state}: {filters} {breakdown} {since}\n{found:?}\n{expected:?}");
            assert_eq!(found.len(), expected.len(), "{what}");
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(found[..8], expected[..8], "{what}");
                assert!(is_near(&found[8], &expected[8]), "{what}");
                assert!(is_near(&found[9], &expected[9]), "{what}");
                compared += 1;
            }
        }
    }
    assert!(compared > 300, "{compared}");
}

#[test]
fn periods_of_time_zones_equal_plain_sql_under_every_filter_and_breakdown() {
    let db = log();
    let (mut reader, mut owner) = clients(&db);
    let mut compared = 0;
    let periods = [
        ("day", "UTC"),
        ("day", "America/New_York"),
        ("week", "Asia/Kolkata"),
        ("month", "Australia/Lord_Howe"),
        ("hour", "America/New_York"),
        ("hour", "Asia/Kolkata"),
    ];
    let breakdowns = [("NULL", "name"), ("'none'", "NULL")];
    let cuts: Vec<_> = FILTERS
        .iter()
        .flat_map(|filter| breakdowns.iter().chain(BREAKDOWNS).map(move |by| (filter, by)))
        .collect();
    for (round, state) in STATES.iter().enumerate() {
        enter(&db, state);
        for (n, ((filters, condition), (breakdown, value))) in cuts.iter().enumerate() {
            // Each cut in one period a state, in another one each time.
            let (period, zone) = periods[(n + 2 * round) % periods.len()];
            let local = format!("created_at AT TIME ZONE '{zone}'");
            let (report, column, since, until, begins, of) = if period == "hour" {
                (
                    "events_per_hour(".to_owned(),
                    "hour",
                    "2013-03-09 20:20",
                    "2013-03-10 19:40:30",
                    // Both zones have whole or half hours here.
                    format!(
                        "created_at - ({local} - date_trunc('hour', {local})) + interval '0 hours'"
                    ),
                    format!(
                        "timestamptz '2013-03-09 20:20' - CASE WHEN '{zone}' = 'Asia/Kolkata' THEN interval '50 minutes' ELSE '20 minutes' END"
                    ),
                )
            } else {
                (
                    format!("events_per_day(period => '{period}', "),
                    "day",
                    "2013-03-05 07:20",
                    "2013-04-12 19:40:30",
                    format!("date_trunc('{period}', {local})::date"),
                    format!(
                        "date_trunc('day', timestamptz '2013-03-05 07:20' AT TIME ZONE '{zone}') AT TIME ZONE '{zone}'"
                    ),
                )
            };
            let top = if *breakdown == "NULL" { 1000 } else { 3 };
            // Without a breakdown, actors are not counted.
            let actors = if *breakdown == "NULL" { "coalesce(actors, -1)" } else { "actors" };
            let found = rows(
                &mut reader,
                &format!(
                    "SELECT {column}, coalesce(name, breakdown_value), is_others, events, {actors} AS actors, successes, failures, median_duration
                       FROM eventlog.{report}since => '{since}', until => '{until}', time_zone => '{zone}', filters => {filters},
                                              breakdown => {breakdown}, top => 3)
                      WHERE events > 0 ORDER BY {column}::text, is_others, events DESC, 2"
                ),
            );
            let expected = rows(
                &mut owner,
                &format!(
                    "SELECT period, value, is_others, events, {}, successes, failures, round(median, 1)
                       FROM public.expected({}, {}, {}, {of}, '{until}', {top}) ORDER BY period, is_others, events DESC, value",
                    if *breakdown == "NULL" { "-1" } else { "actors" },
                    quoted(condition),
                    quoted(value),
                    quoted(&begins)
                ),
            );
            let what = format!("{state}: {period} {zone} {filters} {breakdown}");
            assert_eq!(found.len(), expected.len(), "{what}\n{found:?}\n{expected:?}");
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(found[..7], expected[..7], "{what}");
                assert!(is_near(&found[7], &expected[7]), "{what}\n{found:?}\n{expected:?}");
                compared += 1;
            }
        }
    }
    assert!(compared > 1000, "{compared}");
}

#[test]
fn subjects_errors_and_single_events_equal_plain_sql_under_every_filter() {
    let db = log();
    let (mut reader, mut owner) = clients(&db);
    let own = format!("tenant_id = '{TENANT_A}'");
    for state in STATES {
        enter(&db, state);
        for (filters, condition) in FILTERS {
            for zone in ["UTC", "America/New_York", "Asia/Kolkata"] {
                let of_days = format!(
                    "{own} AND created_at >= date '2013-03-09'::timestamp AT TIME ZONE '{zone}'
                           AND created_at < date '2013-04-02'::timestamp AT TIME ZONE '{zone}'
                           AND subject IS NOT NULL AND name <> 'page' AND {condition}"
                );
                let found = rows(
                    &mut reader,
                    &format!(
                        "SELECT name, subject, events, first_at, last_at FROM eventlog.subject_stats(since => '2013-03-09',
                             until => '2013-04-02', filters => {filters}, time_zone => '{zone}') ORDER BY name, subject"
                    ),
                );
                let expected = format!(
                    "SELECT name, subject, sum(coalesce(weight, 1)), min(created_at), max(created_at) FROM eventlog.events
                      WHERE {of_days} GROUP BY name, subject ORDER BY name, subject"
                );
                assert_eq!(found, rows(&mut owner, &expected), "{state}: {filters} {zone}");
                let found = rows(
                    &mut reader,
                    &format!(
                        "SELECT rank, subject, events, last_at FROM eventlog.top_subjects(since => '2013-03-09',
                             until => '2013-04-02', filters => {filters}, time_zone => '{zone}', row_limit => 3)"
                    ),
                );
                let expected = format!(
                    "SELECT row_number() OVER (ORDER BY sum(coalesce(weight, 1)) DESC, subject), subject, sum(coalesce(weight, 1)), max(created_at)
                       FROM eventlog.events WHERE {of_days} GROUP BY subject ORDER BY 1 LIMIT 3"
                );
                assert_eq!(found, rows(&mut owner, &expected), "{state}: {filters} {zone}");
            }
            let failed = format!(
                "{own} AND created_at >= '2013-03-09 07:20' AND created_at < '2013-03-29' AND {condition}
                 AND (name IN ('tool', 'message') AND data -> 'ok' = 'false' OR name = 'tool' AND NOT data ? 'ok' AND data ? 'err')"
            );
            let found = rows(
                &mut reader,
                &format!(
                    "SELECT name, error_type, breakdown_value, is_others, events, actors, first_at, last_at, last_message
                       FROM eventlog.recent_errors(since => '2013-03-09 07:20', until => '2013-03-29', filters => {filters},
                                                   breakdown => 'data.plan', top => 2)"
                ),
            );
            let expected = format!(
                "WITH failed AS (SELECT *, data ->> 'plan' AS plan FROM eventlog.events WHERE {failed}),
                      best AS (SELECT plan FROM failed GROUP BY plan ORDER BY sum(coalesce(weight, 1)) DESC, plan LIMIT 2),
                      marked AS (SELECT f.*, NOT EXISTS (SELECT FROM best b WHERE b.plan IS NOT DISTINCT FROM f.plan) AS is_others FROM failed f)
                 SELECT name, CASE WHEN name = 'tool' THEN data ->> 'err' END AS error, CASE WHEN NOT is_others THEN plan END AS value, is_others,
                        sum(coalesce(weight, 1)), count(DISTINCT nullif(actor, '')), min(created_at), max(created_at),
                        (array_agg(data ->> 'errorMessage' ORDER BY created_at DESC))[1]
                   FROM marked GROUP BY 1, 2, 3, 4 ORDER BY max(created_at) DESC LIMIT 20"
            );
            assert_eq!(found, rows(&mut owner, &expected), "{state}: {filters}");
            let found = rows(
                &mut reader,
                &format!(
                    "SELECT id FROM eventlog.get_events(since => '2013-03-09', until => '2013-03-20', filters => {filters}, row_limit => 50)"
                ),
            );
            let expected = format!(
                "SELECT id FROM eventlog.events WHERE {own} AND created_at >= '2013-03-09' AND created_at < '2013-03-20' AND {condition}
                  ORDER BY created_at DESC, id DESC LIMIT 50"
            );
            assert_eq!(found, rows(&mut owner, &expected), "{state}: {filters}");
        }
    }
}

#[test]
fn a_cut_answer_says_from_when_on_retention_left_the_rows_that_it_needs() {
    let db = log();
    let (mut reader, mut owner) = clients(&db);
    enter(&db, "rolled up");
    let mut covered = |filters: &str| {
        text(
            &mut reader,
            &format!(
                "SELECT covered_since FROM eventlog.summary('2013-03-02', '2013-04-14', filters => '{filters}')"
            ),
        )
    };
    let (of_rows, of_ping, of_rollups) = (
        r#"{"actor": "u1"}"#,
        r#"{"actor": "u1", "name": "ping"}"#,
        r#"{"name": ["tool", "ping"]}"#,
    );
    for filters in [of_rows, of_ping, of_rollups] {
        assert_eq!(covered(filters), "2013-03-02 00:00:00+00", "{filters}");
    }
    // As the retention of a name does.
    owner
        .batch_execute(
            "DELETE FROM eventlog.events WHERE name = 'tool' AND created_at < '2013-03-15 07:20'",
        )
        .unwrap();
    let since = covered(of_rows);
    assert!(("2013-03-14"..="2013-03-15 08:00:00+00").contains(&since.as_str()), "{since}");
    assert_eq!(covered(of_ping), "2013-03-02 00:00:00+00");
    // As that of the log does.
    owner.batch_execute("DROP TABLE eventlog.events_p20130301").unwrap();
    assert_eq!(covered(of_rows), "2013-04-01 00:00:00+00");
    assert_eq!(covered(of_ping), "2013-04-01 00:00:00+00");
    assert_eq!(covered(of_rollups), "2013-03-02 00:00:00+00");
}

#[test]
fn hours_and_days_are_as_long_as_the_clocks_of_a_zone_make_them() {
    let db = log();
    let mut owner = db.superuser();
    owner
        .batch_execute(&format!(
            "SELECT eventlog._make_partition(timestamptz '2013-10-15'), eventlog._make_partition(timestamptz '2013-11-15');
             INSERT INTO eventlog.events (tenant_id, name, actor, created_at)
             SELECT '{TENANT_A}', 'clock', 'a', at
               FROM unnest('{{2013-03-09,2013-04-05,2013-10-04,2013-11-02}}'::timestamptz[]) AS start,
                    generate_series(start, start + interval '4 days', '1 minute') AS at"
        ))
        .unwrap();
    let mut reader = db.connect_as("reader", TENANT_A);
    for state in ["raw rows", "rolled up"] {
        enter(&db, state);
        for (zone, day, minutes) in [
            ("America/New_York", "2013-03-10", "0:60 1:60 3:60 4:60"),
            ("America/New_York", "2013-11-03", "0:60 1:60 1:60 2:60"),
            ("Australia/Lord_Howe", "2013-04-07", "0:60 1:90 2:60 3:60"),
            ("Australia/Lord_Howe", "2013-10-06", "0:60 1:60 2:30 3:60"),
            ("Asia/Kolkata", "2013-03-10", "0:60 1:60 2:60 3:60"),
            ("UTC", "2013-03-10", "0:60 1:60 2:60 3:60"),
        ] {
            let found = format!(
                "SELECT string_agg(extract(hour FROM hour AT TIME ZONE '{zone}') || ':' || events, ' ' ORDER BY hour)
                   FROM (SELECT * FROM eventlog.events_per_hour('{{clock}}', time_zone => '{zone}',
                                since => timestamp '{day}' AT TIME ZONE '{zone}', until => timestamp '{day} 06:00' AT TIME ZONE '{zone}')
                          ORDER BY hour LIMIT 4) h"
            );
            assert_eq!(text(&mut reader, &found), minutes, "{state}: {zone} {day}");
            let of_day = format!(
                "SELECT events = extract(epoch FROM timestamp '{day}' + interval '1 day' - timestamp '{day}' ) / 60
                                 + CASE '{zone} {day}' WHEN 'America/New_York 2013-03-10' THEN -60 WHEN 'America/New_York 2013-11-03' THEN 60
                                        WHEN 'Australia/Lord_Howe 2013-04-07' THEN 30 WHEN 'Australia/Lord_Howe 2013-10-06' THEN -30 ELSE 0 END
                        AND actors = 1 AND is_complete
                   FROM eventlog.events_per_day('{{clock}}', breakdown => 'none', time_zone => '{zone}', since => timestamp '{day}' AT TIME ZONE '{zone}',
                                                until => (timestamp '{day}' + interval '1 day') AT TIME ZONE '{zone}')"
            );
            assert_eq!(text(&mut reader, &of_day), "t", "{state}: {zone} {day}");
        }
    }
}
