-- What is past its time, and how it goes: whole partitions by DROP, the events of a tenant or of a
-- name with a shorter retention by DELETE, and then a rewrite of the partition.

-- Partitions that are missing from now until premake.
CREATE FUNCTION eventlog_private.missing_partitions() RETURNS TABLE (from_at timestamptz, until_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    step     interval;
    horizon  timestamptz;
    -- Until where the next partition that is there, or the horizon, may be filled up, and from where.
    next_at  timestamptz;
    reached  timestamptz := now();
    floor_at timestamptz := '-infinity';
    is_there record;
BEGIN
    SELECT c.partition_interval, now() + c.premake INTO STRICT step, horizon FROM eventlog.log_config c;
    FOR is_there IN
        SELECT p.from_at, p.until_at FROM eventlog._partitions p
         UNION ALL SELECT 'infinity', 'infinity'
         ORDER BY 1
    LOOP
        next_at := is_there.from_at;
        WHILE reached < next_at AND reached <= horizon LOOP
            SELECT greatest(s.from_at, floor_at), least(s.until_at, next_at) INTO from_at, until_at
              FROM eventlog_private.partition_span(reached, step) s;
            RETURN NEXT;
            floor_at := until_at;
            reached := until_at;
        END LOOP;
        floor_at := is_there.until_at;
        reached := greatest(reached, is_there.until_at);
    END LOOP;
END
$$;

-- Partitions whose events are all past the log's retention.
CREATE FUNCTION eventlog_private.expired_partitions() RETURNS TABLE (partition_name name, from_at timestamptz, until_at timestamptz)
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT p.partition_name, p.from_at, p.until_at
      FROM eventlog._partitions p, eventlog.log_config c
     WHERE p.until_at <= now() - c.retention
       -- What the rollups have not counted yet stays.
       AND p.until_at <= (SELECT s.rolled_until FROM eventlog.rollup_state s)
     ORDER BY p.until_at
$$;

-- Retention of single tenants and names, as far as it is shorter than the log's, and the moment
-- that it has to be applied until: the start of a day in UTC, so that a rule is applied once a day.
CREATE FUNCTION eventlog_private.retention_rules()
RETURNS TABLE (tenant_id uuid, name text, cutoff timestamptz, thinned_until timestamptz)
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT r.tenant_id, r.name,
           least(date_trunc('day', now() - r.retention, 'UTC'), (SELECT s.rolled_until FROM eventlog.rollup_state s)),
           coalesce(p.thinned_until, '-infinity')
      FROM eventlog.log_config c,
           (SELECT t.tenant_id, NULL::text AS name, t.retention FROM eventlog.tenant_settings t
             UNION ALL
            SELECT NULL, t.name, t.retention FROM eventlog.event_types t) r
      LEFT JOIN eventlog.retention_progress p
             ON p.tenant_id IS NOT DISTINCT FROM r.tenant_id AND p.name IS NOT DISTINCT FROM r.name
     WHERE r.retention < c.retention
$$;

-- Drops a partition, once. Waits for events first, then for the partition, as every query locks
-- them: the other way round would deadlock.
CREATE FUNCTION eventlog_private.drop_partition(partition_name name) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    bytes    bigint;
    first_at timestamptz;
    end_at   timestamptz;
BEGIN
    IF NOT EXISTS (SELECT FROM eventlog_private.expired_partitions() p WHERE p.partition_name = drop_partition.partition_name) THEN
        RETURN NULL;
    END IF;
    SELECT p.from_at, p.until_at INTO first_at, end_at FROM eventlog._partitions p
     WHERE p.partition_name = drop_partition.partition_name;
    PERFORM eventlog_private.add_late_events(end_at);
    LOCK TABLE ONLY eventlog.events IN ACCESS EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM eventlog.late_events l WHERE l.created_at >= first_at AND l.created_at < end_at) THEN
        RAISE EXCEPTION 'events came in meanwhile' USING ERRCODE = 'object_in_use';
    END IF;
    bytes := pg_total_relation_size(format('eventlog.%I', partition_name)::regclass);
    EXECUTE format('DROP TABLE eventlog.%I', partition_name);
    DELETE FROM eventlog.thinned_partitions t WHERE t.partition_name = drop_partition.partition_name;
    RETURN format('dropped partition %I, %s', partition_name, pg_size_pretty(bytes));
END
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

-- Deletes up to 50,000 events that are past the retention of a tenant or of a name, of one
-- partition; how many they were. Once none is left the rule counts as applied.
CREATE FUNCTION eventlog_private.thin(rule_tenant uuid, rule_name text) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most_rows constant integer := 50000;
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
         ORDER BY p.from_at
    LOOP
        until := least(rule.cutoff, partition.until_at);
        EXECUTE format('DELETE FROM ONLY eventlog.%1$I WHERE ctid = ANY (ARRAY(
                            SELECT e.ctid FROM ONLY eventlog.%1$I e WHERE e.%2$I = %3$L AND e.created_at < $1
                               AND NOT EXISTS (SELECT FROM eventlog.late_events l WHERE l.id = e.id AND l.created_at = e.created_at)
                             LIMIT $2))',
                       partition.partition_name, CASE WHEN rule_tenant IS NULL THEN 'name' ELSE 'tenant_id' END,
                       coalesce(rule_tenant::text, rule_name))
          USING until, most_rows;
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

-- Closed partitions that lost a fifth of their rows, or a twentieth and no rule is at work in them
-- any more: worth the rewrite.
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
       -- Rows that are left; where nobody counted them yet, 200 bytes each.
       AND t.deleted_rows * CASE WHEN EXISTS (SELECT FROM eventlog_private.retention_rules() r
                                               WHERE r.cutoff > p.from_at AND r.cutoff < p.until_at)
                                 THEN 5 ELSE 20 END
           >= CASE WHEN c.reltuples >= 0 THEN c.reltuples ELSE pg_relation_size(c.oid) / 200.0 END
     ORDER BY p.from_at
$$;

-- Rewrites a partition, which gives the space of deleted rows back. Locks that partition only, for
-- as long as it takes; its events then lie in the order of tenant and time.
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
