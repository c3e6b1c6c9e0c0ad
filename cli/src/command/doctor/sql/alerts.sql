-- Alerts that cannot be evaluated, and those that nobody evaluates.
(SELECT false, format('alert %s of tenant %s cannot be evaluated: %s', a.alert, a.tenant_id, a.failure),
        format('SELECT eventlog.disable_alert(%L, %L);', a.alert, a.tenant_id), 'owner'
   FROM eventlog.alerts a WHERE a.is_enabled AND a.failure IS NOT NULL
  ORDER BY a.next_until LIMIT 5)
UNION ALL
(SELECT false, format('%s alerts have windows that ended more than an hour ago and were not evaluated', count(*)),
        'SELECT eventlog.evaluate_alerts();', 'owner'
   FROM eventlog.alerts a
  WHERE a.is_enabled AND a.failure IS NULL AND a.condition <> 'findings' AND a.next_until < now() - interval '1 hour'
 HAVING count(*) > 0)
UNION ALL
(SELECT false, format('alert %s is on the doctor''s findings, and nobody has told it any since %s UTC', a.alert,
                      to_char(a.next_until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')),
        'eventlog alerts --evaluate', NULL
   FROM eventlog.alerts a
  WHERE a.is_enabled AND a.failure IS NULL AND a.condition = 'findings' AND a.next_until < now() - interval '1 hour'
  ORDER BY a.next_until LIMIT 5)
