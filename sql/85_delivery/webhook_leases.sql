-- Deliverers: each leases webhooks, so that several share the work and one webhook is served by one of them.

-- Refuses a caller whose rights end at one tenant: a deliverer serves all.
CREATE FUNCTION eventlog_private.require_all_tenants(tenant uuid) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF tenant <> eventlog.all_tenants() THEN
        RAISE EXCEPTION 'a deliverer serves all tenants'
            USING ERRCODE = 'insufficient_privilege', HINT = 'connect as the log''s owner or as a service';
    END IF;
END
$$;

-- Notes that a deliverer runs, leases its share of the enabled webhooks to it, and returns what it has. What
-- is above its share it is to release once nothing of it is on the way (is_excess).
--
-- A lease ends with its deliverer: if that was not seen for 30 seconds, or its process at the server is gone.
CREATE FUNCTION eventlog_private.take_webhooks(tenant uuid, deliverer text)
RETURNS TABLE (webhook_id uuid, tenant_id uuid, url text, names text[], with_alerts boolean, secrets text[], delivered_id bigint,
               alert_delivered_id bigint, failures integer, wait double precision, lease bigint, is_excess boolean, has_retries boolean)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    lease_for  constant interval := '30 seconds';
    note_every constant interval := '10 seconds';
    me         constant text     := deliverer;
    share      bigint;
    mine       bigint;
BEGIN
    PERFORM eventlog_private.require_all_tenants(tenant);
    INSERT INTO eventlog.deliverers AS d (deliverer, pid, seen_at) VALUES (me, pg_backend_pid(), clock_timestamp())
    ON CONFLICT ON CONSTRAINT deliverers_pkey DO UPDATE SET pid = EXCLUDED.pid, seen_at = EXCLUDED.seen_at
     WHERE d.pid <> EXCLUDED.pid OR d.seen_at < EXCLUDED.seen_at - note_every OR d.seen_at > EXCLUDED.seen_at + note_every;
    DELETE FROM eventlog.deliverers g
     WHERE g.deliverer IN (
        SELECT d.deliverer FROM eventlog.deliverers d
         WHERE d.deliverer <> me
           AND (d.seen_at < clock_timestamp() - lease_for OR NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = d.pid))
           FOR UPDATE SKIP LOCKED);
    share := (SELECT ceil(count(*)::numeric / (SELECT count(*) FROM eventlog.deliverers)) FROM eventlog.webhooks w WHERE w.is_enabled);
    mine := (SELECT count(*) FROM eventlog.webhooks w WHERE w.is_enabled AND w.leased_by = me);
    IF mine < share THEN
        UPDATE eventlog.webhooks w SET leased_by = me, lease = w.lease + 1
         WHERE w.webhook_id IN (
            SELECT f.webhook_id FROM eventlog.webhooks f
             WHERE f.is_enabled AND (f.leased_by IS NULL OR NOT EXISTS (SELECT FROM eventlog.deliverers d WHERE d.deliverer = f.leased_by))
             ORDER BY f.webhook_id LIMIT share - mine FOR UPDATE SKIP LOCKED);
    END IF;
    RETURN QUERY
    SELECT w.webhook_id, w.tenant_id, w.url, w.names, w.with_alerts,
           coalesce(CASE WHEN s.old_secrets_until > now() THEN s.secrets ELSE s.secrets[1:1] END, '{}'),
           w.delivered_id, w.alert_delivered_id, w.failures,
           extract(epoch FROM w.next_attempt_at - clock_timestamp())::double precision, w.lease,
           row_number() OVER (ORDER BY w.webhook_id) > share,
           EXISTS (SELECT FROM eventlog.webhook_retries r WHERE r.webhook_id = w.webhook_id AND r.next_attempt_at IS NOT NULL)
      FROM eventlog.webhooks w LEFT JOIN eventlog.webhook_secrets s ON s.webhook_id = w.webhook_id
     WHERE w.is_enabled AND w.leased_by = me;
END
$$;

-- Gives leases back: these, or with null all of them, when the deliverer ends.
CREATE FUNCTION eventlog_private.release_webhooks(tenant uuid, deliverer text, webhook_ids uuid[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    me constant text := deliverer;
BEGIN
    PERFORM eventlog_private.require_all_tenants(tenant);
    UPDATE eventlog.webhooks w SET leased_by = NULL
     WHERE w.webhook_id IN (SELECT l.webhook_id FROM eventlog.webhooks l
                             WHERE l.leased_by = me AND (webhook_ids IS NULL OR l.webhook_id = ANY (webhook_ids))
                             ORDER BY l.webhook_id FOR UPDATE);
    IF webhook_ids IS NULL THEN
        DELETE FROM eventlog.deliverers d WHERE d.deliverer = me;
    END IF;
END
$$;

-- Returns the id up to which events can be delivered. Looks only if an id was drawn after the known one, so
-- that nothing is written while nothing happens.
CREATE FUNCTION eventlog_private.deliverable_until(tenant uuid, known bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog_private.require_all_tenants(tenant);
    RETURN CASE WHEN eventlog_private.last_drawn_id() <= known THEN known ELSE eventlog_private.certain_id() END;
END
$$;

-- Returns the events in a span of ids, in their order: of these tenants (null: all) and names (null: all).
CREATE FUNCTION eventlog_private.read_deliverable(tenant uuid, after_id bigint, until_id bigint, tenants uuid[], names text[], row_limit integer)
RETURNS TABLE (id bigint, tenant_id uuid, name text, data text, actor text, subject text, occurred_at text, created_at text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM eventlog_private.require_all_tenants(tenant);
    RETURN QUERY EXECUTE
        'SELECT e.id, e.tenant_id, e.name, e.data::text, e.actor, e.subject,
                to_char(e.occurred_at AT TIME ZONE ''UTC'', ''YYYY-MM-DD"T"HH24:MI:SS.US"Z"''),
                to_char(e.created_at AT TIME ZONE ''UTC'', ''YYYY-MM-DD"T"HH24:MI:SS.US"Z"'')
           FROM eventlog.events e WHERE e.id > $1 AND e.id <= $2'
        || CASE WHEN tenants IS NULL THEN '' ELSE ' AND e.tenant_id = ANY ($3)' END
        || CASE WHEN names IS NULL THEN '' ELSE ' AND e.name = ANY ($4)' END
        || ' ORDER BY e.id LIMIT $5'
      USING after_id, until_id, tenants, names, row_limit;
END
$$;

-- Returns alerts that were raised or resolved, in their order: of these tenants, null for all. The column data
-- is what webhooks get. One transaction at a time adds rows, so that nothing appears below an id.
CREATE FUNCTION eventlog_private.read_alert_changes(tenant uuid, after_id bigint, tenants uuid[], row_limit integer)
RETURNS TABLE (id bigint, tenant_id uuid, name text, data text, actor text, subject text, occurred_at text, created_at text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM eventlog_private.require_all_tenants(tenant);
    RETURN QUERY
    SELECT c.id, c.tenant_id, 'eventlog.alert', json_build_object('id', c.id, 'tenant_id', c.tenant_id, 'alert', c.alert,
               'is_raised', c.is_raised, 'changed_at', t.text, 'details', c.details)::text, NULL::text, NULL::text, t.text, t.text
      FROM eventlog.alert_changes c
     CROSS JOIN LATERAL to_char(c.changed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS t (text)
     WHERE c.id > after_id AND (tenants IS NULL OR c.tenant_id = ANY (tenants))
     ORDER BY c.id LIMIT row_limit;
END
$$;

-- Returns what is to be sent again now to the webhooks of a deliverer, except these. One that is put aside
-- gets its oldest only, and every second time a new event instead, if there is one within a minute. An event that is gone has no name.
CREATE FUNCTION eventlog_private.due_retries(tenant uuid, deliverer text, busy uuid[])
RETURNS TABLE (webhook_id uuid, is_alert boolean, event_id bigint, attempts integer,
               tenant_id uuid, name text, data text, actor text, subject text, occurred_at text, created_at text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    most constant integer := 50;
    me   constant text    := deliverer;
BEGIN
    PERFORM eventlog_private.require_all_tenants(tenant);
    RETURN QUERY
    SELECT r.webhook_id, r.is_alert, r.event_id, r.attempts, r.event_tenant_id, coalesce(e.name, c.name), coalesce(e.data::text, c.data),
           e.actor, e.subject, coalesce(to_char(e.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), c.occurred_at),
           to_char(r.event_created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
      FROM eventlog.webhooks w
     CROSS JOIN LATERAL (
        SELECT * FROM eventlog.webhook_retries d
         WHERE d.webhook_id = w.webhook_id AND d.next_attempt_at <= CASE WHEN w.failures < 3 THEN clock_timestamp() ELSE 'infinity' END
         ORDER BY d.event_id LIMIT CASE WHEN w.failures < 3 THEN most ELSE 1 END) r
      LEFT JOIN eventlog.events e ON e.id = r.event_id AND e.created_at = r.event_created_at AND NOT r.is_alert
      LEFT JOIN LATERAL (SELECT * FROM eventlog_private.read_alert_changes(tenant, r.event_id - 1, ARRAY[r.event_tenant_id], 1)) c
             ON r.is_alert AND c.id = r.event_id
     WHERE w.leased_by = me AND w.is_enabled AND w.webhook_id <> ALL (busy)
       AND (w.next_attempt_at IS NULL OR w.next_attempt_at <= clock_timestamp())
       AND (w.failures < 3 OR w.failures % 2 = 1 OR w.next_attempt_at < clock_timestamp() - interval '1 minute')
     ORDER BY r.webhook_id, r.event_id;
END
$$;

CREATE FUNCTION eventlog._take_webhooks(tenant uuid, deliverer text)
RETURNS TABLE (webhook_id uuid, tenant_id uuid, url text, names text[], with_alerts boolean, secrets text[], delivered_id bigint,
               alert_delivered_id bigint, failures integer, wait double precision, lease bigint, is_excess boolean, has_retries boolean)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_manager_wrapper';

CREATE FUNCTION eventlog._release_webhooks(tenant uuid, deliverer text, webhook_ids uuid[]) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_manager_wrapper';

CREATE FUNCTION eventlog._deliverable_until(tenant uuid, known bigint) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_manager_wrapper';

CREATE FUNCTION eventlog._read_deliverable(tenant uuid, after_id bigint, until_id bigint, tenants uuid[], names text[], row_limit integer)
RETURNS TABLE (id bigint, tenant_id uuid, name text, data text, actor text, subject text, occurred_at text, created_at text)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_manager_wrapper';

CREATE FUNCTION eventlog._read_alert_changes(tenant uuid, after_id bigint, tenants uuid[], row_limit integer)
RETURNS TABLE (id bigint, tenant_id uuid, name text, data text, actor text, subject text, occurred_at text, created_at text)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_manager_wrapper';

CREATE FUNCTION eventlog._due_retries(tenant uuid, deliverer text, busy uuid[])
RETURNS TABLE (webhook_id uuid, is_alert boolean, event_id bigint, attempts integer,
               tenant_id uuid, name text, data text, actor text, subject text, occurred_at text, created_at text)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_manager_wrapper';
