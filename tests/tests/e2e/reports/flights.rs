//! The reports on real input: each equals what Python computes from the file (`oracle.py`),
//! whether the rollups hold all of it, a part of it, or nothing.

use std::io::Write;
use std::process::Command;

use eventlog_tests::{Db, rows, text};
use postgres::Client;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/flights-2013-01.csv.gz");
const ORACLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/reports/oracle.py");

/// Tenants that are compared: two large ones, and one with a single flight.
const CARRIERS: &[&str] = &["UA", "B6", "OO"];

/// What the oracle calls a check, and how the log is asked for it.
const CHECKS: &[(&str, &str)] = &[
    (
        "events_per_day utc",
        "SELECT day, name, events, failures FROM eventlog.events_per_day(since => '2013-01-01', until => '2013-02-02')",
    ),
    (
        "events_per_day new york",
        "SELECT day, name, events, failures FROM eventlog.events_per_day(since => '2013-01-05 07:20', until => '2013-01-25 19:40:30',
            time_zone => 'America/New_York')",
    ),
    (
        "events_per_day kolkata",
        "SELECT day, name, events, failures FROM eventlog.events_per_day('{departed_jfk,never_logged}', '2013-01-05 07:20', '2013-01-25 19:40:30',
            time_zone => 'Asia/Kolkata')",
    ),
    (
        "events_per_hour",
        "SELECT hour, name, events, failures FROM eventlog.events_per_hour('{departed_jfk,flight_cancelled}', '2013-01-03 05:30', '2013-01-06 12:15')",
    ),
    ("summary", "SELECT events, names_seen, actors, successes, failures, success_rate, mean_duration, median_duration, p95_duration, is_sampled FROM eventlog.summary('2013-01-01', '2013-02-02')"),
    ("summary odd", "SELECT events, names_seen, actors, successes, failures, success_rate, mean_duration, median_duration, p95_duration, is_sampled FROM eventlog.summary('2013-01-05 07:20', '2013-01-25 19:40:30')"),
    (
        "summary names",
        "SELECT events, names_seen, actors, successes, failures, success_rate, mean_duration, median_duration, p95_duration, is_sampled FROM eventlog.summary('2013-01-05 07:20', '2013-01-25 19:40:30', '{departed_jfk,flight_cancelled}')",
    ),
    (
        "success_rate",
        "SELECT * FROM eventlog.success_rate('departed_ewr', 'flight_cancelled', '2013-01-01', '2013-02-02')",
    ),
    (
        "subject_stats",
        "SELECT name, subject, events, successes, failures, success_rate, mean_duration, median_duration, p95_duration, p99_duration, first_at, last_at FROM eventlog.subject_stats(since => '2013-01-01', until => '2013-02-02')",
    ),
    (
        "subject_stats names",
        "SELECT name, subject, events, successes, failures, success_rate, mean_duration, median_duration, p95_duration, p99_duration, first_at, last_at FROM eventlog.subject_stats('{departed_jfk,flight_cancelled}', '2013-01-10', '2013-01-20')",
    ),
    (
        "top_subjects",
        "SELECT rank, subject, events, share, last_at FROM eventlog.top_subjects(since => '2013-01-01', until => '2013-02-02')",
    ),
    (
        "top_subjects prefix",
        "SELECT rank, subject, events, share, last_at FROM eventlog.top_subjects('{departed_ewr}', '2013-01-10', '2013-01-20', 'EWR/', 3)",
    ),
    (
        "usage_summary",
        "SELECT subject, first_used_at, last_used_at, events, operations
          FROM eventlog.usage_summary('LGA/', since => '2013-01-01', until => '2013-02-02')",
    ),
    (
        "unused_subjects",
        "SELECT subject, last_used_at, events, suggestion FROM eventlog.unused_subjects(
            now() - '2013-01-25', removed_by => '{no_such_name}')
          WHERE idle_days = extract(day FROM now() - last_used_at)",
    ),
    (
        "unused_subjects removed",
        "SELECT subject, last_used_at, events, suggestion FROM eventlog.unused_subjects(
            now() - '2013-01-31 12:00', 'EWR/', removed_by => '{flight_cancelled}')",
    ),
    ("active_actors", "SELECT day, daily, weekly, monthly, is_sampled
          FROM eventlog.active_actors('2013-01-01', '2013-02-02')"),
    (
        "active_actors name",
        "SELECT day, daily, weekly, monthly, is_sampled
          FROM eventlog.active_actors('2013-01-20', '2013-02-05', 'departed_jfk')",
    ),
    (
        "cohort_retention day",
        "SELECT cohort, actors, period_number, returned, share, is_complete, is_sampled
          FROM eventlog.cohort_retention(period => 'day', since => '2013-01-10', until => '2013-01-20')",
    ),
    (
        "cohort_retention week",
        "SELECT cohort, actors, period_number, returned, share, is_complete, is_sampled
          FROM eventlog.cohort_retention('departed_jfk', 'flight_cancelled', 'week', '2013-01-09', '2013-02-02')",
    ),
    (
        "cohort_retention month",
        "SELECT cohort, actors, period_number, returned, share, is_complete, is_sampled
          FROM eventlog.cohort_retention('departed_ewr', NULL, 'month', '2013-01-01', '2013-02-02')",
    ),
    (
        "funnel actor",
        "SELECT step, name, reached, conversion, conversion_from_previous, median_seconds, is_sampled
          FROM eventlog.funnel('{departed_ewr,departed_lga,departed_jfk}', '2 days', 'actor', '2013-01-03', '2013-01-20')",
    ),
    (
        "funnel subject",
        "SELECT step, name, reached, conversion, conversion_from_previous, median_seconds, is_sampled
          FROM eventlog.funnel('{departed_ewr,flight_cancelled,departed_ewr,flight_cancelled}', '9 days', 'subject',
            '2013-01-01', '2013-02-02')",
    ),
    (
        "funnel flight",
        "SELECT step, name, reached, conversion, conversion_from_previous, median_seconds, is_sampled
          FROM eventlog.funnel('{flight_cancelled,departed_jfk}', '30 hours', 'flight',
            '2013-01-05 07:20', '2013-01-25 19:40:30')",
    ),
    (
        "recent_errors",
        "SELECT name, error_type, events, actors, first_at, last_at, last_id, last_subject, is_sampled FROM eventlog.recent_errors(since => '2013-01-01', until => '2013-02-02', row_limit => 100)",
    ),
    (
        "recent_errors names",
        "SELECT name, error_type, events, actors, first_at, last_at, last_id, last_subject, is_sampled FROM eventlog.recent_errors('{departed_ewr,departed_jfk}', '2013-01-05 07:20', '2013-01-25 19:40:30', 2)",
    ),
    ("get_events all", "SELECT id FROM eventlog.get_events(since => '-infinity', row_limit => 10000)"),
    (
        "get_events names and time",
        "SELECT id FROM eventlog.get_events('{departed_jfk,flight_cancelled}', '2013-01-05 07:20', '2013-01-25 19:40:30',
            row_limit => 10000)",
    ),
    (
        "get_events actors",
        "SELECT id FROM eventlog.get_events(since => '2013-01-01', row_limit => 10000,
            actors => ARRAY['N14228', (SELECT min(actor) FROM eventlog.events)])",
    ),
    (
        "get_events subjects",
        "SELECT id FROM eventlog.get_events(since => '2013-01-01', row_limit => 10000, subjects => '{EWR/SFO,JFK/HNL}')",
    ),
    (
        "get_events contains",
        "SELECT id FROM eventlog.get_events(since => '2013-01-01', row_limit => 10000, contains => '{\"delay\": \"late\"}')",
    ),
    (
        "get_events ids",
        "SELECT id FROM eventlog.get_events(since => '2013-01-01', ids => '{1,2,3,27000}')",
    ),
    (
        "get_events occurred",
        "SELECT id FROM eventlog.get_events(since => '2013-01-01', row_limit => 10000,
            occurred_since => '2013-01-05 07:20', occurred_until => '2013-01-25 19:40:30')",
    ),
];

/// Those that rollups alone answer: whole days in UTC, and nothing of single events.
const FROM_ROLLUPS: &[&str] = &[
    "events_per_day utc",
    "summary",
    "success_rate",
    "subject_stats",
    "subject_stats names",
    "top_subjects",
    "top_subjects prefix",
    "usage_summary",
    "unused_subjects",
    "unused_subjects removed",
    "active_actors",
    "active_actors name",
    "cohort_retention day",
    "cohort_retention week",
    "cohort_retention month",
];

/// The flights as events of an application's own table, which the log's owner may read. Created when
/// they should depart, occurred when they did.
const SOURCE: &str = "
    CREATE TABLE public.flights AS
    SELECT n AS id, md5('carrier ' || carrier)::uuid AS tenant_id,
           CASE WHEN dep_time IS NULL THEN 'flight_cancelled' ELSE 'departed_' || lower(origin) END AS name,
           jsonb_strip_nulls(jsonb_build_object(
               'flight', carrier || flight, 'distance', distance, 'airTime', air_time,
               'onTime', CASE WHEN dep_time IS NOT NULL THEN arr_delay <= 15 END,
               'delay', CASE WHEN dep_time IS NULL THEN NULL WHEN arr_delay IS NULL THEN 'diverted'
                             WHEN arr_delay > 60 THEN 'very late' WHEN arr_delay > 15 THEN 'late' END,
               'reason', CASE WHEN dep_time IS NULL THEN 'cancelled at ' || origin END)) AS data,
           tailnum AS actor, origin || '/' || dest AS subject,
           time_hour + minute * interval '1 minute' + dep_delay * interval '1 minute' AS occurred_at,
           time_hour + minute * interval '1 minute' AS created_at
      FROM public.departures;
    CREATE VIEW public.odd_flights AS SELECT * FROM public.flights WHERE id % 2 = 1;
    CREATE VIEW public.even_flights AS SELECT * FROM public.flights WHERE id % 2 = 0;
    GRANT SELECT ON public.flights, public.odd_flights, public.even_flights TO log_owner;
    SELECT eventlog.create_log(retention => '50 years');
    SELECT eventlog.define_event('departed_' || origin, 'flights', duration_key => 'airTime', success_key => 'onTime',
                                 error_key => 'delay') FROM unnest('{ewr,jfk,lga}'::text[]) AS origin;
    SELECT eventlog.define_event('flight_cancelled', 'flights', error_key => 'reason');";

/// A log, and beside it the flights as events that are yet to be imported.
fn flights() -> Db {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(
            "CREATE TABLE public.departures (n bigint GENERATED ALWAYS AS IDENTITY, year int, month int, day int, dep_time int,
                sched_dep_time int, dep_delay int, arr_time int, sched_arr_time int, arr_delay int, carrier text, flight int,
                tailnum text, origin text, dest text, air_time int, distance int, hour int, minute int, time_hour timestamptz)",
        )
        .unwrap();
    let csv = Command::new("gzip").args(["-dc", FILE]).output().expect("gzip").stdout;
    let mut copy = superuser
        .copy_in(
            "COPY public.departures (year, month, day, dep_time, sched_dep_time, dep_delay, arr_time, sched_arr_time, arr_delay,
                carrier, flight, tailnum, origin, dest, air_time, distance, hour, minute, time_hour)
             FROM STDIN (FORMAT csv, HEADER, NULL 'NA')",
        )
        .unwrap();
    copy.write_all(&csv).unwrap();
    assert_eq!(copy.finish().unwrap(), 27_004);
    superuser.batch_execute(SOURCE).unwrap();
    db
}

fn import(db: &Db, source: &str) -> String {
    let counts = format!(
        "SELECT imported FROM eventlog.import_events('public.{source}') WHERE rejected + already_there = 0"
    );
    text(&mut db.connect("log_owner"), &counts)
}

fn maintain(db: &Db) {
    let mut owner = db.connect("log_owner");
    owner.batch_execute("CALL eventlog.maintain()").unwrap();
    assert_eq!(text(&mut owner, "SELECT last_outcome FROM eventlog.stat_maintenance"), "done");
}

/// The checks of a carrier, with the rows that the oracle expects.
fn oracle(carrier: &str) -> Vec<(String, Vec<String>)> {
    let output = Command::new("python3").args([ORACLE, FILE, carrier]).output().expect("python3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut checks: Vec<(String, Vec<String>)> = Vec::new();
    for line in String::from_utf8(output.stdout).expect("UTF-8").lines() {
        match line.strip_prefix("= ") {
            Some(label) => checks.push((label.to_owned(), Vec::new())),
            None => checks.last_mut().expect("a label comes first").1.push(line.to_owned()),
        }
    }
    checks
}

/// Equal, but for percentiles, which may be off by 2 % and are rounded to a tenth.
fn is_as_expected(found: &str, expected: &str) -> bool {
    let Some(exact) = expected.strip_prefix('~') else { return found == expected };
    let (Ok(found), Ok(exact)) = (found.parse::<f64>(), exact.parse::<f64>()) else { return false };
    (found - exact).abs() <= 0.02 * exact + 0.05
}

/// A tenant's own role.
fn reader(db: &Db, carrier: &str) -> Client {
    let mut client = db.connect("reader");
    client
        .batch_execute(&format!(
            "SELECT set_config('eventlog.tenant_id', md5('carrier {carrier}')::uuid::text, false)"
        ))
        .unwrap();
    client
}

/// Compares all checks, or those of these labels.
fn assert_equal_to_the_oracle(db: &Db, state: &str, labels: Option<&[&str]>) {
    for carrier in CARRIERS {
        let mut client = reader(db, carrier);
        let expected = oracle(carrier);
        assert_eq!(expected.len(), CHECKS.len());
        for ((label, expected), (same, sql)) in expected.iter().zip(CHECKS) {
            assert_eq!(label, same);
            if labels.is_some_and(|labels| !labels.contains(same)) {
                continue;
            }
            let found: Vec<String> =
                rows(&mut client, sql).into_iter().map(|row| row.join("|")).collect();
            let differs = found.iter().zip(expected).find(|(found, expected)| {
                found.split('|').count() != expected.split('|').count()
                    || !found.split('|').zip(expected.split('|')).all(|(f, e)| is_as_expected(f, e))
            });
            assert_eq!(differs, None, "{state}: {carrier}: {label}");
            assert_eq!(found.len(), expected.len(), "{state}: {carrier}: {label}");
        }
    }
}

fn assert_the_rollups_are_right(db: &Db) {
    let wrong =
        rows(&mut db.connect("log_owner"), "SELECT * FROM eventlog.verify_rollups() LIMIT 5");
    assert_eq!(wrong, Vec::<Vec<String>>::new());
}

#[test]
fn every_report_equals_the_oracles_from_raw_rows_and_from_rollups() {
    let db = flights();
    assert_eq!(import(&db, "flights"), "27004");
    assert_equal_to_the_oracle(&db, "raw rows", None);
    maintain(&db);
    let counted = "SELECT sum(events) FROM eventlog.daily_counts";
    assert_eq!(text(&mut db.superuser(), counted), "27004");
    assert_the_rollups_are_right(&db);
    assert_equal_to_the_oracle(&db, "rollups", None);
}

#[test]
fn reports_are_the_same_while_half_of_the_events_are_late_and_when_their_rows_are_gone() {
    let db = flights();
    let mut owner = db.connect("log_owner");
    assert_eq!(import(&db, "odd_flights"), "13502");
    maintain(&db);
    assert_eq!(import(&db, "even_flights"), "13502");
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.late_events"), "13502");
    assert_equal_to_the_oracle(&db, "half is late", None);
    maintain(&db);
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.late_events"), "0");
    assert_the_rollups_are_right(&db);
    assert_equal_to_the_oracle(&db, "late events were added", None);

    owner.batch_execute("SELECT eventlog.create_log(retention => '1 year')").unwrap();
    maintain(&db);
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.events"), "0");
    assert_equal_to_the_oracle(&db, "no rows are left", Some(FROM_ROLLUPS));
}

#[test]
fn pages_of_get_events_give_every_event_once() {
    let db = flights();
    import(&db, "flights");
    let expected = oracle("UA").into_iter().find(|check| check.0 == "get_events all").unwrap().1;
    let mut client = reader(&db, "UA");
    let mut found = Vec::new();
    let mut before = String::new();
    loop {
        let page = rows(
            &mut client,
            &format!(
                "SELECT id, created_at FROM eventlog.get_events(since => '2013-01-01', row_limit => 333{before})"
            ),
        );
        let Some(last) = page.last() else { break };
        before = format!(", before_id => {}, before_created_at => '{}'", last[0], last[1]);
        found.extend(page.into_iter().map(|row| row[0].clone()));
    }
    assert_eq!(found, expected);
    // Rows of a page are whole.
    let row = "SELECT e = (SELECT (g.id, g.name, g.data, g.actor, g.subject, g.occurred_at, g.created_at, g.weight)::text)
                 FROM eventlog.get_events(ids => '{1}', since => '2013-01-01') g,
                      LATERAL (SELECT (id, name, data, actor, subject, occurred_at, created_at, weight)::text AS e
                                 FROM eventlog.events WHERE id = g.id) r";
    assert_eq!(text(&mut client, row), "t");
    let of_weight = |weight: &str| {
        format!(
            "SELECT count(*) FROM eventlog.get_events(since => '2013-01-01', row_limit => 10000, min_weight => {weight})"
        )
    };
    assert_eq!(text(&mut client, &of_weight("1")), expected.len().to_string());
    assert_eq!(text(&mut client, &of_weight("1.5")), "0");
}
