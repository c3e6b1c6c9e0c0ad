-- Ninety days of events of a hundred tenants, of which the largest has a fifth, in the order of time.
-- $rows is how many.
SET ROLE log_owner;
-- A key that reports are asked for, and others that are not.
UPDATE eventlog.event_types SET count_keys = '{skillName}' WHERE name = 'skill_executed';
SELECT count(eventlog._make_partition(now() - g * interval '1 month')) FROM generate_series(0, 3) g;
CREATE TEMPORARY TABLE shares AS
SELECT array_agg(share ORDER BY k) AS shares, array_agg(md5('tenant ' || k)::uuid ORDER BY k) AS tenants
  FROM (SELECT k, sum(1.0 / k) OVER (ORDER BY k) / (SELECT sum(1.0 / j) FROM generate_series(1, 100) j) AS share
          FROM generate_series(1, 100) k) s;
INSERT INTO eventlog.events (tenant_id, name, data, actor, subject, created_at)
SELECT tenants[k], name,
       CASE name
       WHEN 'skill_executed' THEN jsonb_build_object('skillName', 'skill' || s, 'success', r2 < 0.93, 'durationMs', exp(4 + 3 * r3)::integer)
       WHEN 'message_sent' THEN jsonb_build_object('conversationId', 'c' || g / 12, 'role', CASE WHEN r2 < 0.5 THEN 'user' ELSE 'assistant' END)
       WHEN 'conversation_started' THEN jsonb_build_object('conversationId', 'c' || g / 12, 'sessionId', 's' || g / 30)
       WHEN 'tool_used' THEN jsonb_build_object('toolName', 'tool' || s)
       WHEN 'escalation_triggered' THEN jsonb_build_object('conversationId', 'c' || g / 12, 'reason', 'asked')
       WHEN 'integration_failed' THEN jsonb_build_object('integrationId', 'i' || s % 5, 'type', 'crm', 'errorCode', 'E' || s % 7)
       ELSE jsonb_build_object('integrationId', 'i' || s % 5, 'type', 'crm') END,
       'user-' || k || '-' || floor(r1 * r1 * greatest(20, 5000 / k))::integer,
       CASE WHEN name IN ('message_sent', 'conversation_started', 'escalation_triggered') THEN 'c' || g / 12
            WHEN name = 'skill_executed' THEN 'skill' || s
            WHEN name = 'tool_used' THEN 'tool' || s
            ELSE 'crm/i' || s % 5 END,
       now() - interval '90 days' + g * (interval '90 days' / $rows)
  FROM (SELECT g, least(width_bucket(random(), shares.shares) + 1, 100) AS k, tenants, r1, r2, r3, floor(40 * r4 * r4)::integer AS s,
               CASE WHEN r5 < 0.40 THEN 'message_sent' WHEN r5 < 0.65 THEN 'skill_executed' WHEN r5 < 0.82 THEN 'tool_used'
                    WHEN r5 < 0.90 THEN 'conversation_started' WHEN r5 < 0.96 THEN 'integration_succeeded'
                    WHEN r5 < 0.97 THEN 'integration_failed' ELSE 'escalation_triggered' END AS name
          FROM (SELECT g, random() AS r1, random() AS r2, random() AS r3, random() AS r4, random() AS r5
                  FROM generate_series(1, $rows) g) r, shares) w;
ANALYZE eventlog.events;
