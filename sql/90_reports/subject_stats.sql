-- Report: events by name and subject.

CREATE FUNCTION eventlog.subject_stats(
    names     text[]  DEFAULT NULL,
    since     date    DEFAULT (now() AT TIME ZONE 'UTC')::date - 30,
    until     date    DEFAULT (now() AT TIME ZONE 'UTC')::date + 1,
    tenant_id uuid    DEFAULT NULL,
    filters   jsonb   DEFAULT NULL,
    time_zone text    DEFAULT 'UTC',
    row_limit integer DEFAULT 1000
) RETURNS TABLE (name text, subject text, events bigint, successes bigint, failures bigint, success_rate numeric,
                 mean_duration numeric, median_duration numeric, p95_duration numeric, p99_duration numeric,
                 first_at timestamptz, last_at timestamptz, covered_since timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(subject_stats.tenant_id);
    asked  text[] := eventlog._check_names(names);
BEGIN
    PERFORM eventlog._check_span(since, until);
    PERFORM eventlog._check_row_limit(row_limit);
    PERFORM eventlog._check_time_zone(time_zone);
    PERFORM eventlog._check_filters_known(filters, asked);
    RETURN QUERY
    SELECT c.name, c.subject, eventlog._as_count(c.weighted_events), eventlog._as_count(c.successes), eventlog._as_count(c.failures),
           round((c.successes / nullif(c.successes + c.failures, 0))::numeric, 4),
           round((c.duration_sum / nullif(c.duration_count, 0))::numeric, 1),
           round(eventlog._percentile(c.duration_histogram, 0.5)::numeric, 1),
           round(eventlog._percentile(c.duration_histogram, 0.95)::numeric, 1),
           round(eventlog._percentile(c.duration_histogram, 0.99)::numeric, 1),
           c.first_at, c.last_at, c.covered_since
      FROM eventlog._subjects(tenant, since, until, asked, filters, time_zone) c
     ORDER BY c.weighted_events DESC, c.name, c.subject
     LIMIT row_limit;
END
$$;

COMMENT ON FUNCTION eventlog.subject_stats(text[], date, date, uuid, jsonb, text, integer) IS
'For each name and subject from since (default 30 days ago) to before until (default tomorrow): events, successes, failures, durations (percentiles within 2 %), first and last time; those with the most events first, at most row_limit (default 1000). filters: a JSON object of conditions. Days are those of time_zone (default UTC). covered_since: the time from which on nothing is missing. By created_at.';
