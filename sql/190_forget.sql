-- Erasing an actor or a tenant: everywhere, in batches that commit, to be called again where it was
-- cut short.
--
-- Each transaction holds the lock of maintenance, so that no rollup is made of rows that are on
-- their way out; and events go before rollups, so that no later one is.

-- Begins a transaction of a procedure that commits: as the log's owner, with a search path of no
-- strangers, and with bounded waits for locks. No SET clause here: it would undo all that on return.
CREATE FUNCTION eventlog._begin_step() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    PERFORM pg_catalog.set_config('role', (
        SELECT r.rolname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) c.relowner
         WHERE c.oid OPERATOR(pg_catalog.=) 'eventlog.events'::pg_catalog.regclass), true);
    PERFORM eventlog._bound_lock_timeout();
END
$$;

-- Waits for the step of maintenance, or of another erasure, that runs now, as long as the session's
-- own lock_timeout lets it: nobody waits for us meanwhile.
CREATE FUNCTION eventlog._lock_maintenance() RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('eventlog maintain', 0))
$$;

-- The keyed hash that the log stores instead of an actor; null where no key was ever accepted.
-- 55000 where the file does not hold the key that was: what cannot be looked for is not passed over.
CREATE FUNCTION eventlog._hash_actor(actor text) RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hash_actor_wrapper';

-- The actor that a quarantined payload names under the actor_key of its name; null where there is
-- none, or where the payload cannot be read.
CREATE FUNCTION eventlog._quarantined_actor(name text, data text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    key text := (
        SELECT t.actor_key FROM eventlog.event_types t
         WHERE t.name = _quarantined_actor.name
            OR (t.name LIKE '%.*' AND starts_with(_quarantined_actor.name, left(t.name, -1)))
         ORDER BY t.name = _quarantined_actor.name DESC, length(t.name) DESC
         LIMIT 1);
BEGIN
    IF key IS NULL OR data IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN data::jsonb ->> key;
EXCEPTION
    WHEN data_exception OR program_limit_exceeded THEN
        RETURN NULL;
END
$$;

-- Where to look, in this order: the rows t to erase, of tenant $1 and actors $2. Of counts that name
-- no actor only a tenant's go. What goes along with its event is counted by itself in a dry run only.
CREATE FUNCTION eventlog._erasure_targets(kind text)
RETURNS TABLE (stage integer, relation text, counted_as text, condition text, goes_with_events boolean)
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    -- Whatever partitions there are: a DEFAULT one, and one that is being detached, too.
    SELECT 20, format('%I.%I', n.nspname, c.relname), 'events',
           't.tenant_id = $1' || CASE kind WHEN 'actor' THEN ' AND t.actor = ANY ($2)' ELSE '' END, false
      FROM pg_inherits i
      JOIN pg_class c ON c.oid = i.inhrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE i.inhparent = to_regclass('eventlog.events')
    UNION ALL
    SELECT o.stage, format('eventlog.%I', o.table_name), o.table_name, o.condition, o.stage = 10
      FROM (VALUES
        -- First, so that nobody logs as the tenant any more: without its row a role has no tenant.
        ('tenant', 11, 'tenant_roles',     't.tenant_id = $1'),
        -- Who opted out stays so.
        ('tenant', 12, 'tenant_settings',  't.tenant_id = $1 AND NOT t.is_opted_out'),
        ('tenant', 31, 'rejected_events',  '(t.tenant_id = $1 OR t.claimed_tenant_id = $1)'),
        ('tenant', 32, 'idempotency_keys', 't.tenant_id = $1'),
        ('tenant', 33, 'hygiene_counts',   't.tenant_id = $1'),
        ('tenant', 41, 'late_events',      't.tenant_id = $1'),
        ('tenant', 42, 'hourly_counts',    't.tenant_id = $1'),
        ('tenant', 43, 'daily_counts',     't.tenant_id = $1'),
        ('tenant', 44, 'daily_subjects',   't.tenant_id = $1'),
        ('tenant', 45, 'monthly_actors',   't.tenant_id = $1'),
        ('actor',  10, 'idempotency_keys',
            't.tenant_id = $1 AND EXISTS (SELECT FROM eventlog.events e WHERE e.id = t.event_id
                AND e.created_at = t.created_at AND e.tenant_id = $1 AND e.actor = ANY ($2))'),
        ('actor',  10, 'late_events',
            't.tenant_id = $1 AND EXISTS (SELECT FROM eventlog.events e WHERE e.id = t.id
                AND e.created_at = t.created_at AND e.tenant_id = $1 AND e.actor = ANY ($2))'),
        -- The quarantine keeps the first 200 characters; and what would have become the actor.
        ('actor',  31, 'rejected_events',
            '(t.tenant_id = $1 OR t.claimed_tenant_id = $1)
             AND (t.actor = ANY (ARRAY(SELECT left(a, 200) FROM unnest($2) a))
                  OR (t.actor IS NULL AND eventlog._quarantined_actor(t.name, t.data) = ANY ($2)))'),
        ('actor',  45, 'monthly_actors',   't.tenant_id = $1 AND t.actor = ANY ($2)')
      ) AS o (kind, stage, table_name, condition)
     WHERE o.kind = _erasure_targets.kind AND to_regclass(format('eventlog.%I', o.table_name)) IS NOT NULL
$$;

CREATE FUNCTION eventlog._add_count(counts jsonb, name text, rows bigint) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT counts || jsonb_build_object(name, coalesce((counts ->> name)::bigint, 0) + rows)
$$;

CREATE FUNCTION eventlog._check_forget(kind text, tenant_id uuid, actor text, dry_run boolean) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    missing text := CASE WHEN tenant_id IS NULL THEN 'tenant_id'
                         WHEN kind = 'actor' AND actor IS NULL THEN 'actor'
                         WHEN dry_run IS NULL THEN 'dry_run' END;
    strange regclass;
BEGIN
    PERFORM eventlog._require_owner(current_user::regrole);
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION '% must not be null', missing USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF to_regclass('eventlog.erasures') IS NULL THEN
        RAISE EXCEPTION 'this log has no table for receipts of erasures yet'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'SELECT eventlog.create_log();';
    END IF;
    SELECT p.oid INTO strange FROM pg_inherits i
      JOIN pg_class p ON p.oid = i.inhrelid
      JOIN pg_class e ON e.oid = i.inhparent
     WHERE e.oid = to_regclass('eventlog.events') AND p.relowner <> e.relowner LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'partition % does not belong to the log''s owner', strange
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'a superuser types: SELECT eventlog.create_log();';
    END IF;
END
$$;

-- A dry run: how many rows there are to erase.
CREATE FUNCTION eventlog._count_erasable(kind text, tenant_id uuid, actors text[]) RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target record;
    found  bigint;
    counts jsonb := '{}';
BEGIN
    FOR target IN SELECT * FROM eventlog._erasure_targets(kind) LOOP
        EXECUTE format('SELECT count(*) FROM %s t WHERE %s', target.relation, target.condition)
           INTO found USING tenant_id, actors;
        counts := eventlog._add_count(counts, target.counted_as, found);
    END LOOP;
    RETURN counts;
END
$$;

-- The receipt of the same erasure that was cut short, or a new one.
CREATE FUNCTION eventlog._open_receipt(kind text, tenant_id uuid, actor text, role_name name) RETURNS uuid
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    person  bytea := sha256(convert_to(actor, 'UTF8'));
    number  uuid;
    nothing jsonb;
BEGIN
    SELECT coalesce(jsonb_object_agg(t.counted_as, 0), '{}') INTO nothing FROM eventlog._erasure_targets(kind) t;
    SELECT e.id INTO number FROM eventlog.erasures e
     WHERE e.finished_at IS NULL AND e.kind = _open_receipt.kind AND e.tenant_id = _open_receipt.tenant_id
       AND e.actor_digest IS NOT DISTINCT FROM sha256(uuid_send(e.id) || person)
     ORDER BY e.started_at LIMIT 1;
    IF number IS NOT NULL THEN
        UPDATE eventlog.erasures e SET calls = e.calls + 1, erased = nothing || e.erased WHERE e.id = number;
    ELSE
        number := gen_random_uuid();
        INSERT INTO eventlog.erasures (id, kind, tenant_id, role_name, erased, actor_digest)
        VALUES (number, _open_receipt.kind, _open_receipt.tenant_id, _open_receipt.role_name, nothing,
                sha256(uuid_send(number) || person));
    END IF;
    RETURN number;
END
$$;

-- Adds to the receipt, in the transaction that erased: it counts what is gone, whenever the call ends.
CREATE FUNCTION eventlog._add_to_receipt(receipt uuid, counted_as text, rows bigint, relation text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE eventlog.erasures e
       SET erased     = eventlog._add_count(e.erased, counted_as, rows),
           to_analyze = CASE WHEN rows = 0 OR relation = ANY (e.to_analyze) THEN e.to_analyze
                             ELSE e.to_analyze || relation END
     WHERE e.id = receipt;
END
$$;

-- maintain() rewrites a partition that lost rows, once it is closed: until then their bytes stay.
CREATE FUNCTION eventlog._note_thinned(partition regclass, rows bigint) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF rows > 0 AND to_regclass('eventlog.thinned_partitions') IS NOT NULL THEN
        INSERT INTO eventlog.thinned_partitions AS t (partition_name, deleted_rows)
        SELECT c.relname, rows FROM pg_class c WHERE c.oid = partition
        ON CONFLICT (partition_name) DO UPDATE SET deleted_rows = t.deleted_rows + excluded.deleted_rows;
    END IF;
END
$$;

-- 55000 where rows are still there that a DELETE has passed: a trigger or a rule kept them, and a
-- receipt must not say that they went.
CREATE FUNCTION eventlog._require_gone(relation text, ctids tid[], condition text, tenant_id uuid, actors text[])
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    kept bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM %s t WHERE t.ctid = ANY ($3) AND %s', relation, condition)
       INTO kept USING tenant_id, actors, ctids;
    IF kept > 0 THEN
        RAISE EXCEPTION '% rows of % cannot be erased: a trigger or a rule keeps them', kept, relation
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('\d %s, and mend what is not the log''s own; then call again', relation);
    END IF;
END
$$;

-- Events that are older have no idempotency key, so that the keys, which have no index by event, are
-- not searched for each batch. A key is claimed in its event's transaction, and has its time; one of
-- a transaction that is still open may be older than those that are seen.
CREATE FUNCTION eventlog._oldest_key(tenant_id uuid) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT least(min(k.created_at), now() - interval '1 day')
      FROM eventlog.idempotency_keys k WHERE k.tenant_id = _oldest_key.tenant_id
$$;

-- What goes along with events of an actor that went.
CREATE FUNCTION eventlog._erase_with_events(receipt uuid, tenant_id uuid, ids bigint[], last_at timestamptz,
                                            keys_since timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    erased bigint;
BEGIN
    IF last_at >= keys_since THEN
        DELETE FROM eventlog.idempotency_keys k USING unnest(ids) AS gone (id)
         WHERE k.tenant_id = _erase_with_events.tenant_id AND k.event_id = gone.id;
        GET DIAGNOSTICS erased = ROW_COUNT;
        PERFORM eventlog._add_to_receipt(receipt, 'idempotency_keys', erased, 'eventlog.idempotency_keys');
    END IF;
    IF to_regclass('eventlog.late_events') IS NOT NULL THEN
        DELETE FROM eventlog.late_events l USING unnest(ids) AS gone (id)
         WHERE l.tenant_id = _erase_with_events.tenant_id AND l.id = gone.id;
        GET DIAGNOSTICS erased = ROW_COUNT;
        PERFORM eventlog._add_to_receipt(receipt, 'late_events', erased, 'eventlog.late_events');
    END IF;
END
$$;

-- One batch of the table at (stage, relation), or of the next one where that is done or gone; stage
-- is null after the last. Events are walked by created_at, from where the last batch ended, along
-- the tenant's index; rows of one time are found again until they are gone.
CREATE FUNCTION eventlog._erase_batch(
    receipt uuid, kind text, tenant_id uuid, actors text[], keys_since timestamptz,
    INOUT stage integer, INOUT relation text, INOUT is_done boolean, INOUT since timestamptz)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    most_rows constant integer := 10000;
    target    record;
    ctids     tid[];
    ids       bigint[];
    erased    bigint;
    is_events boolean;
BEGIN
    SELECT s.* INTO target FROM (
        SELECT t.*, row_number() OVER in_order AS place, count(*) OVER () AS places
          FROM eventlog._erasure_targets(kind) t WHERE NOT t.goes_with_events
        WINDOW in_order AS (ORDER BY t.stage, t.relation COLLATE "C")
    ) s
     WHERE (s.stage, s.relation COLLATE "C") > (stage, relation)
        OR (NOT is_done AND s.stage = stage AND s.relation = relation)
     ORDER BY s.place LIMIT 1;
    IF NOT FOUND THEN
        stage := NULL;
        RETURN;
    END IF;
    IF is_done OR target.relation <> relation THEN
        since := '-infinity';
    END IF;
    stage := target.stage;
    relation := target.relation;
    is_events := target.counted_as = 'events';

    EXECUTE format('SELECT array_agg(s.ctid), max(s.created_at) FROM (
                        SELECT t.ctid, %s AS created_at FROM %s t WHERE %s %s LIMIT %s) s',
                   CASE WHEN is_events THEN 't.created_at' ELSE 'NULL::timestamptz' END,
                   relation, target.condition,
                   CASE WHEN is_events THEN 'AND t.created_at >= $3 ORDER BY t.created_at' ELSE '' END,
                   most_rows)
       INTO ctids, since USING tenant_id, actors, since;
    is_done := coalesce(cardinality(ctids), 0) < most_rows;
    -- The condition once more: a row may have gone meanwhile, and its place been given to another.
    EXECUTE format('WITH gone AS (DELETE FROM %s t WHERE t.ctid = ANY ($3) AND %s RETURNING %s AS id)
                    SELECT array_agg(id), count(*) FROM gone',
                   relation, target.condition, CASE WHEN is_events THEN 't.id' ELSE 'NULL::bigint' END)
       INTO ids, erased USING tenant_id, actors, ctids;
    IF erased < cardinality(ctids) THEN
        PERFORM eventlog._require_gone(relation, ctids, target.condition, tenant_id, actors);
    END IF;

    PERFORM eventlog._add_to_receipt(receipt, target.counted_as, erased, relation);
    IF is_events THEN
        PERFORM eventlog._note_thinned(relation::regclass, erased);
        IF kind = 'actor' AND erased > 0 THEN
            PERFORM eventlog._erase_with_events(receipt, tenant_id, ids, since, keys_since);
        END IF;
    END IF;
    UPDATE eventlog.erasures e SET progress = format('%s, %s of %s', relation, target.place, target.places)
     WHERE e.id = receipt;
END
$$;

-- Takes the statistics of one table again that lost rows: the planner's samples of a column are its
-- values. True once there is none left. Those of events as a whole exist where somebody typed
-- ANALYZE; taking them again takes every partition's.
CREATE FUNCTION eventlog._analyze_erased(receipt uuid) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    due      text[] := (SELECT e.to_analyze FROM eventlog.erasures e WHERE e.id = receipt);
    relation text   := due[1];
    is_whole boolean;
BEGIN
    IF relation IS NULL THEN
        RETURN true;
    END IF;
    is_whole := EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = to_regclass(relation)
                           AND i.inhparent = 'eventlog.events'::regclass)
        AND EXISTS (SELECT FROM pg_stats s WHERE s.schemaname = 'eventlog' AND s.tablename = 'events' AND s.inherited);
    IF is_whole THEN
        ANALYZE eventlog.events;
        due := ARRAY(SELECT d.name FROM unnest(due) AS d (name)
                      WHERE NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = to_regclass(d.name)
                                           AND i.inhparent = 'eventlog.events'::regclass));
    ELSE
        IF to_regclass(relation) IS NOT NULL THEN
            EXECUTE format('ANALYZE %s', to_regclass(relation));
        END IF;
        due := due[2:];
    END IF;
    UPDATE eventlog.erasures e SET to_analyze = due, progress = 'ANALYZE' WHERE e.id = receipt;
    RETURN cardinality(due) = 0;
END
$$;

-- Finished: from here on nothing in the receipt tells whom it was about.
CREATE FUNCTION eventlog._close_receipt(receipt uuid) RETURNS jsonb
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE eventlog.erasures e SET finished_at = clock_timestamp(), progress = NULL, actor_digest = NULL
     WHERE e.id = receipt
    RETURNING e.erased
$$;

-- The search path is the caller's until the first step has begun: all is qualified.
CREATE PROCEDURE eventlog._forget(kind text, tenant_id uuid, actor text, dry_run boolean,
                                  INOUT receipt uuid, INOUT erased jsonb)
LANGUAGE plpgsql
AS $$
DECLARE
    caller     pg_catalog.name := current_user;
    actors     pg_catalog.text[];
    keys_since pg_catalog.timestamptz;
    stage      pg_catalog.int4 := 0;
    relation   pg_catalog.text := '';
    is_done    pg_catalog.bool := true;
    since      pg_catalog.timestamptz;
BEGIN
    receipt := NULL;
    erased := NULL;
    PERFORM eventlog._check_forget(kind, tenant_id, actor, dry_run);
    -- In a transaction block this is 2D000, before anything is done. What the step before committed
    -- must be seen whatever isolation the session prefers.
    COMMIT;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    PERFORM eventlog._begin_step();
    actors := pg_catalog.array_remove(ARRAY[actor, eventlog._hash_actor(actor)], NULL);
    IF dry_run THEN
        erased := eventlog._count_erasable(kind, tenant_id, actors);
        COMMIT;
        RETURN;
    END IF;
    keys_since := eventlog._oldest_key(tenant_id);
    COMMIT;

    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    PERFORM eventlog._lock_maintenance();
    PERFORM eventlog._begin_step();
    receipt := eventlog._open_receipt(kind, tenant_id, actor, caller);
    LOOP
        COMMIT;
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        PERFORM eventlog._lock_maintenance();
        PERFORM eventlog._begin_step();
        SELECT b.stage, b.relation, b.is_done, b.since INTO stage, relation, is_done, since
          FROM eventlog._erase_batch(receipt, kind, tenant_id, actors, keys_since,
                                     stage, relation, is_done, since) b;
        EXIT WHEN stage IS NULL;
    END LOOP;
    LOOP
        EXIT WHEN eventlog._analyze_erased(receipt);
        COMMIT;
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        PERFORM eventlog._lock_maintenance();
        PERFORM eventlog._begin_step();
    END LOOP;
    erased := eventlog._close_receipt(receipt);
    COMMIT;
END
$$;

-- What the trigger on a table of tenants does, in one transaction that is not ours to end. It does
-- not wait for maintenance either, which would hold up the application.
CREATE FUNCTION eventlog._erase_tenant_rows(tenant_id uuid) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target record;
    erased bigint;
BEGIN
    FOR target IN SELECT * FROM eventlog._erasure_targets('tenant') t ORDER BY t.stage LOOP
        EXECUTE format('DELETE FROM %s t WHERE %s', target.relation, target.condition) USING tenant_id;
        GET DIAGNOSTICS erased = ROW_COUNT;
        IF target.counted_as = 'events' THEN
            PERFORM eventlog._note_thinned(target.relation::regclass, erased);
        END IF;
    END LOOP;
END
$$;

CREATE PROCEDURE eventlog.forget_actor(
    tenant_id uuid,
    actor     text,
    dry_run   boolean DEFAULT false,
    INOUT receipt uuid  DEFAULT NULL,
    INOUT erased  jsonb DEFAULT NULL
)
LANGUAGE plpgsql
AS $$
BEGIN
    CALL eventlog._forget('actor', tenant_id, actor, dry_run, receipt, erased);
END
$$;

COMMENT ON PROCEDURE eventlog.forget_actor(uuid, text, boolean, uuid, jsonb) IS
'Erases an actor of a tenant, plain and as keyed hash: events with their idempotency keys, quarantine, rollups that name actors. Commits in batches, as the log''s owner; where it is cut short the same call goes on. Gives the number of the receipt in erasures, and how many rows went; with dry_run how many would, and no receipt. Give nothing for receipt and erased.';

CREATE PROCEDURE eventlog.forget_tenant(
    tenant_id uuid,
    dry_run   boolean DEFAULT false,
    INOUT receipt uuid  DEFAULT NULL,
    INOUT erased  jsonb DEFAULT NULL
)
LANGUAGE plpgsql
AS $$
BEGIN
    CALL eventlog._forget('tenant', tenant_id, NULL, dry_run, receipt, erased);
END
$$;

COMMENT ON PROCEDURE eventlog.forget_tenant(uuid, boolean, uuid, jsonb) IS
'Erases a tenant: its roles'' rows in tenant_roles, settings (but that it opted out), events, quarantine, idempotency keys, counts and rollups. Commits in batches, as the log''s owner; where it is cut short the same call goes on. Gives the number of the receipt in erasures, and how many rows went; with dry_run how many would, and no receipt. Give nothing for receipt and erased.';
