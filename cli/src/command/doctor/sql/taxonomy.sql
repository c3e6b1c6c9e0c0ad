SELECT true, 'the log has no event type', 'SELECT eventlog.define_event(''NAME'');', 'owner'
 WHERE NOT EXISTS (SELECT FROM eventlog.event_types t WHERE t.status <> 'retired')
 UNION ALL
SELECT NULL, format('%s event types, %s of them retired', count(*), count(*) FILTER (WHERE t.status = 'retired')), NULL, NULL
  FROM eventlog.event_types t HAVING count(*) > 0
 UNION ALL
-- Written by hand: define_event() refuses them. A log of layout 1 has no aliases.
SELECT true, format('event type "%s" gets no events of its aliases %s, which another event type has', a.name,
                    string_agg(format('"%s"', a.alias), ', ' ORDER BY a.alias) FILTER (WHERE a.is_taken)),
       format('SELECT eventlog.define_event(%L, aliases => %L);', a.name,
              coalesce(array_agg(a.alias ORDER BY a.place) FILTER (WHERE NOT a.is_taken), '{}')), 'owner'
  FROM (SELECT t.name, k.alias, k.place,
               EXISTS (SELECT FROM eventlog.event_types o
                        WHERE o.name = k.alias AND o.name <> t.name OR o.name < t.name AND to_jsonb(o) -> 'aliases' ? k.alias) AS is_taken
          FROM eventlog.event_types t
         CROSS JOIN LATERAL jsonb_array_elements_text(to_jsonb(t) -> 'aliases') WITH ORDINALITY AS k (alias, place)) a
 GROUP BY a.name HAVING bool_or(a.is_taken)
