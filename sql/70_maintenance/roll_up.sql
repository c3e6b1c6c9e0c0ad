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

-- Adds events to the rollups: those of `source`, a query over _measured_events() with the parameters $1 to
-- $4 (since, until, tenants, and notes of late_events by ctid). `taken` is a statement that takes notes out
-- of late_events. Both become parts of one statement, so that they see the same events.
--
-- Rows are inserted in index order (25 % faster on 380,000 rows, and the rows of a tenant end up side by
-- side). ON CONFLICT is left out where the span starts an hour, day or month (33 % faster), since nothing
-- can be there yet.
CREATE FUNCTION eventlog_private.count_events(taken text, source text, since timestamptz, until timestamptz, tenants uuid[],
                                       notes tid[] DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
-- Hashes the groups, and sorts the few results: the planner expects as many groups as rows, and would sort
-- all of them. JIT costs more than it saves.
SET enable_sort = off
SET jit = off
AS $$
DECLARE
    measures constant text := (SELECT string_agg(format('%s AS %I', m.of_events, m.name), ', ') FROM eventlog_private.measures() m);
    -- Sums of counts, and counts that are added to those of a row.
    sums constant text := (
        SELECT string_agg(format(CASE WHEN m.name = 'duration_histogram' THEN 'eventlog._merge_histograms(s.%I)' ELSE 'sum(s.%I)' END,
                                 m.name), ', ')
          FROM eventlog_private.measures() m);
    add constant text := (
        SELECT 'ON CONFLICT ON CONSTRAINT %s DO UPDATE SET '
               || string_agg(format(CASE WHEN m.name = 'duration_histogram'
                                         THEN '%1$I = eventlog_private.add_histograms(r.%1$I, EXCLUDED.%1$I)'
                                         ELSE '%1$I = r.%1$I + EXCLUDED.%1$I' END, m.name), ', ')
          FROM eventlog_private.measures() m);
    counted    bigint;
    add_hours  text := CASE WHEN since = date_trunc('hour', since) THEN '' ELSE format(add, 'hourly_counts_pkey') END;
    add_days   text := CASE WHEN since = date_trunc('day', since) THEN '' ELSE format(add, 'daily_counts_pkey') END;
    add_subjects text := CASE WHEN since = date_trunc('day', since) THEN '' ELSE format(add, 'daily_subjects_pkey')
                             || ', first_at = least(r.first_at, EXCLUDED.first_at), last_at = greatest(r.last_at, EXCLUDED.last_at)' END;
    add_actors text := CASE WHEN since = date_trunc('month', since) THEN '' ELSE
                           'ON CONFLICT ON CONSTRAINT monthly_actors_pkey DO UPDATE SET days = r.days | EXCLUDED.days,
                                quarters = eventlog._quarters_union(r.quarters, EXCLUDED.quarters)' END;
    add_hourly_keys text := CASE WHEN since = date_trunc('hour', since) THEN '' ELSE format(add, 'hourly_keys_pkey') END;
    add_daily_keys  text := CASE WHEN since = date_trunc('day', since) THEN '' ELSE format(add, 'daily_keys_pkey') END;
    add_key_actors  text := replace(add_actors, 'monthly_actors_pkey', 'monthly_key_actors_pkey');
BEGIN
    PERFORM set_config('work_mem', current_setting('maintenance_work_mem'), true);
    -- OFFSET 0 makes each payload be measured once.
    EXECUTE format($sql$
        WITH taken AS (%1$s),
        source AS NOT MATERIALIZED (%2$s),
        hourly AS MATERIALIZED (
            SELECT e.tenant_id, e.hour, e.name, %3$s
              FROM (SELECT m.tenant_id, date_bin('1 hour', m.created_at, '2000-01-01 00:00:00+00') AS hour, m.name,
                           m.weight, m.has_failed, m.duration
                      FROM source m OFFSET 0) e
             GROUP BY 1, 2, 3
        ), hourly_counted AS (
            INSERT INTO eventlog.hourly_counts AS r SELECT h.* FROM hourly h ORDER BY h.tenant_id, h.hour, h.name
            %4$s
        ), daily_counted AS (
            INSERT INTO eventlog.daily_counts AS r
            SELECT s.tenant_id, s.hour::date, s.name, %5$s FROM hourly s GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
            %6$s
        ), subjects AS MATERIALIZED (
            SELECT e.tenant_id, e.created_at::date AS day, e.name, e.subject, %3$s, min(e.created_at), max(e.created_at)
              FROM (SELECT m.tenant_id, m.created_at, m.name, m.subject, m.weight, m.has_failed, m.duration
                      FROM source m WHERE m.subject IS NOT NULL AND m.count_subjects OFFSET 0) e
             GROUP BY 1, 2, 3, 4
        ), subjects_counted AS (
            INSERT INTO eventlog.daily_subjects AS r SELECT s.* FROM subjects s ORDER BY s.tenant_id, s.day, s.name, s.subject
            %7$s
        ), active AS MATERIALIZED (
            SELECT e.tenant_id, date_trunc('month', e.created_at)::date AS month, e.name, e.actor,
                   bit_or(1 << (date_part('day', e.created_at)::integer - 1)) AS days,
                   eventlog._quarters(e.created_at) AS quarters, min(e.created_at) AS first_at
              FROM source e WHERE e.actor IS NOT NULL
             GROUP BY 1, 2, 3, 4
        ), actors_counted AS (
            INSERT INTO eventlog.monthly_actors AS r
            SELECT u.* FROM (SELECT a.tenant_id, a.month, a.name, a.actor, a.days, a.quarters FROM active a
                              UNION ALL
                             SELECT a.tenant_id, a.month, '', a.actor, bit_or(a.days), eventlog._merge_quarters(a.quarters)
                               FROM active a GROUP BY 1, 2, 4) u
             ORDER BY u.tenant_id, u.name, u.month, u.actor
            %8$s
        ), firsts_counted AS (
            INSERT INTO eventlog.first_events AS r
            SELECT u.* FROM (SELECT a.tenant_id, a.name, a.actor, min(a.first_at) AS first_at FROM active a WHERE a.actor <> '' GROUP BY 1, 2, 3
                              UNION ALL
                             SELECT a.tenant_id, '', a.actor, min(a.first_at) FROM active a WHERE a.actor <> '' GROUP BY 1, 3) u
             ORDER BY u.tenant_id, u.name, u.actor
            ON CONFLICT ON CONSTRAINT first_events_pkey DO UPDATE SET first_at = EXCLUDED.first_at WHERE EXCLUDED.first_at < r.first_at
        ), keyed AS MATERIALIZED (
            SELECT e.*, k.key, left(e.data ->> k.key, 200) AS value
              FROM source e CROSS JOIN LATERAL (SELECT DISTINCT u.key FROM unnest(e.count_keys) AS u (key)) k
             WHERE e.data ->> k.key IS NOT NULL
        ), hourly_keys AS MATERIALIZED (
            SELECT e.tenant_id, date_bin('1 hour', e.created_at, '2000-01-01 00:00:00+00') AS hour, e.name, e.key, e.value, %3$s
              FROM keyed e GROUP BY 1, 2, 3, 4, 5
        ), hourly_keys_counted AS (
            INSERT INTO eventlog.hourly_keys AS r SELECT h.* FROM hourly_keys h ORDER BY h.tenant_id, h.key, h.hour, h.name, h.value
            %9$s
        ), daily_keys_counted AS (
            INSERT INTO eventlog.daily_keys AS r
            SELECT s.tenant_id, s.hour::date, s.name, s.key, s.value, %5$s FROM hourly_keys s
             GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 4, 2, 3, 5
            %10$s
        ), key_actors_counted AS (
            INSERT INTO eventlog.monthly_key_actors AS r
            SELECT e.tenant_id, e.key, e.value, e.name, date_trunc('month', e.created_at)::date, e.actor,
                   bit_or(1 << (date_part('day', e.created_at)::integer - 1)), eventlog._quarters(e.created_at)
              FROM keyed e WHERE e.actor <> ''
             GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
            %11$s
        )
        SELECT coalesce(sum(h.events), 0) FROM hourly h$sql$,
        taken, source, measures, add_hours, sums, add_days, add_subjects, add_actors, add_hourly_keys, add_daily_keys,
        add_key_actors)
       INTO counted USING since, until, tenants, notes;
    RETURN counted;
END
$$;

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

-- Counts the next stretch below the announced watermark, and returns the number of events: up to the end of
-- its partition, or one day of a large partition, since counts are kept in memory.
CREATE FUNCTION eventlog_private.roll_up() RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- The indexes lead with the tenant.
    of_stretch constant text := 'e.created_at >= $1 AND e.created_at < $2 AND e.tenant_id = ANY ($3)';
    state     eventlog.rollup_state;
    partition record;
    rest      regclass := eventlog_private.default_partition();
    since     timestamptz;
    until     timestamptz;
    tenants   uuid[];
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
    until := least(state.announced_until, partition.until_at,
                   CASE WHEN (SELECT c.reltuples FROM pg_class c WHERE c.oid = partition.partition_oid) > 10000000
                        THEN date_trunc('day', since + interval '1 day', 'UTC') END);
    tenants := eventlog_private.tenants_in(partition.partition_oid);
    PERFORM eventlog_private.report_uncountable('SELECT e.* FROM eventlog.events e WHERE ' || of_stretch, since, until, tenants, NULL);
    counted := eventlog_private.count_events(
        -- The note of a tenant that was not there when the tenants were looked up stays: its event is not
        -- counted here.
        'DELETE FROM eventlog.late_events l WHERE l.created_at >= $1 AND l.created_at < $2
            AND NOT EXISTS (SELECT FROM eventlog.events e WHERE e.id = l.id AND e.created_at = l.created_at
                                                          AND e.tenant_id <> ALL ($3))',
        'SELECT e.* FROM eventlog._measured_events() e WHERE ' || of_stretch,
        since, until, tenants);
    PERFORM eventlog_private.drop_counts_of_erased(tenants, since);
    UPDATE eventlog.rollup_state SET rolled_until = until;
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
        is_more := rows >= eventlog_private.most_rows();
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
