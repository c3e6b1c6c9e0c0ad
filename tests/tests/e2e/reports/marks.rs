//! What a report marks or says rather than leaving it to be misread: samples, periods that are not over,
//! names that nobody defined, arrays with nulls in them.

use std::sync::{Arc, Mutex};

use eventlog_tests::{Db, TENANT_A, TENANT_B, rows, text};
use postgres::NoTls;

/// A report of a span, with the mark of each of its rows: of the sampled name, and of the other.
const SAMPLED: &[(&str, &str)] = &[
    ("summary('2013-06-01', '2013-06-04', '{NAME}')", "is_sampled"),
    ("active_actors('2013-06-02', '2013-06-03', 'NAME')", "is_sampled"),
    ("cohort_retention('NAME', 'NAME', 'day', '2013-06-01', '2013-06-02')", "is_sampled"),
    ("recent_errors('{NAME}', '2013-06-01', '2013-06-04')", "is_sampled"),
    ("funnel('{NAME}', '1 day', 'actor', '2013-06-01', '2013-06-04')", "is_sampled"),
];

#[test]
fn reports_that_count_actors_or_pairs_mark_what_a_sample_was_taken_of() {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute(&format!(
            "SELECT eventlog.create_log(retention => '50 years');
             SELECT eventlog.define_event('kept', error_key => 'e'), eventlog.define_event('sampled', error_key => 'e');
             SELECT eventlog._make_partition('2013-06-01');
             INSERT INTO eventlog.events (tenant_id, name, data, actor, created_at, weight)
             SELECT '{TENANT_A}', name, data::jsonb, 'a' || g, timestamptz '2013-06-01' + g * interval '1 hour', weight
               FROM (VALUES ('kept', '{{\"e\": \"x\"}}', NULL), ('sampled', '{{\"e\": \"x\"}}', real '10'),
                            ('ingest_started', '{{\"sourceType\": \"s\"}}', 10), ('quota_exceeded', '{{\"quotaType\": \"s\"}}', 10),
                            ('checkout_completed', '{{\"plan\": \"s\"}}', 10)) AS e (name, data, weight),
                    generate_series(1, 20) g"
        ))
        .unwrap();
    let mut reader = db.connect_as("reader", TENANT_A);
    for state in ["raw", "rolled up"] {
        for (call, mark) in SAMPLED {
            for (name, expected) in [("kept", "f"), ("sampled", "t")] {
                let sql =
                    format!("SELECT DISTINCT {mark} FROM eventlog.{}", call.replace("NAME", name));
                assert_eq!(rows(&mut reader, &sql), [[expected]], "{state}: {sql}");
            }
        }
        for call in [
            "summary('2013-06-01', '2013-06-04')",
            "active_actors('2013-06-30', '2013-07-01')",
            "ingestion_stats('2013-06-01', '2013-06-04')",
            "quota_friction('1 day', '2013-06-01', '2013-06-04')",
            "checkout_conversion('2013-06-01', '2013-06-04')",
        ] {
            assert_eq!(
                text(&mut reader, &format!("SELECT is_sampled FROM eventlog.{call}")),
                "t",
                "{state}: {call}"
            );
        }
        // Thirty days later none of the sample is within them.
        let after = "SELECT is_sampled FROM eventlog.active_actors('2013-07-01', '2013-07-02')";
        assert_eq!(text(&mut reader, after), "f");
        // Events are weighted back, actors are those that were kept.
        let summary =
            "SELECT events, actors FROM eventlog.summary('2013-06-01', '2013-06-04', '{sampled}')";
        assert_eq!(rows(&mut reader, summary), [["200", "20"]]);
        owner.batch_execute("CALL eventlog.maintain()").unwrap();
    }
}

#[test]
fn a_period_of_retention_that_is_not_over_is_marked() {
    let db = Db::new();
    db.superuser()
        .batch_execute(&format!(
            "INSERT INTO eventlog.events (tenant_id, name, actor) VALUES ('{TENANT_A}', 'tool_used', 'a')"
        ))
        .unwrap();
    let mut reader = db.connect_as("reader", TENANT_A);
    for period in ["day", "week", "month"] {
        // By default it reaches to the end of today.
        let sql = format!(
            "SELECT count(*), count(*) FILTER (WHERE is_complete), bool_and(is_complete = (
                        cohort + (period_number + 1) * interval '1 {period}' <= date_trunc('day', now(), 'UTC') AT TIME ZONE 'UTC'))
               FROM eventlog.cohort_retention(period => '{period}')"
        );
        let found = rows(&mut reader, &sql).remove(0);
        assert_eq!(found[2], "t", "{period}");
        let periods: i64 = found[0].parse().unwrap();
        // One of each cohort is the period of now: of n cohorts n of n * (n + 1) / 2.
        let cohorts = ((((8 * periods + 1) as f64).sqrt() - 1.0) / 2.0) as i64;
        assert_eq!(found[1], (periods - cohorts).to_string(), "{period}");
    }
    // Of a span that ends within a period that is over too.
    let cut = "SELECT cohort, period_number, is_complete FROM eventlog.cohort_retention(period => 'week', since => '2013-06-03', until => '2013-06-12')";
    let expected = [["2013-06-03", "0", "t"], ["2013-06-03", "1", "f"], ["2013-06-10", "0", "f"]];
    assert_eq!(rows(&mut reader, cut), expected);
}

#[test]
fn a_report_says_which_of_its_names_nobody_defined() {
    let db = Db::new();
    db.connect("log_owner").batch_execute("SELECT eventlog.define_event('shop.*')").unwrap();
    let notices = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&notices);
    let mut config = eventlog_tests::db::shared().config(&db.name, "reader");
    config.notice_callback(move |notice| {
        let line = format!("{}|{}", notice.message(), notice.hint().unwrap_or_default());
        heard.lock().unwrap().push(line);
    });
    let mut reader = config.connect(NoTls).unwrap();
    reader.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).unwrap();
    let list = "SELECT name FROM eventlog.event_types;";
    for (call, expected) in [
        ("summary(names => '{tool_used,shop.bought,NULL}')", vec![]),
        ("summary(names => NULL)", vec![]),
        (
            "summary(names => '{\" Tool-used\"}')",
            vec!["unknown event name \" Tool-used\"|perhaps \"tool_used\"".to_owned()],
        ),
        (
            "summary(names => '{nothing,tool_used}')",
            vec![format!("unknown event name \"nothing\"|{list}")],
        ),
        (
            "funnel('{tool_used,tool_use}')",
            vec!["unknown event name \"tool_use\"|perhaps \"tool_used\"".to_owned()],
        ),
        ("cohort_retention('x', 'tool_used')", vec![format!("unknown event name \"x\"|{list}")]),
        ("success_rate('x', 'tool_used')", vec![format!("unknown event name \"x\"|{list}")]),
        ("active_actors(name => 'x')", vec![format!("unknown event name \"x\"|{list}")]),
        ("get_events('{x}')", vec![format!("unknown event name \"x\"|{list}")]),
    ] {
        notices.lock().unwrap().clear();
        reader.batch_execute(&format!("SELECT * FROM eventlog.{call}")).unwrap();
        assert_eq!(*notices.lock().unwrap(), expected, "{call}");
    }
}

#[test]
fn nulls_in_the_arrays_of_a_report_are_as_if_they_were_not_there() {
    let db = super::every_report::filled();
    let mut superuser = db.superuser();
    let mut reader = db.connect_as("reader", TENANT_A);
    let mut compared = 0;
    for report in super::every_report::reports(&mut superuser) {
        for argument in &report.arrays {
            let argument = argument.as_str();
            let some = match argument {
                "ids" => "201,301",
                "actors" => "a-actor-1",
                "subjects" => "a-subject-1",
                "removed_by" => "artifact_removed",
                "steps" => continue,
                _ => "skill_executed,integration_failed",
            };
            let mut ask = |value: &str| {
                let value = format!("'{value}'");
                let mut arguments = vec![(argument, value.as_str())];
                if report.has("since") {
                    arguments.extend([("since", "'2026-01-01'"), ("until", "'2026-01-20'")]);
                }
                rows(&mut reader, &report.call(&arguments))
            };
            let expected = ask(&format!("{{{some}}}"));
            assert!(!expected.is_empty(), "{}: {argument}", report.name);
            assert_eq!(ask(&format!("{{{some},NULL}}")), expected, "{}: {argument}", report.name);
            let bounds = if some.contains(',') { "[3:5]" } else { "[3:4]" };
            assert_eq!(ask(&format!("{bounds}={{NULL,{some}}}")), expected);
            // Only nulls are no names at all, not all of them.
            if report.name != "unused_subjects" {
                assert_eq!(ask("{NULL}"), ask("{}"), "{}: {argument}", report.name);
            }
            compared += 1;
        }
    }
    assert!(compared >= 10, "{compared}");
}

/// Reports of single events measure by the keys of today; the rollups do from the watermark on, say so,
/// and are measured anew on demand.
#[test]
fn keys_defined_after_events_came_count_for_them_once_they_are_recounted() {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    let events = |from: i32, to: i32| {
        format!(
            r#"INSERT INTO eventlog.events (tenant_id, name, data, subject, created_at)
               SELECT '{TENANT_A}', 'ping', jsonb_build_object('ok', g % 2 = 0, 'ms', g), 's', date_trunc('day', now()) - g * interval '1 hour'
                 FROM generate_series({from}, {to}) g"#
        )
    };
    owner
        .batch_execute(&format!("SELECT eventlog.define_event('ping'); {}", events(5, 24)))
        .unwrap();
    owner.batch_execute("CALL eventlog.maintain()").unwrap();
    let differences = "SELECT count(*) FROM eventlog.verify_rollups()";
    assert_eq!(text(&mut owner, differences), "0");
    owner
        .batch_execute(
            "SELECT eventlog.define_event('ping', success_key => 'ok', duration_key => 'ms')",
        )
        .unwrap();
    let mut reader = db.connect_as("reader", TENANT_A);
    let counted = "SELECT successes, failures, mean_duration FROM eventlog.summary(until => date_trunc('day', now()))";
    let subjects = "SELECT successes, failures, mean_duration FROM eventlog.subject_stats()";
    let errors = "SELECT sum(events) FROM eventlog.recent_errors()";
    assert_eq!(rows(&mut reader, counted), [["0", "0", "∅"]]);
    assert_eq!(text(&mut reader, errors), "10");
    assert_ne!(text(&mut owner, differences), "0");
    // Events that come late are not counted twice.
    owner
        .batch_execute(&format!(
            "WITH late AS ({} RETURNING tenant_id, id, created_at) INSERT INTO eventlog.late_events SELECT * FROM late",
            events(25, 26)
        ))
        .unwrap();
    assert_eq!(text(&mut owner, "SELECT eventlog.recount('ping') > 20"), "t");
    assert_eq!(text(&mut owner, differences), "0");
    for _ in ["late", "counted"] {
        assert_eq!(rows(&mut reader, counted), [["11", "11", "15.5"]]);
        assert_eq!(rows(&mut reader, subjects), [["11", "11", "15.5"]]);
        assert_eq!(text(&mut reader, errors), "11");
        owner.batch_execute("CALL eventlog.maintain()").unwrap();
    }
    assert_eq!(text(&mut owner, "SELECT eventlog.recount('ping')"), "0");
    // A day that lost a row to erasure keeps what it has.
    owner
        .batch_execute("DELETE FROM eventlog.events WHERE id = (SELECT min(id) FROM eventlog.events); SELECT eventlog.define_event('ping')")
        .unwrap();
    owner.batch_execute("SELECT eventlog.recount('ping')").unwrap();
    let kept =
        "SELECT failures + successes > 0 FROM eventlog.summary(until => date_trunc('day', now()))";
    assert_eq!(text(&mut reader, kept), "t");
    let unknown = eventlog_tests::refused(&mut owner, "SELECT eventlog.recount('nothing')");
    assert_eq!(unknown.code().code(), "42704");
    let other = eventlog_tests::refused(&mut reader, "SELECT eventlog.recount('ping')");
    assert_eq!(other.code().code(), "42501");
}

/// Of days whose events are all there; a day that was begun without is made whole.
#[test]
fn subjects_that_were_not_counted_are_counted_once_their_name_is_recounted() {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    // An event each hour of three days, of two subjects in turn; in the oldest day one without.
    owner
        .batch_execute(&format!(
            "SELECT eventlog.define_event('ping', count_subjects => false, duration_key => 'ms'), eventlog.define_event('pong');
             INSERT INTO eventlog.events (tenant_id, name, data, subject, created_at)
             SELECT CASE WHEN g % 5 = 0 THEN '{TENANT_B}' ELSE '{TENANT_A}' END::uuid, n, jsonb_build_object('ms', g),
                    CASE WHEN g <> 70 THEN 's' || g % 2 END, date_trunc('day', now(), 'UTC') - (g + 24) * interval '1 hour'
               FROM generate_series(1, 72) g, unnest('{{ping,pong}}'::text[]) n"
        ))
        .unwrap();
    owner.batch_execute("CALL eventlog.maintain()").unwrap();
    let subjects = |name: &str| {
        format!(
            "SELECT tenant_id, day, subject, events, weighted_events, failures, successes, duration_count, duration_sum, first_at, last_at
               FROM eventlog.daily_subjects WHERE name = '{name}' ORDER BY 1, 2, 3"
        )
    };
    assert!(rows(&mut owner, &subjects("ping")).is_empty());
    let differences = "SELECT count(*) FROM eventlog.verify_rollups()";
    assert_eq!(text(&mut owner, differences), "0");
    assert_eq!(text(&mut owner, "SELECT eventlog.recount('ping')"), "0", "it is not to be counted");

    owner
        .batch_execute(
            "SELECT eventlog.define_event('ping', duration_key => 'ms', count_subjects => true),
                    eventlog.define_event('pong', duration_key => 'ms')",
        )
        .unwrap();
    assert_eq!(text(&mut owner, "SELECT eventlog.recount('ping')"), "12");
    owner.batch_execute("SELECT eventlog.recount('pong')").unwrap();
    let counted = rows(&mut owner, &subjects("ping"));
    assert_eq!(counted, rows(&mut owner, &subjects("pong")));
    assert_eq!(text(&mut owner, differences), "0");
    assert_eq!(text(&mut owner, "SELECT eventlog.recount('ping')"), "0");

    // Of a day in which it was switched on, what came before is added.
    let latest = "FROM eventlog.daily_subjects WHERE name = 'ping' AND day = (SELECT max(day) FROM eventlog.daily_subjects)";
    owner
        .batch_execute(
            "UPDATE eventlog.daily_subjects SET events = 1, weighted_events = 1, first_at = last_at WHERE name = 'ping' AND subject = 's1'",
        )
        .unwrap();
    assert_eq!(text(&mut owner, "SELECT eventlog.recount('ping')"), "6");
    assert_eq!(rows(&mut owner, &subjects("ping")), counted);
    // A day that lost an event keeps what it has, and gets none.
    owner
        .batch_execute(&format!(
            "DELETE FROM eventlog.events WHERE name = 'ping' AND created_at = (SELECT max(created_at) FROM eventlog.events WHERE tenant_id = '{TENANT_A}');
             DELETE {latest}"
        ))
        .unwrap();
    assert_eq!(text(&mut owner, "SELECT eventlog.recount('ping')"), "2");
    assert_eq!(text(&mut owner, &format!("SELECT DISTINCT tenant_id {latest}")), TENANT_B);
}
