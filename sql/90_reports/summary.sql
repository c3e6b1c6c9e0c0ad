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
    tenant        uuid := eventlog._report_tenant(summary.tenant_id);
    asked         text[] := eventlog._check_names(names);
    condition     text := eventlog._filter_condition(filters, asked);
    cut_by            text := eventlog._breakdown_expression(breakdown, asked);
    source        text := eventlog._cut_source(filters, breakdown);
    covered_since timestamptz;
    active        bigint;
BEGIN
    PERFORM eventlog._check_span(since, until);
    PERFORM eventlog._check_top(top);
    covered_since := eventlog._covered_since(tenant, since, until, asked);
    IF source = 'names' AND breakdown IS NULL THEN
        active := eventlog._actors_of_days(tenant, since::date, (until + interval '1 day' - interval '1 microsecond')::date, asked, condition);
    END IF;
    RETURN QUERY
    SELECT coalesce(eventlog._as_count(c.events), 0), coalesce(c.names_seen, 0), coalesce(active, c.actors, 0),
           coalesce(eventlog._as_count(c.successes), 0), coalesce(eventlog._as_count(c.failures), 0),
           round((c.successes / nullif(c.successes + c.failures, 0))::numeric, 4),
           round((c.duration_sum / nullif(c.duration_count, 0))::numeric, 1),
           round(eventlog._percentile(c.duration_histogram, 0.5)::numeric, 1),
           round(eventlog._percentile(c.duration_histogram, 0.95)::numeric, 1),
           coalesce(c.is_sampled, false), c.value, coalesce(c.is_others, false), covered_since, c.last_at
      FROM (VALUES (1)) AS one (row)
      LEFT JOIN eventlog._cut(tenant, ARRAY[since], '{1}', until, asked, condition, cut_by, CASE WHEN cut_by IS NOT NULL THEN top END,
                              source, '1 day') c
        ON true
     -- Without a breakdown there is always a row.
     WHERE cut_by IS NULL OR c.period IS NOT NULL
     ORDER BY coalesce(c.is_others, false), c.events DESC, c.value;
END
$$;

-- Returns the distinct actors of whole days, from the rollup.
CREATE FUNCTION eventlog._actors_of_days(tenant uuid, first_day date, end_day date, asked text[], condition text) RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET enable_seqscan = off
SET jit = off
SET max_parallel_workers_per_gather = 0
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    raw_since  timestamptz;
    raw_until  timestamptz;
    late_since timestamptz;
    late_until timestamptz;
    active     bigint;
BEGIN
    SELECT * INTO raw_since, raw_until, late_since, late_until FROM eventlog._raw_spans(tenant, first_day, end_day);
    IF asked IS NULL AND condition = 'true' THEN
        SELECT count(*) INTO active FROM (
            SELECT a.actor
              FROM eventlog._active_days(tenant, first_day, end_day, '', raw_since, raw_until, late_since, late_until) a
             GROUP BY a.actor) g;
        RETURN active;
    END IF;
    EXECUTE format('SELECT array_agg(e.name) FROM (SELECT DISTINCT c.name FROM eventlog._counts_by_name($1, $2, $3, $4, ''1 day'') c) e WHERE %s',
                   condition)
       INTO asked USING tenant, first_day::timestamptz, end_day::timestamptz, asked;
    SELECT count(DISTINCT a.actor) INTO active
      FROM unnest(asked) AS n (name),
           eventlog._active_days(tenant, first_day, end_day, n.name, raw_since, raw_until, late_since, late_until) a
     -- Not the empty name, which _active_days() takes for all.
     WHERE n.name <> '';
    RETURN active;
END
$$;

COMMENT ON FUNCTION eventlog.summary(timestamptz, timestamptz, text[], uuid, jsonb, text, integer) IS
'Totals of a span (default the last 30 days): events, distinct actors, successes and failures as event types define them, and durations (percentiles within 2 %). One row, or with a breakdown one for each of the values with the most events (top, default 10) and one for all others. filters: a JSON object of conditions. is_sampled: some of these events were sampled, so that actors may be missing. covered_since: the time from which on nothing is missing. By created_at.';
