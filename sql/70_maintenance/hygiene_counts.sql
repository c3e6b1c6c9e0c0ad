-- Compacting hygiene_counts, which gets rows with every statement.

-- Adds up the rows of each past day, and returns by how many there are fewer.
CREATE FUNCTION eventlog_private.compact_hygiene_counts() RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    rows   bigint;
    before timestamptz := date_trunc('day', now(), 'UTC');
BEGIN
    WITH crowded AS (
        SELECT h.tenant_id, h.kind, h.name, h.key, date_trunc('day', h.created_at, 'UTC') AS day
          FROM eventlog.hygiene_counts h WHERE h.created_at < before
         GROUP BY 1, 2, 3, 4, 5 HAVING count(*) > 1
    ), gone AS (
        DELETE FROM eventlog.hygiene_counts h USING crowded c
         WHERE h.created_at < before AND h.tenant_id = c.tenant_id AND h.kind = c.kind AND h.name = c.name
           AND h.key IS NOT DISTINCT FROM c.key AND date_trunc('day', h.created_at, 'UTC') = c.day
        RETURNING h.*
    ), made AS (
        INSERT INTO eventlog.hygiene_counts (created_at, tenant_id, kind, name, key, events)
        SELECT min(g.created_at), g.tenant_id, g.kind, g.name, g.key, sum(g.events)
          FROM gone g GROUP BY g.tenant_id, g.kind, g.name, g.key, date_trunc('day', g.created_at, 'UTC')
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM gone) - (SELECT count(*) FROM made) INTO rows;
    RETURN rows;
END
$$;
