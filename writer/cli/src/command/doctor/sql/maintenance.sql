SELECT false, format('the last run of maintain() ended %s: %s', s.last_outcome, array_to_string(s.last_failures, '; ')),
       'CALL eventlog.maintain();', 'owner'
  FROM eventlog.stat_maintenance s WHERE s.last_failures <> '{}'
 UNION ALL
SELECT coalesce(s.last_finished_at < now() - interval '7 days', false),
       format('%s tasks are due, and maintain() %s', cardinality(s.due),
              coalesce('ended last ' || s.last_finished_at::text, 'never ran')),
       'CALL eventlog.maintain();', 'owner'
  FROM eventlog.stat_maintenance s
 WHERE s.due <> '{}' AND coalesce(s.last_finished_at, '-infinity') < now() - interval '1 day'
 UNION ALL
-- Whoever has a transaction open, or a lock: the processes are named in the text.
SELECT false, format('maintenance waits for %s', s.blocked_by),
       (SELECT string_agg(format('SELECT pg_terminate_backend(%s);', m[1]), ' ')
          FROM regexp_matches(s.blocked_by, '(?:process|pid) (\d+)', 'gi') AS m), 'superuser'
  FROM eventlog.stat_maintenance s WHERE s.blocked_by IS NOT NULL
