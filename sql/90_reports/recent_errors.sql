-- Report: failed events by type of error.

CREATE FUNCTION eventlog.recent_errors(
    names      text[]      DEFAULT NULL,
    since      timestamptz DEFAULT now() - interval '7 days',
    until      timestamptz DEFAULT now(),
    row_limit  integer     DEFAULT 20,
    tenant_id  uuid        DEFAULT NULL,
    filters    jsonb       DEFAULT NULL,
    breakdown  text        DEFAULT NULL,
    top        integer     DEFAULT 10
) RETURNS TABLE (name text, error_type text, events bigint, actors bigint, first_at timestamptz, last_at timestamptz,
                 last_id bigint, last_subject text, is_sampled boolean, last_message text, breakdown_value text,
                 is_others boolean, covered_since timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    tenant    uuid := eventlog._report_tenant(recent_errors.tenant_id);
    asked     text[] := eventlog._check_names(names);
    condition text := eventlog._filter_condition(filters, asked);
    cut_by        text := eventlog._breakdown_expression(breakdown, asked);
    failing   text[];
BEGIN
    PERFORM eventlog._check_span(since, until);
    PERFORM eventlog._check_row_limit(row_limit);
    PERFORM eventlog._check_top(top);
    failing := ARRAY(SELECT t.name FROM eventlog.event_types t
                      WHERE (t.error_key IS NOT NULL OR t.success_key IS NOT NULL) AND (asked IS NULL OR t.name = ANY (asked)));
    RETURN QUERY EXECUTE format($sql$
        WITH failed AS MATERIALIZED (
            SELECT e.name, e.data ->> t.error_key AS error_type, e.weight, e.tenant_id, nullif(e.actor, '') AS actor, e.created_at, e.id,
                   e.subject, coalesce(e.data ->> 'errorMessage', e.data ->> 'error_message', e.data ->> 'message') AS message,
                   %1$s AS value
              FROM eventlog._measured_events() e
              JOIN eventlog.event_types t ON t.name = e.name
             WHERE eventlog._is_tenant($1, e.tenant_id) AND e.name = ANY ($2) AND e.created_at >= $3 AND e.created_at < $4
               AND e.has_failed AND (%2$s)
        ), ranked AS (
            SELECT f.*, coalesce(dense_rank() OVER (ORDER BY f.total DESC, f.value) > $5, false) AS is_others
              FROM (SELECT f.*, sum(f.weight) OVER (PARTITION BY f.value) AS total FROM failed f) f
        )
        SELECT f.name, f.error_type, eventlog._as_count(sum(f.weight)), count(DISTINCT (f.tenant_id, f.actor)) FILTER (WHERE f.actor IS NOT NULL),
               min(f.created_at), max(f.created_at),
               (array_agg(f.id ORDER BY f.created_at DESC, f.id DESC))[1],
               (array_agg(f.subject ORDER BY f.created_at DESC, f.id DESC))[1], bool_or(f.weight <> 1),
               (array_agg(f.message ORDER BY f.created_at DESC, f.id DESC))[1],
               CASE WHEN NOT f.is_others THEN f.value END, f.is_others, $7
          FROM ranked f
         GROUP BY f.name, f.error_type, 11, f.is_others
         ORDER BY 6 DESC, f.name, f.error_type, f.is_others, 11
         LIMIT $6$sql$, coalesce(cut_by, 'NULL::text'), condition)
      USING tenant, failing, since, until, CASE WHEN cut_by IS NOT NULL THEN top END, row_limit,
            eventlog._covered_since(tenant, since, until, failing, filters);
END
$$;

COMMENT ON FUNCTION eventlog.recent_errors(text[], timestamptz, timestamptz, integer, uuid, jsonb, text, integer) IS
'Failed events of a span (default the last 7 days) by name and type of error (the value of error_key), most recent first: number of events and actors, first and last time, and the id, subject and message (errorMessage, error_message or message) of the last. With a breakdown, by its values too: those with the most failed events (top, default 10) and all others. filters: a JSON object of conditions. is_sampled: some of these events were sampled, so that actors may be missing. covered_since: the time from which on nothing is missing. By created_at.';
