-- View: the partitions.

CREATE FUNCTION eventlog._stat_partitions()
RETURNS TABLE (partition_name name, from_at timestamptz, until_at timestamptz, state text, rows bigint,
               bytes bigint, index_bytes bigint, dead_rows bigint, expires_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog._require_log();
    RETURN QUERY
    SELECT p.partition_name, p.from_at, p.until_at,
           CASE WHEN p.until_at <= now() - c.retention THEN 'expired'
                WHEN p.until_at <= now() THEN 'closed'
                WHEN p.from_at <= now() THEN 'open'
                ELSE 'ahead' END,
           -- As estimated by ANALYZE; else null.
           nullif(r.reltuples, -1)::bigint,
           pg_total_relation_size(p.partition_oid), pg_indexes_size(p.partition_oid),
           coalesce(s.n_dead_tup, 0), p.until_at + c.retention
      FROM eventlog._partitions p
     CROSS JOIN eventlog.log_config c
      JOIN pg_class r ON r.oid = p.partition_oid
      LEFT JOIN pg_stat_all_tables s ON s.relid = p.partition_oid
     ORDER BY p.from_at;
END
$$;

CREATE VIEW eventlog.stat_partitions AS SELECT * FROM eventlog._stat_partitions();

COMMENT ON VIEW eventlog.stat_partitions IS
'The partitions: span, state (ahead, open, closed, expired), rows as estimated by ANALYZE, bytes including indexes, dead rows, and when the log''s retention ends.';
