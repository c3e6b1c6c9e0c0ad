-- The quarantine: logging rejected events again after a rule was corrected.

-- Returns true if an error is the event's own fault, as extension/src/error.rs decides it.
CREATE FUNCTION eventlog_private.is_fault_of_event(state text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT left(state, 2) NOT IN ('08', '0B', '25', '2D', '3B', '40', '53', '57', '58', 'F0', 'XX')
       AND state NOT IN ('55P03', '55006')
        OR state = '53400'
$$;

-- Rows that cannot be replayed have can_replay = false: those of another tenant (the owner replays, and
-- could write what the caller could not), those that could not be parsed or stored completely, and those of
-- import_events(), which retries them when it is called again.
CREATE FUNCTION eventlog_private.replay_rows(
    tenants   uuid[],
    names     text[],
    since     timestamptz,
    row_limit integer,
    OUT replayed       bigint,
    OUT still_rejected bigint
)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    row     eventlog.rejected_events;
    state   text;
    fault   text;
    detail  text;
BEGIN
    -- The setting exists only once the library is loaded.
    IF NOT coalesce(current_setting('eventlog.enabled', true)::boolean, true) THEN
        RAISE EXCEPTION 'the log is disabled' USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'SET eventlog.enabled = on;';
    END IF;
    replayed := 0;
    still_rejected := 0;
    FOR row IN
        SELECT * FROM eventlog.rejected_events r
         WHERE r.can_replay
           AND (tenants IS NULL OR coalesce(r.claimed_tenant_id, r.tenant_id) = ANY (tenants)
                                   AND coalesce(r.tenant_id, r.claimed_tenant_id) = ANY (tenants))
           AND (names IS NULL OR r.name = ANY (names) OR eventlog._name_of(r.name) = ANY (names))
           AND (replay_rows.since IS NULL OR r.created_at >= replay_rows.since)
         ORDER BY r.id
         LIMIT replay_rows.row_limit
           FOR UPDATE SKIP LOCKED
    LOOP
        state := NULL;
        BEGIN
            IF eventlog_private.replay_event(coalesce(row.claimed_tenant_id, row.tenant_id), row.name, row.data::jsonb,
                    coalesce(row.occurred_at, row.created_at), row.actor, row.subject, row.idempotency_key,
                    row.weight)
               IS NULL
            THEN
                state := row.sqlstate;
                fault := 'the tenant opted out, or a trigger left the event out';
            END IF;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, fault = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
            IF NOT eventlog_private.is_fault_of_event(state) THEN
                RAISE;
            END IF;
            fault := concat_ws(': ', fault, nullif(detail, ''));
        END;
        IF state IS NULL THEN
            DELETE FROM eventlog.rejected_events r WHERE r.id = row.id;
            replayed := replayed + 1;
        ELSE
            UPDATE eventlog.rejected_events r SET sqlstate = state, reason = fault WHERE r.id = row.id;
            still_rejected := still_rejected + 1;
        END IF;
    END LOOP;
END
$$;

CREATE FUNCTION eventlog_private.replay_rejected(
    name      text,
    since     timestamptz,
    row_limit integer,
    OUT replayed       bigint,
    OUT still_rejected bigint
)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT r.replayed, r.still_rejected
      FROM eventlog_private.replay_rows(NULL, CASE WHEN name IS NOT NULL THEN ARRAY[name] END, since, row_limit) r
$$;

CREATE FUNCTION eventlog.replay_rejected(
    name      text        DEFAULT NULL,
    since     timestamptz DEFAULT NULL,
    row_limit integer     DEFAULT 10000,
    OUT replayed       bigint,
    OUT still_rejected bigint
)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

COMMENT ON FUNCTION eventlog.replay_rejected(text, timestamptz, integer) IS
'Logs quarantined events again after a rule was corrected, as the log''s owner, each once: those of a name (default all) rejected since a time (default ever), oldest first, at most row_limit. Does no lookups. occurred_at is the client''s time, or else when the event was rejected. Events that are still rejected stay, with the new reason; rows without can_replay stay as they are.';

-- Replays for the holder of a key, whose tenants alone it may touch, through the gateway. Takes one tenant,
-- or all of the key's for all_tenants().
CREATE FUNCTION eventlog_private.replay_with_key(
    key_id    text,
    tenant_id uuid,
    names     text[],
    row_limit integer,
    OUT replayed       bigint,
    OUT still_rejected bigint
)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    key       eventlog.api_keys;
    reads_all boolean;
BEGIN
    SELECT * INTO key FROM eventlog.api_keys k WHERE k.id = key_id;
    IF NOT FOUND OR NOT key.can_replay OR key.revoked_at IS NOT NULL OR key.expires_at <= now() THEN
        RAISE EXCEPTION 'the key may not replay rejected events'
            USING ERRCODE = 'insufficient_privilege', HINT = 'eventlog key create --kind read --can-replay';
    END IF;
    reads_all := key.tenant_id = eventlog.all_tenants();
    IF NOT reads_all AND coalesce(tenant_id <> ALL (coalesce(key.tenant_ids, ARRAY[key.tenant_id])), true) THEN
        RAISE EXCEPTION 'the key is not of this tenant' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT r.replayed, r.still_rejected INTO replayed, still_rejected
      FROM eventlog_private.replay_rows(CASE WHEN tenant_id <> eventlog.all_tenants() THEN ARRAY[tenant_id] END, names, NULL, row_limit) r;
END
$$;

CREATE FUNCTION eventlog._replay_with_key(
    key_id    text,
    tenant_id uuid,
    names     text[],
    row_limit integer,
    OUT replayed       bigint,
    OUT still_rejected bigint
)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_for_gateway_wrapper';
