-- What is past its time, and how it goes: whole partitions by DROP, by DELETE what the log's retention
-- takes of the one after, and the events of a tenant or of a name with a shorter retention; then a
-- rewrite of partitions that lost many rows.

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

-- Partitions whose events are all past the log's retention, and are in the rollups, or will be once
-- those reach until `counted_until`.
CREATE FUNCTION eventlog_private.expired_partitions(counted_until timestamptz DEFAULT NULL) RETURNS TABLE (partition_name name, from_at timestamptz, until_at timestamptz)
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT p.partition_name, p.from_at, p.until_at
      FROM eventlog._partitions p, eventlog.log_config c
     WHERE p.until_at <= now() - c.retention
       -- What the rollups have not counted yet stays.
       AND p.until_at <= coalesce(counted_until, (SELECT s.rolled_until FROM eventlog.rollup_state s))
     ORDER BY p.until_at
$$;

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

-- Whether other tables have foreign keys to events. 23503 where one has a row of the partition, with the command;
-- 55000 where to look for one takes too long to be done while writers wait.
CREATE FUNCTION eventlog_private.check_no_reference(partition_name name) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most_ms       constant integer := 50;
    foreign_key   record;
    is_referenced boolean;
    began         timestamptz;
    is_there      boolean := false;
BEGIN
    FOR foreign_key IN
        SELECT k.conname, k.conrelid::regclass AS relation,
               string_agg(format('f.%I = e.%I', own.attname, its.attname), ' AND ' ORDER BY c.place) AS condition,
               string_agg(quote_ident(own.attname), ', ' ORDER BY c.place) AS columns
          FROM pg_constraint k
         CROSS JOIN LATERAL unnest(k.conkey, k.confkey) WITH ORDINALITY AS c (own, its, place)
          JOIN pg_attribute own ON own.attrelid = k.conrelid AND own.attnum = c.own
          JOIN pg_attribute its ON its.attrelid = k.confrelid AND its.attnum = c.its
         WHERE k.contype = 'f' AND k.confrelid = 'eventlog.events'::regclass AND k.conparentid = 0
         GROUP BY k.oid
    LOOP
        is_there := true;
        IF NOT has_table_privilege(foreign_key.relation, 'SELECT') THEN
            RAISE EXCEPTION 'its events may be referred to by foreign key % of %, which the log''s owner may not read',
                    quote_ident(foreign_key.conname), foreign_key.relation
                USING ERRCODE = 'insufficient_privilege',
                      HINT = format('GRANT SELECT ON %s TO %I;', foreign_key.relation, current_user);
        END IF;
        -- Once more where it took long: what it reads is in memory then, and it is planned.
        FOR attempt IN 1 .. 2 LOOP
            began := clock_timestamp();
            EXECUTE format('SELECT EXISTS (SELECT FROM %s f JOIN eventlog.%I e ON %s)',
                           foreign_key.relation, partition_name, foreign_key.condition) INTO is_referenced;
            EXIT WHEN is_referenced OR clock_timestamp() - began < most_ms * interval '1 ms';
        END LOOP;
        IF is_referenced THEN
            RAISE EXCEPTION 'rows of % refer to its events by foreign key %', foreign_key.relation, quote_ident(foreign_key.conname)
                USING ERRCODE = 'foreign_key_violation',
                      HINT = format('delete those rows, or: ALTER TABLE %s DROP CONSTRAINT %I;', foreign_key.relation, foreign_key.conname);
        ELSIF clock_timestamp() - began >= most_ms * interval '1 ms' THEN
            RAISE EXCEPTION 'to look for rows of % that refer to its events by foreign key % takes more than % ms, and writers would wait',
                    foreign_key.relation, quote_ident(foreign_key.conname), most_ms
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      HINT = format('CREATE INDEX ON %s (%s);', foreign_key.relation, foreign_key.columns);
        END IF;
    END LOOP;
    RETURN is_there;
END
$$;

-- Drops a partition, once. Waits for events first, then for the partition, as every query locks
-- them: the other way round would deadlock. Who wants events meanwhile waits for all of it, so the
-- waits that come after the first are shorter yet.
CREATE FUNCTION eventlog_private.drop_partition(partition_name name) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    bytes          bigint;
    first_at       timestamptz;
    end_at         timestamptz;
    events         numeric;
    has_references boolean;
BEGIN
    IF NOT EXISTS (SELECT FROM eventlog_private.expired_partitions() p WHERE p.partition_name = drop_partition.partition_name) THEN
        RETURN NULL;
    END IF;
    SELECT p.from_at, p.until_at INTO first_at, end_at FROM eventlog._partitions p
     WHERE p.partition_name = drop_partition.partition_name;
    PERFORM eventlog_private.add_late_events(end_at);
    -- Before anybody waits. Whole days, but for partitions of hours.
    SELECT coalesce(sum(d.events), 0) INTO events FROM eventlog.daily_counts d
     WHERE d.day >= (first_at AT TIME ZONE 'UTC')::date AND d.day < (end_at AT TIME ZONE 'UTC')::date;
    has_references := eventlog_private.check_no_reference(partition_name);
    bytes := pg_total_relation_size(format('eventlog.%I', partition_name)::regclass);
    LOCK TABLE ONLY eventlog.events IN ACCESS EXCLUSIVE MODE;
    PERFORM set_config('lock_timeout',
        least((SELECT s.setting::integer FROM pg_settings s WHERE s.name = 'lock_timeout'), 20)::text, true);
    IF EXISTS (SELECT FROM eventlog.late_events l WHERE l.created_at >= first_at AND l.created_at < end_at) THEN
        RAISE EXCEPTION 'events came in meanwhile' USING ERRCODE = 'object_in_use';
    END IF;
    IF has_references THEN
        -- Looks for references once more, and takes the partition out of the foreign keys.
        EXECUTE format('ALTER TABLE eventlog.events DETACH PARTITION eventlog.%I', partition_name);
    END IF;
    EXECUTE format('DROP TABLE eventlog.%I', partition_name);
    DELETE FROM eventlog.thinned_partitions t WHERE t.partition_name = drop_partition.partition_name;
    RETURN format('dropped partition %I, %s, of %s events that were counted there', partition_name, pg_size_pretty(bytes), events);
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

-- Closed partitions that lost a fifth of their rows, or a twentieth and no rule is at work in them
-- any more: worth the rewrite, once a day at most.
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
