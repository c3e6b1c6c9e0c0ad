-- A watermark ahead of the clock, announced by a clock that was wrong. Every event below it would be
-- recorded in late_events and counted from there until time has caught up.

-- Returns the time that the watermark is taken back to: the end of today in UTC. Rollups are by days, and
-- what is counted until then stays counted.
CREATE FUNCTION eventlog_private.furthest_watermark() RETURNS timestamptz
LANGUAGE sql VOLATILE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT date_trunc('day', clock_timestamp() + interval '1 day', 'UTC')
$$;

-- Takes the watermark back. Events from there on are read from events again, so their counts are deleted;
-- none of those events can be past a retention. A connection that has not seen the change yet records more
-- events as late than it needs to, which does no harm.
CREATE FUNCTION eventlog_private.take_watermark_back() RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $$
DECLARE
    back          timestamptz := eventlog_private.furthest_watermark();
    of_month      date        := date_trunc('month', back)::date;
    earlier_days  integer     := (1 << (date_part('day', back)::integer - 1)) - 1;
    is_subscriber boolean     := eventlog_private.is_subscriber();
    partition     regclass;
    actors        name;
BEGIN
    IF NOT EXISTS (SELECT FROM eventlog.rollup_state s WHERE s.announced_until > back) THEN
        RETURN NULL;
    END IF;
    -- Only closed partitions have the trigger.
    FOR partition IN
        SELECT p.partition_oid FROM eventlog._partitions p
          JOIN pg_trigger t ON t.tgrelid = p.partition_oid AND t.tgname = 'late_event' AND t.tgenabled = 'A'
         WHERE p.until_at > back
    LOOP
        IF is_subscriber THEN
            PERFORM eventlog_private.ensure_late_event(partition, true);
        ELSE
            EXECUTE format('DROP TRIGGER late_event ON %s', partition);
        END IF;
    END LOOP;
    UPDATE eventlog.rollup_state s
       SET rolled_until = least(s.rolled_until, back), announced_until = back, writers = NULL;
    DELETE FROM eventlog.hourly_counts c WHERE c.hour >= back;
    DELETE FROM eventlog.daily_counts c WHERE c.day >= back::date;
    DELETE FROM eventlog.daily_subjects c WHERE c.day >= back::date;
    DELETE FROM eventlog.hourly_keys c WHERE c.hour >= back;
    DELETE FROM eventlog.daily_keys c WHERE c.day >= back::date;
    DELETE FROM eventlog.first_events c WHERE c.first_at >= back;
    UPDATE eventlog.counted_keys c SET since = back WHERE c.since > back;
    FOREACH actors IN ARRAY '{monthly_actors,monthly_key_actors}'::name[] LOOP
        EXECUTE format('DELETE FROM eventlog.%I a WHERE a.month > $1 OR a.month = $1 AND a.days & $2 = 0', actors)
          USING of_month, earlier_days;
        EXECUTE format('UPDATE eventlog.%I a SET days = a.days & $2, quarters = eventlog_private.quarters_before(a.quarters, $3)
                         WHERE a.month = $1 AND a.days & $2 <> a.days', actors)
          USING of_month, earlier_days, 96 * (back::date - of_month);
    END LOOP;
    PERFORM eventlog_private.take_seals_back(back);
    RETURN format('took the watermark of the rollups back to %s', back);
END
$$;
