-- How far, not whether seals are valid: that reads all events.
WITH state AS MATERIALIZED (
    SELECT s.is_on, to_char(s.sealed_until AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day,
           s.is_on AND s.sealed_until < b.behind
               AND (s.sealed_until > '-infinity'
                    OR EXISTS (SELECT FROM eventlog.events e WHERE e.created_at > '-infinity' AND e.created_at < b.behind)) AS is_behind
      FROM eventlog.seal_state s, (SELECT date_trunc('day', now(), 'UTC') - interval '2 days' AS behind) b
)
SELECT CASE WHEN t.is_behind THEN false END,
       CASE WHEN NOT t.is_on
            THEN 'off, so a change of an event does not show; SELECT eventlog.migrate_log(seals => true) switches them on'
            WHEN t.is_behind THEN 'maintain() is behind: ' || coalesce('days are sealed until ' || t.day, 'no day is sealed')
            WHEN t.day IS NULL THEN 'on; no day is sealed yet'
            ELSE format('days are sealed until %s; eventlog verify checks the seals', t.day) END,
       CASE WHEN t.is_behind THEN 'SELECT * FROM eventlog.stat_maintenance;' END,
       CASE WHEN t.is_behind THEN 'owner' END
  FROM state t
