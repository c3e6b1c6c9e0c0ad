-- Who holds consumers up, those that have stopped, and those that lost events.
(SELECT false, 'consumers wait for ' || min(s.held_by), 'SELECT held_by FROM eventlog.stat_consumers;', 'owner'
   FROM eventlog.stat_consumers s WHERE s.held_by IS NOT NULL
 HAVING count(*) > 0)
UNION ALL
(SELECT false,
        format('consumer %s of tenant %s is %s ids behind and has acknowledged nothing %s', s.consumer, s.tenant_id, s.ids_behind,
               coalesce('since ' || to_char(s.acknowledged_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI UTC'), 'yet')),
        format('SELECT eventlog.drop_consumer(%L, %L);', s.consumer, s.tenant_id), 'owner'
   FROM eventlog.stat_consumers s
   JOIN eventlog.consumers c ON c.tenant_id = s.tenant_id AND c.consumer = s.consumer
  WHERE s.ids_behind > 0 AND coalesce(s.acknowledged_at, c.created_at) < now() - interval '1 day'
  ORDER BY s.ids_behind DESC LIMIT 5)
UNION ALL
(SELECT false, format('consumer %s of tenant %s lost %s events, which it had not read when retention deleted them',
                      s.consumer, s.tenant_id, s.lost_events),
        'UPDATE eventlog.maintenance_settings SET consumer_wait = ''30 days'';', 'owner'
   FROM eventlog.stat_consumers s
   JOIN eventlog.consumer_losses l ON l.tenant_id = s.tenant_id AND l.consumer = s.consumer
  WHERE l.lost_at > now() - interval '7 days'
  ORDER BY s.lost_events DESC LIMIT 5)
