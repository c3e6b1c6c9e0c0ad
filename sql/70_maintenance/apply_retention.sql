-- Phase "apply retention": deletes events past a retention, in batches. Whole partitions that are past the
-- log's retention are dropped instead (drop_partition.sql).

-- Lists the retention of the log (without tenant and name), and those of tenants and names that are
-- shorter, each with the time before which its events are to be deleted (the start of a day in UTC, so that
-- a rule is applied once a day; earlier while consumers are waited for) and the time until which that has been
-- done. With `counted_until` as both will be once the rollups reach until there and have counted late events.
CREATE FUNCTION eventlog_private.retention_rules(counted_until timestamptz DEFAULT NULL)
RETURNS TABLE (tenant_id uuid, name text, cutoff timestamptz, thinned_until timestamptz)
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT r.tenant_id, r.name,
           eventlog_private.read_until(
               least(date_trunc('day', now() - r.retention, 'UTC'),
                     coalesce(counted_until, (SELECT s.rolled_until FROM eventlog.rollup_state s)),
                     eventlog_private.deletable_until(counted_until)),
               eventlog_private.waited_for_since(now() - r.retention), r.tenant_id, r.name),
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

-- Records that a partition lost rows created before `until`. Their space is freed when maintain() rewrites
-- the partition, after it is closed. A log of layout 1 has no table for this.
CREATE FUNCTION eventlog_private.note_deleted_rows(partition regclass, rows bigint, until timestamptz) RETURNS void
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

-- Deletes up to most_rows() events of one partition that are past the retention of a tenant, of a name, or
-- of the log, and returns their number. Once there are none left, records the rule as applied.
CREATE FUNCTION eventlog_private.apply_retention(rule_tenant uuid, rule_name text) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    is_of_log constant boolean := rule_tenant IS NULL AND rule_name IS NULL;
    rule      record;
    partition record;
    until     timestamptz;
    deleted   bigint;
    lost      bigint;
    sealed    bigint;
BEGIN
    SELECT * INTO rule FROM eventlog_private.retention_rules() r
     WHERE r.tenant_id IS NOT DISTINCT FROM rule_tenant AND r.name IS NOT DISTINCT FROM rule_name;
    IF NOT FOUND OR rule.cutoff <= rule.thinned_until THEN
        RETURN 0;
    END IF;
    FOR partition IN
        SELECT p.partition_oid, p.partition_name, p.until_at FROM eventlog._partitions p
         WHERE p.from_at < rule.cutoff AND p.until_at > rule.thinned_until
           -- A partition that is past the log's retention as a whole is dropped.
           AND (NOT is_of_log OR p.until_at > rule.cutoff)
         ORDER BY p.from_at
    LOOP
        until := least(rule.cutoff, partition.until_at);
        -- By tenant, because the indexes lead with the tenant.
        EXECUTE format('WITH gone AS (
                            DELETE FROM ONLY eventlog.%1$I WHERE ctid = ANY (ARRAY(
                                SELECT e.ctid FROM ONLY eventlog.%1$I e WHERE e.tenant_id = ANY ($3) AND e.created_at < $1 %2$s
                                   AND NOT EXISTS (SELECT FROM eventlog.late_events l WHERE l.id = e.id AND l.created_at = e.created_at)
                                   AND NOT EXISTS (SELECT FROM eventlog.unsealed_events u WHERE u.id = e.id AND u.created_at = e.created_at)
                                 LIMIT $2))
                            RETURNING id, tenant_id, name, created_at, %3$s AS digest
                        ), lost AS (
                            SELECT r.tenant_id, r.consumer, count(*) AS events
                              FROM eventlog_private.readers() r
                              JOIN gone g ON g.id > r.read_until AND eventlog._is_tenant(r.tenant_id, g.tenant_id)
                                         AND (r.names IS NULL OR g.name = ANY (r.names))
                             WHERE r.read_until < (SELECT max(id) FROM gone)
                             GROUP BY r.tenant_id, r.consumer
                        )
                        SELECT (SELECT count(*) FROM gone),
                               (SELECT count(*) FROM lost l CROSS JOIN LATERAL eventlog_private.note_lost(l.tenant_id, l.consumer, l.events)),
                               (SELECT %4$s FROM gone g)',
                       partition.partition_name, CASE WHEN rule_name IS NOT NULL THEN format('AND e.name = %L', rule_name) ELSE '' END,
                       eventlog_private.digest_if_sealed(partition.partition_name), eventlog_private.collecting_gone('g'))
           INTO deleted, lost, sealed
          USING until, eventlog_private.most_rows(), CASE WHEN rule_tenant IS NULL THEN eventlog_private.tenants_in(partition.partition_oid)
                                       ELSE ARRAY[rule_tenant] END;
        IF deleted > 0 THEN
            IF sealed > 0 THEN
                PERFORM eventlog_private.let_go(concat_ws(' ', 'retention of', CASE WHEN is_of_log THEN 'the log' WHEN rule_name IS NULL THEN 'the tenant'
                                                                                ELSE 'name ' || rule_name END));
            END IF;
            PERFORM eventlog_private.note_deleted_rows(partition.partition_oid::regclass, deleted, until);
            RETURN deleted;
        END IF;
        -- Records that this partition is done, in case the next ones are interrupted.
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

-- Events of these tenants and names, as old as `since`, were added: rules that were applied beyond that
-- time have to be applied again from there.
CREATE FUNCTION eventlog_private.reopen_retention(tenants uuid[], names text[], since timestamptz) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE eventlog.retention_progress p SET thinned_until = since
     WHERE p.thinned_until > since
       AND (p.tenant_id = ANY (tenants) OR p.name = ANY (names) OR num_nonnulls(p.tenant_id, p.name) = 0)
$$;

-- A task is 'log', or 'tenant' or 'name' and which one.
CREATE FUNCTION eventlog_private.due_apply_retention(counted_until timestamptz) RETURNS TABLE (task text, description text)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat_ws(' ', CASE WHEN r.tenant_id IS NOT NULL THEN 'tenant' WHEN r.name IS NOT NULL THEN 'name' ELSE 'log' END,
                     r.tenant_id, r.name),
           format('delete events of %s created before %s', coalesce('tenant ' || r.tenant_id, 'name ' || r.name, 'all tenants'), r.cutoff)
      FROM eventlog_private.retention_rules(counted_until) r WHERE r.cutoff > r.thinned_until
$$;

CREATE FUNCTION eventlog_private.do_apply_retention(task text, OUT action text, OUT rows bigint, OUT is_more boolean, OUT failure text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    kind text := split_part(task, ' ', 1);
    key  text := split_part(task, ' ', 2);
BEGIN
    rows := eventlog_private.apply_retention(CASE WHEN kind = 'tenant' THEN key::uuid END, CASE WHEN kind = 'name' THEN key END);
    is_more := rows > 0;
    action := 'deleted %s events past the retention of ' || CASE kind WHEN 'log' THEN 'the log' ELSE task END;
END
$$;
