-- Waiting for locks: for how long, and which transactions are in the way.

-- Bounds the waits that follow by eventlog.lock_timeout, unless the session's own lock_timeout is
-- shorter; returns the latter, to be set again. (After an error PostgreSQL sets it again itself.)
CREATE FUNCTION eventlog_private.bound_lock_timeout() RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    former     text    := current_setting('lock_timeout');
    former_ms  integer := (SELECT setting FROM pg_settings WHERE name = 'lock_timeout');
    -- Not a setting yet where the library is not loaded yet.
    longest_ms integer := coalesce((SELECT setting FROM pg_settings WHERE name = 'eventlog.lock_timeout')::integer, 5000);
BEGIN
    PERFORM set_config('lock_timeout',
        (CASE WHEN former_ms BETWEEN 1 AND longest_ms THEN former_ms ELSE longest_ms END)::text, true);
    RETURN former;
END
$$;

-- How long one attempt may wait for a lock that others wait behind, in milliseconds: a strong lock on
-- events holds every writer up. It is far below PostgreSQL's deadlock_timeout, so that no attempt is
-- ever part of a deadlock that a writer is made to pay for.
CREATE FUNCTION eventlog_private.longest_wait_ms() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS 'SELECT 50';

-- Bounds the waits that follow by that, unless the session's own lock_timeout is shorter.
CREATE FUNCTION eventlog_private.keep_waits_short() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    session_ms integer := (SELECT nullif(setting, '0') FROM pg_settings WHERE name = 'lock_timeout');
BEGIN
    PERFORM set_config('lock_timeout', least(session_ms, eventlog_private.longest_wait_ms())::text, true);
END
$$;

-- Transactions that hold a lock of the log in one of these modes, prepared ones too: on its relations,
-- on what their foreign keys refer to, or one that only the owner can take.
CREATE FUNCTION eventlog_private.holders(modes text[]) RETURNS TABLE (virtualtransaction text, pid integer)
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

-- Says who they are.
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

CREATE FUNCTION eventlog_private.describe_holders(modes text[]) RETURNS text
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT eventlog_private.describe_transactions(array_agg(h.virtualtransaction), array_agg(h.pid)) FROM eventlog_private.holders(modes) h
$$;

-- The modes of locks with which a wish for one of that mode is in conflict.
CREATE FUNCTION eventlog_private.modes_against(wish text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE wish
           WHEN 'AccessExclusiveLock' THEN ARRAY['AccessShareLock', 'RowShareLock', 'RowExclusiveLock'] ELSE '{}' END
        || CASE wish WHEN 'ShareRowExclusiveLock' THEN ARRAY['RowExclusiveLock'] ELSE '{}' END
        || ARRAY['ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock']
$$;

-- Until when a command of the owner's tries again to get the locks that it needs: for the session's
-- lock_timeout, or if it has none for eventlog.lock_timeout.
CREATE FUNCTION eventlog_private.lock_deadline() RETURNS timestamptz
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    -- Not a setting yet where the library is not loaded yet.
    SELECT clock_timestamp() + interval '1 ms' *
        coalesce((SELECT nullif(s.setting, '0')::integer FROM pg_settings s WHERE s.name = 'lock_timeout'),
                 (SELECT s.setting::integer FROM pg_settings s WHERE s.name = 'eventlog.lock_timeout'), 5000)
$$;
