-- Whether the server's clock is believed. Retention by a clock that jumped would take every event, and
-- the watermark would lie ahead for ever.
--
-- Each run of maintain() that believes the clock keeps what it said, and how long the machine had been
-- running then, which nobody sets. The clock is believed as long as it agrees with what was kept: after
-- the machine was restarted, or elsewhere, by a tenth of the log's retention and at most 7 days. One that
-- does not agree is believed once it has gone on evenly for a day of the machine's running, as two runs
-- saw it, or where maintain(trust_clock => true) says so. Until then nothing is dropped, deleted,
-- trimmed, made ahead or announced; events that are there are counted.

-- What the clock may say now, by what it said at another time. A clock is off by 10 minutes, or goes
-- wrong by a thousandth.
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

-- What speaks against the clock; null where it is believed.
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
    RETURN format('the server''s clock says %s UTC, not what it should by the last run (from %s until %s UTC), and is not believed: nothing is dropped or deleted',
                  to_char(CASE WHEN now() > bounds.until THEN now() ELSE said END AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
                  to_char(bounds.since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
                  to_char(bounds.until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'));
END
$$;

-- Keeps what the clock says, for the runs to come; what speaks against it, or null.
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
