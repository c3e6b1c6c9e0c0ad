-- Phase "trim": deletes what is past its time from tables that would grow for ever.

-- Returns the longest idempotency window of any role or database, so that no key is deleted while it
-- counts.
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

-- The tables to trim, each with the condition of the rows t to delete. The quarantine has another limit
-- besides, which trim_quarantine() applies.
CREATE FUNCTION eventlog_private.trimmed_tables() RETURNS TABLE (table_name name, condition text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
    VALUES
        ('rejected_events'::name,
         't.created_at < (SELECT now() - c.rejected_retention FROM eventlog.maintenance_settings c)'),
        ('idempotency_keys',
         't.created_at < (SELECT now() - eventlog_private.longest_idempotency_window())'),
        -- A role that was dropped leaves nothing to a later one of its name.
        ('producers',
         't.updated_at < now() - interval ''30 days''
          OR t.cluster = (SELECT s.system_identifier FROM pg_control_system() s) AND t.role_oid NOT IN (SELECT r.oid FROM pg_roles r)'),
        ('hygiene_counts',
         't.created_at < (SELECT now() - c.retention FROM eventlog.log_config c)'),
        -- Notes in the span of a partition are counted, not trimmed.
        ('late_events',
         't.created_at < (SELECT now() - c.retention FROM eventlog.log_config c)
          AND NOT t.created_at <@ (SELECT eventlog_private.partitioned_time())'),
        ('unsealed_events',
         't.created_at < (SELECT now() - c.retention FROM eventlog.log_config c)
          AND NOT t.created_at <@ (SELECT eventlog_private.partitioned_time())'),
        -- A share link says for a while that it expired, or was ended.
        ('api_tokens',
         't.expires_at < now() - CASE t.kind WHEN ''share'' THEN interval ''90 days'' ELSE interval ''0'' END
          OR t.revoked_at < now() - interval ''90 days''
          OR NOT EXISTS (SELECT FROM eventlog.api_keys k WHERE k.id = t.key_id)'),
        ('alert_changes',
         't.changed_at < now() - interval ''90 days'''),
        -- The last 100 runs stay.
        ('maintenance_runs',
         't.id <= (SELECT r.id FROM eventlog.maintenance_runs r ORDER BY r.id DESC OFFSET 100 LIMIT 1)'),
        ('webhook_deliveries',
         't.attempted_at < now() - interval ''30 days'''),
        -- What was never accepted goes with its event.
        ('webhook_retries',
         't.next_attempt_at IS NULL AND t.event_created_at < (SELECT now() - c.retention FROM eventlog.log_config c)
          AND NOT EXISTS (SELECT FROM eventlog.events e WHERE e.id = t.event_id AND e.created_at = t.event_created_at)')
$$;

-- Deletes up to most_rows() rows of a table that are past their time, and returns their number.
CREATE FUNCTION eventlog_private.trim(table_name name) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    rows bigint;
BEGIN
    EXECUTE (SELECT format('DELETE FROM eventlog.%1$I WHERE ctid = ANY (ARRAY(SELECT t.ctid FROM eventlog.%1$I t WHERE %2$s LIMIT $1))',
                           r.table_name, r.condition)
               FROM eventlog_private.trimmed_tables() r WHERE r.table_name = trim.table_name)
      USING eventlog_private.most_rows();
    GET DIAGNOSTICS rows = ROW_COUNT;
    RETURN rows;
END
$$;

-- Counts the rows of each table that are to be trimmed.
CREATE FUNCTION eventlog_private.rows_to_trim() RETURNS TABLE (table_name name, due bigint)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    trimmed record;
BEGIN
    FOR trimmed IN SELECT r.table_name, r.condition FROM eventlog_private.trimmed_tables() r LOOP
        EXECUTE format('SELECT count(*) FROM eventlog.%I t WHERE %s', trimmed.table_name, trimmed.condition) INTO due;
        table_name := trimmed.table_name;
        IF table_name = 'rejected_events' THEN
            due := greatest(due, (SELECT coalesce(sum(c.excess), 0) FROM eventlog_private.tenants_over_share() c));
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;

CREATE FUNCTION eventlog_private.due_trim(counted_until timestamptz) RETURNS TABLE (task text, description text)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT t.table_name::text, format('delete %s rows of %I', t.due, t.table_name)
      FROM eventlog_private.rows_to_trim() t WHERE t.due > 0
     UNION ALL
    SELECT 'hygiene_counts by day', 'add up the hygiene_counts of each day'
     WHERE EXISTS (SELECT FROM eventlog.hygiene_counts h
                    WHERE h.created_at < date_trunc('day', now(), 'UTC')
                    GROUP BY h.tenant_id, h.kind, h.name, h.key, date_trunc('day', h.created_at, 'UTC')
                   HAVING count(*) > 1)
$$;

CREATE FUNCTION eventlog_private.do_trim(task text, OUT action text, OUT rows bigint, OUT is_more boolean, OUT failure text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF task = 'hygiene_counts by day' THEN
        rows := eventlog_private.compact_hygiene_counts();
        action := 'added up %s rows of hygiene_counts';
    ELSE
        rows := CASE task WHEN 'rejected_events' THEN eventlog_private.trim_quarantine() ELSE eventlog_private.trim(task) END;
        is_more := rows >= eventlog_private.most_rows();
        action := format('deleted %%s rows of %I', task);
    END IF;
END
$$;
