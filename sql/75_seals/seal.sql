-- Phase "seal": seals whole days below the watermark of the rollups, for every tenant. By then all of their
-- events are committed, or noted as late.
--
-- A day is sealed once. What comes to it later is noted in unsealed_events when the rollups have counted it,
-- and sealed in a supplement along with the next day. Nothing of this costs the insert anything.

-- Returns the end of what is sealed; -infinity if nothing is. A log of an older layout has no seals.
CREATE FUNCTION eventlog_private.sealed_until() RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regclass('eventlog.seal_state') IS NULL THEN
        RETURN '-infinity';
    END IF;
    RETURN coalesce((SELECT s.sealed_until FROM eventlog.seal_state s), '-infinity');
END
$$;

-- Returns the time below which whole days can be sealed, or will be once the rollups reach until
-- `counted_until`.
CREATE FUNCTION eventlog_private.sealable_until(counted_until timestamptz DEFAULT NULL) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT date_trunc('day', least(coalesce(counted_until, (SELECT s.rolled_until FROM eventlog.rollup_state s)), now()), 'UTC')
$$;

-- Returns the time below which retention may delete events: a log with seals seals them first. A dump may be
-- without the row of seal_state.
CREATE FUNCTION eventlog_private.deletable_until(counted_until timestamptz DEFAULT NULL) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce((SELECT CASE WHEN counted_until IS NOT NULL THEN eventlog_private.sealable_until(counted_until) ELSE s.sealed_until END
                       FROM eventlog.seal_state s WHERE s.is_on), 'infinity')
$$;

-- Stores the seals and blocks of the last pass. `days` are those that get a digest each, numbered from base + 1;
-- a seal of another day goes to the last.
CREATE FUNCTION eventlog_private.store_seals(days date[], base bigint) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    sealed   record;
    former   uuid;
    number   bigint;
    part     integer;
    previous bytea;
BEGIN
    FOR sealed IN SELECT * FROM eventlog_private.sealed_seals() LOOP
        IF sealed.tenant_id IS DISTINCT FROM former THEN
            former := sealed.tenant_id;
            SELECT s.number, eventlog._seal_hash(s.tenant_id, s.number, s.day, s.part, s.events, s.root, s.previous)
              INTO number, previous
              FROM eventlog.seals s WHERE s.tenant_id = former ORDER BY s.number DESC LIMIT 1;
        END IF;
        number := coalesce(number, 0) + 1;
        previous := coalesce(previous, decode(repeat('00', 32), 'hex'));
        part := coalesce((SELECT max(s.part) + 1 FROM eventlog.seals s WHERE s.tenant_id = sealed.tenant_id AND s.day = sealed.day), 0);
        INSERT INTO eventlog.seals (tenant_id, number, day, part, events, root, previous, digest)
        VALUES (sealed.tenant_id, number, sealed.day, part, sealed.events, sealed.root, previous,
                base + coalesce(array_position(days, sealed.day), cardinality(days)));
        previous := eventlog._seal_hash(sealed.tenant_id, number, sealed.day, part, sealed.events, sealed.root, previous);
    END LOOP;
    INSERT INTO eventlog.seal_blocks (tenant_id, day, part, block, events, first_name, first_at, first_id, lowest_id, highest_id,
                                      hash, seeds, keys)
    SELECT b.tenant_id, b.day, s.part, b.block, b.events, b.first_name, b.first_at, b.first_id, b.lowest_id, b.highest_id,
           b.hash, b.seeds, b.keys
      FROM eventlog_private.sealed_blocks() b
      JOIN (SELECT n.tenant_id, n.day, max(n.part) AS part FROM eventlog.seals n WHERE n.digest > base GROUP BY n.tenant_id, n.day) s
        ON s.tenant_id = b.tenant_id AND s.day = b.day;
END
$$;

-- Returns the hashes of what a digest covers: its seals by tenant and number, and then its receipts by id.
CREATE FUNCTION eventlog_private.digest_leaves(digest bigint) RETURNS bytea[]
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT ARRAY(SELECT eventlog._seal_hash(s.tenant_id, s.number, s.day, s.part, s.events, s.root, s.previous)
                   FROM eventlog.seals s WHERE s.digest = digest_leaves.digest ORDER BY s.tenant_id, s.number)
        || ARRAY(SELECT eventlog._receipt_hash(r.tenant_id, r.id, r.first_day, r.last_day, r.events, r.call, r.role_name, r.at)
                   FROM eventlog.seal_receipts r WHERE r.digest = digest_leaves.digest ORDER BY r.id)
$$;

-- Makes the digests of these days, numbered from base + 1. The last covers the receipts since the digest before.
CREATE FUNCTION eventlog_private.make_digests(days date[], base bigint) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    previous bytea := coalesce((SELECT d.digest FROM eventlog.seal_digests d WHERE d.number = base), decode(repeat('00', 32), 'hex'));
    root     bytea;
BEGIN
    UPDATE eventlog.seal_receipts r SET digest = base + cardinality(days) WHERE r.digest IS NULL;
    FOR place IN 1 .. cardinality(days) LOOP
        root := eventlog._tree_root(eventlog_private.digest_leaves(base + place));
        INSERT INTO eventlog.seal_digests (number, day, root, previous, digest)
        VALUES (base + place, days[place], root, previous, eventlog._day_digest(base + place, days[place], root, previous))
        RETURNING digest INTO previous;
    END LOOP;
END
$$;

-- Runs the pass over the events e of `source`, a FROM clause with its WHERE, which may have the parameters $1 to
-- $3: since, until and tenants. `is_supplement` is an expression. Returns the number of events.
CREATE FUNCTION eventlog_private.seal_pass(source text, is_supplement text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
                                           tenants uuid[] DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET jit = off
SET work_mem = '4MB'
SET parallel_leader_participation = on
SET max_parallel_workers_per_gather = 0
AS $$
DECLARE
    events bigint;
BEGIN
    PERFORM set_config('work_mem', current_setting('maintenance_work_mem'), true),
            set_config('max_parallel_workers_per_gather', current_setting('max_parallel_maintenance_workers'), true);
    -- Digests are made below the sort, by workers where they can be had. INTO of EXECUTE does not forbid them,
    -- and the backend's id keeps the aggregate out of them, where nobody would find what it made.
    EXECUTE format('SELECT eventlog_private.seal_events(x.tenant_id, x.day, x.is_supplement, x.name, x.created_at, x.id, x.digest),
                           pg_backend_pid()
                      FROM (SELECT e.tenant_id, (e.created_at AT TIME ZONE ''UTC'')::date AS day, %s AS is_supplement, e.name, e.created_at, e.id,
                                   eventlog._event_digest(e.id, e.tenant_id, e.name, e.data, e.actor, e.subject, e.occurred_at,
                                                          e.created_at, e.weight) AS digest
                              FROM %s
                             ORDER BY e.tenant_id, (e.created_at AT TIME ZONE ''UTC'')::date, e.name COLLATE "C", e.created_at, e.id) x',
                   is_supplement, source)
       INTO events USING since, until, tenants;
    RETURN events;
END
$$;

-- Seals the late events of sealed days in supplements, and returns their number.
CREATE FUNCTION eventlog_private.seal_late_events(days date[], base bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- A note whose time has no partition waits: the partition may be detached and come back.
    is_there constant text := 'u.created_at <@ (SELECT eventlog_private.partitioned_time())
                               OR EXISTS (SELECT FROM eventlog.events n WHERE n.id = u.id AND n.created_at = u.created_at)';
    events   bigint;
    tenants  uuid[];
    names    text[];
    since    timestamptz;
BEGIN
    IF NOT EXISTS (SELECT FROM eventlog.unsealed_events) THEN
        RETURN 0;
    END IF;
    SELECT array_agg(DISTINCT e.tenant_id), array_agg(DISTINCT e.name), min(e.created_at) INTO tenants, names, since
      FROM eventlog.unsealed_events u JOIN eventlog.events e ON e.id = u.id AND e.created_at = u.created_at;
    events := eventlog_private.seal_pass(
        'eventlog.unsealed_events u JOIN eventlog.events e ON e.id = u.id AND e.created_at = u.created_at',
        'EXISTS (SELECT FROM eventlog.seals s WHERE s.tenant_id = e.tenant_id AND s.day = (e.created_at AT TIME ZONE ''UTC'')::date)');
    PERFORM eventlog_private.store_seals(days, base);
    EXECUTE format('DELETE FROM eventlog.unsealed_events u WHERE %s', is_there);
    -- Retention left them alone until now.
    PERFORM eventlog_private.reopen_retention(tenants, names, since);
    RETURN events;
END
$$;

-- Seals the next stretch of days, and returns the number of events. With the last stretch go the late events of
-- the days before.
CREATE FUNCTION eventlog_private.seal_days() RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    until     timestamptz := eventlog_private.sealable_until();
    since     timestamptz := eventlog_private.sealed_until();
    base      bigint      := coalesce((SELECT max(d.number) FROM eventlog.seal_digests d), 0);
    stretch   timestamptz;
    partition record;
    tenants   uuid[];
    days      date[];
    is_again  boolean;
    events    bigint;
BEGIN
    IF since = '-infinity' THEN
        since := date_trunc('day', (SELECT min(e.created_at) FROM eventlog.events e WHERE e.created_at > '-infinity' AND e.created_at < until), 'UTC');
        -- A log without events begins with the last day, so that retention does not wait for its first one.
        since := coalesce(since, until - interval '1 day');
    END IF;
    IF since >= until THEN
        RETURN 0;
    END IF;
    SELECT p.* INTO partition FROM eventlog._partitions p
     WHERE p.until_at > since AND p.from_at < until ORDER BY p.from_at LIMIT 1;
    stretch := until;
    IF FOUND THEN
        stretch := eventlog_private.stretch_of(partition.partition_oid, partition.from_at, since, least(until, partition.until_at));
        -- A day at least, which may lie in several partitions.
        stretch := least(until, greatest(date_trunc('day', stretch, 'UTC'), since + interval '1 day'));
        IF since >= partition.from_at AND stretch <= partition.until_at
           AND (since > partition.from_at OR stretch < partition.until_at) THEN
            tenants := eventlog_private.tenants_in(partition.partition_oid);
        END IF;
    END IF;

    -- Days are sealed again after the clock, and with it the watermark, was taken back.
    is_again := EXISTS (SELECT FROM eventlog.seals s WHERE s.day >= since::date);
    events := eventlog_private.seal_pass(
        'eventlog.events e WHERE e.created_at >= $1 AND e.created_at < $2'
            || CASE WHEN tenants IS NULL THEN '' ELSE ' AND e.tenant_id = ANY ($3)' END
            || ' AND NOT EXISTS (SELECT FROM eventlog.late_events l WHERE l.id = e.id AND l.created_at = e.created_at)
                 AND NOT EXISTS (SELECT FROM eventlog.unsealed_events u WHERE u.id = e.id AND u.created_at = e.created_at)'
            || CASE WHEN is_again THEN ' AND NOT EXISTS (SELECT FROM eventlog.seal_blocks b, eventlog._seal_keys(b.keys) k
                                                          WHERE b.tenant_id = e.tenant_id AND b.day = (e.created_at AT TIME ZONE ''UTC'')::date
                                                            AND k.id = e.id AND k.created_at = e.created_at)' ELSE '' END,
        CASE WHEN is_again THEN 'EXISTS (SELECT FROM eventlog.seals s WHERE s.tenant_id = e.tenant_id AND s.day = (e.created_at AT TIME ZONE ''UTC'')::date)'
             ELSE 'false' END,
        since, stretch, tenants);
    days := ARRAY(SELECT s.day FROM eventlog_private.sealed_seals() s UNION SELECT (stretch - interval '1 day')::date ORDER BY 1);
    PERFORM eventlog_private.store_seals(days, base);
    UPDATE eventlog.seal_state SET sealed_until = stretch;
    IF stretch = until THEN
        events := events + eventlog_private.seal_late_events(days, base);
    END IF;
    PERFORM eventlog_private.make_digests(days, base);
    PERFORM eventlog_private.let_erased_tenants_go(base);
    RETURN events;
END
$$;

-- Seals late events in supplements with a digest of their own, and returns their number.
CREATE FUNCTION eventlog_private.seal_supplements() RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    base   bigint := coalesce((SELECT max(d.number) FROM eventlog.seal_digests d), 0);
    days   date[] := ARRAY[(eventlog_private.sealed_until() - interval '1 day')::date];
    events bigint := eventlog_private.seal_late_events(days, base);
BEGIN
    IF events > 0 THEN
        PERFORM eventlog_private.make_digests(days, base);
        PERFORM eventlog_private.let_erased_tenants_go(base);
    END IF;
    RETURN events;
END
$$;

-- Late events are sealed with the next day, or at once where a retention waits for that.
CREATE FUNCTION eventlog_private.due_seal(counted_until timestamptz) RETURNS TABLE (task text, description text)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH seals AS (
        SELECT eventlog_private.sealable_until(counted_until) AS until, s.sealed_until AS since FROM eventlog.seal_state s WHERE s.is_on
    ), task AS (
        SELECT s.*, s.since < s.until AS has_days FROM seals s
    )
    SELECT 'days', format('seal the days until %s', t.until) FROM task t WHERE t.has_days
     UNION ALL
    SELECT 'late events', 'seal late events that are past a retention' FROM task t
     WHERE NOT t.has_days
       AND EXISTS (SELECT FROM eventlog.unsealed_events u
                    WHERE u.created_at < (SELECT max(r.cutoff) FROM eventlog_private.retention_rules(counted_until) r))
$$;

CREATE FUNCTION eventlog_private.do_seal(task text, OUT action text, OUT rows bigint, OUT is_more boolean, OUT failure text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF task = 'days' THEN
        rows := eventlog_private.seal_days();
        is_more := EXISTS (SELECT FROM eventlog_private.due_seal(NULL) d WHERE d.task = 'days');
        action := 'sealed %s events';
    ELSE
        rows := eventlog_private.seal_supplements();
        action := 'sealed %s late events';
    END IF;
END
$$;

-- The watermark was taken back, and with it the end of what is sealed. Days from there on that are sealed already
-- are sealed again when they are over: their seals list their events, so that the others are told from them.
CREATE FUNCTION eventlog_private.take_seals_back(back timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
BEGIN
    IF eventlog_private.sealed_until() > back THEN
        PERFORM eventlog_private.list_events_of_seals(d.tenant_id, d.day)
           FROM (SELECT DISTINCT s.tenant_id, s.day FROM eventlog.seals s WHERE s.day >= back::date) d;
        UPDATE eventlog.seal_state SET sealed_until = back;
    END IF;
END
$$;

-- Returns true if a seal lists the event.
CREATE FUNCTION eventlog_private.is_listed(tenant uuid, id bigint, created_at timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN to_regclass('eventlog.seal_blocks') IS NOT NULL AND EXISTS (
        SELECT FROM eventlog.seal_blocks b, eventlog._seal_keys(b.keys) k
         WHERE b.day = (is_listed.created_at AT TIME ZONE 'UTC')::date AND b.tenant_id = tenant
           AND k.id = is_listed.id AND k.created_at = is_listed.created_at);
END
$$;
