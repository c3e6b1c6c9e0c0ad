-- View: the log in one row. Like all stat views it is a function with the caller's own rights, so that
-- row-level security holds: a tenant's role sees its own rows, the owner and services see all.

CREATE FUNCTION eventlog._stat_log()
RETURNS TABLE (extension_version text, layout_version integer, owner name, retention interval, partitions bigint,
               rows bigint, bytes bigint, oldest_at timestamptz, newest_at timestamptz, covered_until timestamptz,
               event_types bigint, rejected_events bigint)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog._require_log();
    RETURN QUERY
    SELECT (SELECT e.extversion FROM pg_extension e WHERE e.extname = 'eventlog'), c.layout_version,
           (SELECT pg_get_userbyid(k.relowner) FROM pg_class k WHERE k.oid = 'eventlog.events'::regclass),
           c.retention,
           (SELECT count(*) FROM eventlog._partitions),
           (SELECT count(*) FROM eventlog.events),
           (SELECT sum(pg_total_relation_size(p.partition_oid))::bigint FROM eventlog._partitions p),
           (SELECT min(e.created_at) FROM eventlog.events e),
           (SELECT max(e.created_at) FROM eventlog.events e),
           eventlog._covered_until(),
           (SELECT count(*) FROM eventlog.event_types),
           (SELECT count(*) FROM eventlog.rejected_events)
      FROM eventlog.log_config c;
END
$$;

CREATE VIEW eventlog.stat_log AS SELECT * FROM eventlog._stat_log();

COMMENT ON VIEW eventlog.stat_log IS
'The log in one row: version, owner, retention, rows that the caller may read, bytes, oldest and newest event, and the time until which partitions reach. Counts all rows.';
