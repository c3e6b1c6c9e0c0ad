-- Whether maintain() believes the server's clock. If it followed a clock that jumped, retention would
-- delete every event, and the watermark would be ahead for ever.
--
-- Each run that believes the clock stores its time, and how long the machine had been running, which nobody
-- sets. Later runs believe the clock while both agree; after the machine was restarted, or on another
-- machine, while it has advanced by at most a tenth of the log's retention (at most 7 days). A clock that
-- disagrees is believed after it has advanced evenly for a day of the machine's running time, as seen by
-- two runs, or on maintain(trust_clock => true). Until then nothing is dropped, deleted, trimmed, created
-- ahead or announced; existing events are still counted.

-- Returns the span in which the clock may be now, given its time at an earlier moment. A clock may be off
-- by 10 minutes, or by a thousandth of the elapsed time.
CREATE FUNCTION eventlog_private.clock_bounds(said timestamptz, boot text, uptime double precision,
                                       OUT is_same_boot boolean, OUT since timestamptz, OUT until timestamptz)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    elapsed double precision := eventlog_private.machine_uptime() - uptime;
    slack   interval;
BEGIN
    is_same_boot := coalesce(boot = eventlog_private.machine_boot() AND elapsed >= 0, false);
    IF is_same_boot THEN
        slack := interval '10 minutes' + elapsed * interval '1 ms';
        since := said + elapsed * interval '1 second' - slack;
        until := said + elapsed * interval '1 second' + slack;
    ELSE
        since := said - interval '10 minutes';
        until := said + (SELECT greatest(least(c.retention / 10, interval '7 days'), interval '1 hour') FROM eventlog.log_config c);
    END IF;
END
$$;

-- Returns the reason to doubt the clock, or null if it is believed.
CREATE FUNCTION eventlog_private.clock_doubt() RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    bounds record;
    state  eventlog.maintenance_settings;
    said   timestamptz := clock_timestamp();
BEGIN
    SELECT * INTO state FROM eventlog.maintenance_settings;
    IF state.clock_at IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT * INTO bounds FROM eventlog_private.clock_bounds(state.clock_at, state.clock_boot, state.clock_uptime);
    -- The transaction may have begun before the clock was set back.
    IF said BETWEEN bounds.since AND bounds.until AND now() <= bounds.until THEN
        RETURN NULL;
    END IF;
    RETURN format('the server''s clock says %s UTC, but by the last run it should be from %s to %s UTC: nothing is dropped or deleted until the clock is trusted',
                  to_char(CASE WHEN now() > bounds.until THEN now() ELSE said END AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
                  to_char(bounds.since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
                  to_char(bounds.until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'));
END
$$;

-- Stores the time of the clock for later runs, and returns the reason to doubt it, or null.
CREATE FUNCTION eventlog_private.read_clock(is_trusted boolean) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    doubt  text := eventlog_private.clock_doubt();
    state  eventlog.maintenance_settings;
    bounds record;
BEGIN
    SELECT * INTO state FROM eventlog.maintenance_settings;
    IF doubt IS NOT NULL AND NOT is_trusted AND state.doubted_at IS NOT NULL THEN
        SELECT * INTO bounds FROM eventlog_private.clock_bounds(state.doubted_at, state.doubted_boot, state.doubted_uptime);
        IF NOT bounds.is_same_boot OR clock_timestamp() NOT BETWEEN bounds.since AND bounds.until THEN
            state.doubted_at := NULL;
        ELSIF eventlog_private.machine_uptime() - state.doubted_uptime >= 86400 THEN
            doubt := NULL;
        END IF;
    END IF;
    IF doubt IS NULL OR is_trusted THEN
        UPDATE eventlog.maintenance_settings
           SET clock_at = clock_timestamp(), clock_boot = eventlog_private.machine_boot(), clock_uptime = eventlog_private.machine_uptime(),
               doubted_at = NULL, doubted_boot = NULL, doubted_uptime = NULL;
        RETURN NULL;
    END IF;
    IF state.doubted_at IS NULL THEN
        UPDATE eventlog.maintenance_settings
           SET doubted_at = clock_timestamp(), doubted_boot = eventlog_private.machine_boot(), doubted_uptime = eventlog_private.machine_uptime();
    END IF;
    RETURN doubt;
END
$$;
