//! No row breaks a report, whoever put it in: by COPY as the owner, a restore or replication rows come
//! past all rules. One that cannot be counted is left out, and the rest goes on.

use eventlog_tests::{Db, TENANT_A, rows, text};
use postgres::Client;

use super::every_report::{Report, filled, reports};

/// Names that reports ask for.
const NAMES: &str = "'{conversation_started,escalation_triggered,ingest_started,ingest_completed,ingest_failed,quota_exceeded,
    checkout_completed,plan_updated,integration_succeeded,integration_failed,skill_executed,tool_used}'::text[]";

/// Rows that cannot be counted: in the middle of the span, and now.
const UNCOUNTABLE: &str = r#"
    INSERT INTO eventlog.events (tenant_id, name, data, actor, subject, occurred_at, created_at, weight)
    SELECT uuid 'TENANT', n.name, h.data::jsonb, h.actor, h.subject, h.occurred_at::timestamptz, at, h.weight
      FROM unnest(NAMES) AS n (name),
           (VALUES (timestamptz '2026-01-04 05:17'), (now())) AS t (at),
           (SELECT string_agg(md5(g::text), '') AS long FROM generate_series(1, 94) g) AS l,
           LATERAL (VALUES
            ('{}', 'a', 's', NULL, real 'NaN'), ('{}', 'a', 's', NULL, 'Infinity'), ('{}', 'a', 's', NULL, '-Infinity'),
            ('{}', 'a', 's', NULL, -1), ('{}', 'a', 's', NULL, 0), ('{}', l.long, 's', NULL, NULL), ('{}', 'a', l.long, NULL, NULL),
            ('[1]', 'a', 's', NULL, NULL), ('"text"', 'a', 's', NULL, NULL), ('3', 'a', 's', NULL, NULL), ('null', 'a', 's', NULL, NULL),
            ('["errorType", "errorCode", "docs"]', 'a', 's', 'infinity', NULL)
           ) AS h (data, actor, subject, occurred_at, weight)
     UNION ALL
    SELECT uuid 'TENANT', n.name, '{"docs": 1}', 'a', 's', NULL, at, NULL
      FROM (VALUES (''), (repeat('n', 129))) AS n (name), (VALUES (timestamptz '2026-01-04 05:17'), (now())) AS t (at)"#;

/// Rows that are odd, and count: what they hold that is no number, no time or nobody does not.
const ODD: &str = r#"
    INSERT INTO eventlog.events (tenant_id, name, data, actor, subject, occurred_at, created_at, weight)
    SELECT uuid 'TENANT', n.name, h.data::jsonb, h.actor, h.subject, h.occurred_at::timestamptz, at, h.weight
      FROM unnest(NAMES) AS n (name),
           (VALUES (timestamptz '2026-01-04 05:17'), (now())) AS t (at),
           (VALUES
            ('{"docs": 9e131071, "chunks": 1e-16383, "durationMs": 9e131071}', '', '', 'infinity', NULL::real),
            ('{"docs": -5, "chunks": "9", "durationMs": 1e-400, "success": "yes"}', '', '', '-infinity', 3e38),
            ('{"docs": [1], "chunks": {}, "durationMs": -5, "success": [false]}', NULL, NULL, '4713-01-02 BC', 1e-45),
            ('{"docs": 1e16, "durationMs": [1], "conversationId": {"a": 1}, "url": [2]}', ' ', ' ', '294276-12-30', 1e30),
            ('{"durationMs": 1e400, "sourceType": {}, "quotaType": [], "plan": {}, "newPlan": {}}', 'b', 'b', '0001-01-01', 1e12),
            ('{"durationMs": 4.9e-324, "plan": "x", "newPlan": "x"}', 'b', 'b', '9999-12-31', NULL)
           ) AS h (data, actor, subject, occurred_at, weight)"#;

/// Partitions for the ends of time, with rows in them.
const ENDS: &str = "
    CREATE TABLE eventlog.events_first PARTITION OF eventlog.events FOR VALUES FROM (MINVALUE) TO ('1900-01-01');
    CREATE TABLE eventlog.events_last PARTITION OF eventlog.events FOR VALUES FROM ('9000-01-01') TO (MAXVALUE);
    INSERT INTO eventlog.events (tenant_id, name, actor, subject, created_at)
    SELECT uuid 'TENANT', 'tool_used', 'a', 's', at FROM unnest('{-infinity,4713-01-02 BC,294276-12-30,infinity}'::timestamptz[]) AS at";

fn filled_in(sql: &str) -> String {
    sql.replace("TENANT", TENANT_A).replace("NAMES", NAMES)
}

/// Ways to ask for a report.
fn calls(report: &Report) -> Vec<String> {
    let mut calls = vec![report.of_all(None)];
    if report.name != "unused_subjects" {
        calls.push(report.call(&[]));
    }
    let span = [("since", "'2026-01-02 11:13'"), ("until", "'2026-01-19 17:19'")];
    for (argument, value) in [
        ("names", "'{skill_executed,NULL,integration_failed,ingest_completed}'"),
        ("name", "'skill_executed'"),
        ("first_name", "'skill_executed', returning_name => 'tool_used'"),
        ("period", "'day'"),
        ("time_zone", "'Asia/Kolkata'"),
        ("time_zone", "'America/St_Johns'"),
        ("within", "'3700 days'"),
        ("by", "'subject'"),
        ("by", "'conversationId'"),
        ("steps", "'{ingest_started,ingest_completed,plan_updated,skill_executed}'"),
        ("prefix", "'a-'"),
        ("removed_by", "'{artifact_removed,NULL}'"),
    ] {
        if report.has(argument) {
            let mut arguments = vec![(argument, value)];
            if report.has("since") {
                arguments.extend(span);
            }
            calls.push(report.call(&arguments));
        }
    }
    calls
}

/// What each report says in each way, but for get_events, which shows what there is.
fn answers(client: &mut Client, reports: &[Report]) -> Vec<(String, Vec<Vec<String>>)> {
    let mut answers = Vec::new();
    for report in reports {
        for call in calls(report) {
            // Not the days until now.
            let call = call.replace(
                "* FROM eventlog.unused",
                "subject, last_used_at, events FROM eventlog.unused",
            );
            // Nor what depends on when the report was asked.
            let call = match call.strip_prefix("SELECT * FROM ") {
                Some(report) => format!(
                    "SELECT jsonb_build_object('r', r) #- '{{r,covered_since}}' #- '{{r,is_complete}}' FROM {report} r"
                ),
                None => call,
            };
            let found = rows(client, &call);
            // Nor the quarantine, which maintain() trims.
            if !["get_events", "get_rejected"].contains(&report.name.as_str()) {
                answers.push((call, found));
            }
        }
    }
    answers
}

fn assert_same(
    found: &[(String, Vec<Vec<String>>)],
    expected: &[(String, Vec<Vec<String>>)],
    state: &str,
) {
    assert_eq!(found.len(), expected.len());
    for ((call, found), (_, expected)) in found.iter().zip(expected) {
        assert_eq!(found, expected, "{state}: {call}");
    }
}

/// All views of the log, as those who may read them.
fn assert_views_can_be_read(db: &Db) {
    let views = rows(
        &mut db.superuser(),
        "SELECT relname FROM pg_class WHERE relnamespace = 'eventlog'::regnamespace AND relkind = 'v' AND relname !~ '^_'",
    );
    assert!(views.len() >= 6);
    for view in views {
        rows(&mut db.connect("log_owner"), &format!("SELECT * FROM eventlog.{}", view[0]));
    }
    let mut reader = db.connect_as("reader", TENANT_A);
    rows(&mut reader, "SELECT * FROM eventlog.stat_storage");
    rows(&mut reader, "SELECT * FROM eventlog.stat_taxonomy");
}

fn maintain(db: &Db) {
    let mut owner = db.connect("log_owner");
    owner.batch_execute("CALL eventlog.maintain()").unwrap();
    // It names what it leaves out, and does the rest.
    let failed = "SELECT count(*) FROM eventlog.stat_maintenance, unnest(last_failures) AS f
                   WHERE f NOT LIKE 'left out of the rollups:%'";
    assert_eq!(text(&mut owner, failed), "0");
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.late_events"), "0");
}

#[test]
fn a_row_that_cannot_be_counted_changes_no_report() {
    let db = filled();
    let reports = reports(&mut db.superuser());
    let mut reader = db.connect_as("reader", TENANT_A);
    let expected = answers(&mut reader, &reports);
    db.connect("log_owner").batch_execute(&filled_in(UNCOUNTABLE)).unwrap();
    db.connect("log_owner").batch_execute(&filled_in(ENDS)).unwrap();
    assert_same(&answers(&mut reader, &reports), &expected, "late and raw");
    assert_views_can_be_read(&db);
    maintain(&db);
    assert_same(&answers(&mut reader, &reports), &expected, "counted");
    // No rollups at all: everything is raw.
    db.superuser()
        .batch_execute(
            "TRUNCATE eventlog.hourly_counts, eventlog.daily_counts, eventlog.daily_subjects, eventlog.monthly_actors;
             UPDATE eventlog.rollup_state SET rolled_until = '-infinity', announced_until = '-infinity'",
        )
        .unwrap();
    assert_same(&answers(&mut reader, &reports), &expected, "raw");
}

#[test]
fn what_is_no_number_and_no_time_breaks_no_report() {
    let db = filled();
    let mut reports = reports(&mut db.superuser());
    // Which refuses samples, and has its own test for what is odd (experiments.rs).
    reports.retain(|report| report.name != "experiment_results");
    let mut reader = db.connect_as("reader", TENANT_A);
    let figures = "SELECT (SELECT sum(docs) || ' ' || sum(chunks) FROM eventlog.ingestion_stats('2026-01-01', '2026-01-20')),
        (SELECT string_agg(actors::text, ' ') FROM eventlog.summary('2026-01-01', '2026-01-20')),
        (SELECT count(*) FROM eventlog.recent_errors(since => '2026-01-01', until => '2026-01-20') WHERE error_type IS NOT NULL)";
    let before = rows(&mut reader, figures);
    db.connect("log_owner").batch_execute(&filled_in(ODD)).unwrap();
    let raw = answers(&mut reader, &reports);
    let after = rows(&mut reader, figures);
    // 1e-16383 chunks are none; ' ' and 'b' are two actors more, '' is nobody.
    assert_eq!(after[0][0], before[0][0]);
    let actors: i64 = before[0][1].parse().unwrap();
    assert_eq!(after[0][1], (actors + 2).to_string());
    assert_eq!(after[0][2], before[0][2]);
    assert_views_can_be_read(&db);
    maintain(&db);
    // Sums of weights that are 68 digits apart depend on their order.
    let counted = answers(&mut reader, &reports);
    for (raw, counted) in raw.iter().zip(&counted) {
        assert_eq!(raw.1.len(), counted.1.len(), "{}\n{:?}\n{:?}", raw.0, raw.1, counted.1);
    }
    assert_eq!(rows(&mut reader, figures), after);
}
