-- View: what the rules did to events on their way in.

CREATE FUNCTION eventlog._stat_hygiene()
RETURNS TABLE (tenant_id uuid, kind text, name text, key text, events bigint,
               first_at timestamptz, last_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM eventlog._require_log();
    RETURN QUERY
    SELECT c.tenant_id, c.kind, c.name, c.key, sum(c.events)::bigint, min(c.created_at), max(c.created_at)
      FROM eventlog.hygiene_counts c
     GROUP BY c.tenant_id, c.kind, c.name, c.key;
END
$$;

CREATE VIEW eventlog.stat_hygiene AS SELECT * FROM eventlog._stat_hygiene();

COMMENT ON VIEW eventlog.stat_hygiene IS
'Lookups that found nothing, clocks in the future, and events over quota, by tenant and name, of rows that the caller may read.';
