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
CREATE FUNCTION eventlog_private.replay_rejected(
    name      text,
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
           AND (replay_rejected.name IS NULL OR r.name = replay_rejected.name)
           AND (replay_rejected.since IS NULL OR r.created_at >= replay_rejected.since)
         ORDER BY r.id
         LIMIT replay_rejected.row_limit
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
