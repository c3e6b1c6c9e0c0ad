-- View: storage by tenant and name.

-- Growth compares the last seven days with the seven days before.
CREATE FUNCTION eventlog._stat_storage()
RETURNS TABLE (tenant_id uuid, name text, rows bigint, bytes bigint, oldest_at timestamptz, newest_at timestamptz,
               actors bigint, subjects bigint, keys bigint, last_7_days bigint, previous_7_days bigint,
               growth numeric, is_fastest_growing boolean)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog._require_log();
    RETURN QUERY
    WITH volume AS (
        SELECT e.tenant_id, e.name, count(*) AS rows, sum(pg_column_size(e.*))::bigint AS bytes,
               min(e.created_at) AS oldest_at, max(e.created_at) AS newest_at,
               count(DISTINCT e.actor) AS actors, count(DISTINCT e.subject) AS subjects,
               count(*) FILTER (WHERE e.created_at >= now() - interval '7 days') AS last,
               count(*) FILTER (WHERE e.created_at >= now() - interval '14 days'
                                  AND e.created_at < now() - interval '7 days') AS previous
          FROM eventlog.events e
         GROUP BY e.tenant_id, e.name
    ), keyed AS (
        SELECT e.tenant_id, e.name, count(DISTINCT k.key) AS keys
          FROM eventlog.events e CROSS JOIN LATERAL eventlog._keys(e.data) AS k (key)
         GROUP BY e.tenant_id, e.name
    ), grown AS (
        SELECT v.*, coalesce(k.keys, 0) AS keys, round(v.last / nullif(v.previous, 0)::numeric, 2) AS growth
          FROM volume v LEFT JOIN keyed k ON k.tenant_id = v.tenant_id AND k.name = v.name
    )
    SELECT g.tenant_id, g.name, g.rows, g.bytes, g.oldest_at, g.newest_at, g.actors, g.subjects, g.keys,
           g.last, g.previous, g.growth,
           -- By number of events, not by percentage, because that is what fills the disk.
           g.last > g.previous AND g.last - g.previous = max(g.last - g.previous) OVER ()
      FROM grown g;
END
$$;

CREATE VIEW eventlog.stat_storage AS SELECT * FROM eventlog._stat_storage();

COMMENT ON VIEW eventlog.stat_storage IS
'Rows, bytes, oldest and newest event, distinct actors, subjects and payload keys by tenant and name, and the growth of the last seven days over the seven before; marks the one that grew by the most events. Reads all rows.';
