-- Report: rejected events with their payloads, from the quarantine.

CREATE FUNCTION eventlog.get_rejected(
    names      text[]      DEFAULT NULL,
    since      timestamptz DEFAULT now() - interval '30 days',
    until      timestamptz DEFAULT now() + interval '1 day',
    before_id  bigint      DEFAULT NULL,
    row_limit  integer     DEFAULT 100,
    tenant_id  uuid        DEFAULT NULL
) RETURNS TABLE (id bigint, name text, data text, sqlstate text, reason text, actor text, subject text,
                 occurred_at timestamptz, created_at timestamptz, can_replay boolean, protocol text)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid   := eventlog._report_tenant(get_rejected.tenant_id);
    -- Names in the quarantine may be of no event type: that is often why an event is there.
    asked  text[] := eventlog._without_nulls(names);
BEGIN
    PERFORM eventlog._check_row_limit(row_limit);
    IF since IS NULL OR until IS NULL OR since > until THEN
        RAISE EXCEPTION 'since must be before until, got since % and until %',
                coalesce(since::text, 'null'), coalesce(until::text, 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'for all of the quarantine: since => ''-infinity''';
    END IF;
    RETURN QUERY
    SELECT r.id, r.name, r.data, r.sqlstate, r.reason, r.actor, r.subject, r.occurred_at, r.created_at, r.can_replay,
           r.protocol
      FROM eventlog.rejected_events r
     -- A row of a caller without a tenant belongs to the tenant that it named.
     WHERE eventlog._is_tenant(tenant, coalesce(r.tenant_id, r.claimed_tenant_id))
       AND r.created_at >= since AND r.created_at < until
       AND (asked IS NULL OR r.name = ANY (asked) OR eventlog._name_of(r.name) = ANY (asked))
       AND (before_id IS NULL OR r.id < before_id)
     ORDER BY r.id DESC
     LIMIT row_limit;
END
$$;

COMMENT ON FUNCTION eventlog.get_rejected(text[], timestamptz, timestamptz, bigint, integer, uuid) IS
'Rejected events, newest first, at most row_limit (default 100): what was sent, why it was refused, whether replay_rejected() may log it (can_replay), and by which protocol the gateway received it; of names, or of their aliases, rejected from since (default 30 days ago) to until (default tomorrow). For the next page pass the id of the last row as before_id.';
