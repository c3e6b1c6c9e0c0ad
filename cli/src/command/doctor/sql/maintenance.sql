-- clock_doubt by its name in the row: a log whose extension does not say it has none.
WITH state AS MATERIALIZED (
    SELECT s.last_finished_at, s.last_outcome, s.last_failures, s.due, s.blocked_by, to_jsonb(s) ->> 'clock_doubt' AS doubt
      FROM eventlog.stat_maintenance s
)
SELECT true, s.doubt, 'set the server''s clock by NTP; if it is right: CALL eventlog.maintain(trust_clock => true);', NULL
  FROM state s WHERE s.doubt IS NOT NULL
 UNION ALL
SELECT false, format('the last run of maintain() ended %s: %s', s.last_outcome, array_to_string(s.last_failures, '; ')),
       'CALL eventlog.maintain();', 'owner'
  FROM state s WHERE s.last_failures <> '{}'
 UNION ALL
SELECT coalesce(s.last_finished_at < now() - interval '7 days', false),
       format('%s tasks are due, and maintain() %s', cardinality(s.due),
              coalesce('ended last ' || s.last_finished_at::text, 'never ran')),
       'CALL eventlog.maintain();', 'owner'
  FROM state s
 WHERE s.due <> '{}' AND coalesce(s.last_finished_at, '-infinity') < now() - interval '1 day'
 UNION ALL
-- Sessions that have a transaction open, or a lock: the text names their processes.
SELECT false, format('maintenance is held back: %s', s.blocked_by),
       (SELECT string_agg(DISTINCT format('SELECT pg_terminate_backend(%s);', m[1]), ' ')
          FROM regexp_matches(s.blocked_by, '(?:process|pid) (\d+)', 'gi') AS m), 'superuser'
  FROM state s WHERE s.blocked_by IS NOT NULL
