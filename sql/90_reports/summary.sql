-- Report: the totals of a span, in one row or by value of a breakdown.

CREATE FUNCTION eventlog.summary(
    since     timestamptz DEFAULT now() - interval '30 days',
    until     timestamptz DEFAULT now(),
    names     text[]      DEFAULT NULL,
    tenant_id uuid        DEFAULT NULL,
    filters   jsonb       DEFAULT NULL,
    breakdown text        DEFAULT NULL,
    top       integer     DEFAULT 10
) RETURNS TABLE (events bigint, names_seen bigint, actors bigint, successes bigint, failures bigint,
                 success_rate numeric, mean_duration numeric, median_duration numeric, p95_duration numeric,
                 is_sampled boolean, breakdown_value text, is_others boolean, covered_since timestamptz, last_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(summary.tenant_id);
    asked  text[] := eventlog._check_names(names);
BEGIN
    PERFORM eventlog._check_span(since, until);
    PERFORM eventlog._check_top(top);
    RETURN QUERY
    SELECT coalesce(eventlog._as_count(c.events), 0), coalesce(c.names_seen, 0), coalesce(c.actors, 0),
           coalesce(eventlog._as_count(c.successes), 0), coalesce(eventlog._as_count(c.failures), 0),
           round((c.successes / nullif(c.successes + c.failures, 0))::numeric, 4),
           round((c.duration_sum / nullif(c.duration_count, 0))::numeric, 1),
           round(eventlog._percentile(c.duration_histogram, 0.5)::numeric, 1),
           round(eventlog._percentile(c.duration_histogram, 0.95)::numeric, 1),
           coalesce(c.is_sampled, false), c.value, coalesce(c.is_others, false), coalesce(c.covered_since, since), c.last_at
      FROM (VALUES (1)) AS one (row)
      LEFT JOIN eventlog._cut(tenant, ARRAY[since], '{1}', until, asked, filters, breakdown,
                              CASE WHEN breakdown IS NOT NULL THEN top END, true) c ON true
     -- Without a breakdown there is always a row.
     WHERE breakdown IS NULL OR c.period IS NOT NULL
     ORDER BY coalesce(c.is_others, false), c.events DESC, c.value;
END
$$;

COMMENT ON FUNCTION eventlog.summary(timestamptz, timestamptz, text[], uuid, jsonb, text, integer) IS
'Totals of a span (default the last 30 days): events, distinct actors, successes and failures as event types define them, and durations (percentiles within 2 %). One row, or with a breakdown one for each of the values with the most events (top, default 10) and one for all others. filters: a JSON object of conditions. is_sampled: some of these events were sampled, so that actors may be missing. covered_since: the time from which on nothing is missing. By created_at.';
