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
