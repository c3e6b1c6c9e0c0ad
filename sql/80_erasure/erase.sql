-- Erasing: which rows, and one batch of them.

-- Returns the actor that a quarantined payload names under the actor_key of its event type; null if there is
-- none, or if the payload cannot be parsed.
CREATE FUNCTION eventlog_private.quarantined_actor(name text, data text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    stored_as text := eventlog._name_of(name);
    key text := (
        SELECT t.actor_key FROM eventlog.event_types t
         WHERE t.name = stored_as
            OR (t.name LIKE '%.*' AND starts_with(stored_as, left(t.name, -1)))
         ORDER BY t.name = stored_as DESC, length(t.name) DESC
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

-- Lists what to erase, in this order: the rows t of each relation that meet the condition, for tenant $1
-- and actors $2. Rows of counts that name no actor are erased with a tenant only. Rows that go with their
-- events are counted separately in a dry run only.
CREATE FUNCTION eventlog_private.erasure_targets(kind text)
RETURNS TABLE (stage integer, relation text, counted_as text, condition text, goes_with_events boolean)
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    -- All partitions, including a DEFAULT one and one that is being detached.
    SELECT 20, format('%I.%I', n.nspname, c.relname), 'events',
           't.tenant_id = $1' || CASE kind WHEN 'actor' THEN ' AND t.actor = ANY ($2)' ELSE '' END, false
      FROM pg_inherits i
      JOIN pg_class c ON c.oid = i.inhrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE i.inhparent = to_regclass('eventlog.events')
    UNION ALL
    SELECT o.stage, format('eventlog.%I', o.table_name), o.table_name, o.condition, o.stage = 10
      FROM (VALUES
        -- First, so that nobody logs as the tenant any more: a role without a row has no tenant.
        ('tenant', 11, 'tenant_roles',     't.tenant_id = $1'),
        -- A tenant that opted out stays so.
        ('tenant', 12, 'tenant_settings',  't.tenant_id = $1 AND NOT t.is_opted_out'),
        ('tenant', 13, 'retention_progress', 't.tenant_id = $1'),
        -- Before the keys that they were made from.
        ('tenant', 14, 'api_tokens',
            '(t.tenant_id = $1 OR t.key_id IN (SELECT k.id FROM eventlog.api_keys k WHERE k.tenant_id = $1))'),
        ('tenant', 15, 'api_keys',         't.tenant_id = $1'),
        ('tenant', 16, 'tenant_names',     't.tenant_id = $1'),
        ('tenant', 17, 'consumers',        't.tenant_id = $1'),
        ('tenant', 18, 'consumer_losses',  't.tenant_id = $1'),
        ('tenant', 17, 'webhooks',         't.tenant_id = $1'),
        ('tenant', 17, 'webhook_secrets',  't.tenant_id = $1'),
        -- Also what is its own in those of a webhook of all tenants.
        ('tenant', 31, 'webhook_retries',  '(t.tenant_id = $1 OR t.event_tenant_id = $1)'),
        ('tenant', 31, 'webhook_deliveries', '(t.tenant_id = $1 OR t.event_tenant_id = $1)'),
        -- The alerts first: whoever evaluates one holds its row until the changes are there.
        ('tenant', 18, 'alerts',           't.tenant_id = $1'),
        ('tenant', 19, 'alert_changes',    't.tenant_id = $1'),
        ('tenant', 31, 'rejected_events',  '(t.tenant_id = $1 OR t.claimed_tenant_id = $1)'),
        ('tenant', 32, 'idempotency_keys', 't.tenant_id = $1'),
        ('tenant', 33, 'hygiene_counts',   't.tenant_id = $1'),
        ('tenant', 10, 'late_events',
            't.tenant_id = $1 AND EXISTS (SELECT FROM eventlog.events e WHERE e.id = t.id AND e.created_at = t.created_at)'),
        -- Not those of events that were logged since: they are still to be counted.
        ('tenant', 41, 'late_events',
            't.tenant_id = $1 AND NOT EXISTS (SELECT FROM eventlog.events e WHERE e.id = t.id AND e.created_at = t.created_at)'),
        ('tenant', 10, 'unsealed_events',
            't.tenant_id = $1 AND EXISTS (SELECT FROM eventlog.events e WHERE e.id = t.id AND e.created_at = t.created_at)'),
        ('tenant', 41, 'unsealed_events',
            't.tenant_id = $1 AND NOT EXISTS (SELECT FROM eventlog.events e WHERE e.id = t.id AND e.created_at = t.created_at)'),
        ('tenant', 42, 'hourly_counts',    't.tenant_id = $1'),
        ('tenant', 43, 'daily_counts',     't.tenant_id = $1'),
        ('tenant', 44, 'daily_subjects',   't.tenant_id = $1'),
        ('tenant', 45, 'monthly_actors',   't.tenant_id = $1'),
        ('tenant', 46, 'first_events',     't.tenant_id = $1'),
        ('tenant', 47, 'hourly_keys',      't.tenant_id = $1'),
        ('tenant', 48, 'daily_keys',       't.tenant_id = $1'),
        ('tenant', 49, 'monthly_key_actors', 't.tenant_id = $1'),
        ('actor',  10, 'idempotency_keys',
            't.tenant_id = $1 AND EXISTS (SELECT FROM eventlog.events e WHERE e.id = t.event_id
                AND e.created_at = t.created_at AND e.tenant_id = $1 AND e.actor = ANY ($2))'),
        ('actor',  10, 'late_events',
            '(t.tenant_id = $1 OR t.tenant_id IS NULL) AND EXISTS (SELECT FROM eventlog.events e WHERE e.id = t.id
                AND e.created_at = t.created_at AND e.tenant_id = $1 AND e.actor = ANY ($2))'),
        ('actor',  10, 'unsealed_events',
            't.tenant_id = $1 AND EXISTS (SELECT FROM eventlog.events e WHERE e.id = t.id
                AND e.created_at = t.created_at AND e.tenant_id = $1 AND e.actor = ANY ($2))'),
        ('actor',  10, 'webhook_retries',
            'NOT t.is_alert AND EXISTS (SELECT FROM eventlog.events e WHERE e.id = t.event_id AND e.tenant_id = $1 AND e.actor = ANY ($2))'),
        ('actor',  10, 'webhook_deliveries',
            'NOT t.is_alert AND EXISTS (SELECT FROM eventlog.events e WHERE e.id = t.event_id AND e.tenant_id = $1 AND e.actor = ANY ($2))'),
        -- A share link whose filters name the actor.
        ('actor',  16, 'api_tokens',
            't.tenant_id = $1 AND EXISTS (SELECT FROM jsonb_path_query(t.scope -> ''filters'', ''strict $.** ? (@.type() == "string")'') AS v (text)
                WHERE v.text #>> ''{}'' = ANY ($2))'),
        -- The quarantine stores the first 200 characters of the actor, or the payload that would have
        -- provided it.
        ('actor',  31, 'rejected_events',
            '(t.tenant_id = $1 OR t.claimed_tenant_id = $1)
             AND (t.actor = ANY (ARRAY(SELECT left(a, 200) FROM unnest($2) a))
                  OR (t.actor IS NULL AND eventlog_private.quarantined_actor(t.name, t.data) = ANY ($2)))'),
        ('actor',  45, 'monthly_actors',   't.tenant_id = $1 AND t.actor = ANY ($2)'),
        ('actor',  46, 'first_events',     't.tenant_id = $1 AND t.actor = ANY ($2)'),
        ('actor',  49, 'monthly_key_actors', 't.tenant_id = $1 AND t.actor = ANY ($2)')
      ) AS o (kind, stage, table_name, condition)
     WHERE o.kind = erasure_targets.kind AND to_regclass(format('eventlog.%I', o.table_name)) IS NOT NULL
$$;

-- Takes a tenant from the keys of several tenants, which stay for the others. A key of this tenant alone is
-- erased.
CREATE FUNCTION eventlog_private.take_from_keys(tenant_id uuid) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    IF to_regclass('eventlog.api_keys') IS NOT NULL THEN
        UPDATE eventlog.api_keys k SET tenant_id = o.others[1], tenant_ids = CASE WHEN cardinality(o.others) > 1 THEN o.others END
          FROM (SELECT a.id, array_remove(a.tenant_ids, take_from_keys.tenant_id) AS others FROM eventlog.api_keys a) o
         WHERE o.id = k.id AND take_from_keys.tenant_id = ANY (k.tenant_ids) AND cardinality(o.others) > 0;
    END IF;
END
$$;

-- Counts the rows to erase, for a dry run.
CREATE FUNCTION eventlog_private.count_erasable(kind text, tenant_id uuid, actors text[]) RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target record;
    found  bigint;
    counts jsonb := '{}';
BEGIN
    FOR target IN SELECT * FROM eventlog_private.erasure_targets(kind) LOOP
        EXECUTE format('SELECT count(*) FROM %s t WHERE %s', target.relation, target.condition)
           INTO found USING tenant_id, actors;
        counts := eventlog_private.add_count(counts, target.counted_as, found);
    END LOOP;
    RETURN counts;
END
$$;

-- Returns the time before which the tenant's events have no idempotency key, so that the keys, which have
-- no index by event, are not searched in every batch. A key has the time of its event's transaction; one of
-- an open transaction may be older than those that are visible.
CREATE FUNCTION eventlog_private.oldest_key(tenant_id uuid) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT least(min(k.created_at), now() - interval '1 day')
      FROM eventlog.idempotency_keys k WHERE k.tenant_id = oldest_key.tenant_id
$$;

-- Erases the rows that go with erased events of an actor.
CREATE FUNCTION eventlog_private.erase_with_events(receipt uuid, tenant_id uuid, ids bigint[], last_at timestamptz,
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
         WHERE k.tenant_id = erase_with_events.tenant_id AND k.event_id = gone.id;
        GET DIAGNOSTICS erased = ROW_COUNT;
        PERFORM eventlog_private.add_to_receipt(receipt, 'idempotency_keys', erased, 'eventlog.idempotency_keys');
    END IF;
    IF to_regclass('eventlog.late_events') IS NOT NULL THEN
        DELETE FROM eventlog.late_events l USING unnest(ids) AS gone (id)
         WHERE (l.tenant_id = erase_with_events.tenant_id OR l.tenant_id IS NULL) AND l.id = gone.id;
        GET DIAGNOSTICS erased = ROW_COUNT;
        PERFORM eventlog_private.add_to_receipt(receipt, 'late_events', erased, 'eventlog.late_events');
    END IF;
    IF to_regclass('eventlog.unsealed_events') IS NOT NULL THEN
        DELETE FROM eventlog.unsealed_events u USING unnest(ids) AS gone (id)
         WHERE u.tenant_id = erase_with_events.tenant_id AND u.id = gone.id;
        GET DIAGNOSTICS erased = ROW_COUNT;
        PERFORM eventlog_private.add_to_receipt(receipt, 'unsealed_events', erased, 'eventlog.unsealed_events');
    END IF;
    IF to_regclass('eventlog.webhook_retries') IS NOT NULL THEN
        DELETE FROM eventlog.webhook_retries r USING unnest(ids) AS gone (id) WHERE r.event_id = gone.id AND NOT r.is_alert;
        GET DIAGNOSTICS erased = ROW_COUNT;
        PERFORM eventlog_private.add_to_receipt(receipt, 'webhook_retries', erased, 'eventlog.webhook_retries');
        DELETE FROM eventlog.webhook_deliveries d USING unnest(ids) AS gone (id) WHERE d.event_id = gone.id AND NOT d.is_alert;
        GET DIAGNOSTICS erased = ROW_COUNT;
        PERFORM eventlog_private.add_to_receipt(receipt, 'webhook_deliveries', erased, 'eventlog.webhook_deliveries');
    END IF;
END
$$;

-- Erases one batch of the relation at (stage, relation), or of the next one if that is done or gone.
-- Returns a null stage after the last. Goes through events by created_at along the tenant's index, from
-- where the last batch ended; rows of the same time are found again until they are erased.
CREATE FUNCTION eventlog_private.erase_batch(
    receipt uuid, kind text, tenant_id uuid, actors text[], keys_since timestamptz,
    INOUT stage integer, INOUT relation text, INOUT is_done boolean, INOUT since timestamptz)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
-- Otherwise the planner may read and sort a whole partition for each batch. JIT is off: the high price of
-- the remaining sorts would trigger it.
SET enable_sort = off
SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    most_rows constant integer := 10000;
    target    record;
    ctids     tid[];
    ids       bigint[];
    erased    bigint;
    sealed    bigint;
    kept      bigint;
    is_events boolean;
BEGIN
    SELECT s.* INTO target FROM (
        SELECT t.*, row_number() OVER in_order AS place, count(*) OVER () AS places
          FROM eventlog_private.erasure_targets(kind) t WHERE NOT t.goes_with_events
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
    -- Checks the condition again: a row may be gone, and its place taken by another.
    EXECUTE format('WITH gone AS (DELETE FROM %s t WHERE t.ctid = ANY ($3) AND %s RETURNING %s)
                    SELECT %s, count(*) FROM gone g',
                   relation, target.condition,
                   CASE WHEN is_events THEN 't.id, t.tenant_id, t.name, t.created_at, ' || eventlog_private.digest_if_sealed('t') || ' AS digest' ELSE '1' END,
                   CASE WHEN is_events THEN 'array_agg(g.id), ' || eventlog_private.collecting_gone('g') ELSE 'NULL::bigint[], 0' END)
       INTO ids, sealed, erased USING tenant_id, actors, ctids;
    IF erased < cardinality(ctids) THEN
        -- Other sessions may have erased some, but the receipt must not count a row that is still there.
        EXECUTE format('SELECT count(*) FROM %s t WHERE t.ctid = ANY ($3) AND %s', relation, target.condition)
           INTO kept USING tenant_id, actors, ctids;
        IF kept > 0 THEN
            RAISE EXCEPTION '% rows of % cannot be erased: a trigger or rule keeps them', kept, relation
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      HINT = format('\d %s shows it; remove it and call again', relation);
        END IF;
    END IF;

    PERFORM eventlog_private.add_to_receipt(receipt, target.counted_as, erased, relation);
    IF is_events THEN
        IF sealed > 0 THEN
            PERFORM eventlog_private.let_go(format('forget_%s()', kind), receipt);
        END IF;
        PERFORM eventlog_private.note_deleted_rows(relation::regclass, erased, since + interval '1 microsecond');
        IF kind = 'actor' AND erased > 0 THEN
            PERFORM eventlog_private.erase_with_events(receipt, tenant_id, ids, since, keys_since);
        END IF;
    END IF;
    UPDATE eventlog.erasures e SET progress = format('%s, %s of %s', relation, target.place, target.places)
     WHERE e.id = receipt;
END
$$;

-- Events of an erased tenant that were logged during the erasure, for example by an import, stay and have
-- to be counted. If maintain() counted some of them, their counts were erased too, batch by batch. So all
-- of them are recorded as late, to be counted again. Counting does not run meanwhile, or it commits later
-- and has deleted its notes already. `are_sealed`: those of sealed days are in a seal that has them, or in
-- unsealed_events.
CREATE FUNCTION eventlog_private.note_survivors_as_late(tenant_id uuid, are_sealed boolean) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    counted_until timestamptz;
    target        record;
BEGIN
    IF to_regclass('eventlog.late_events') IS NULL THEN
        RETURN;
    END IF;
    counted_until := (SELECT s.rolled_until FROM eventlog.rollup_state s);
    IF NOT EXISTS (SELECT FROM eventlog.events e WHERE e.tenant_id = tenant_id AND e.created_at < counted_until) THEN
        RETURN;
    END IF;
    FOR target IN SELECT * FROM eventlog_private.erasure_targets('tenant') t WHERE t.stage > 41 ORDER BY t.stage LOOP
        EXECUTE format('DELETE FROM %s t WHERE %s', target.relation, target.condition) USING tenant_id;
    END LOOP;
    INSERT INTO eventlog.late_events (tenant_id, id, created_at, is_sealed)
    SELECT e.tenant_id, e.id, e.created_at,
           are_sealed AND (e.created_at < eventlog_private.sealed_until() OR eventlog_private.is_listed(e.tenant_id, e.id, e.created_at))
      FROM eventlog.events e
     WHERE e.tenant_id = tenant_id AND e.created_at < counted_until
       AND NOT EXISTS (SELECT FROM eventlog.late_events l WHERE l.id = e.id AND l.created_at = e.created_at);
END
$$;

-- Erases a tenant for the trigger on the table of tenants, in a transaction that is not ours to end. It
-- does not wait for maintenance, which would hold up the application, except for the moment in which
-- counting commits (drop_counts_of_erased); what was counted by then is deleted too. Waits are limited to
-- eventlog.lock_timeout.
CREATE FUNCTION eventlog_private.erase_tenant_rows(tenant_id uuid) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target record;
    erased bigint;
    former text := eventlog_private.bound_lock_timeout();
BEGIN
    PERFORM eventlog_private.take_from_keys(tenant_id);
    FOR target IN SELECT * FROM eventlog_private.erasure_targets('tenant') t WHERE NOT t.goes_with_events ORDER BY t.stage LOOP
        EXECUTE format('DELETE FROM %s t WHERE %s', target.relation, target.condition) USING tenant_id;
        GET DIAGNOSTICS erased = ROW_COUNT;
        IF target.counted_as = 'events' THEN
            PERFORM eventlog_private.note_deleted_rows(target.relation::regclass, erased, '-infinity');
        END IF;
    END LOOP;
    PERFORM eventlog_private.take_lock('erasure', true, true);
    FOR target IN SELECT * FROM eventlog_private.erasure_targets('tenant') t WHERE t.stage > 40 ORDER BY t.stage LOOP
        EXECUTE format('DELETE FROM %s t WHERE %s', target.relation, target.condition) USING tenant_id;
    END LOOP;
    PERFORM eventlog_private.let_tenant_go(tenant_id, 'deletion of the tenant');
    PERFORM eventlog_private.note_survivors_as_late(tenant_id, false);
    PERFORM set_config('lock_timeout', former, true);
END
$$;
