-- The watermark of the rollups: announcing the next one, and waiting for transactions that may not have
-- seen it.

-- Returns the next watermark: the end of the last whole hour that ended at least five minutes ago.
CREATE FUNCTION eventlog_private.next_watermark() RETURNS timestamptz
LANGUAGE sql VOLATILE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT date_trunc('hour', clock_timestamp() - interval '5 minutes', 'UTC')
$$;

-- Announces the next watermark if it is time. Partitions that will lie below it get their trigger first,
-- which waits for their writers.
CREATE FUNCTION eventlog_private.announce_watermark() RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    watermark timestamptz := eventlog_private.next_watermark();
BEGIN
    IF EXISTS (SELECT FROM eventlog.rollup_state s WHERE s.announced_until > s.rolled_until OR s.announced_until >= watermark) THEN
        RETURN false;
    END IF;
    PERFORM eventlog_private.ensure_late_events(watermark);
    UPDATE eventlog.rollup_state SET announced_until = watermark, writers = NULL;
    RETURN true;
END
$$;

-- Returns the transactions that are writing to the log, prepared ones too.
CREATE FUNCTION eventlog_private.writing_transactions() RETURNS text[]
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- These will see the current watermark before they write. PREPARE takes the lock for writing too, and every
    -- role that may use the schema can do that.
    idle constant integer[] := ARRAY(SELECT p.pid FROM eventlog_private.processes() p WHERE p.is_idle AND p.is_bound);
BEGIN
    RETURN ARRAY(
        SELECT DISTINCT l.virtualtransaction
          FROM pg_locks l
         WHERE l.locktype = 'relation' AND l.mode = 'RowExclusiveLock' AND l.granted
           AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
           AND l.pid IS DISTINCT FROM pg_backend_pid()
           AND (l.relation = 'eventlog.events'::regclass
                OR l.relation IN (SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = 'eventlog.events'::regclass))
           AND (l.pid IS NULL OR l.pid <> ALL (idle)));
END
$$;

-- Returns true if all transactions that were writing when the watermark was announced have ended. The first
-- call, in a transaction of its own after the announcement, stores which they are. A prepared transaction
-- that survived a restart of the server has another name since, so all of those are waited for.
CREATE FUNCTION eventlog_private.writers_have_ended() RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    writing    text[] := eventlog_private.writing_transactions();
    remembered text[] := (SELECT s.writers FROM eventlog.rollup_state s);
    remaining  text[];
BEGIN
    remaining := ARRAY(SELECT w FROM unnest(writing) AS w
                        WHERE remembered IS NULL OR w = ANY (remembered) OR w LIKE '-1/%' OR w LIKE '0/%');
    UPDATE eventlog.rollup_state s SET writers = remaining WHERE s.writers IS DISTINCT FROM remaining;
    RETURN remaining = '{}';
END
$$;

-- Describes the transactions that are waited for; null if there are none.
CREATE FUNCTION eventlog_private.awaited_writers() RETURNS text
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT eventlog_private.describe_transactions(s.writers,
               ARRAY(SELECT l.pid FROM pg_locks l
                      WHERE l.locktype = 'virtualxid' AND l.granted AND l.virtualtransaction = ANY (s.writers)))
      FROM eventlog.rollup_state s WHERE s.announced_until > s.rolled_until
$$;
