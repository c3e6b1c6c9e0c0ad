-- Report: single events, from raw rows. The conditions are put together as they are given, so that each way
-- to ask has its own plan.

CREATE FUNCTION eventlog.get_events(
    names      text[]      DEFAULT NULL,
    since      timestamptz DEFAULT now() - interval '30 days',
    until      timestamptz DEFAULT now() + interval '1 day',
    actors     text[]      DEFAULT NULL,
    subjects   text[]      DEFAULT NULL,
    contains   jsonb       DEFAULT NULL,
    ids        bigint[]    DEFAULT NULL,
    occurred_since timestamptz DEFAULT NULL,
    occurred_until timestamptz DEFAULT NULL,
    min_weight real        DEFAULT NULL,
    before_created_at timestamptz DEFAULT NULL,
    before_id  bigint      DEFAULT NULL,
    row_limit  integer     DEFAULT 100,
    tenant_id  uuid        DEFAULT NULL,
    filters    jsonb       DEFAULT NULL
) RETURNS TABLE (id bigint, name text, data jsonb, actor text, subject text, occurred_at timestamptz,
                 created_at timestamptz, weight real)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(get_events.tenant_id);
    asked  text[] := eventlog._check_names(names);
    condition text := eventlog._filter_condition(filters, asked);
    meant  text[] := actors || eventlog._hashes_of(actors);
BEGIN
    PERFORM eventlog._check_row_limit(row_limit);
    IF since IS NULL OR until IS NULL OR since > until THEN
        RAISE EXCEPTION 'since must be before until, got since % and until %',
                coalesce(since::text, 'null'), coalesce(until::text, 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'for all events: since => ''-infinity''';
    END IF;
    IF (before_created_at IS NULL) <> (before_id IS NULL) THEN
        RAISE EXCEPTION 'before_created_at and before_id must be given together'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'take both from the last row of the previous page';
    END IF;
    RETURN QUERY EXECUTE
        'SELECT e.id, e.name, e.data, e.actor, e.subject, e.occurred_at, e.created_at, e.weight
           FROM eventlog.events e
          WHERE eventlog._is_tenant($1, e.tenant_id) AND e.created_at >= $2 AND e.created_at < $3'
        || CASE WHEN asked IS NOT NULL THEN ' AND e.name = ANY ($4)' ELSE '' END
        || CASE WHEN actors IS NOT NULL THEN ' AND e.actor = ANY ($5)' ELSE '' END
        || CASE WHEN subjects IS NOT NULL THEN ' AND e.subject = ANY ($6)' ELSE '' END
        || CASE WHEN contains IS NOT NULL THEN ' AND e.data @> $7' ELSE '' END
        || CASE WHEN ids IS NOT NULL THEN ' AND e.id = ANY ($8)' ELSE '' END
        || CASE WHEN occurred_since IS NOT NULL THEN ' AND e.occurred_at >= $9' ELSE '' END
        || CASE WHEN occurred_until IS NOT NULL THEN ' AND e.occurred_at < $10' ELSE '' END
        || CASE WHEN min_weight IS NOT NULL THEN ' AND coalesce(e.weight, 1) >= $11' ELSE '' END
        || CASE WHEN before_id IS NOT NULL THEN ' AND e.created_at <= $12 AND (e.created_at, e.id) < ($12, $13)' ELSE '' END
        || ' AND (' || condition || ')'
        || ' ORDER BY e.created_at DESC, e.id DESC LIMIT $14'
      USING tenant, since, until, asked, meant, subjects, contains, ids,
            occurred_since, occurred_until, min_weight, before_created_at, before_id, row_limit;
END
$$;

COMMENT ON FUNCTION eventlog.get_events(text[], timestamptz, timestamptz, text[], text[], jsonb, bigint[], timestamptz, timestamptz, real, timestamptz, bigint, integer, uuid, jsonb) IS
'Events, newest first, at most row_limit (default 100), with filters for every column: names, created_at from since (default 30 days ago) to until (default tomorrow, for transactions that began after this one), actors (the log''s owner and services can also give the text that was hashed), subjects, a payload that contains a JSON object, ids, occurred_at, weight; and filters, a JSON object of conditions as in other reports. For the next page pass created_at and id of the last row as before_created_at and before_id.';
