-- Partitions that were detached when their time was counted.

-- Lists partitions with events that are neither in a rollup nor in late_events, though their time is
-- counted: they were detached meanwhile. Looks at the last countable event of each tenant, since it is the
-- end of a partition that was missed; one probe per tenant and partition.
CREATE FUNCTION eventlog_private.partitions_to_count() RETURNS TABLE (partition_name name)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    partition  record;
    watermark  timestamptz := (SELECT s.rolled_until FROM eventlog.rollup_state s);
    is_missing boolean;
BEGIN
    FOR partition IN
        SELECT p.partition_oid::regclass AS relation, p.partition_name FROM eventlog._partitions p
         WHERE p.from_at < watermark ORDER BY p.from_at
    LOOP
        EXECUTE format($sql$
            SELECT EXISTS (
                SELECT FROM unnest($1) AS t (id)
                 CROSS JOIN LATERAL (
                    SELECT e.* FROM %s e WHERE e.tenant_id = t.id AND e.created_at < $2
                     ORDER BY e.created_at DESC LIMIT 1) e
                 WHERE eventlog._uncountable_column(e.name, e.data, e.actor, e.subject, e.created_at, e.weight) IS NULL
                   AND NOT EXISTS (SELECT FROM eventlog.hourly_counts h WHERE h.tenant_id = e.tenant_id AND h.name = e.name
                                      AND h.hour = date_bin('1 hour', e.created_at, '2000-01-01'))
                   AND NOT EXISTS (SELECT FROM eventlog.late_events l WHERE l.id = e.id AND l.created_at = e.created_at))
            $sql$, partition.relation) INTO is_missing USING eventlog_private.tenants_in(partition.relation), watermark;
        IF is_missing THEN
            partition_name := partition.partition_name;
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;
