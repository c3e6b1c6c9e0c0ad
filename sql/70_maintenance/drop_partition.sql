-- Phase "drop partition": whole partitions that are past the log's retention.

-- Lists partitions whose events are all past the log's retention and in the rollups, or will be once those
-- reach until `counted_until`.
CREATE FUNCTION eventlog_private.expired_partitions(counted_until timestamptz DEFAULT NULL) RETURNS TABLE (partition_name name, from_at timestamptz, until_at timestamptz)
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT p.partition_name, p.from_at, p.until_at
      FROM eventlog._partitions p, eventlog.log_config c
     WHERE p.until_at <= now() - c.retention
       -- Events that the rollups have not counted yet stay.
       AND p.until_at <= coalesce(counted_until, (SELECT s.rolled_until FROM eventlog.rollup_state s))
       AND p.until_at <= eventlog_private.deletable_until(counted_until)
       AND NOT EXISTS (SELECT FROM eventlog.unsealed_events u WHERE u.created_at >= p.from_at AND u.created_at < p.until_at)
       AND p.until_at <= eventlog_private.read_until(p.until_at, eventlog_private.waited_for_since(now() - c.retention))
     ORDER BY p.until_at
$$;

-- Returns true if other tables have foreign keys to events. Raises 23503, with the command to type, if one
-- of them refers to a row of the partition, and 55000 if finding out takes longer than writers may wait.
CREATE FUNCTION eventlog_private.check_no_reference(partition_name name) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most_ms       constant integer := eventlog_private.longest_wait_ms();
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
            RAISE EXCEPTION 'cannot check foreign key % of %, which may refer to its events: the log''s owner may not read that table',
                    quote_ident(foreign_key.conname), foreign_key.relation
                USING ERRCODE = 'insufficient_privilege',
                      HINT = format('GRANT SELECT ON %s TO %I;', foreign_key.relation, current_user);
        END IF;
        -- A second attempt, if the first was slow, has the query planned and its data in memory.
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
            RAISE EXCEPTION 'checking whether rows of % refer to its events by foreign key % takes more than % ms, while writers would wait',
                    foreign_key.relation, quote_ident(foreign_key.conname), most_ms
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      HINT = format('CREATE INDEX ON %s (%s);', foreign_key.relation, foreign_key.columns);
        END IF;
    END LOOP;
    RETURN is_there;
END
$$;

-- Drops a partition if it is still expired. Waits for events first and for the partition second, as every
-- query locks them: the other way round would deadlock. A session that wants events meanwhile waits for all of it,
-- so the waits after the first are shorter.
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
    -- Late events that were just counted are to be sealed first.
    IF EXISTS (SELECT FROM eventlog.unsealed_events u WHERE u.created_at >= first_at AND u.created_at < end_at) THEN
        RETURN NULL;
    END IF;
    -- Before anybody waits. By whole days, which is not exact for partitions of hours.
    SELECT coalesce(sum(d.events), 0) INTO events FROM eventlog.daily_counts d
     WHERE d.day >= (first_at AT TIME ZONE 'UTC')::date AND d.day < (end_at AT TIME ZONE 'UTC')::date;
    PERFORM eventlog_private.count_unread(partition_name);
    PERFORM eventlog_private.let_partition_go(partition_name, first_at, end_at);
    has_references := eventlog_private.check_no_reference(partition_name);
    bytes := pg_total_relation_size(format('eventlog.%I', partition_name)::regclass);
    LOCK TABLE ONLY eventlog.events IN ACCESS EXCLUSIVE MODE;
    PERFORM set_config('lock_timeout',
        least((SELECT s.setting::integer FROM pg_settings s WHERE s.name = 'lock_timeout'), 20)::text, true);
    IF EXISTS (SELECT FROM eventlog.late_events l WHERE l.created_at >= first_at AND l.created_at < end_at) THEN
        RAISE EXCEPTION 'late events were logged meanwhile' USING ERRCODE = 'object_in_use';
    END IF;
    IF has_references THEN
        -- Checks the references again, and detaches the partition from the foreign keys.
        EXECUTE format('ALTER TABLE eventlog.events DETACH PARTITION eventlog.%I', partition_name);
    END IF;
    EXECUTE format('DROP TABLE eventlog.%I', partition_name);
    DELETE FROM eventlog.thinned_partitions t WHERE t.partition_name = drop_partition.partition_name;
    RETURN format('dropped partition %I, %s, of %s events that were counted there', partition_name, pg_size_pretty(bytes), events);
END
$$;

CREATE FUNCTION eventlog_private.due_drop_partition(counted_until timestamptz) RETURNS TABLE (task text, description text)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT e.partition_name::text, format('drop partition %I, events of %s until %s', e.partition_name, e.from_at, e.until_at)
      FROM eventlog_private.expired_partitions(counted_until) e
$$;

CREATE FUNCTION eventlog_private.do_drop_partition(task text, OUT action text, OUT rows bigint, OUT is_more boolean, OUT failure text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    action := eventlog_private.drop_partition(task);
END
$$;
