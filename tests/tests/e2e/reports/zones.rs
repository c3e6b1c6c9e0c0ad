//! Days of time zones begin at the zone's own midnight, and have what happened on them.

use eventlog_tests::{Db, TENANT_A, rows, text};

/// Where a zone's offset changes near midnight: every day of every zone from 1970 to 2037 whose midnight,
/// or one of the hours around it, has another offset than the day before. Looked for by the quarter of an
/// hour: is an instant of that day earlier than its start, is the start not of that day, or is the moment
/// before it of that day too? A day that a zone left out has no instant.
const WRONG: &str = "
    WITH near AS MATERIALIZED (
        SELECT z.name, d::date AS day, eventlog._day_start(d::date, z.name) AS starts_at
          FROM pg_timezone_names z, generate_series(timestamp '1969-12-31', '2037-12-31', '1 day') AS d
         WHERE z.name !~ '^(posix|right)/'
           AND ((d AT TIME ZONE 'UTC' - interval '36 hours') AT TIME ZONE z.name) - (d - interval '36 hours')
            <> ((d AT TIME ZONE 'UTC' + interval '36 hours') AT TIME ZONE z.name) - (d + interval '36 hours')
    ), earlier AS (
        SELECT n.*, (n.starts_at AT TIME ZONE n.name)::date AS is_on,
               EXISTS (SELECT FROM generate_series(n.starts_at - interval '30 hours', n.starts_at - interval '1 second', '15 minutes') AS at
                        WHERE (at AT TIME ZONE n.name)::date = n.day)
               OR ((n.starts_at - interval '1 microsecond') AT TIME ZONE n.name)::date = n.day AS is_late
          FROM near n
    )
    SELECT e.name, e.day, e.starts_at FROM earlier e WHERE e.is_late OR e.is_on < e.day OR e.is_on > e.day + 1
     UNION ALL
    SELECT 'none was looked at', NULL, NULL WHERE (SELECT count(*) FROM near) < 50000";

#[test]
fn a_day_begins_at_the_first_instant_that_its_zone_calls_so() {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    owner.batch_execute("SET timezone = 'UTC'").unwrap();
    assert_eq!(rows(&mut owner, WRONG), Vec::<Vec<String>>::new());
    // The rest of them, at noon of other days: midnight is the only one.
    let ordinary = "SELECT count(*) FROM pg_timezone_names z, unnest('{1970-06-15,1999-01-15,2024-07-01}'::date[]) AS day
                     WHERE eventlog._day_start(day, z.name) <> day::timestamp AT TIME ZONE z.name";
    assert_eq!(text(&mut owner, ordinary), "0");
}

/// Counted by the minute in plain SQL, beside the report.
#[test]
fn days_on_which_clocks_are_set_back_over_midnight_have_their_own_minutes() {
    let db = Db::new();
    db.superuser()
        .batch_execute("SELECT eventlog.create_log(retention => '50 years'); SELECT eventlog.define_event('ping')")
        .unwrap();
    let mut owner = db.connect("log_owner");
    let mut reader = db.connect_as("reader", TENANT_A);
    for (zone, day) in [
        ("America/St_Johns", "2010-11-07"),
        ("America/St_Johns", "2006-10-29"),
        ("Antarctica/Casey", "2010-03-05"),
        ("Asia/Gaza", "2011-08-01"),
        ("America/Asuncion", "2010-04-11"),
        ("Asia/Pyongyang", "2015-08-15"),
        ("America/Goose_Bay", "2010-11-07"),
        ("Africa/Cairo", "2010-09-30"),
        ("Pacific/Apia", "2011-12-30"),
    ] {
        owner
            .batch_execute(&format!(
                "DELETE FROM eventlog.events; TRUNCATE eventlog.late_events, eventlog.hourly_counts, eventlog.daily_counts;
                 SELECT eventlog._make_partition(d) FROM generate_series(timestamptz '{day}' - interval '3 days', timestamptz '{day}' + interval '3 days', '1 day') d;
                 INSERT INTO eventlog.events (tenant_id, name, created_at)
                 SELECT '{TENANT_A}', 'ping', at FROM generate_series(timestamptz '{day}' - interval '2 days', timestamptz '{day}' + interval '3 days', '1 minute') AS at"
            ))
            .unwrap();
        let by_minutes = format!(
            "SELECT d::date, 'ping', count(e.id), 0
               FROM generate_series(timestamp '{day}' - interval '1 day', timestamp '{day}' + interval '1 day', '1 day') AS d
               LEFT JOIN eventlog.events e ON (e.created_at AT TIME ZONE '{zone}')::date = d::date
              GROUP BY 1 ORDER BY 1"
        );
        let expected = rows(&mut reader, &by_minutes);
        for state in ["raw", "rolled up"] {
            // From the day before, from the day itself, from the day after.
            for first in 0..3 {
                if (zone, first) == ("Pacific/Apia", 1) {
                    // The day that it left out has no instant to begin with.
                    continue;
                }
                let report = format!(
                    "SELECT day, name, events, failures FROM eventlog.events_per_day('{{ping}}', time_zone => '{zone}',
                        since => eventlog._day_start(date '{day}' - 1 + {first}, '{zone}'),
                        until => eventlog._day_start(date '{day}' + 2, '{zone}'))"
                );
                assert_eq!(
                    rows(
                        &mut owner,
                        &report
                            .replace("time_zone", &format!("tenant_id => '{TENANT_A}', time_zone"))
                    ),
                    expected[first..],
                    "{zone}, {day}, {state}, {first}"
                );
            }
            owner.batch_execute("CALL eventlog.maintain()").unwrap();
        }
    }
}
