-- What is past its time, and how it goes: whole partitions by DROP, by DELETE what the log's retention
-- takes of the one after, and the events of a tenant or of a name with a shorter retention; then a
-- rewrite of partitions that lost many rows.

-- The retention of the log (no tenant, no name), and of single tenants and names as far as it is
-- shorter, and the moment that it has to be applied until: the start of a day in UTC, so that a rule is
-- applied once a day. With `counted_until` as it will be once the rollups reach until there, and late
-- events are counted.
CREATE FUNCTION eventlog_private.retention_rules(counted_until timestamptz DEFAULT NULL)
RETURNS TABLE (tenant_id uuid, name text, cutoff timestamptz, thinned_until timestamptz)
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT r.tenant_id, r.name,
           least(date_trunc('day', now() - r.retention, 'UTC'),
                 coalesce(counted_until, (SELECT s.rolled_until FROM eventlog.rollup_state s))),
           least(coalesce(p.thinned_until, '-infinity'),
                 (SELECT min(l.created_at) FROM eventlog.late_events l
                   WHERE counted_until IS NOT NULL AND (r.tenant_id IS NULL OR l.tenant_id IS NULL OR l.tenant_id = r.tenant_id)))
      FROM eventlog.log_config c,
           (SELECT NULL::uuid AS tenant_id, NULL::text AS name, g.retention FROM eventlog.log_config g
             UNION ALL
            SELECT t.tenant_id, NULL, t.retention FROM eventlog.tenant_settings t
             UNION ALL
            SELECT NULL, t.name, t.retention FROM eventlog.event_types t) r
      LEFT JOIN eventlog.retention_progress p
             ON p.tenant_id IS NOT DISTINCT FROM r.tenant_id AND p.name IS NOT DISTINCT FROM r.name
     WHERE r.retention < c.retention OR num_nonnulls(r.tenant_id, r.name) = 0
$$;

-- Notes that a partition lost rows that were created before `until`: maintain() rewrites it once it is
-- closed, until then their bytes stay. A log of layout 1 has no place for the note.
CREATE FUNCTION eventlog_private.note_thinned(partition regclass, rows bigint, until timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF rows > 0 AND to_regclass('eventlog.thinned_partitions') IS NOT NULL THEN
        INSERT INTO eventlog.thinned_partitions AS t (partition_name, deleted_rows, sealed_until)
        SELECT c.relname, rows, until FROM pg_class c WHERE c.oid = partition
        ON CONFLICT ON CONSTRAINT thinned_partitions_pkey
        DO UPDATE SET deleted_rows = t.deleted_rows + EXCLUDED.deleted_rows,
                      sealed_until = greatest(t.sealed_until, EXCLUDED.sealed_until);
    END IF;
END
$$;

-- Deletes up to 50,000 events that are past the retention of a tenant, of a name, or of the log, of one
-- partition; how many they were. Once none is left the rule counts as applied.
CREATE FUNCTION eventlog_private.thin(rule_tenant uuid, rule_name text) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most_rows constant integer := 50000;
    is_of_log constant boolean := rule_tenant IS NULL AND rule_name IS NULL;
    rule      record;
    partition record;
    until     timestamptz;
    deleted   bigint;
BEGIN
    SELECT * INTO rule FROM eventlog_private.retention_rules() r
     WHERE r.tenant_id IS NOT DISTINCT FROM rule_tenant AND r.name IS NOT DISTINCT FROM rule_name;
    IF NOT FOUND OR rule.cutoff <= rule.thinned_until THEN
        RETURN 0;
    END IF;
    FOR partition IN
        SELECT p.partition_oid, p.partition_name, p.until_at FROM eventlog._partitions p
         WHERE p.from_at < rule.cutoff AND p.until_at > rule.thinned_until
           -- One that is past the log's retention as a whole is dropped.
           AND (NOT is_of_log OR p.until_at > rule.cutoff)
         ORDER BY p.from_at
    LOOP
        until := least(rule.cutoff, partition.until_at);
        -- By tenant, since that is what the indexes lead with.
        EXECUTE format('DELETE FROM ONLY eventlog.%1$I WHERE ctid = ANY (ARRAY(
                            SELECT e.ctid FROM ONLY eventlog.%1$I e WHERE e.tenant_id = ANY ($3) AND e.created_at < $1 %2$s
                               AND NOT EXISTS (SELECT FROM eventlog.late_events l WHERE l.id = e.id AND l.created_at = e.created_at)
                             LIMIT $2))',
                       partition.partition_name, CASE WHEN rule_name IS NOT NULL THEN format('AND e.name = %L', rule_name) ELSE '' END)
          USING until, most_rows, CASE WHEN rule_tenant IS NULL THEN eventlog_private.tenants_in(partition.partition_oid)
                                       ELSE ARRAY[rule_tenant] END;
        GET DIAGNOSTICS deleted = ROW_COUNT;
        IF deleted > 0 THEN
            PERFORM eventlog_private.note_thinned(partition.partition_oid::regclass, deleted, until);
            RETURN deleted;
        END IF;
        -- This partition is done, should the next ones be interrupted.
        PERFORM eventlog_private.set_retention_progress(rule_tenant, rule_name, until);
    END LOOP;
    PERFORM eventlog_private.set_retention_progress(rule_tenant, rule_name, rule.cutoff);
    RETURN 0;
END
$$;

CREATE FUNCTION eventlog_private.set_retention_progress(rule_tenant uuid, rule_name text, until timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE eventlog.retention_progress p SET thinned_until = until
     WHERE p.tenant_id IS NOT DISTINCT FROM rule_tenant AND p.name IS NOT DISTINCT FROM rule_name;
    IF NOT FOUND THEN
        INSERT INTO eventlog.retention_progress VALUES (rule_tenant, rule_name, until);
    END IF;
END
$$;

-- Events of these tenants and names came in that are as old as `since`: rules that were applied
-- beyond are to be applied from there again.
CREATE FUNCTION eventlog_private.reopen_retention(tenants uuid[], names text[], since timestamptz) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE eventlog.retention_progress p SET thinned_until = since
     WHERE p.thinned_until > since
       AND (p.tenant_id = ANY (tenants) OR p.name = ANY (names) OR num_nonnulls(p.tenant_id, p.name) = 0)
$$;
