-- Report: events by name and subject.

CREATE FUNCTION eventlog.subject_stats(
    names     text[] DEFAULT NULL,
    since     date   DEFAULT (now() AT TIME ZONE 'UTC')::date - 30,
    until     date   DEFAULT (now() AT TIME ZONE 'UTC')::date + 1,
    tenant_id uuid   DEFAULT NULL
) RETURNS TABLE (name text, subject text, events bigint, successes bigint, failures bigint, success_rate numeric,
                 mean_duration numeric, median_duration numeric, p95_duration numeric, p99_duration numeric,
                 first_at timestamptz, last_at timestamptz)
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
    RETURN QUERY
    SELECT c.name, c.subject, eventlog._as_count(c.weighted_events), eventlog._as_count(c.successes), eventlog._as_count(c.failures),
           round((c.successes / nullif(c.successes + c.failures, 0))::numeric, 4),
           round((c.duration_sum / nullif(c.duration_count, 0))::numeric, 1),
           round(eventlog._percentile(c.duration_histogram, 0.5)::numeric, 1),
           round(eventlog._percentile(c.duration_histogram, 0.95)::numeric, 1),
           round(eventlog._percentile(c.duration_histogram, 0.99)::numeric, 1),
           c.first_at, c.last_at
      FROM eventlog._counts_by_subject(tenant, since, until, asked) c
     ORDER BY c.weighted_events DESC, c.name, c.subject;
END
$$;

COMMENT ON FUNCTION eventlog.subject_stats(text[], date, date, uuid) IS
'For each name and subject from since (default 30 days ago) to before until (default tomorrow): events, successes, failures, durations (percentiles within 2 %), first and last time. By created_at.';
