-- Phase "roll up": counts events in the rollups, exactly once and at no cost to the insert.
--
-- 1. maintain() announces a watermark and commits. A transaction that locks events for an INSERT afterwards sees it,
--    and an event created below it is recorded in late_events (extension/src/write/late_events.rs; in closed
--    partitions by a trigger, so that it holds for the owner's own COPY too).
-- 2. The transactions that are writing then are remembered: they may not have seen the watermark.
-- 3. Once all of them have ended, every event below the watermark is committed or recorded as late. They
--    are counted, and rolled_until moves, in one transaction.
--
-- Counting adds to existing rows. So late events can be added to hours whose events are deleted, and
-- nothing is counted again from what retention or erasure left.

-- Returns the tenants of a partition, each found by one step through the index.
CREATE FUNCTION eventlog_private.tenants_in(partition regclass) RETURNS uuid[]
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    tenants uuid[];
BEGIN
    EXECUTE format('WITH RECURSIVE t (tenant_id) AS (
                        (SELECT e.tenant_id FROM %1$s e ORDER BY e.tenant_id LIMIT 1)
                         UNION ALL
                        SELECT (SELECT e.tenant_id FROM %1$s e WHERE e.tenant_id > t.tenant_id ORDER BY e.tenant_id LIMIT 1)
                          FROM t WHERE t.tenant_id IS NOT NULL)
                    SELECT array_agg(t.tenant_id) FROM t WHERE t.tenant_id IS NOT NULL', partition) INTO tenants;
    RETURN coalesce(tenants, '{}');
END
$$;

-- Deletes the counts of tenants that a trigger is erasing meanwhile. Either its transaction has ended, and
-- the events are gone now, or it waits for this lock, and deletes the counts afterwards.
CREATE FUNCTION eventlog_private.drop_counts_of_erased(tenants uuid[], since timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    erased uuid[];
BEGIN
    PERFORM eventlog_private.take_lock('erasure', false, true);
    erased := ARRAY(SELECT t FROM unnest(tenants) AS t WHERE NOT EXISTS (SELECT FROM eventlog.events e WHERE e.tenant_id = t));
    IF erased <> '{}' THEN
        DELETE FROM eventlog.hourly_counts c WHERE c.tenant_id = ANY (erased) AND c.hour >= date_trunc('hour', since);
        DELETE FROM eventlog.daily_counts c WHERE c.tenant_id = ANY (erased) AND c.day >= since::date;
        DELETE FROM eventlog.daily_subjects c WHERE c.tenant_id = ANY (erased) AND c.day >= since::date;
        DELETE FROM eventlog.monthly_actors c WHERE c.tenant_id = ANY (erased) AND c.month >= date_trunc('month', since)::date;
        DELETE FROM eventlog.first_events c WHERE c.tenant_id = ANY (erased) AND c.first_at >= since;
        DELETE FROM eventlog.hourly_keys c WHERE c.tenant_id = ANY (erased) AND c.hour >= date_trunc('hour', since);
        DELETE FROM eventlog.daily_keys c WHERE c.tenant_id = ANY (erased) AND c.day >= since::date;
        DELETE FROM eventlog.monthly_key_actors c WHERE c.tenant_id = ANY (erased) AND c.month >= date_trunc('month', since)::date;
    END IF;
END
$$;

-- Returns the end of the stretch of a partition that is counted in one transaction, since counts are kept in
-- memory: all of it, or as many whole days, or else hours, as have about five million events.
CREATE FUNCTION eventlog_private.stretch_of(partition oid, from_at timestamptz, since timestamptz, until timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most_events constant double precision := 5000000;
    -- As the planner estimates them. Few events have less than 100 bytes, if nobody analyzed them yet.
    events   double precision := (
        SELECT pg_relation_size(c.oid) / CASE WHEN c.reltuples > 0 AND c.relpages > 0
                                              THEN c.relpages * current_setting('block_size')::double precision / c.reltuples ELSE 100 END
          FROM pg_class c WHERE c.oid = partition);
    hours    double precision := CASE WHEN isfinite(from_at) AND isfinite(until)
                                      THEN extract(epoch FROM until - from_at) / 3600 ELSE 'infinity' END;
    fitting  double precision;
BEGIN
    IF events <= most_events OR hours = 'infinity' THEN
        RETURN until;
    END IF;
    fitting := greatest(1, floor(hours * most_events / events));
    RETURN least(until, CASE WHEN fitting >= 24 THEN date_trunc('day', since, 'UTC') + floor(fitting / 24) * interval '24 hours'
                             ELSE date_trunc('hour', since, 'UTC') + fitting * interval '1 hour' END);
END
$$;

-- Adds the events of a stretch of a partition to the rollups: those whose ids leave this remainder when divided
-- by `divisor`. Without `tenants` it reads the whole partition; with them, a part of it, by the indexes, which lead
-- with the tenant. The note of a tenant that was not there when the tenants were looked up stays then: its event
-- is not counted here.
CREATE FUNCTION eventlog_private.add_stretch(since timestamptz, until timestamptz, tenants uuid[], divisor integer, remainder integer)
RETURNS bigint
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT eventlog_private.add_to_rollups(
        'eventlog.events e WHERE e.created_at >= $1 AND e.created_at < $2'
            || CASE WHEN tenants IS NULL THEN '' ELSE ' AND e.tenant_id = ANY ($3)' END || format(of_ids, 'e'),
        'SELECT array_agg(l.ctid) FROM eventlog.late_events l WHERE l.created_at >= $1 AND l.created_at < $2'
            || CASE WHEN tenants IS NULL THEN ''
                    ELSE ' AND NOT EXISTS (SELECT FROM eventlog.events n WHERE n.id = l.id AND n.created_at = l.created_at
                                                                     AND n.tenant_id <> ALL ($3))' END || format(of_ids, 'l'),
        since, until, tenants, is_further_part => remainder > 0)
      FROM (SELECT CASE WHEN divisor = 1 THEN '' ELSE format(' AND abs(%%1$s.id %%%% %s) = %s', divisor, remainder) END AS of_ids) c
$$;

-- Counts the next stretch below the announced watermark, and returns the number of events. Counts that do not fit
-- into memory are tried again for a shorter stretch, and within an hour for a part of the ids at a time.
CREATE FUNCTION eventlog_private.roll_up() RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    state     eventlog.rollup_state;
    partition record;
    rest      regclass := eventlog_private.default_partition();
    since     timestamptz;
    until     timestamptz;
    stretch   timestamptz;
    tenants   uuid[];
    divisor   integer := 1;
    counted   bigint;
BEGIN
    SELECT * INTO STRICT state FROM eventlog.rollup_state;
    SELECT p.* INTO partition FROM eventlog._partitions p
     WHERE p.until_at > state.rolled_until AND p.from_at < state.announced_until ORDER BY p.from_at LIMIT 1;
    IF rest IS NOT NULL AND (NOT FOUND OR partition.from_at > state.rolled_until) THEN
        -- A gap between partitions, whose events are in a DEFAULT one.
        SELECT rest::oid AS partition_oid, NULL::name AS partition_name, state.rolled_until AS from_at,
               coalesce(partition.from_at, 'infinity') AS until_at INTO partition;
    ELSIF NOT FOUND THEN
        UPDATE eventlog.rollup_state SET rolled_until = announced_until WHERE rolled_until < announced_until;
        RETURN 0;
    END IF;
    since := greatest(state.rolled_until, partition.from_at);
    until := least(state.announced_until, partition.until_at);
    stretch := eventlog_private.stretch_of(partition.partition_oid, partition.from_at, since, until);
    LOOP
        tenants := CASE WHEN since > partition.from_at OR stretch < until THEN
                        coalesce(tenants, eventlog_private.tenants_in(partition.partition_oid)) END;
        BEGIN
            counted := (SELECT sum(eventlog_private.add_stretch(since, stretch, tenants, divisor, r)) FROM generate_series(0, divisor - 1) AS r);
            EXIT;
        EXCEPTION WHEN out_of_memory THEN
            IF isfinite(since) AND stretch > since + interval '1 hour' THEN
                stretch := since + (stretch - since) / 4;
            ELSIF divisor < 4096 THEN
                divisor := divisor * 8;
            ELSE
                RAISE;
            END IF;
        END;
    END LOOP;
    UPDATE eventlog.rollup_state SET rolled_until = stretch;
    RETURN counted;
END
$$;

-- An announced watermark is counted up to whatever the clock says; it moves only if the clock is believed.
CREATE FUNCTION eventlog_private.due_roll_up(counted_until timestamptz) RETURNS TABLE (task text, description text)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH state AS (
        SELECT s.rolled_until, s.announced_until, eventlog_private.clock_doubt() IS NULL AS is_believed FROM eventlog.rollup_state s
    ), task AS (
        SELECT s.*, s.is_believed AND s.rolled_until < eventlog_private.next_watermark() AS is_time FROM state s
    )
    SELECT 'watermark back', format('take the watermark of the rollups back, which is ahead of the clock at %s', t.announced_until)
      FROM task t WHERE t.is_believed AND t.announced_until > eventlog_private.furthest_watermark()
     UNION ALL
    SELECT 'watermark', 'announce the next watermark of the rollups' FROM task t WHERE t.is_time
     UNION ALL
    SELECT 'events', format('count events in the rollups, which reach until %s', t.rolled_until)
      FROM task t WHERE t.is_time OR t.rolled_until < t.announced_until
     UNION ALL
    SELECT 'late events', 'count late events in the rollups' FROM task t
     WHERE t.is_time
        OR EXISTS (SELECT FROM eventlog.late_events l WHERE l.created_at <@ (SELECT eventlog_private.partitioned_time()))
$$;

-- A run announces the next watermark once.
CREATE FUNCTION eventlog_private.do_roll_up(task text, OUT action text, OUT rows bigint, OUT is_more boolean, OUT failure text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    state    eventlog.rollup_state;
    deadline timestamptz := clock_timestamp() + interval '1 second';
BEGIN
    SELECT * INTO STRICT state FROM eventlog.rollup_state;
    rows := 0;
    is_more := false;
    CASE task
    WHEN 'watermark back' THEN
        failure := eventlog_private.clock_doubt();
        IF failure IS NULL THEN
            action := eventlog_private.take_watermark_back();
            rows := NULL;
        END IF;
    WHEN 'watermark' THEN
        failure := eventlog_private.clock_doubt();
        IF failure IS NULL THEN
            PERFORM eventlog_private.announce_watermark();
        END IF;
    WHEN 'late events' THEN
        rows := eventlog_private.add_late_events();
        is_more := rows > 0 AND EXISTS (SELECT FROM eventlog.late_events l WHERE l.created_at < state.rolled_until
                                           AND l.created_at <@ (SELECT eventlog_private.partitioned_time()));
        action := 'counted %s late events in the rollups';
    WHEN 'events' THEN
        IF state.announced_until <= state.rolled_until THEN
            RETURN;
        END IF;
        action := 'counted %s events in the rollups';
        -- Ordinary transactions end within a moment; a long one is left to the next run.
        WHILE state.writers IS DISTINCT FROM '{}' AND NOT eventlog_private.writers_have_ended() LOOP
            IF clock_timestamp() > deadline THEN
                failure := 'the rollups wait for ' || coalesce(eventlog_private.awaited_writers(), 'a transaction that has ended by now');
                RETURN;
            END IF;
            PERFORM pg_sleep(0.05);
        END LOOP;
        IF state.writers IS NOT DISTINCT FROM '{}' THEN
            rows := eventlog_private.roll_up();
        END IF;
        is_more := EXISTS (SELECT FROM eventlog.rollup_state s WHERE s.announced_until > s.rolled_until);
    END CASE;
END
$$;
