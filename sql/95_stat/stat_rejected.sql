-- View: the quarantine, summed up.

CREATE FUNCTION eventlog._stat_rejected()
RETURNS TABLE (tenant_id uuid, name text, sqlstate text, reason text, events bigint,
               first_at timestamptz, last_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM eventlog._require_log();
    RETURN QUERY
    SELECT r.tenant_id, r.name, r.sqlstate, r.reason, count(*), min(r.created_at), max(r.created_at)
      FROM eventlog.rejected_events r
     GROUP BY r.tenant_id, r.name, r.sqlstate, r.reason;
END
$$;

CREATE VIEW eventlog.stat_rejected AS SELECT * FROM eventlog._stat_rejected();

COMMENT ON VIEW eventlog.stat_rejected IS
'Numbers of rejected_events by tenant, name and reason, of rows that the caller may read.';
