SELECT true, 'the log has no event type', 'SELECT eventlog.define_event(''NAME'');', 'owner'
 WHERE NOT EXISTS (SELECT FROM eventlog.event_types t WHERE t.status <> 'retired')
 UNION ALL
SELECT NULL, format('%s event types, %s of them retired', count(*), count(*) FILTER (WHERE t.status = 'retired')), NULL, NULL
  FROM eventlog.event_types t HAVING count(*) > 0
