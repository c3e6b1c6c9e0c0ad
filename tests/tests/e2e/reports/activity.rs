//! Who was active and who came back, over spans of many months, beside plain SQL over the events.

use eventlog_tests::{Db, TENANT_A, rows};

/// Seven months of events of two names, denser towards today.
const EVENTS: &str = "
    SELECT eventlog.create_log(retention => '2 years');
    SELECT eventlog.define_event('ping'), eventlog.define_event('pong');
    SELECT eventlog._make_partition(now() - g * interval '1 month') FROM generate_series(0, 8) g;
    SELECT setseed(0.25);
    INSERT INTO eventlog.events (tenant_id, name, actor, created_at)
    SELECT 'TENANT', CASE WHEN random() < 0.6 THEN 'ping' ELSE 'pong' END, 'a' || floor(random() * random() * 300),
           now() - random() * random() * interval '215 days'
      FROM generate_series(1, 3000)";

const ACTIVE: &str = "
    WITH e AS MATERIALIZED (SELECT DISTINCT actor, created_at::date AS day FROM eventlog.events WHERE tenant_id = 'TENANT' AND NAMED)
    SELECT d::date, (SELECT count(*) FROM e WHERE day = d::date),
           (SELECT count(DISTINCT actor) FROM e WHERE day BETWEEN d::date - 6 AND d::date),
           (SELECT count(DISTINCT actor) FROM e WHERE day BETWEEN d::date - 29 AND d::date)
      FROM generate_series(SINCE::timestamp, UNTIL::timestamp - interval '1 day', interval '1 day') d ORDER BY 1";

const RETAINED: &str = "
    WITH p AS MATERIALIZED (SELECT row_number() OVER (ORDER BY s) AS n, s::date AS s
                 FROM generate_series(SINCE::timestamp, UNTIL::timestamp - interval '1 day', interval '1 PERIOD') s),
         e AS MATERIALIZED (SELECT DISTINCT e.actor, e.name, (SELECT max(p.n) FROM p WHERE p.s <= e.created_at::date) AS n
                 FROM eventlog.events e
                WHERE e.tenant_id = 'TENANT' AND e.created_at::date >= SINCE AND e.created_at::date < UNTIL),
         f AS MATERIALIZED (SELECT e.actor, min(e.n) AS n FROM e WHERE FIRST GROUP BY e.actor),
         size AS MATERIALIZED (SELECT p.n, p.s, (SELECT count(*) FROM f WHERE f.n = p.n) AS actors FROM p),
         back AS MATERIALIZED (SELECT f.n AS cohort, e.n, count(DISTINCT e.actor) AS actors
                    FROM e JOIN f ON f.actor = e.actor WHERE RETURNING GROUP BY 1, 2)
    SELECT c.s, c.actors, r.n - c.n, coalesce(b.actors, 0), round(coalesce(b.actors, 0) / nullif(c.actors, 0)::numeric, 4)
      FROM size c JOIN p r ON r.n >= c.n LEFT JOIN back b ON b.cohort = c.n AND b.n = r.n
     ORDER BY 1, 3";

#[test]
fn activity_over_many_months_is_what_plain_sql_counts_from_raw_rows_and_from_rollups() {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    owner.batch_execute("SET timezone = 'UTC'; SET jit = off").unwrap();
    owner.batch_execute(&EVENTS.replace("TENANT", TENANT_A)).unwrap();
    for is_rolled_up in [false, true] {
        if is_rolled_up {
            owner.batch_execute("CALL eventlog.maintain()").unwrap();
            let counted = "SELECT count(*) > 300 FROM eventlog.monthly_actors";
            assert_eq!(rows(&mut owner, counted), [["t"]]);
        }
        // Spans of one word of days, of several, and with an end on their borders; of months in part.
        for (since, until) in
            [(1, -1), (63, 0), (64, 1), (34, -30), (99, 35), (127, 3), (128, 0), (210, -1)]
        {
            let (since, until) =
                (format!("(current_date - {since})"), format!("(current_date - {until})"));
            for (name, named) in [("NULL", "true"), ("'pong'", "name = 'pong'")] {
                let report = format!(
                    "SELECT day, daily, weekly, monthly FROM eventlog.active_actors({since}, {until}, {name}, tenant_id => '{TENANT_A}')"
                );
                let expected =
                    [("TENANT", TENANT_A), ("NAMED", named), ("SINCE", &since), ("UNTIL", &until)]
                        .iter()
                        .fold(ACTIVE.to_owned(), |sql, (key, value)| sql.replace(key, value));
                assert_eq!(rows(&mut owner, &report), rows(&mut owner, &expected), "{report}");
            }
            for period in ["day", "week", "month"] {
                for (names, first, returning) in [
                    ("NULL, NULL", "true", "true"),
                    ("'ping', 'pong'", "e.name = 'ping'", "e.name = 'pong'"),
                ] {
                    let begins = format!("date_trunc('{period}', {since}::timestamp)::date");
                    let report = format!(
                        "SELECT cohort, actors, period_number, returned, share FROM eventlog.cohort_retention({names}, '{period}', {since}, {until}, '{TENANT_A}', first_ever => false)"
                    );
                    let expected = [
                        ("TENANT", TENANT_A),
                        ("FIRST", first),
                        ("RETURNING", returning),
                        ("SINCE", &begins),
                        ("UNTIL", &until),
                        ("PERIOD", period),
                    ]
                    .iter()
                    .fold(RETAINED.to_owned(), |sql, (key, value)| sql.replace(key, value));
                    assert_eq!(rows(&mut owner, &report), rows(&mut owner, &expected), "{report}");
                }
            }
        }
    }
}
