//! Quarter-hours answer for the days of every time zone.

use eventlog_tests::random::Random;
use eventlog_tests::{Db, rows, text};

/// Zones with offsets of quarters and halves of an hour, with daylight saving of an hour and of half an
/// hour, and one that left out a day.
const ZONES: &[&str] = &[
    "UTC",
    "Asia/Kathmandu",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Pacific/Apia",
    "America/New_York",
    "Europe/Berlin",
];

/// Actors and when they were active, around the changes of daylight saving, and what the rollup has of it.
fn filled(seed: f64) -> String {
    format!(
        "SET timezone = 'UTC'; SELECT setseed({seed});
         CREATE TEMPORARY TABLE seen AS
         SELECT 'actor ' || floor(random() * 60) AS actor,
                date_bin(CASE WHEN random() < 0.5 THEN interval '15 minutes' ELSE interval '1 microsecond' END, t, '2000-01-01 00:00:00+00')
                    - CASE WHEN random() < 0.3 THEN interval '1 microsecond' ELSE interval '0' END AS at
           FROM (SELECT timestamptz '2011-09-20' + random() * interval '120 days' AS t FROM generate_series(1, 1500)) r;
         CREATE TEMPORARY TABLE rolled AS
         SELECT actor, date_trunc('month', at)::date AS month, eventlog._quarters(at) AS quarters FROM seen GROUP BY 1, 2;
         CREATE TEMPORARY TABLE zone AS SELECT ''::text AS name, '{{}}'::timestamptz[] AS starts LIMIT 0"
    )
}

#[test]
fn the_days_of_any_time_zone_are_made_of_quarters() {
    let db = Db::new();
    let mut client = db.superuser();
    let mut random = Random::new();
    client.batch_execute(&filled(random.below(1_000_000) as f64 / 1e6)).unwrap();
    for zone in ZONES {
        client
            .batch_execute(&format!(
                "TRUNCATE zone; INSERT INTO zone SELECT '{zone}', array_agg(d::timestamp AT TIME ZONE '{zone}' ORDER BY d)
                   FROM generate_series(date '2011-09-25', date '2012-01-10', interval '1 day') d"
            ))
            .unwrap();
        // Distinct actors of each day, and of the seven days that end with it.
        for back in [1, 7] {
            let native = format!(
                "SELECT a.n FROM zone z CROSS JOIN LATERAL unnest(eventlog._active_within(
                    (SELECT eventlog._activity_of_quarters(r.actor, r.month, r.quarters, NULL, z.starts) FROM rolled r), {back},
                    cardinality(z.starts) - 1)) WITH ORDINALITY AS a (n, day) ORDER BY a.day"
            );
            let plain = format!(
                "SELECT (SELECT count(DISTINCT s.actor) FROM seen s
                          WHERE s.at >= z.starts[greatest(1, d - {back} + 1)] AND s.at < z.starts[d + 1])
                   FROM zone z CROSS JOIN LATERAL generate_series(1, cardinality(z.starts) - 1) d ORDER BY d"
            );
            assert_eq!(rows(&mut client, &native), rows(&mut client, &plain), "{zone} {back}");
        }
        // The days of each actor, and whether there is one in a span.
        let differences = "
            SELECT count(*) FROM zone z CROSS JOIN rolled r
             WHERE eventlog._quarter_days(r.month, r.quarters, z.starts) IS DISTINCT FROM
                   ARRAY(SELECT DISTINCT d - 1 FROM seen s, generate_series(1, cardinality(z.starts) - 1) d
                          WHERE s.actor = r.actor AND date_trunc('month', s.at) = r.month AND s.at >= z.starts[d] AND s.at < z.starts[d + 1]
                          ORDER BY 1)
                OR eventlog._active_in(r.month, r.quarters, z.starts[40], z.starts[45]) IS DISTINCT FROM
                   EXISTS (SELECT FROM seen s WHERE s.actor = r.actor AND date_trunc('month', s.at) = r.month
                              AND s.at >= z.starts[40] AND s.at < z.starts[45])";
        assert_eq!(text(&mut client, differences), "0", "{zone}");
        // Who returned in the weeks after the week of the first event ever.
        client
            .batch_execute(
                "UPDATE zone SET starts = (SELECT array_agg(s ORDER BY place) FROM unnest(starts) WITH ORDINALITY u (s, place) WHERE place % 7 = 1)",
            )
            .unwrap();
        let native = "
            SELECT c - 1, (m.retained)[(c - 1) * (n + 1) + 1], p, (m.retained)[(c - 1) * (n + 1) + 2 + p]
              FROM (SELECT cardinality(z.starts) - 1 AS n,
                           eventlog._retained((SELECT eventlog._activity_of_quarters(a.actor, a.month, a.first, a.quarters, z.starts)
                                                 FROM (SELECT f.actor, date_trunc('month', f.at)::date, eventlog._quarter(f.at), NULL::bytea
                                                         FROM (SELECT s.actor, min(s.at) AS at FROM seen s GROUP BY 1) f
                                                        UNION ALL
                                                       SELECT r.actor, r.month, NULL, r.quarters FROM rolled r) a (actor, month, first, quarters)),
                                              ARRAY(SELECT generate_series(0, cardinality(z.starts) - 1))) AS retained FROM zone z) m
             CROSS JOIN LATERAL generate_series(1, n) c CROSS JOIN LATERAL generate_series(0, n - c) p ORDER BY 1, 3";
        let plain = "
            WITH week AS (SELECT d - 1 AS n, z.starts[d] AS since, z.starts[d + 1] AS until
                            FROM zone z, generate_series(1, cardinality(z.starts) - 1) d),
                 first AS (SELECT s.actor, min(s.at) AS at FROM seen s GROUP BY 1)
            SELECT c.n, (SELECT count(*) FROM first f WHERE f.at >= c.since AND f.at < c.until), w.n - c.n,
                   (SELECT count(*) FROM first f WHERE f.at >= c.since AND f.at < c.until
                       AND EXISTS (SELECT FROM seen s WHERE s.actor = f.actor AND s.at >= w.since AND s.at < w.until))
              FROM week c JOIN week w ON w.n >= c.n ORDER BY 1, 3";
        assert_eq!(rows(&mut client, native), rows(&mut client, plain), "{zone}");
    }
}

#[test]
fn quarters_that_nobody_stored_are_read_without_harm() {
    let db = Db::new();
    let mut member = db.connect("member");
    for quarters in ["", "ff", "ffff", "00010000", "0000000000", "ffff0000ffff"] {
        for month in ["2026-02-01", "infinity", "-infinity", "4713-01-01 BC", "5874897-12-31"] {
            let sql = format!(
                "SELECT eventlog._active_in('{month}', '\\x{quarters}', '-infinity', 'infinity'),
                        eventlog._quarter_days('{month}', '\\x{quarters}', '{{infinity,2026-01-01,2020-01-01,-infinity}}'),
                        eventlog._quarter_days('{month}', '\\x{quarters}', '{{}}'),
                        eventlog._quarters_union('\\x{quarters}', '\\x0001'),
                        eventlog._active_within(eventlog._activity_of_quarters('a', '{month}', '\\x{quarters}', '\\x{quarters}',
                            '{{-infinity,2026-02-01,infinity}}'), 1, 2)"
            );
            assert_eq!(rows(&mut member, &sql).len(), 1, "{sql}");
        }
    }
    let none = "SELECT eventlog._quarter('infinity'), eventlog._quarters_union(NULL, NULL), eventlog._merge_quarters(NULL)";
    assert_eq!(rows(&mut member, none), [["∅", "∅", "∅"]]);
}
