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

-- Tenants that have more rows in the quarantine than their share of rejected_limit, and how many more.
-- A share is as large as it can be while all fit: tenants that need less leave the rest to the others.
-- Rows of callers without a tenant count for the tenant that they name, or for none.
CREATE FUNCTION eventlog_private.crowded_quarantine() RETURNS TABLE (tenant_id uuid, excess bigint)
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH held AS (
        SELECT coalesce(r.tenant_id, r.claimed_tenant_id) AS tenant_id, count(*) AS rows
          FROM eventlog.rejected_events r GROUP BY 1
    ), ordered AS (
        -- Of tenants with fewer rows, and how many tenants are left from this one on.
        SELECT h.rows, sum(h.rows) OVER by_rows - h.rows AS before, count(*) OVER () - row_number() OVER by_rows + 1 AS rest
          FROM held h WINDOW by_rows AS (ORDER BY h.rows ROWS UNBOUNDED PRECEDING)
    ), share AS (
        SELECT floor((c.rejected_limit - o.before) / o.rest)::bigint AS rows
          FROM ordered o, eventlog.maintenance_settings c
         WHERE o.before + o.rest * o.rows > c.rejected_limit
         ORDER BY o.rows LIMIT 1
    )
    SELECT h.tenant_id, h.rows - s.rows FROM held h, share s WHERE h.rows > s.rows
$$;

-- Deletes up to 50,000 rows of the quarantine: those past their time, then the oldest of each tenant
-- that has more than its share.
CREATE FUNCTION eventlog_private.trim_quarantine() RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most_rows constant integer := 50000;
    crowding record;
    trimmed  bigint;
    rows     bigint;
BEGIN
    DELETE FROM eventlog.rejected_events WHERE ctid = ANY (ARRAY(
        SELECT r.ctid FROM eventlog.rejected_events r, eventlog.maintenance_settings c
         WHERE r.created_at < now() - c.rejected_retention LIMIT most_rows));
    GET DIAGNOSTICS rows = ROW_COUNT;
    IF rows < most_rows THEN
        FOR crowding IN SELECT c.tenant_id, c.excess FROM eventlog_private.crowded_quarantine() c ORDER BY c.excess DESC LOOP
            DELETE FROM eventlog.rejected_events WHERE ctid = ANY (ARRAY(
                SELECT r.ctid FROM eventlog.rejected_events r
                 WHERE coalesce(r.tenant_id, r.claimed_tenant_id) IS NOT DISTINCT FROM crowding.tenant_id
                 ORDER BY r.id LIMIT least(crowding.excess, most_rows - rows)));
            GET DIAGNOSTICS trimmed = ROW_COUNT;
            rows := rows + trimmed;
            EXIT WHEN rows >= most_rows;
        END LOOP;
    END IF;
    RETURN rows;
END
$$;

-- Deletes up to 10,000 rows of a table that are due to go (of the quarantine up to 50,000); how many
-- they were.
CREATE FUNCTION eventlog_private.trim(table_name text) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most_rows constant integer := 10000;
    here constant bigint := (SELECT s.system_identifier FROM pg_control_system() s);
    rows bigint;
BEGIN
    CASE table_name
    WHEN 'rejected_events' THEN
        RETURN eventlog_private.trim_quarantine();
    WHEN 'idempotency_keys' THEN
        DELETE FROM eventlog.idempotency_keys WHERE ctid = ANY (ARRAY(
            SELECT k.ctid FROM eventlog.idempotency_keys k
             WHERE k.created_at < now() - eventlog_private.longest_idempotency_window() LIMIT most_rows));
    WHEN 'producers' THEN
        -- A role that is gone leaves nothing to a namesake.
        DELETE FROM eventlog.producers WHERE ctid = ANY (ARRAY(
            SELECT p.ctid FROM eventlog.producers p
             WHERE p.updated_at < now() - interval '30 days' OR p.cluster = here AND p.role_oid NOT IN (SELECT r.oid FROM pg_roles r)
             LIMIT most_rows));
    WHEN 'hygiene_counts' THEN
        DELETE FROM eventlog.hygiene_counts WHERE ctid = ANY (ARRAY(
            SELECT h.ctid FROM eventlog.hygiene_counts h, eventlog.log_config c
             WHERE h.created_at < now() - c.retention LIMIT most_rows));
    WHEN 'late_events' THEN
        -- Those in partitions are counted, not trimmed.
        DELETE FROM eventlog.late_events WHERE ctid = ANY (ARRAY(
            SELECT l.ctid FROM eventlog.late_events l, eventlog.log_config c
             WHERE l.created_at < now() - c.retention AND NOT l.created_at <@ (SELECT eventlog_private.partitioned_time())
             LIMIT most_rows));
    WHEN 'maintenance_runs' THEN
        DELETE FROM eventlog.maintenance_runs WHERE id <= (
            SELECT r.id FROM eventlog.maintenance_runs r ORDER BY r.id DESC OFFSET 100 LIMIT 1);
    END CASE;
    GET DIAGNOSTICS rows = ROW_COUNT;
    RETURN rows;
END
$$;

-- How many rows of each small table are due to go.
CREATE FUNCTION eventlog_private.rows_to_trim() RETURNS TABLE (table_name text, due bigint)
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'rejected_events', past.rows + greatest((SELECT coalesce(sum(c.excess), 0) FROM eventlog_private.crowded_quarantine() c) - past.rows, 0)::bigint
      FROM (SELECT count(*) AS rows FROM eventlog.rejected_events r, eventlog.maintenance_settings c
             WHERE r.created_at < now() - c.rejected_retention) past
     UNION ALL
    SELECT 'idempotency_keys', count(*) FROM eventlog.idempotency_keys k
     WHERE k.created_at < now() - eventlog_private.longest_idempotency_window()
     UNION ALL
    SELECT 'producers', count(*) FROM eventlog.producers p
     WHERE p.updated_at < now() - interval '30 days' 
        OR p.cluster = (SELECT s.system_identifier FROM pg_control_system() s) AND p.role_oid NOT IN (SELECT r.oid FROM pg_roles r)
     UNION ALL
    SELECT 'hygiene_counts', count(*) FROM eventlog.hygiene_counts h, eventlog.log_config c
     WHERE h.created_at < now() - c.retention
     UNION ALL
    SELECT 'late_events', count(*) FROM eventlog.late_events l, eventlog.log_config c
     WHERE l.created_at < now() - c.retention AND NOT l.created_at <@ (SELECT eventlog_private.partitioned_time())
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
