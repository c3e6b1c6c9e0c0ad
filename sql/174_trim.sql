-- The small tables, which would grow for ever: a batch of each at a time.

-- Idempotency keys are kept for the longest window that any role or database has, so that none is
-- forgotten while it counts.
CREATE FUNCTION eventlog_private.longest_idempotency_window() RETURNS interval
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT max(CASE WHEN w.value ~ '^[0-9]+$' THEN make_interval(secs => w.value::double precision)
                    ELSE w.value::interval END)
      FROM (SELECT coalesce((SELECT s.setting FROM pg_settings s WHERE s.name = 'eventlog.idempotency_window'), '86400')
             UNION ALL
            SELECT split_part(setting, '=', 2) FROM pg_db_role_setting, unnest(setconfig) AS setting
             WHERE setting LIKE 'eventlog.idempotency_window=%'
               AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
           ) AS w (value)
$$;

-- Deletes up to 10,000 rows of a table that are due to go; how many they were.
CREATE FUNCTION eventlog_private.trim(table_name text) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most_rows constant integer := 10000;
    config record;
    rows   bigint;
BEGIN
    SELECT c.retention, s.rejected_retention, s.rejected_limit INTO STRICT config
      FROM eventlog.log_config c, eventlog.maintenance_settings s;
    CASE table_name
    WHEN 'rejected_events' THEN
        DELETE FROM eventlog.rejected_events WHERE ctid = ANY (ARRAY(
            SELECT r.ctid FROM eventlog.rejected_events r
             WHERE r.created_at < now() - config.rejected_retention
                OR r.id <= (SELECT n.id FROM eventlog.rejected_events n ORDER BY n.id DESC
                            OFFSET config.rejected_limit LIMIT 1)
             LIMIT most_rows));
    WHEN 'idempotency_keys' THEN
        DELETE FROM eventlog.idempotency_keys WHERE ctid = ANY (ARRAY(
            SELECT k.ctid FROM eventlog.idempotency_keys k
             WHERE k.created_at < now() - eventlog_private.longest_idempotency_window() LIMIT most_rows));
    WHEN 'producers' THEN
        DELETE FROM eventlog.producers WHERE ctid = ANY (ARRAY(
            SELECT p.ctid FROM eventlog.producers p WHERE p.updated_at < now() - interval '30 days' LIMIT most_rows));
    WHEN 'hygiene_counts' THEN
        DELETE FROM eventlog.hygiene_counts WHERE ctid = ANY (ARRAY(
            SELECT h.ctid FROM eventlog.hygiene_counts h WHERE h.created_at < now() - config.retention LIMIT most_rows));
    WHEN 'maintenance_runs' THEN
        DELETE FROM eventlog.maintenance_runs WHERE id <= (
            SELECT r.id FROM eventlog.maintenance_runs r ORDER BY r.id DESC OFFSET 100 LIMIT 1);
    END CASE;
    GET DIAGNOSTICS rows = ROW_COUNT;
    RETURN rows;
END
$$;

-- How many rows of each small table are due to go, at most 10,000 as far as one batch sees.
CREATE FUNCTION eventlog_private.rows_to_trim() RETURNS TABLE (table_name text, due bigint)
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'rejected_events', count(*) FROM eventlog.rejected_events r, eventlog.maintenance_settings c
     WHERE r.created_at < now() - c.rejected_retention
        OR r.id <= (SELECT n.id FROM eventlog.rejected_events n ORDER BY n.id DESC OFFSET c.rejected_limit LIMIT 1)
     UNION ALL
    SELECT 'idempotency_keys', count(*) FROM eventlog.idempotency_keys k
     WHERE k.created_at < now() - eventlog_private.longest_idempotency_window()
     UNION ALL
    SELECT 'producers', count(*) FROM eventlog.producers p WHERE p.updated_at < now() - interval '30 days'
     UNION ALL
    SELECT 'hygiene_counts', count(*) FROM eventlog.hygiene_counts h, eventlog.log_config c
     WHERE h.created_at < now() - c.retention
     UNION ALL
    SELECT 'maintenance_runs', greatest(count(*) - 100, 0) FROM eventlog.maintenance_runs
$$;

-- Adds up the counts of hygiene of each day that is over, since a row comes with each statement.
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
