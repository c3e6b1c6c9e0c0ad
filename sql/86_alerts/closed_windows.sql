-- Which windows are closed: an alert judges a window once, when its events are there.
--
-- The watermark of the rollups would do, but it moves once an hour, and an alert may have windows of a minute.
-- So a time closes by the ids of the consumers (85_delivery/certain_id.sql), a minute after it: the last id that
-- was drawn is noted, and once no event up to it can still appear, every transaction that had written by then
-- has ended. What such a transaction logged is in the window of its created_at, however long it took.
--
-- Late are the events of a transaction that began before the end of a window and first wrote more than a minute
-- after it, and imports of history. They change no verdict: nothing is raised for what is long past, and what
-- was raised was so by all that could be known. They count in a window that a later one is compared with.

-- Closes the windows of the time that can be closed now, and returns that time. The caller holds the lock of
-- alerts.
CREATE FUNCTION eventlog_private.close_windows() RETURNS timestamptz
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    grace    constant interval    := '1 minute';
    deadline constant timestamptz := clock_timestamp() + interval '1 second';
    state    eventlog.alert_state;
BEGIN
    SELECT * INTO state FROM eventlog.alert_state;
    state.closed_until := coalesce(state.closed_until, '-infinity');
    -- A clock that is not believed closes nothing: what has not happened yet would look like nothing received.
    IF eventlog_private.clock_doubt() IS NOT NULL THEN
        RETURN state.closed_until;
    ELSIF state.closed_until > clock_timestamp() + interval '10 minutes' THEN
        -- The clock was ahead, and was believed.
        UPDATE eventlog.alerts a SET next_until = eventlog_private.window_end(a.time_window, clock_timestamp())
         WHERE a.next_until > eventlog_private.window_end(a.time_window, clock_timestamp());
        state.closed_until := clock_timestamp() - grace;
        state.next_until := NULL;
        UPDATE eventlog.alert_state s SET closed_until = state.closed_until, next_until = NULL;
    END IF;
    IF NOT EXISTS (SELECT FROM eventlog.alerts a
                    WHERE a.is_enabled AND a.next_until > state.closed_until AND a.next_until <= clock_timestamp() - grace) THEN
        RETURN state.closed_until;
    END IF;
    LOOP
        IF state.next_until IS NULL THEN
            state.next_until := clock_timestamp() - grace;
            state.next_id := eventlog_private.last_drawn_id();
        END IF;
        IF eventlog_private.certain_id() >= state.next_id THEN
            state.closed_until := greatest(state.closed_until, state.next_until);
            state.next_until := NULL;
        END IF;
        -- Ordinary transactions end within a moment; a long one is left to the next call.
        EXIT WHEN clock_timestamp() > deadline
               OR NOT EXISTS (SELECT FROM eventlog.alerts a
                               WHERE a.is_enabled AND a.next_until > state.closed_until AND a.next_until <= clock_timestamp() - grace);
        PERFORM pg_sleep(0.1);
    END LOOP;
    INSERT INTO eventlog.alert_state AS s (closed_until, next_until, next_id) VALUES (state.closed_until, state.next_until, state.next_id)
    ON CONFLICT ON CONSTRAINT alert_state_pkey DO UPDATE
       SET closed_until = excluded.closed_until, next_until = excluded.next_until, next_id = excluded.next_id;
    RETURN state.closed_until;
END
$$;
