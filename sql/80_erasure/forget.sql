-- Erasing an actor or a tenant everywhere, in batches that commit. The same call continues an erasure that
-- was interrupted.
--
-- Each transaction holds the lock of maintenance, so that no rollup is made of rows that are about to be
-- erased. Events go before rollups, so that none is made of them later.

CREATE FUNCTION eventlog._check_forget(kind text, tenant_id uuid, actor text, dry_run boolean) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    missing text := CASE WHEN tenant_id IS NULL THEN 'tenant_id'
                         WHEN kind = 'actor' AND actor IS NULL THEN 'actor'
                         WHEN dry_run IS NULL THEN 'dry_run' END;
    strange regclass;
    owner   regrole;
BEGIN
    PERFORM eventlog._require_owner(current_user::regrole);
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION '% must not be null', missing USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF tenant_id = eventlog.all_tenants() THEN
        RAISE EXCEPTION 'all_tenants() is for reports: it has nothing to erase'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'give the tenant''s uuid';
    END IF;
    IF to_regclass('eventlog.erasures') IS NULL THEN
        RAISE EXCEPTION 'the log has no table for receipts of erasures yet'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'SELECT eventlog.create_log();';
    END IF;
    SELECT p.oid, e.relowner INTO strange, owner FROM pg_inherits i
      JOIN pg_class p ON p.oid = i.inhrelid
      JOIN pg_class e ON e.oid = i.inhparent
     WHERE e.oid = to_regclass('eventlog.events') AND p.relowner <> e.relowner LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'partition % does not belong to the log''s owner', strange
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('a superuser types: ALTER TABLE %s OWNER TO %s;', strange, owner);
    END IF;
END
$$;

-- Corrects the counts of events that were logged during the erasure, in its last transaction, while nothing
-- else is counted.
CREATE FUNCTION eventlog_private.settle_erasure(kind text, tenant_id uuid, actors text[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF kind = 'tenant' THEN
        PERFORM eventlog_private.note_survivors_as_late(tenant_id, true);
    ELSIF to_regclass('eventlog.monthly_actors') IS NOT NULL THEN
        WITH counted AS MATERIALIZED (
            SELECT e.name, e.actor, e.data, e.count_keys, e.created_at, (date_trunc('month', e.created_at, 'UTC') AT TIME ZONE 'UTC')::date AS month,
                   1 << (date_part('day', e.created_at AT TIME ZONE 'UTC')::integer - 1) AS day
              FROM eventlog._measured_events() e
             WHERE e.tenant_id = tenant_id AND e.actor = ANY (actors)
               AND e.created_at < (SELECT s.rolled_until FROM eventlog.rollup_state s)
               AND NOT EXISTS (SELECT FROM eventlog.late_events l WHERE l.id = e.id AND l.created_at = e.created_at)
        ), active AS (
            INSERT INTO eventlog.monthly_actors AS r (tenant_id, month, name, actor, days, quarters)
            SELECT tenant_id, e.month, n.name, e.actor, bit_or(e.day), eventlog._quarters(e.created_at)
              FROM counted e CROSS JOIN LATERAL (VALUES (e.name), ('')) AS n (name)
             GROUP BY e.month, n.name, e.actor
            ON CONFLICT ON CONSTRAINT monthly_actors_pkey
            DO UPDATE SET days = r.days | EXCLUDED.days, quarters = eventlog._quarters_union(r.quarters, EXCLUDED.quarters)
        ), first AS (
            INSERT INTO eventlog.first_events AS r (tenant_id, name, actor, first_at)
            SELECT tenant_id, n.name, e.actor, min(e.created_at)
              FROM counted e CROSS JOIN LATERAL (VALUES (e.name), ('')) AS n (name)
             WHERE e.actor <> '' GROUP BY n.name, e.actor
            ON CONFLICT ON CONSTRAINT first_events_pkey DO UPDATE SET first_at = least(r.first_at, EXCLUDED.first_at)
        )
        INSERT INTO eventlog.monthly_key_actors AS r (tenant_id, key, value, name, month, actor, days, quarters)
        SELECT tenant_id, k.key, left(e.data ->> k.key, 200), e.name, e.month, e.actor, bit_or(e.day), eventlog._quarters(e.created_at)
          FROM counted e CROSS JOIN LATERAL unnest(e.count_keys) AS k (key)
         WHERE e.actor <> '' AND e.data ->> k.key IS NOT NULL
         GROUP BY 2, 3, 4, 5, 6
        ON CONFLICT ON CONSTRAINT monthly_key_actors_pkey
        DO UPDATE SET days = r.days | EXCLUDED.days, quarters = eventlog._quarters_union(r.quarters, EXCLUDED.quarters);
    END IF;
END
$$;

-- Analyzes one table that lost rows, because the planner's samples of a column are its values. Returns true
-- if none is left. Statistics of events as a whole exist if somebody typed ANALYZE; renewing them renews
-- those of every partition.
CREATE FUNCTION eventlog_private.analyze_erased(receipt uuid) RETURNS boolean
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

-- All names are qualified, because the search path is the caller's until the first step begins.
CREATE PROCEDURE eventlog_private.forget(kind text, tenant_id uuid, actor text, dry_run boolean,
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
    -- In a transaction block this raises 2D000 before anything is done. SET TRANSACTION lets a step see
    -- what the step before committed, whatever isolation the session prefers.
    COMMIT;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE;
    PERFORM eventlog_private.begin_step();
    actors := pg_catalog.array_remove(ARRAY[actor, eventlog_private.hash_actor(actor)], NULL);
    IF dry_run THEN
        erased := eventlog_private.count_erasable(kind, tenant_id, actors);
        COMMIT;
        RETURN;
    END IF;
    keys_since := eventlog_private.oldest_key(tenant_id);
    COMMIT;

    SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE;
    PERFORM eventlog_private.begin_step();
    PERFORM eventlog_private.wait_for_maintenance();
    receipt := eventlog_private.open_receipt(kind, tenant_id, actor, caller);
    IF kind = 'tenant' THEN
        PERFORM eventlog_private.take_from_keys(tenant_id);
    END IF;
    LOOP
        COMMIT;
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE;
        PERFORM eventlog_private.begin_step();
        PERFORM eventlog_private.wait_for_maintenance();
        SELECT b.stage, b.relation, b.is_done, b.since INTO stage, relation, is_done, since
          FROM eventlog_private.erase_batch(receipt, kind, tenant_id, actors, keys_since,
                                     stage, relation, is_done, since) b;
        EXIT WHEN stage IS NULL;
    END LOOP;
    PERFORM eventlog_private.settle_erasure(kind, tenant_id, actors);
    LOOP
        EXIT WHEN eventlog_private.analyze_erased(receipt);
        COMMIT;
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE;
        PERFORM eventlog_private.begin_step();
        PERFORM eventlog_private.wait_for_maintenance();
    END LOOP;
    erased := eventlog_private.finish_receipt(receipt);
    COMMIT;
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
    CALL eventlog_private.forget('actor', tenant_id, actor, dry_run, receipt, erased);
END
$$;

COMMENT ON PROCEDURE eventlog.forget_actor(uuid, text, boolean, uuid, jsonb) IS
'Erases an actor of a tenant, plain and as keyed hash: events with their idempotency keys, quarantined events, and rollups that name actors. Commits in batches, as the log''s owner; the same call continues an interrupted erasure. Returns the id of the receipt in erasures and the number of erased rows; with dry_run, the number of rows that it would erase, and no receipt. Leave out receipt and erased.';

CREATE PROCEDURE eventlog.forget_tenant(
    tenant_id uuid,
    dry_run   boolean DEFAULT false,
    INOUT receipt uuid  DEFAULT NULL,
    INOUT erased  jsonb DEFAULT NULL
)
LANGUAGE plpgsql
AS $$
BEGIN
    CALL eventlog_private.forget('tenant', tenant_id, NULL, dry_run, receipt, erased);
END
$$;

COMMENT ON PROCEDURE eventlog.forget_tenant(uuid, boolean, uuid, jsonb) IS
'Erases a tenant: its rows in tenant_roles, its settings (except that it opted out) and names, its keys, events, quarantined events, idempotency keys, counts and rollups. Commits in batches, as the log''s owner; the same call continues an interrupted erasure. Returns the id of the receipt in erasures and the number of erased rows; with dry_run, the number of rows that it would erase, and no receipt. Leave out receipt and erased.';
