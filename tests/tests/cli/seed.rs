//! A log with a past: three months of two tenants, rolled up, and some rows since.

use eventlog_tests::db::text;
use eventlog_tests::{TENANT_A, TENANT_B};
use postgres::Client;

/// What would run in a page that took it for markup.
pub(crate) const MARKUP: &str = "<img src=x onerror=alert(1)><script>alert(2)</script>";

/// Gives a log events of tenant A over eighty days, and some of tenant B; rolls them up; adds rows of
/// the last minutes, with markup in each text that a client chooses; and a quarantine of each tenant.
pub(crate) fn seed(superuser: &mut Client) {
    superuser
        .batch_execute(&format!(
            "CREATE TABLE public.source (id bigint GENERATED ALWAYS AS IDENTITY, tenant_id uuid, name text, data jsonb,
                                         created_at timestamptz, actor text, subject text);
             INSERT INTO public.source (tenant_id, name, data, created_at, actor, subject)
             SELECT '{TENANT_A}'::uuid, e.name, k.data::jsonb, date_trunc('minute', now()) - e.age, 'user-' || e.actor, k.subject
               FROM (SELECT n, (n * n % 61 + n % 7) % 40 AS actor,
                            make_interval(mins => 10 + (n * n * 13 + n * 37) % (80 * 1440)) AS age,
                            (ARRAY['conversation_started', 'message_sent', 'message_sent', 'skill_executed', 'tool_used',
                                   'tool_used', 'integration_succeeded', 'escalation_triggered', 'integration_failed'])[n % 9 + 1] AS name
                       FROM generate_series(1, 6000) AS n) e
               JOIN LATERAL (VALUES
                    ('conversation_started', '{{\"sessionId\": \"s\", \"conversationId\": \"c\"}}', NULL),
                    ('message_sent', '{{\"conversationId\": \"c\", \"role\": \"user\"}}', NULL),
                    ('skill_executed', format('{{\"skillName\": \"s%s\", \"durationMs\": %s, \"success\": %s, \"errorType\": %s}}', n % 4,
                                              20 + n % 900, n % 5 <> 0, CASE n % 5 WHEN 0 THEN '\"timeout\"' ELSE '\"\"' END), 'skill/s' || n % 4),
                    ('tool_used', '{{\"toolName\": \"t\"}}', CASE n % 3 WHEN 0 THEN 'tool/search' ELSE 'tool/fetch' END),
                    ('integration_succeeded', '{{\"integrationId\": \"i1\", \"type\": \"crm\"}}', 'integration/i1'),
                    ('escalation_triggered', '{{\"conversationId\": \"c\", \"reason\": \"asked\"}}', NULL),
                    ('integration_failed', '{{\"integrationId\": \"i1\", \"type\": \"crm\", \"errorCode\": \"E42\"}}', 'integration/i1')
                    ) AS k (name, data, subject) ON k.name = e.name
             UNION ALL
             SELECT '{TENANT_B}'::uuid, 'tool_used', '{{\"toolName\": \"other\"}}'::jsonb, now() - make_interval(hours => n), 'b-' || n % 3, 'tool/other'
               FROM generate_series(1, 50) AS n;
             ALTER TABLE public.source OWNER TO log_owner;"
        ))
        .expect("a table of ours");
    let imported = text(
        superuser,
        "SET SESSION AUTHORIZATION log_owner; SELECT imported FROM eventlog.import_events('public.source')",
    );
    superuser.batch_execute("RESET SESSION AUTHORIZATION; CALL eventlog.maintain()").expect("ours");
    assert_eq!(imported, "6050");
    superuser
        .batch_execute(&format!(
            "INSERT INTO eventlog.events (tenant_id, name, data, actor, subject, created_at)
             SELECT '{TENANT_A}', 'skill_executed',
                    jsonb_build_object('skillName', m, 'durationMs', 5, 'success', false, 'errorType', m, 'errorMessage', m),
                    m, m, now() - interval '3 minutes'
               FROM (VALUES ('{MARKUP}')) AS x (m), generate_series(1, 400);
             INSERT INTO eventlog.rejected_events (tenant_id, claimed_tenant_id, name, sqlstate, reason, role_name, created_at)
             SELECT NULL::uuid, '{TENANT_A}'::uuid, 'tool_usd', '42704', 'unknown event name \"tool_usd\"', 'gateway', now() - interval '2 hours'
               FROM generate_series(1, 3)
             UNION ALL
             SELECT '{TENANT_A}'::uuid, NULL::uuid, '{MARKUP}', '42704', 'unknown event name \"{MARKUP}\"', 'writer', now() - interval '1 hour'
             UNION ALL
             SELECT NULL::uuid, '{TENANT_B}'::uuid, 'of_b', '42704', 'of tenant B', 'gateway', now()
             UNION ALL
             SELECT '{TENANT_B}'::uuid, '{TENANT_A}'::uuid, 'of_b_too', '42501', 'of tenant B', 'writer', now()"
        ))
        .expect("the log is there");
    assert_ne!(text(superuser, "SELECT count(*) FROM eventlog.daily_counts"), "0");
}
