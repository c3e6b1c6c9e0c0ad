SELECT false,
       format('%s events were refused in the last day, most of them as %s: %s', sum(r.events),
              (array_agg(r.sqlstate ORDER BY r.events DESC))[1], (array_agg(r.reason ORDER BY r.events DESC))[1]),
       'SELECT * FROM eventlog.stat_rejected;', 'owner'
  FROM (SELECT q.sqlstate, q.reason, count(*) AS events FROM eventlog.rejected_events q
         WHERE q.created_at > now() - interval '1 day' GROUP BY 1, 2) r
HAVING count(*) > 0
