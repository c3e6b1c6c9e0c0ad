-- Phase "rewrite partition": frees the space of deleted rows.

-- Lists closed partitions that are worth a rewrite, which is done at most once a day: those that lost a
-- fifth of their rows, or a twentieth if no rule will delete more of them.
CREATE FUNCTION eventlog_private.partitions_to_rewrite() RETURNS TABLE (partition_name name, deleted_rows bigint)
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT p.partition_name, t.deleted_rows
      FROM eventlog._partitions p
      JOIN eventlog.thinned_partitions t ON t.partition_name = p.partition_name
      JOIN pg_class c ON c.oid = p.partition_oid
     WHERE p.until_at <= now()
       AND t.deleted_rows > 0
       AND (t.rewritten_at IS NULL OR t.rewritten_at < date_trunc('day', now(), 'UTC'))
       -- Compares with the rows that are left; without statistics, 200 bytes count as a row.
       AND t.deleted_rows * CASE WHEN EXISTS (SELECT FROM eventlog_private.retention_rules() r
                                               WHERE r.cutoff > p.from_at AND r.cutoff < p.until_at)
                                 THEN 5 ELSE 20 END
           >= CASE WHEN c.reltuples >= 0 THEN c.reltuples ELSE pg_relation_size(c.oid) / 200.0 END
     ORDER BY p.from_at
$$;

-- Rewrites a partition, which frees the space of deleted rows, in the order of tenant and time. Locks only
-- that partition, for as long as it takes.
CREATE FUNCTION eventlog_private.rewrite_partition(partition_name name) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    relation regclass := to_regclass(format('eventlog.%I', partition_name));
    before   bigint   := pg_total_relation_size(relation);
    index    name;
BEGIN
    IF relation IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT i.relname INTO index
      FROM pg_index x
      JOIN pg_class i ON i.oid = x.indexrelid
      JOIN pg_inherits h ON h.inhrelid = i.oid
     WHERE x.indrelid = relation AND h.inhparent = 'eventlog.events_tenant_id_created_at_idx'::regclass;
    EXECUTE format('CLUSTER eventlog.%I USING %I', partition_name, coalesce(index, partition_name || '_pkey'));
    EXECUTE format('ALTER TABLE eventlog.%I SET WITHOUT CLUSTER', partition_name);
    EXECUTE format('ANALYZE eventlog.%I', partition_name);
    UPDATE eventlog.thinned_partitions t SET deleted_rows = 0, rewritten_at = clock_timestamp()
     WHERE t.partition_name = rewrite_partition.partition_name;
    RETURN format('rewrote partition %I, %s became %s', partition_name, pg_size_pretty(before),
                  pg_size_pretty(pg_total_relation_size(relation)));
END
$$;

CREATE FUNCTION eventlog_private.due_rewrite_partition(counted_until timestamptz) RETURNS TABLE (task text, description text)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT w.partition_name::text, format('rewrite partition %I, which lost %s rows', w.partition_name, w.deleted_rows)
      FROM eventlog_private.partitions_to_rewrite() w
$$;

CREATE FUNCTION eventlog_private.do_rewrite_partition(task text, OUT action text, OUT rows bigint, OUT is_more boolean, OUT failure text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    action := eventlog_private.rewrite_partition(task);
END
$$;
