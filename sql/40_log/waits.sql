-- Waiting for locks: how long, and for which transactions.

-- Returns eventlog.lock_timeout in milliseconds, or its default while the library is not loaded.
CREATE FUNCTION eventlog_private.lock_timeout_ms() RETURNS integer
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce((SELECT s.setting::integer FROM pg_settings s WHERE s.name = 'eventlog.lock_timeout'), 5000)
$$;

-- Limits the waits that follow to eventlog.lock_timeout, unless the session's lock_timeout is shorter, and
-- returns the session's value, to be set again afterwards. After an error PostgreSQL restores it.
CREATE FUNCTION eventlog_private.bound_lock_timeout() RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    former     text    := current_setting('lock_timeout');
    former_ms  integer := (SELECT setting FROM pg_settings WHERE name = 'lock_timeout');
    longest_ms integer := eventlog_private.lock_timeout_ms();
BEGIN
    PERFORM set_config('lock_timeout',
        (CASE WHEN former_ms BETWEEN 1 AND longest_ms THEN former_ms ELSE longest_ms END)::text, true);
    RETURN former;
END
$$;

-- Returns the longest wait, in milliseconds, of one attempt to get a lock that others wait behind: a strong
-- lock on events holds up every writer. It is far below PostgreSQL's deadlock_timeout, so that no attempt
-- is part of a deadlock whose victim is a writer.
CREATE FUNCTION eventlog_private.longest_wait_ms() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS 'SELECT 50';

-- Limits the waits that follow to longest_wait_ms(), unless the session's lock_timeout is shorter.
CREATE FUNCTION eventlog_private.limit_waits() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    session_ms integer := (SELECT nullif(setting, '0') FROM pg_settings WHERE name = 'lock_timeout');
BEGIN
    PERFORM set_config('lock_timeout', least(session_ms, eventlog_private.longest_wait_ms())::text, true);
END
$$;

-- Lists the transactions, prepared ones too, that hold a lock in one of these modes on the log: on its
-- relations, on the other side of their foreign keys, or one of take_lock().
CREATE FUNCTION eventlog_private.lock_holders(modes text[]) RETURNS TABLE (virtualtransaction text, pid integer)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH relations AS MATERIALIZED (
        SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'eventlog'::regnamespace AND c.relkind IN ('r', 'p')
         UNION
        SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = to_regclass('eventlog.events')
         UNION
        SELECT k.confrelid FROM pg_constraint k WHERE k.conrelid = to_regclass('eventlog.events') AND k.contype = 'f'
         UNION
        SELECT k.conrelid FROM pg_constraint k WHERE k.confrelid = to_regclass('eventlog.events') AND k.contype = 'f'
    )
    SELECT DISTINCT l.virtualtransaction, l.pid
      FROM pg_locks l
     WHERE l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
       AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
       AND (l.locktype = 'relation' AND l.mode = ANY (modes) AND l.relation IN (SELECT r.oid FROM relations r)
            OR l.locktype = 'object' AND l.classid = 'pg_class'::regclass AND l.objsubid > 10000
               AND l.objid = to_regclass('eventlog.events'))
$$;

-- Describes transactions.
CREATE FUNCTION eventlog_private.describe_transactions(virtualtransactions text[], pids integer[]) RETURNS text
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT nullif(concat_ws('; ',
        (SELECT string_agg(format('prepared transaction %L of role %I, prepared at %s UTC', x.gid, x.owner,
                                  to_char(x.prepared AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')), '; ' ORDER BY x.prepared)
           FROM pg_prepared_xacts x
          WHERE x.database = current_database()
            AND x.transaction IN (SELECT l.transactionid FROM pg_locks l
                                   WHERE l.locktype = 'transactionid' AND l.granted AND l.pid IS NULL
                                     AND l.virtualtransaction = ANY (virtualtransactions))),
        eventlog_private.describe_processes(array_remove(pids, NULL))), '')
$$;

CREATE FUNCTION eventlog_private.describe_lock_holders(modes text[]) RETURNS text
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT eventlog_private.describe_transactions(array_agg(h.virtualtransaction), array_agg(h.pid)) FROM eventlog_private.lock_holders(modes) h
$$;

-- Returns the modes of locks that conflict with a lock of this mode.
CREATE FUNCTION eventlog_private.conflicting_modes(mode text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE mode
           WHEN 'AccessExclusiveLock' THEN ARRAY['AccessShareLock', 'RowShareLock', 'RowExclusiveLock'] ELSE '{}' END
        || CASE mode WHEN 'ShareRowExclusiveLock' THEN ARRAY['RowExclusiveLock'] ELSE '{}' END
        || ARRAY['ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock']
$$;

-- Returns the time until which a command of the owner keeps trying to get its locks: after the session's
-- lock_timeout, or eventlog.lock_timeout if the session has none.
CREATE FUNCTION eventlog_private.lock_deadline() RETURNS timestamptz
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT clock_timestamp() + interval '1 ms' *
        coalesce((SELECT nullif(s.setting, '0')::integer FROM pg_settings s WHERE s.name = 'lock_timeout'),
                 eventlog_private.lock_timeout_ms())
$$;
