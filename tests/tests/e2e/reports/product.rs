//! Reports of a product's own questions, on small cases computed by hand.

use eventlog_tests::{Db, TENANT_A, TENANT_B, rows, text};

/// Name, payload, created, occurred.
const EVENTS: &str = r#"
    ('conversation_started', '{"sessionId": "s", "conversationId": "c1", "channel": "web"}', '2013-06-01 10:00', NULL),
    ('conversation_started', '{"sessionId": "s", "conversationId": "c2", "channel": "web"}', '2013-06-02 10:00', NULL),
    ('conversation_started', '{"sessionId": "s", "conversationId": "c3", "channel": "phone"}', '2013-06-03 10:00', NULL),
    ('conversation_started', '{"sessionId": "s", "conversationId": "c4"}', '2013-06-04 10:00', NULL),
    ('escalation_triggered', '{"reason": "r", "conversationId": "c1"}', '2013-06-01 11:00', NULL),
    ('escalation_triggered', '{"reason": "r", "conversationId": "c1"}', '2013-06-01 12:00', NULL),
    ('escalation_triggered', '{"reason": "r", "conversationId": "c2"}', '2013-06-04 11:00', NULL),
    ('escalation_triggered', '{"reason": "r", "conversationId": "c9"}', '2013-06-04 12:00', NULL),
    ('escalation_triggered', '{"reason": "r", "conversationId": "c3"}', '2013-07-01 00:00', NULL),

    ('ingest_started',   '{"sourceType": "web", "url": "u1"}', '2013-06-01 10:00', NULL),
    ('ingest_completed', '{"sourceType": "web", "url": "u1", "docs": 6, "chunks": 20}', '2013-06-01 10:02', NULL),
    ('ingest_started',   '{"sourceType": "web", "url": "u1"}', '2013-06-01 11:00', NULL),
    ('ingest_failed',    '{"sourceType": "web", "url": "u1", "errorCode": "e"}', '2013-06-01 11:01', NULL),
    ('ingest_completed', '{"sourceType": "web", "url": "u4", "docs": 2, "chunks": 5}', '2013-06-01 12:00', '2013-06-01 09:04'),
    ('ingest_started',   '{"sourceType": "web", "url": "u4"}', '2013-06-01 12:00', '2013-06-01 09:00'),
    ('ingest_started',   '{"sourceType": "docs", "url": "u2"}', '2013-06-01 12:00', NULL),
    ('ingest_started',   '{"sourceType": "docs", "url": "u2"}', '2013-06-01 13:00', NULL),
    ('ingest_completed', '{"sourceType": "docs", "url": "u2", "docs": 1, "chunks": 1}', '2013-06-01 13:00:30', NULL),
    ('ingest_completed', '{"sourceType": "docs", "url": "u3", "docs": 5, "chunks": "many"}', '2013-06-01 14:00', NULL),

    ('quota_exceeded', '{"quotaType": "docs", "limit": 1, "attempted": 2}', '2013-06-01 10:00', NULL),
    ('quota_exceeded', '{"quotaType": "docs", "limit": 1, "attempted": 2}', '2013-06-01 11:00', NULL),
    ('quota_exceeded', '{"quotaType": "docs", "limit": 1, "attempted": 2}', '2013-06-03 00:00', NULL),
    ('quota_exceeded', '{"quotaType": "seats", "limit": 1, "attempted": 2}', '2013-06-20 20:00', NULL),
    ('quota_exceeded', '{"quotaType": "tokens", "limit": 1, "attempted": 2}', '2013-06-29 00:00', NULL),
    ('checkout_completed', '{"plan": "pro", "stripeSessionId": "1"}', '2013-06-08 10:30', '2013-06-08 10:00'),
    ('checkout_completed', '{"plan": "team", "stripeSessionId": "2"}', '2013-06-10 11:00', NULL),
    ('checkout_completed', '{"plan": "pro", "stripeSessionId": "3"}', '2013-06-27 19:59', NULL),
    ('plan_updated', '{"previousPlan": "free", "newPlan": "pro", "status": "active"}', '2013-06-08 10:30', '2013-06-08 10:05'),
    ('plan_updated', '{"previousPlan": "free", "newPlan": "pro", "status": "active"}', '2013-06-10 12:00', NULL),
    ('plan_updated', '{"previousPlan": "free", "newPlan": "pro", "status": "active"}', '2013-06-28 20:00', NULL),
    ('plan_updated', '{"previousPlan": "pro", "newPlan": "free", "status": "cancelled"}', '2013-06-30 00:00', NULL),

    ('artifact_deployed', '{"artifactType": "skill", "artifactName": "canvas", "collectionName": "p1"}', '2012-03-01 10:00', NULL),
    ('artifact_updated', '{"artifactType": "skill", "artifactName": "canvas", "collectionName": "p1"}', '2013-06-01 10:00', NULL),
    ('artifact_updated', '{"artifactType": "skill", "artifactName": "canvas", "collectionName": "p2"}', '2013-06-02 22:00', NULL),
    ('artifact_updated', '{"artifactType": "skill", "artifactName": "canvas2", "collectionName": "p2"}', '2013-06-02 10:00', NULL),
    ('artifact_updated', '{"artifactType": "skill", "artifactName": "canvas2", "collectionName": "p2"}', '2013-06-02 11:00', NULL),
    ('artifact_updated', '{"artifactType": "skill", "artifactName": "canvas2"}', '2013-06-03 10:00', NULL)"#;

/// What is shown of a report, where that is not all.
const COLUMNS: &[(&str, &str)] = &[
    (
        "funnel(",
        "step, name, reached, conversion, conversion_from_previous, median_seconds, is_sampled",
    ),
    (
        "usage_summary(",
        "subject, first_used_at, last_used_at, events, operations, breakdown_value, is_others",
    ),
];

const CASES: &[(&str, &[&str])] = &[
    ("escalation_rate('2013-06-01', '2013-07-01')", &["4|3|0.7500|1|0.2500|∅|f"]),
    ("escalation_rate('2013-06-02', '2013-06-04')", &["2|0|0.0000|2|1.0000|∅|f"]),
    (
        "escalation_rate('2013-06-01', '2013-07-01', by => 'channel')",
        &["2|2|1.0000|0|0.0000|web|f", "1|1|1.0000|0|0.0000|∅|f", "1|0|0.0000|1|1.0000|phone|f"],
    ),
    (
        "escalation_rate('2013-06-01', '2013-07-01', by => 'data.channel', top => 1)",
        &["2|2|1.0000|0|0.0000|web|f", "2|1|0.5000|1|0.5000|∅|t"],
    ),
    // More were escalated than were started: others' conversations.
    ("escalation_rate('2013-06-04', '2013-06-05')", &["1|2|2.0000|0|0.0000|∅|f"]),
    ("escalation_rate('2013-07-01', '2013-08-01')", &["0|1|∅|0|∅|∅|f"]),
    ("deflection_rate('2013-06-01', '2013-07-01')", &["0.2500"]),
    ("deflection_rate('2012-06-01', '2012-07-01')", &["∅"]),
    (
        "ingestion_stats('2013-06-01', '2013-07-01')",
        &["docs|2|2|0|1|6|1|2.00|30.000|30.000|f", "web|3|2|1|0|8|25|1.33|180.000|234.000|f"],
    ),
    (
        "plan_changes('2013-06-01', '2013-07-01')",
        &[
            "free|pro|active|3|2013-06-08 10:30:00+00|2013-06-28 20:00:00+00",
            "pro|free|cancelled|1|2013-06-30 00:00:00+00|2013-06-30 00:00:00+00",
        ],
    ),
    (
        "quota_friction('7 days', '2013-06-01', '2013-07-01')",
        &[
            "docs|3|2|2013-06-01 10:00:00+00|2013-06-03 00:00:00+00|2|0.6667|f",
            "seats|1|1|2013-06-20 20:00:00+00|2013-06-20 20:00:00+00|1|1.0000|f",
            "tokens|1|1|2013-06-29 00:00:00+00|2013-06-29 00:00:00+00|0|0.0000|f",
        ],
    ),
    (
        "checkout_conversion('2013-06-01', '2013-07-01')",
        &["pro|2|1|0.5000|300.000|f", "team|1|0|0.0000|∅|f"],
    ),
    (
        "checkout_conversion('2013-06-01', '2013-07-01', '2 days')",
        &["pro|2|2|1.0000|43380.000|f", "team|1|0|0.0000|∅|f"],
    ),
    (
        "usage_summary(since => '2013-06-01', until => '2013-07-01', subjects => '{skill/canvas}')",
        &[
            "skill/canvas|2013-06-01 10:00:00+00|2013-06-02 22:00:00+00|2|{\"artifact_updated\": 2}|∅|f",
        ],
    ),
    (
        "usage_summary('skill/', since => NULL)",
        &[
            "skill/canvas|2012-03-01 10:00:00+00|2013-06-02 22:00:00+00|3|{\"artifact_updated\": 2, \"artifact_deployed\": 1}|∅|f",
            "skill/canvas2|2013-06-02 10:00:00+00|2013-06-03 10:00:00+00|3|{\"artifact_updated\": 3}|∅|f",
        ],
    ),
    // In Tokyo it is the third by then.
    (
        "usage_summary(since => '2013-06-03', until => '2013-06-04', subjects => '{skill/canvas}', time_zone => 'Asia/Tokyo')",
        &[
            "skill/canvas|2013-06-02 22:00:00+00|2013-06-02 22:00:00+00|1|{\"artifact_updated\": 1}|∅|f",
        ],
    ),
    (
        "usage_summary('skill/', '{artifact_updated}', '2013-06-01', '2013-07-01', breakdown => 'data.collectionName', top => 1)",
        &[
            "skill/canvas2|2013-06-02 10:00:00+00|2013-06-02 11:00:00+00|2|{\"artifact_updated\": 2}|p2|f",
            "skill/canvas|2013-06-02 22:00:00+00|2013-06-02 22:00:00+00|1|{\"artifact_updated\": 1}|p2|f",
            "skill/canvas|2013-06-01 10:00:00+00|2013-06-01 10:00:00+00|1|{\"artifact_updated\": 1}|∅|t",
            "skill/canvas2|2013-06-03 10:00:00+00|2013-06-03 10:00:00+00|1|{\"artifact_updated\": 1}|∅|t",
        ],
    ),
    (
        "usage_summary('skill/', since => NULL, filters => '{\"data.collectionName\": \"p1\"}')",
        &[
            "skill/canvas|2012-03-01 10:00:00+00|2013-06-01 10:00:00+00|2|{\"artifact_updated\": 1, \"artifact_deployed\": 1}|∅|f",
        ],
    ),
    // What follows after the span counts, if it is within.
    (
        "funnel('{quota_exceeded,checkout_completed}', '7 days', 'quotaType', '2013-06-01', '2013-07-01')",
        &["1|quota_exceeded|3|1.0000|∅|∅|f", "2|checkout_completed|0|0.0000|0.0000|∅|f"],
    ),
    (
        "funnel('{conversation_started,escalation_triggered}', '30 days', 'conversationId', '2013-06-01', '2013-06-30')",
        &[
            "1|conversation_started|4|1.0000|∅|∅|f",
            "2|escalation_triggered|3|0.7500|0.7500|176400.000|f",
        ],
    ),
    (
        "funnel('[2:3]={ingest_started,ingest_completed}', '1 hour', 'url', '2013-06-01', '2013-06-02')",
        &["1|ingest_started|3|1.0000|∅|∅|f", "2|ingest_completed|3|1.0000|1.0000|120.000|f"],
    ),
    (
        "funnel('{ingest_started,ingest_completed}', '1 hour', 'data.url', '2013-06-01', '2013-06-02', any_attempt => false)",
        &["1|ingest_started|3|1.0000|∅|∅|f", "2|ingest_completed|2|0.6667|0.6667|180.000|f"],
    ),
];

#[test]
fn reports_of_a_products_questions_equal_small_cases() {
    let db = Db::new();
    db.superuser()
        .batch_execute(&format!(
            "SELECT eventlog.create_log(retention => '50 years');
             CREATE TABLE public.source AS
             SELECT row_number() OVER () AS id, '{TENANT_A}'::uuid AS tenant_id, name, data::jsonb AS data,
                    created_at::timestamptz AS created_at, occurred_at::timestamptz AS occurred_at
               FROM (VALUES {EVENTS}) AS e (name, data, created_at, occurred_at);
             GRANT SELECT ON public.source TO log_owner"
        ))
        .unwrap();
    let mut owner = db.connect("log_owner");
    let imported = "SELECT rejected FROM eventlog.import_events('public.source')";
    assert_eq!(text(&mut owner, imported), "0");
    let mut reader = db.connect_as("reader", TENANT_A);
    for state in ["raw", "rolled up"] {
        for (call, expected) in CASES {
            let columns = COLUMNS
                .iter()
                .find(|(report, _)| call.starts_with(report))
                .map_or("*", |(_, columns)| columns);
            let found = rows(&mut reader, &format!("SELECT {columns} FROM eventlog.{call}"));
            let found: Vec<String> = found.into_iter().map(|row| row.join("|")).collect();
            assert_eq!(found, *expected, "{state}: {call}");
        }
        owner.batch_execute("CALL eventlog.maintain()").unwrap();
    }
}

/// Its tenant is looked for, its event comes in and is noted, and then the events are counted.
#[test]
fn a_late_event_of_a_tenant_that_is_new_is_counted_whenever_it_comes() {
    let db = Db::new();
    let mut superuser = db.superuser();
    let source = |name: &str, tenant: &str| {
        format!(
            "CREATE TABLE public.{name} AS SELECT CASE '{tenant}' WHEN '{TENANT_A}' THEN 1 ELSE 2 END AS id, '{tenant}'::uuid AS tenant_id,
                    'tool_used' AS name, '{{\"toolName\": \"t\"}}'::jsonb AS data, date_trunc('day', now()) - interval '3 days' AS created_at;
             GRANT SELECT ON public.{name} TO log_owner;"
        )
    };
    superuser.batch_execute(&source("first", TENANT_A)).unwrap();
    superuser.batch_execute(&source("second", TENANT_B)).unwrap();
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute(
            "SELECT eventlog.import_events('public.first');
             SELECT eventlog_private.announce_watermark();
             SELECT eventlog.import_events('public.second')",
        )
        .unwrap();
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.late_events"), "1");
    superuser
        .batch_execute(&format!(
            "CREATE OR REPLACE FUNCTION eventlog_private.tenants_in(partition regclass) RETURNS uuid[] LANGUAGE sql STABLE
             SET search_path = pg_catalog, pg_temp AS 'SELECT ARRAY[''{TENANT_A}''::uuid]'"
        ))
        .unwrap();
    owner.batch_execute("CALL eventlog.maintain()").unwrap();
    let counted = "SELECT tenant_id, events FROM eventlog.daily_counts ORDER BY 1";
    assert_eq!(rows(&mut owner, counted), [[TENANT_A, "1"], [TENANT_B, "1"]]);
    assert_eq!(
        rows(&mut owner, "SELECT * FROM eventlog.verify_rollups()"),
        Vec::<Vec<String>>::new()
    );
}
