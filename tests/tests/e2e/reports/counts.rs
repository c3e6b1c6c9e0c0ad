//! Reports whose figures are known by hand: days of every length, what lies above the watermark,
//! samples, and what a product asks.

use eventlog_tests::{Db, TENANT_A, rows, text};
use postgres::Client;

/// A log that keeps old events, and a table to import them from.
fn log() -> Db {
    let db = Db::new();
    db.superuser()
        .batch_execute(
            "SELECT eventlog.create_log(retention => '50 years');
             SELECT eventlog.define_event('ping');
             CREATE TABLE public.source (id bigint GENERATED ALWAYS AS IDENTITY, tenant_id uuid, name text, data jsonb DEFAULT '{}',
                created_at timestamptz, occurred_at timestamptz, actor text, subject text);
             GRANT SELECT, INSERT, DELETE ON public.source TO log_owner",
        )
        .unwrap();
    db
}

/// Imports rows of (name, data, created_at, occurred_at, actor, subject) of tenant A.
fn import(owner: &mut Client, values: &str) {
    owner
        .batch_execute(&format!(
            "INSERT INTO public.source (tenant_id, name, data, created_at, occurred_at, actor, subject)
             SELECT '{TENANT_A}', name, data::jsonb, created_at::timestamptz, occurred_at::timestamptz, actor, subject
               FROM ({values}) AS v (name, data, created_at, occurred_at, actor, subject)"
        ))
        .unwrap();
    let refused = "SELECT rejected FROM eventlog.import_events('public.source')";
    assert_eq!(text(owner, refused), "0");
    owner.batch_execute("DELETE FROM public.source").unwrap();
}

fn pings(every: &str, since: &str, until: &str) -> String {
    format!(
        "SELECT 'ping', '{{}}', at, NULL, 'a', 's' FROM generate_series('{since}'::timestamptz, '{until}', '{every}') AS at"
    )
}

#[test]
fn days_have_as_many_hours_as_their_time_zone_gives_them() {
    let db = log();
    let mut owner = db.connect("log_owner");
    let mut reader = db.connect_as("reader", TENANT_A);
    // In each zone a day before, the day of the change, and a day after, with an event every minute.
    for (zone, first_day, minutes) in [
        ("America/New_York", "2013-03-09", [1440, 1380, 1440]),
        ("America/New_York", "2013-11-02", [1440, 1500, 1440]),
        ("Australia/Lord_Howe", "2013-04-06", [1440, 1470, 1440]),
        ("Australia/Lord_Howe", "2013-10-05", [1440, 1410, 1440]),
        // Midnight comes twice, or never.
        ("America/Havana", "2013-11-03", [1500, 1440, 1440]),
        ("America/Havana", "2013-11-02", [1440, 1500, 1440]),
        ("America/Sao_Paulo", "2013-10-20", [1380, 1440, 1440]),
        ("America/Sao_Paulo", "2013-02-15", [1440, 1500, 1440]),
        ("Asia/Kolkata", "2013-06-01", [1440, 1440, 1440]),
        ("Asia/Kathmandu", "2013-06-01", [1440, 1440, 1440]),
        ("Europe/London", "2013-03-30", [1440, 1380, 1440]),
        ("<+0007>-00:07", "2013-06-01", [1440, 1440, 1440]),
        ("UTC", "2013-06-01", [1440, 1440, 1440]),
    ] {
        owner.batch_execute("DELETE FROM eventlog.events; TRUNCATE eventlog.late_events, eventlog.hourly_counts, eventlog.daily_counts").unwrap();
        let (since, until) = (
            text(&mut owner, &format!("SELECT date '{first_day}' - 2")),
            text(&mut owner, &format!("SELECT date '{first_day}' + 5")),
        );
        import(&mut owner, &pings("1 minute", &since, &until));
        let report = format!(
            "SELECT events FROM eventlog.events_per_day(time_zone => '{zone}',
                since => timestamp '{first_day} 12:00' AT TIME ZONE '{zone}',
                until => (date '{first_day}' + 3)::timestamp AT TIME ZONE '{zone}')"
        );
        let expected = minutes.map(|minutes| vec![minutes.to_string()]);
        assert_eq!(rows(&mut reader, &report), expected, "{zone}, {first_day}, raw");
        owner.batch_execute("CALL eventlog.maintain()").unwrap();
        assert_eq!(rows(&mut reader, &report), expected, "{zone}, {first_day}, rolled up");
    }
}

#[test]
fn days_and_hours_without_events_are_zero() {
    let db = log();
    let mut owner = db.connect("log_owner");
    import(
        &mut owner,
        "VALUES ('ping', '{}', '2013-06-03 23:59:59.999999', NULL, NULL, NULL), ('ping', '{}', '2013-06-05', NULL, NULL, NULL)",
    );
    let mut reader = db.connect_as("reader", TENANT_A);
    for _ in ["raw", "rolled up"] {
        let per_day = "SELECT day, name, events FROM eventlog.events_per_day(%, '2013-06-02', '2013-06-05 00:00:00.000001')";
        let expected = [
            ["2013-06-02", "ping", "0"],
            ["2013-06-03", "ping", "1"],
            ["2013-06-04", "ping", "0"],
            ["2013-06-05", "ping", "1"],
        ];
        assert_eq!(rows(&mut reader, &per_day.replace('%', "NULL")), expected);
        assert_eq!(rows(&mut reader, &per_day.replace('%', "'{ping,NULL}'")), expected);
        assert_eq!(rows(&mut reader, &per_day.replace('%', "'{}'")), Vec::<Vec<String>>::new());
        let other = rows(&mut reader, &per_day.replace('%', "'{pong}'"));
        assert_eq!(other.len(), 4);
        assert!(other.iter().all(|row| row[2] == "0"));
        let per_hour = "SELECT count(*), sum(events), max(events) FROM eventlog.events_per_hour('{ping}', '2013-06-03 12:34', '2013-06-05')";
        assert_eq!(rows(&mut reader, per_hour), [["36", "1", "1"]]);
        let nothing = "SELECT events, names_seen, actors, successes, failures, success_rate, mean_duration, median_duration, p95_duration, is_sampled FROM eventlog.summary('2012-01-01', '2012-02-01')";
        assert_eq!(
            rows(&mut reader, nothing),
            [["0", "0", "0", "0", "0", "∅", "∅", "∅", "∅", "f"]]
        );
        let empty =
            "SELECT count(*) FROM eventlog.events_per_day(NULL, '2013-06-03', '2013-06-03')";
        assert_eq!(text(&mut reader, empty), "0");
        owner.batch_execute("CALL eventlog.maintain()").unwrap();
    }
}

/// An event every ten minutes from two days ago until now: the watermark lies among them.
#[test]
fn reports_join_what_lies_below_the_watermark_and_above() {
    let db = log();
    let mut owner = db.connect("log_owner");
    let now = text(&mut owner, "SELECT now()");
    let recent = format!(
        "SELECT 'skill_executed', format('{{\"skillName\": \"s\", \"success\": %s, \"durationMs\": %s}}', (n % 4 > 0)::text, n), at, NULL,
                'actor ' || n % 7, 's' || n % 3
           FROM generate_series('{now}'::timestamptz - interval '50 hours', '{now}', '10 minutes') WITH ORDINALITY AS g (at, n)"
    );
    import(&mut owner, &recent);
    owner.batch_execute("CALL eventlog.maintain()").unwrap();
    let watermark = "SELECT rolled_until > now() - interval '2 hours' AND rolled_until < now() FROM eventlog.rollup_state";
    assert_eq!(text(&mut owner, watermark), "t");
    // More come late, and more above.
    import(
        &mut owner,
        &recent.replace("10 minutes", "47 minutes").replace("50 hours", "49 hours 3 minutes"),
    );
    owner
        .batch_execute(&format!(
            "SELECT eventlog.log_event('{TENANT_A}', 'skill_executed', '{{\"skillName\": \"s2\", \"success\": true, \"durationMs\": 9}}', actor => 'b')"
        ))
        .unwrap();
    let mut reader = db.connect_as("reader", TENANT_A);
    let until = text(&mut owner, "SELECT now() + interval '1 second'");
    let (raw, span) = (
        "FROM eventlog.events e WHERE created_at >= $since AND created_at < $until",
        format!("since => $since, until => '{until}'"),
    );
    for back in ["49 hours 7 minutes", "30 hours", "61 minutes", "0 minutes"] {
        let since = format!("('{now}'::timestamptz - interval '{back}')");
        let mut check = |report: String, direct: &str| {
            let report = report.replace("$span", &span).replace("$since", &since);
            let direct = direct
                .replace("$raw", raw)
                .replace("$since", &since)
                .replace("$until", &format!("'{until}'"));
            let (found, expected) = (rows(&mut reader, &report), rows(&mut reader, &direct));
            assert_eq!(found, expected, "{back}: {report}");
            assert!(!found.is_empty());
        };
        let hours =
            "SELECT hour, events, failures FROM eventlog.events_per_hour($span) WHERE events > 0";
        let direct = "SELECT date_trunc('hour', created_at), count(*), count(*) FILTER (WHERE data ->> 'success' = 'false')
                        FROM eventlog.events WHERE created_at >= date_trunc('hour', $since) AND created_at < $until GROUP BY 1 ORDER BY 1";
        check(hours.to_owned(), direct);
        for zone in ["UTC", "Asia/Kolkata", "America/New_York"] {
            check(
                format!("SELECT day, events, failures FROM eventlog.events_per_day($span, time_zone => '{zone}') WHERE events > 0"),
                &format!(
                    "SELECT (created_at AT TIME ZONE '{zone}')::date, count(*), count(*) FILTER (WHERE data ->> 'success' = 'false')
                       FROM eventlog.events WHERE created_at < $until
                        AND (created_at AT TIME ZONE '{zone}')::date >= ($since AT TIME ZONE '{zone}')::date GROUP BY 1 ORDER BY 1"
                ),
            );
        }
        check(
            "SELECT events, successes, failures, mean_duration FROM eventlog.summary($span)".to_owned(),
            "SELECT count(*), count(*) FILTER (WHERE data ->> 'success' = 'true'), count(*) FILTER (WHERE data ->> 'success' = 'false'),
                    round(avg((data ->> 'durationMs')::numeric), 1) $raw",
        );
        let day = "($since AT TIME ZONE 'UTC')::date";
        check(
            format!("SELECT subject, events, failures, first_at, last_at FROM eventlog.subject_stats(since => {day}) ORDER BY 1"),
            &format!(
                "SELECT subject, count(*), count(*) FILTER (WHERE data ->> 'success' = 'false'), min(created_at), max(created_at)
                   FROM eventlog.events WHERE (created_at AT TIME ZONE 'UTC')::date >= {day} GROUP BY 1 ORDER BY 1"
            ),
        );
        check(
            format!("SELECT day, daily FROM eventlog.active_actors(since => {day}) WHERE daily > 0"),
            &format!(
                "SELECT (created_at AT TIME ZONE 'UTC')::date, count(DISTINCT actor) FROM eventlog.events
                  WHERE (created_at AT TIME ZONE 'UTC')::date >= {day} GROUP BY 1 ORDER BY 1"
            ),
        );
    }
}

#[test]
fn sampled_events_are_weighted_back() {
    let db = log();
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute(&format!(
            "SELECT eventlog._make_partition('2013-06-01');
             INSERT INTO eventlog.events (tenant_id, name, data, created_at, actor, subject, weight)
             SELECT '{TENANT_A}', name, data::jsonb, '2013-06-01 12:34', 'a', 's', weight
               FROM (VALUES ('skill_executed', '{{\"success\": true, \"durationMs\": 100}}', 10), ('skill_executed', '{{\"success\": false, \"durationMs\": 1000}}', NULL),
                            ('quota_exceeded', '{{\"quotaType\": \"docs\"}}', 4), ('plan_updated', '{{}}', 3),
                            ('conversation_started', '{{}}', 20), ('escalation_triggered', '{{\"conversationId\": 1}}', 5)) AS e (name, data, weight)"
        ))
        .unwrap();
    let mut reader = db.connect_as("reader", TENANT_A);
    let span = "since => '2013-06-01', until => '2013-06-02'";
    for _ in ["raw", "rolled up"] {
        for (call, expected) in [
            (
                format!("SELECT sum(events), sum(failures) FROM eventlog.events_per_day({span})"),
                "43|1",
            ),
            (format!("SELECT sum(events) FROM eventlog.events_per_hour({span})"), "43"),
            (
                format!(
                    "SELECT successes, failures, success_rate, mean_duration FROM eventlog.summary({span})"
                ),
                "10|1|0.9091|181.8",
            ),
            (
                format!(
                    "SELECT events, success_rate FROM eventlog.subject_stats('{{skill_executed}}', {span})"
                ),
                "11|0.9091",
            ),
            (
                format!(
                    "SELECT events FROM eventlog.top_subjects('{{skill_executed,quota_exceeded}}', {span})"
                ),
                "15",
            ),
            (
                format!(
                    "SELECT operations FROM eventlog.usage_summary(names => '{{skill_executed,quota_exceeded}}', {span})"
                ),
                "{\"quota_exceeded\": 4, \"skill_executed\": 11}",
            ),
            (
                format!(
                    "SELECT events, days, checkouts_within, checkout_rate FROM eventlog.quota_friction({span})"
                ),
                "4|1|0|0.0000",
            ),
            (format!("SELECT changes FROM eventlog.plan_changes({span})"), "3"),
            (format!("SELECT events FROM eventlog.recent_errors({span})"), "1"),
            (
                format!("SELECT * FROM eventlog.escalation_rate({span})"),
                "20|5|0.2500|15|0.7500|∅|f",
            ),
        ] {
            assert_eq!(rows(&mut reader, &call).concat().join("|"), expected, "{call}");
        }
        owner.batch_execute("CALL eventlog.maintain()").unwrap();
    }
}
