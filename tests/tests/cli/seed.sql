-- Eighty days of tenant A, some hours of tenant B, taken over by import_events.
CREATE TABLE public.source (
    id bigint GENERATED ALWAYS AS IDENTITY, tenant_id uuid, name text, data jsonb, created_at timestamptz, actor text, subject text
);
INSERT INTO public.source (tenant_id, name, data, created_at, actor, subject)
SELECT 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa'::uuid, e.name, k.data::jsonb, date_trunc('minute', now()) - e.age,
       'user-' || e.actor, k.subject
  FROM (SELECT a.n, a.age,
               -- Six new ones a week, of whom ever fewer come back.
               greatest(0, floor((80 - extract(epoch FROM a.age) / 86400) / 7) * 6 - power((a.n * 3571 % 997) / 997.0, 2.2) * 45)::integer AS actor,
               (ARRAY['conversation_started', 'message_sent', 'message_sent', 'skill_executed', 'tool_used', 'tool_used',
                      'integration_succeeded', 'message_sent', 'escalation_triggered', 'tool_used', 'skill_executed',
                      'integration_failed'])[a.n * a.n % 97 % 12 + 1] AS name
               -- Ever more, none of the last ten minutes.
          FROM (SELECT n, make_interval(mins => 10 + (power((n * 7919 % 6000) / 6000.0, 1.15) * 80 * 1440)::integer) AS age
                  FROM generate_series(1, 6000) AS n) a) e
  JOIN LATERAL (VALUES
       ('conversation_started', '{"sessionId": "s", "conversationId": "c"}', NULL),
       ('message_sent', '{"conversationId": "c", "role": "user"}', NULL),
       ('skill_executed', format('{"skillName": "s%s", "durationMs": %s, "success": %s, "errorType": %s}', n % 4, 20 + n % 900,
                                 to_json(n % 11 <> 0), CASE n % 11 WHEN 0 THEN '"timeout"' ELSE '""' END), 'skill/s' || n % 4),
       ('tool_used', '{"toolName": "t"}', 'tool/' || (ARRAY['search', 'search', 'fetch', 'edit', 'search'])[n % 5 + 1]),
       ('integration_succeeded', '{"integrationId": "i1", "type": "crm"}', 'integration/i1'),
       ('escalation_triggered', '{"conversationId": "c", "reason": "asked"}', NULL),
       ('integration_failed', '{"integrationId": "i1", "type": "crm", "errorCode": "E42"}', 'integration/i1')
       ) AS k (name, data, subject) ON k.name = e.name
 UNION ALL
SELECT 'bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb'::uuid, 'tool_used', '{"toolName": "other"}'::jsonb, now() - make_interval(hours => n),
       'b-' || n % 3, 'tool/other'
  FROM generate_series(1, 50) AS n;
ALTER TABLE public.source OWNER TO log_owner;
SET SESSION AUTHORIZATION log_owner;
SELECT imported, rejected FROM eventlog.import_events('public.source');
RESET SESSION AUTHORIZATION;
CALL eventlog.maintain();

-- Rows that came since, with markup in each text that a client chooses.
INSERT INTO eventlog.events (tenant_id, name, data, actor, subject, created_at)
SELECT 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa', 'skill_executed',
       jsonb_build_object('skillName', m, 'durationMs', 5, 'success', n > 12, 'errorType', m, 'errorMessage', m, m, m),
       m, m, now() - interval '3 minutes'
  FROM (VALUES ('<img src=x onerror=alert(1)><script>alert(2)</script>')) AS x (m), generate_series(1, 90) AS n;

INSERT INTO eventlog.rejected_events (tenant_id, claimed_tenant_id, name, sqlstate, reason, role_name, created_at)
SELECT NULL::uuid, 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa'::uuid, 'tool_usd', '42704', 'unknown event name "tool_usd"', 'gateway',
       now() - interval '2 hours'
  FROM generate_series(1, 3)
 UNION ALL
SELECT 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa'::uuid, NULL::uuid, m, '42704', format('unknown event name "%s"', m), 'writer',
       now() - interval '1 hour'
  FROM (VALUES ('<img src=x onerror=alert(1)><script>alert(2)</script>')) AS x (m)
 UNION ALL
SELECT NULL::uuid, 'bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb'::uuid, 'of_b', '42704', 'of tenant B', 'gateway', now()
 UNION ALL
SELECT 'bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb'::uuid, 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa'::uuid, 'of_b_too', '42501',
       'of tenant B', 'writer', now();
