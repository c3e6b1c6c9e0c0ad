-- The id up to which nothing can be missing any more. Ids are drawn in order and committed in any order, so
-- that reading `id > last` skips what commits late. This finds the id without a lock, a column, an index or a
-- trigger on the way of writing:
--
-- 1. A look reads the last id that was drawn, and then who holds the lock for writing. Every writer takes the
--    lock before it draws an id, so that a transaction which is not among them draws a higher one.
-- 2. Once all of them have ended, every event up to that id is committed, and seen by whoever begins a
--    statement now, or never will be.
--
-- Looks are rows that are inserted and never updated, since a reader in a long transaction would otherwise
-- hold up all others. Whoever reads looks, at most every half second.

-- Returns the last id that was drawn; raises 55000 where ids do not show what is missing.
CREATE FUNCTION eventlog_private.last_drawn_id() RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    ids   regclass := pg_get_serial_sequence('eventlog.events', 'id');
    cache bigint   := (SELECT s.seqcache FROM pg_sequence s WHERE s.seqrelid = ids);
BEGIN
    IF pg_is_in_recovery() THEN
        RAISE EXCEPTION 'consumers cannot read on a standby'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'connect to the primary';
    ELSIF EXISTS (SELECT FROM pg_subscription_rel r
                   WHERE r.srrelid = 'eventlog.events'::regclass
                      OR r.srrelid IN (SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = 'eventlog.events'::regclass)) THEN
        RAISE EXCEPTION 'consumers cannot read where events come from another server'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'The events of a subscription have the ids of their own server, in the order in which they arrive.',
                  HINT = 'connect to the publisher';
    ELSIF cache > 1 THEN
        RAISE EXCEPTION 'consumers need ids that are drawn one by one, but % hands out % at a time', ids, cache
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = format('ALTER SEQUENCE %s CACHE 1;', ids);
    END IF;
    RETURN coalesce(pg_sequence_last_value(ids), 0);
END
$$;

-- Returns the transactions that may have drawn an id and not ended: live ones as pg_locks names them, with
-- their transaction id if they had one just before, and prepared ones, which have no process and only that id.
CREATE FUNCTION eventlog_private.drawing_transactions() RETURNS TABLE (virtualtransaction text, xid bigint, pid integer)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    -- The order of these three looks matters. PREPARE TRANSACTION makes the prepared transaction known, then
    -- moves the locks to it, not all at once, and then leaves the process idle.
    processes constant jsonb    := (SELECT jsonb_object_agg(p.pid, p.xid) FROM eventlog_private.processes() p WHERE NOT p.is_idle);
    locks     constant pg_locks[] := ARRAY(
        SELECT l FROM pg_locks l
         WHERE l.granted
           AND (l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.pid IS NULL
                OR l.locktype = 'relation' AND l.mode = 'RowExclusiveLock' AND l.pid IS DISTINCT FROM pg_backend_pid()
                   AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
                   AND (l.relation = 'eventlog.events'::regclass
                        OR l.relation IN (SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = 'eventlog.events'::regclass))));
    prepared  constant bigint[] := ARRAY(SELECT p.transaction::text::bigint FROM pg_prepared_xacts p WHERE p.database = current_database());
BEGIN
    -- What a process that was idle inserts gets an id that had not been drawn then.
    RETURN QUERY
    SELECT DISTINCT l.virtualtransaction, (processes ->> l.pid::text)::bigint, l.pid
      FROM unnest(locks) AS l
     WHERE l.locktype = 'relation' AND processes ? l.pid::text;

    -- Several prepared transactions can have one name in pg_locks.
    RETURN QUERY
    SELECT (SELECT x.virtualtransaction FROM unnest(locks) AS x WHERE x.transactionid::text::bigint = p), p, NULL::integer
      FROM unnest(prepared) AS p
     WHERE p <> ALL (ARRAY(
        SELECT x.transactionid::text::bigint FROM unnest(locks) AS x
         WHERE x.locktype = 'transactionid'
           AND NOT EXISTS (SELECT FROM unnest(locks) AS l
                            WHERE l.locktype = 'relation' AND l.pid IS NULL AND l.virtualtransaction = x.virtualtransaction)));
END
$$;

-- Returns the id up to which nothing can be missing any more. A transaction with one snapshot for all its
-- statements looks as well, for others, and gets what was certain when its snapshot was taken.
CREATE FUNCTION eventlog_private.certain_id() RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    look_every constant interval := '500 milliseconds';
    most_looks constant integer  := 100;
    has_one_snapshot constant boolean := current_setting('transaction_isolation') <> 'read committed';
    looks    constant eventlog.delivery_looks[] := ARRAY(SELECT l FROM eventlog.delivery_looks l ORDER BY l.id);
    -- What such a transaction itself found certain is so for later snapshots.
    before   constant bigint := coalesce((SELECT max(l.certain_id) FROM unnest(looks) AS l
                                           WHERE NOT has_one_snapshot OR l.looked_by IS DISTINCT FROM pg_current_xact_id_if_assigned()), 0);
    certain  bigint := before;
    last_id  constant bigint := eventlog_private.last_drawn_id();
    since    constant interval := clock_timestamp() - (SELECT max(l.looked_at) FROM unnest(looks) AS l);
    writers  text[];
    next_xid bigint;
BEGIN
    IF since >= '0' AND since < look_every OR current_setting('transaction_read_only')::boolean THEN
        RETURN before;
    END IF;
    -- The looks and the last id were read before this, so that whoever is among their writers and has not ended
    -- is found here. A process that is new since this statement began has drawn a higher id.
    WITH drawing AS MATERIALIZED (
        SELECT * FROM eventlog_private.drawing_transactions()
    )
    SELECT greatest(certain, (
               SELECT max(l.last_id) FROM unnest(looks) AS l
                WHERE NOT EXISTS (
                    SELECT FROM drawing n
                     WHERE CASE WHEN n.pid IS NOT NULL THEN n.virtualtransaction = ANY (l.writers)
                                -- Ids of transactions are compared in a circle of 32 bits.
                                ELSE 'xid ' || n.xid = ANY (l.writers) OR (n.xid - l.next_xid + (1::bigint << 32)) & ((1::bigint << 32) - 1) < 1::bigint << 31 END))),
           (SELECT coalesce(array_agg(DISTINCT w.name), '{}')
              FROM drawing n CROSS JOIN LATERAL (VALUES (CASE WHEN n.pid IS NOT NULL THEN n.virtualtransaction END), ('xid ' || n.xid)) AS w (name)
             WHERE w.name IS NOT NULL),
           (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::numeric % (1::bigint << 32) FROM drawing n WHERE n.xid IS NULL LIMIT 1)
      INTO certain, writers, next_xid;
    IF writers = '{}' THEN
        certain := last_id;
    END IF;
    BEGIN
        -- The newest look that says how far was certain stays, for those whose snapshot does not show this one.
        DELETE FROM eventlog.delivery_looks d
         WHERE d.id IN (SELECT l.id FROM eventlog.delivery_looks l
                         WHERE l.last_id <= before
                           AND l.id <> (SELECT max(m.id) FROM eventlog.delivery_looks m WHERE m.certain_id = before) FOR UPDATE SKIP LOCKED);
    EXCEPTION WHEN serialization_failure THEN
        NULL; -- Somebody else has deleted them since the snapshot.
    END;
    IF (SELECT count(*) FROM eventlog.delivery_looks l WHERE l.last_id > certain) < most_looks THEN
        INSERT INTO eventlog.delivery_looks (certain_id, last_id, writers, next_xid) VALUES (certain, last_id, writers, next_xid);
    END IF;
    RETURN CASE WHEN has_one_snapshot THEN before ELSE certain END;
END
$$;

-- Describes the transactions that keep consumers from reading on; null if there are none.
CREATE FUNCTION eventlog_private.delivery_held_by() RETURNS text
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT eventlog_private.describe_transactions(array_agg(n.virtualtransaction), array_agg(n.pid))
      FROM eventlog_private.drawing_transactions() n
     WHERE EXISTS (SELECT FROM eventlog.delivery_looks l
                    WHERE l.looked_at < clock_timestamp() - interval '1 second'
                      AND (n.virtualtransaction = ANY (l.writers) OR 'xid ' || n.xid = ANY (l.writers)))
$$;
