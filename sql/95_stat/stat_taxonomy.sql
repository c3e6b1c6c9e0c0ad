-- View: event types compared with logged events.

CREATE FUNCTION eventlog._stat_taxonomy()
RETURNS TABLE (name text, state text, rows bigint, last_at timestamptz, undeclared_keys text[], unused_keys text[],
               missing_keys text[])
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog._require_log();
    RETURN QUERY
    WITH seen AS (
        SELECT e.name, count(*) AS rows, max(e.created_at) AS last_at FROM eventlog.events e GROUP BY e.name
    ), key AS (
        SELECT e.name, k.key, count(*) AS rows
          FROM eventlog.events e CROSS JOIN LATERAL eventlog._keys(e.data) AS k (key)
         GROUP BY e.name, k.key
    )
    SELECT coalesce(t.name, s.name),
           CASE WHEN t.name IS NULL THEN 'undeclared'
                WHEN s.name IS NULL THEN 'unused'
                ELSE t.status END,
           coalesce(s.rows, 0), s.last_at,
           ARRAY(SELECT k.key FROM key k
                  WHERE k.name = s.name AND k.key <> ALL (t.required_keys || t.optional_keys) ORDER BY k.key),
           ARRAY(SELECT d.key FROM unnest(t.required_keys || t.optional_keys) AS d (key)
                  WHERE s.name IS NOT NULL AND NOT EXISTS (SELECT FROM key k WHERE k.name = t.name AND k.key = d.key)
                  ORDER BY d.key),
           ARRAY(SELECT d.key FROM unnest(t.required_keys) AS d (key)
                   LEFT JOIN key k ON k.name = t.name AND k.key = d.key
                  WHERE coalesce(k.rows, 0) < s.rows ORDER BY d.key)
      FROM eventlog.event_types t
      FULL JOIN seen s ON s.name = t.name;
END
$$;

CREATE VIEW eventlog.stat_taxonomy AS SELECT * FROM eventlog._stat_taxonomy();

COMMENT ON VIEW eventlog.stat_taxonomy IS
'Event types compared with logged events: active, deprecated, retired, unused or undeclared, with undeclared keys, declared keys that no event has, and required keys that some events lack (logged before they were required). Reads all rows.';
