-- Report: the subjects with the most events.

CREATE FUNCTION eventlog.top_subjects(
    names     text[]  DEFAULT NULL,
    since     date    DEFAULT (now() AT TIME ZONE 'UTC')::date - 30,
    until     date    DEFAULT (now() AT TIME ZONE 'UTC')::date + 1,
    prefix    text    DEFAULT '',
    row_limit integer DEFAULT 10,
    tenant_id uuid    DEFAULT NULL,
    filters   jsonb   DEFAULT NULL,
    time_zone text    DEFAULT 'UTC'
) RETURNS TABLE (rank bigint, subject text, events bigint, share numeric, last_at timestamptz, covered_since timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(top_subjects.tenant_id);
    asked  text[] := eventlog._check_names(names);
BEGIN
    PERFORM eventlog._check_span(since, until);
    PERFORM eventlog._check_row_limit(row_limit);
    PERFORM eventlog._check_time_zone(time_zone);
    RETURN QUERY
    SELECT row_number() OVER (ORDER BY s.events DESC, s.subject), s.subject, eventlog._as_count(s.events),
           round((s.events / sum(s.events) OVER ())::numeric, 4), s.last_at, s.covered_since
      FROM (SELECT c.subject, sum(c.weighted_events) AS events, max(c.last_at) AS last_at, max(c.covered_since) AS covered_since
              FROM eventlog._subjects(tenant, since, until, asked, filters, time_zone) c
             WHERE starts_with(c.subject, coalesce(prefix, ''))
             GROUP BY c.subject) s
     ORDER BY s.events DESC, s.subject
     LIMIT row_limit;
END
$$;

COMMENT ON FUNCTION eventlog.top_subjects(text[], date, date, text, integer, uuid, jsonb, text) IS
'The subjects with the most events, at most row_limit (default 10), with their share of all subjects that begin with prefix (such as skill/ for artifacts of that type). filters: a JSON object of conditions. Days are those of time_zone (default UTC). covered_since: the time from which on nothing is missing. By created_at.';
