-- The lock of maintenance: one step of maintain() or of an erasure at a time.

-- Waits for the current step of maintenance, or of an erasure.
CREATE FUNCTION eventlog_private.lock_maintenance() RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT eventlog_private.take_lock('maintenance', false, true)
$$;

-- Waits for as long as a step that counts may take, which can be minutes, since an erasure has to be done.
-- If the session's own lock_timeout is shorter than the log's, waits only for that.
CREATE FUNCTION eventlog_private.wait_for_maintenance() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    deadline timestamptz := clock_timestamp() + interval '10 minutes';
    is_short boolean     := (SELECT s.setting::integer FROM pg_settings s WHERE s.name = 'lock_timeout')
                          < eventlog_private.lock_timeout_ms();
BEGIN
    LOOP
        BEGIN
            PERFORM eventlog_private.lock_maintenance();
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            IF is_short OR clock_timestamp() >= deadline THEN
                RAISE EXCEPTION 'maintenance of the log, or another erasure, is running'
                    USING ERRCODE = 'lock_not_available', DETAIL = eventlog_private.describe_lock_holders('{}'),
                          HINT = 'call again to continue';
            END IF;
        END;
    END LOOP;
END
$$;

-- Describes who is maintaining the log, or erasing from it, now. If nobody is, returns null, and only the
-- caller may until its transaction ends.
CREATE FUNCTION eventlog_private.other_maintenance() RETURNS text
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN NOT eventlog_private.take_lock('maintenance', false, false)
                THEN coalesce(eventlog_private.describe_lock_holders('{}'), 'a transaction that has ended by now') END
$$;
