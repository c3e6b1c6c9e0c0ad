-- One step of maintenance or erasure at a time.

-- Waits for the step of maintenance, or of an erasure, that runs now: one at a time.
CREATE FUNCTION eventlog_private.lock_maintenance() RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT eventlog_private.take_lock('maintenance', false, true)
$$;

-- The same for an erasure, which has to be: a step that counts may take minutes. A session whose own
-- lock_timeout is shorter than the log's waits for that long.
CREATE FUNCTION eventlog_private.wait_for_maintenance() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    deadline timestamptz := clock_timestamp() + interval '10 minutes';
    is_short boolean     := (SELECT s.setting::integer FROM pg_settings s WHERE s.name = 'lock_timeout')
                          < (SELECT s.setting::integer FROM pg_settings s WHERE s.name = 'eventlog.lock_timeout');
BEGIN
    LOOP
        BEGIN
            PERFORM eventlog_private.lock_maintenance();
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            IF is_short OR clock_timestamp() >= deadline THEN
                RAISE EXCEPTION 'maintenance of the log is at work, or another erasure'
                    USING ERRCODE = 'lock_not_available', DETAIL = eventlog_private.describe_holders('{}'),
                          HINT = 'call again: it goes on from where it is';
            END IF;
        END;
    END LOOP;
END
$$;

-- Who maintains the log now, or erases in it; null, and none but the caller may until the transaction
-- ends, where nobody does.
CREATE FUNCTION eventlog_private.other_maintenance() RETURNS text
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN NOT eventlog_private.take_lock('maintenance', false, false)
                THEN coalesce(eventlog_private.describe_holders('{}'), 'a transaction that is gone by now') END
$$;
