-- Three weeks of January 2026 with a few actors, errors, long ids, and payloads that are hard to print.
SELECT eventlog.define_event('app_opened', optional_keys => '{page}', allow_other_keys => false);
INSERT INTO eventlog.events (tenant_id, name, data, actor, subject, created_at)
SELECT 'TENANT_A'::uuid, e.name, e.data, 'user-' || n % 7, e.subject, '2026-01-05 09:30:00.25+00'::timestamptz + n * interval '7 hours 13 minutes'
  FROM generate_series(0, 63) AS n
 CROSS JOIN LATERAL (VALUES
       (0, 'conversation_started', jsonb_build_object('sessionId', 's' || n, 'conversationId', 'c' || n), NULL),
       (1, 'tool_used', jsonb_build_object('toolName', 'search', 'metadata', jsonb_build_object('n', n)), 'tool/search'),
       (2, 'skill_executed', jsonb_build_object('skillName', 'canvas', 'durationMs', 100 + n * 37.5, 'success', n % 5 <> 2,
                                                'errorType', CASE n % 5 WHEN 2 THEN 'timeout' ELSE '' END),
        'skill/canvas'),
       (3, 'tool_used', jsonb_build_object('toolName', 'edit'), 'conversation/0190c2ab-7a5e-7d10-8000-' || lpad(n::text, 12, '0'))
       ) AS e (place, name, data, subject)
 WHERE e.place = n % 4 AND (n < 20 OR n % 7 < 4);
INSERT INTO eventlog.events (tenant_id, name, data, actor, subject, created_at) VALUES
    ('TENANT_A', 'tool_used', E'{"toolName": "tab\\there, line\\nthere, back\\\\slash, \\"quote\\", \\u001b[31m"}', NULL, '', '2026-01-25 23:59:59.999999+00'),
    ('TENANT_A', 'tool_used', '{"toolName": "日本語のツール", "n": 12345678901234567890.50}', E'a\tb\nc\\d', 'x', '2026-01-25 23:30:00+00'),
    ('TENANT_B', 'tool_used', '{"toolName": "other"}', 'b-1', 'tool/other', '2026-01-25 22:00:00+00');
INSERT INTO eventlog.api_keys (id, tenant_id, kind, event_names, secret_hash, rate_limit, description, created_at, expires_at, revoked_at, actor, no_actor)
SELECT k.id, k.tenant_id::uuid, k.kind, k.event_names, decode(repeat('00', 32), 'hex'), k.rate_limit, k.description, k.created_at, k.expires_at, k.revoked_at, k.actor, k.no_actor
  FROM (VALUES
       ('00112233445566aa', 'TENANT_A', 'write', NULL::text[], 60, 'web shop', '2026-01-05 09:30:00.123456+00'::timestamptz,
        NULL::timestamptz, NULL::timestamptz, NULL, true),
       ('00112233445566bb', 'TENANT_A', 'read', NULL, NULL, 'dashboard of Northwind, for the people who look at it every morning',
        '2026-01-06 09:30:00+00', '2026-01-31 00:00:00+00', NULL, NULL, false),
       ('00112233445566cc', 'TENANT_B', 'write', '{tool_used,skill_executed,conversation_started}', NULL, NULL, '2026-01-07 09:30:00+00',
        '2999-12-31 00:00:00+00', '2026-01-08 09:30:00+00', 'importer', false)
       ) AS k (id, tenant_id, kind, event_names, rate_limit, description, created_at, expires_at, revoked_at, actor, no_actor);
