-- Sixty days of the application: the last thirty, and the thirty before to compare them with. They
-- are in a table as applications have one before they have a log. Chance is seeded, so that the
-- demo tells the same story each time.
SELECT setseed(0.4711);
SET jit = off;

-- Who uses it: some from the start, others join; each comes back for as long as it is loyal.
CREATE TEMPORARY TABLE people AS
SELECT a.id AS tenant_id, format('user-%s', n) AS actor,
       CASE WHEN random() < 0.3 THEN 0 ELSE floor(60 * random()) END::integer AS joined,
       3 + 90 * power(random(), 2) AS loyalty
  FROM accounts a
  JOIN (VALUES ('Northwind', 330), ('Globex', 180), ('Initech', 75)) AS size (name, people) USING (name),
       generate_series(1, size.people) AS n
 ORDER BY a.name, n;

-- Sessions: mostly on working days, mostly in working hours. `a` to `e` are chance.
CREATE TEMPORARY TABLE sessions AS
SELECT row_number() OVER (ORDER BY began_at, tenant_id, actor) AS session, s.*
  FROM (SELECT p.tenant_id, p.actor, d AS day,
               date_trunc('day', now(), 'UTC') - make_interval(days => 60 - d)
                   + make_interval(secs => 3600 * (6.5 + 5.5 * (random() + random()))) AS began_at,
               random() AS a, random() AS b, random() AS c, random() AS d, random() AS e
          FROM people p, generate_series(0, 60) AS d
         WHERE d = p.joined
            OR d > p.joined
               AND random() < (0.12 + 0.5 * exp((p.joined - d) / p.loyalty))
                              * CASE WHEN extract(isodow FROM now() - make_interval(days => 60 - d)) > 5 THEN 0.3
                                     ELSE 1 END) AS s
 WHERE s.began_at BETWEEN now() - interval '60 days' AND now() - interval '30 minutes';

-- What happened in them, after so many seconds. Eleven days ago the help desk was down.
CREATE TABLE history (
    id         bigint      NOT NULL,
    tenant_id  uuid        NOT NULL,
    name       text        NOT NULL,
    data       jsonb       NOT NULL,
    actor      text        NOT NULL,
    created_at timestamptz NOT NULL
);

INSERT INTO history
SELECT 1000000 + row_number() OVER (ORDER BY s.began_at + make_interval(secs => h.after), s.session, h.name),
       s.tenant_id, h.name, h.data, s.actor, s.began_at + make_interval(secs => h.after)
  FROM sessions s
 CROSS JOIN LATERAL (
    SELECT 0::double precision AS after, 'conversation_started' AS name,
           jsonb_build_object('sessionId', 's' || session, 'conversationId', 'c' || session) AS data
    UNION ALL
    SELECT 5 + 20 * n, 'message_sent', jsonb_build_object(
               'conversationId', 'c' || session, 'role', CASE n % 2 WHEN 1 THEN 'user' ELSE 'assistant' END)
      FROM generate_series(1, 2 + 2 * floor(3 * a)::integer) AS n
    UNION ALL
    SELECT 12 + 20 * n, 'skill_executed', jsonb_strip_nulls(jsonb_build_object(
               'skillName', k.skill, 'success', k.success, 'durationMs', round(k.typical * exp(1.6 * (random() - 0.5))),
               'errorType', CASE WHEN NOT k.success THEN k.error END))
      FROM generate_series(1, floor(4 * b)::integer) AS n
     CROSS JOIN LATERAL (
        SELECT skill, typical, error, random() > fails AS success
          FROM (VALUES (0, 'search', 240, 0.02, 'timeout'), (1, 'summarize', 1900, 0.05, 'context_length'),
                       (2, 'canvas', 650, 0.04, 'render'), (3, 'export', 3100, 0.12, 'storage'))
               AS v (number, skill, typical, fails, error)
         WHERE number = (ARRAY[0, 0, 0, 1, 1, 2, 3])[1 + (session * 31 + n * 17) % 7]) AS k
    UNION ALL
    SELECT 15 + 20 * n, 'tool_used', jsonb_build_object(
               'toolName', (ARRAY['Read', 'Read', 'Bash', 'Edit', 'WebFetch'])[1 + (session * 7 + n * 3) % 5],
               'hookEvent', 'PostToolUse', 'source', 'hook')
      FROM generate_series(1, 1 + floor(4 * c)::integer) AS n
    UNION ALL
    SELECT 150, 'escalation_triggered', jsonb_build_object('conversationId', 'c' || session, 'integrationId', 'zendesk',
               'reason', (ARRAY['asked for a person', 'low confidence', 'billing'])[1 + floor(3 * b)::integer])
     WHERE d < 0.11
    UNION ALL
    SELECT 151, CASE WHEN error IS NULL THEN 'integration_succeeded' ELSE 'integration_failed' END,
           jsonb_strip_nulls(jsonb_build_object('integrationId', integration, 'type', type, 'errorCode', error))
      FROM (SELECT CASE WHEN d < 0.11 THEN 'zendesk' ELSE 'hubspot' END AS integration,
                   CASE WHEN d < 0.11 THEN 'helpdesk' ELSE 'crm' END AS type,
                   CASE WHEN d < 0.11 AND day = 49 THEN 'ECONNREFUSED' WHEN e < 0.05 THEN 'timeout' END AS error) AS i
     WHERE d < 0.3
    UNION ALL
    SELECT 160 + n, (ARRAY['artifact_searched', 'artifact_searched', 'artifact_deployed', 'artifact_updated',
                           'artifact_synced', 'artifact_removed'])[1 + floor(6 * c)::integer],
           jsonb_build_object('artifactName', (ARRAY['invoice-helper', 'release-notes', 'triage', 'onboarding'])[n],
                              'artifactType', (ARRAY['skill', 'command', 'agent', 'skill'])[n],
                              'result', CASE WHEN a < 0.9 THEN 'success' ELSE 'conflict' END)
      FROM generate_series(1, 1 + floor(4 * a)::integer) AS n
     WHERE e BETWEEN 0.3 AND 0.42
    UNION ALL
    SELECT 170 + x.after, 'ingest_' || x.state,
           jsonb_build_object('sourceType', CASE WHEN a < 0.6 THEN 'web' ELSE 'pdf' END,
                              'url', 'https://docs.example.com/' || session) || x.more
      FROM (VALUES ('started', 0, '{}'::jsonb, true),
                   ('completed', 20 + 300 * b, jsonb_build_object('docs', 1 + floor(40 * a), 'chunks', 9 + floor(700 * a)),
                    c >= 0.12),
                   ('failed', 8, '{"errorCode": "http_403"}', c < 0.12)) AS x (state, after, more, is_so)
     WHERE x.is_so AND e BETWEEN 0.5 AND 0.56
    UNION ALL
    SELECT 180, 'quota_exceeded', jsonb_build_object('quotaType', CASE WHEN a < 0.7 THEN 'messages' ELSE 'storage' END,
                                                     'limit', 1000, 'attempted', 1001)
     WHERE d > 0.98
    UNION ALL
    SELECT 600, 'checkout_completed', jsonb_build_object('plan', plan, 'stripeSessionId', 'cs_' || session)
      FROM (SELECT CASE WHEN b < 0.7 THEN 'pro' ELSE 'team' END AS plan) AS p
     WHERE d > 0.98 AND e < 0.6
    UNION ALL
    SELECT 604 + 60 * c, 'plan_updated', jsonb_build_object(
               'previousPlan', 'free', 'newPlan', CASE WHEN b < 0.7 THEN 'pro' ELSE 'team' END, 'status', 'active')
     WHERE d > 0.98 AND e < 0.5
    ) AS h;

ALTER TABLE history ADD PRIMARY KEY (id);
ANALYZE history;
GRANT SELECT ON history TO log_owner;
