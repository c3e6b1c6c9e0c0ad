-- Report: failed events by type of error.

CREATE FUNCTION eventlog.recent_errors(
    names      text[]      DEFAULT NULL,
    since      timestamptz DEFAULT now() - interval '7 days',
    until      timestamptz DEFAULT now(),
    row_limit  integer     DEFAULT 20,
    tenant_id  uuid        DEFAULT NULL
) RETURNS TABLE (name text, error_type text, events bigint, actors bigint, first_at timestamptz, last_at timestamptz,
                 last_id bigint, last_subject text, is_sampled boolean)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    tenant  uuid := eventlog._report_tenant(recent_errors.tenant_id);
    asked   text[] := eventlog._check_names(names);
    failing text[];
BEGIN
    PERFORM eventlog._check_span(since, until);
    PERFORM eventlog._check_row_limit(row_limit);
    failing := ARRAY(SELECT t.name FROM eventlog.event_types t
                      WHERE (t.error_key IS NOT NULL OR t.success_key IS NOT NULL) AND (asked IS NULL OR t.name = ANY (asked)));
    RETURN QUERY
    SELECT f.name, f.error_type, eventlog._as_count(sum(f.weight)), count(DISTINCT nullif(f.actor, '')), min(f.created_at), max(f.created_at),
           (array_agg(f.id ORDER BY f.created_at DESC, f.id DESC))[1],
           (array_agg(f.subject ORDER BY f.created_at DESC, f.id DESC))[1], bool_or(f.weight <> 1)
      FROM (SELECT e.name, e.data ->> t.error_key AS error_type, e.weight, e.actor, e.created_at, e.id, e.subject
              FROM eventlog._measured_events() e
              JOIN eventlog.event_types t ON t.name = e.name
             WHERE e.tenant_id = tenant AND e.name = ANY (failing) AND e.created_at >= since AND e.created_at < until
               AND e.has_failed) f
     GROUP BY f.name, f.error_type
     ORDER BY 6 DESC, f.name, f.error_type
     LIMIT row_limit;
END
$$;

COMMENT ON FUNCTION eventlog.recent_errors(text[], timestamptz, timestamptz, integer, uuid) IS
'Failed events of a span (default the last 7 days) by name and type of error (the value of error_key), most recent first: number of events and actors, first and last time, and the id and subject of the last. is_sampled: some of these events were sampled, so that actors may be missing. By created_at.';
