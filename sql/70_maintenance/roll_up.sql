

-- What is announced is counted whatever the clock says; a watermark moves only if the clock is believed.
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
