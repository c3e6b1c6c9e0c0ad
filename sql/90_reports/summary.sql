-- Report: the totals of a span in one row.

CREATE FUNCTION eventlog.summary(
    since     timestamptz DEFAULT now() - interval '30 days',
    until     timestamptz DEFAULT now(),
    names     text[]      DEFAULT NULL,
    tenant_id uuid        DEFAULT NULL
) RETURNS TABLE (events bigint, names_seen bigint, actors bigint, successes bigint, failures bigint,
                 success_rate numeric, mean_duration numeric, median_duration numeric, p95_duration numeric,
                 is_sampled boolean)
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
    tenant     uuid := eventlog._report_tenant(summary.tenant_id);
    asked      text[] := eventlog._check_names(names);
    first_day  date;
    end_day    date;
    raw_since  timestamptz;
    raw_until  timestamptz;
    late_since timestamptz;
    late_until timestamptz;
    active     bigint;
BEGIN
    PERFORM eventlog._check_span(since, until);
    first_day := since::date;
    end_day := (until + interval '1 day' - interval '1 microsecond')::date;
    SELECT * INTO raw_since, raw_until, late_since, late_until FROM eventlog._raw_spans(tenant, first_day, end_day);
    IF asked IS NULL THEN
        SELECT count(*) INTO active FROM (
            SELECT a.actor
              FROM eventlog._active_days(tenant, first_day, end_day, '', raw_since, raw_until, late_since, late_until) a
             GROUP BY a.actor) g;
    ELSE
        SELECT count(DISTINCT a.actor) INTO active
          FROM unnest(asked) AS n (name),
               eventlog._active_days(tenant, first_day, end_day, n.name, raw_since, raw_until, late_since, late_until) a
         -- Not the empty name, which _active_days() takes for all.
         WHERE n.name <> '';
    END IF;
    RETURN QUERY
    SELECT coalesce(eventlog._as_count(sum(c.weighted_events)), 0), count(DISTINCT c.name), active,
           coalesce(eventlog._as_count(sum(c.successes)), 0), coalesce(eventlog._as_count(sum(c.failures)), 0),
           round((sum(c.successes) / nullif(sum(c.successes) + sum(c.failures), 0))::numeric, 4),
           round((sum(c.duration_sum) / nullif(sum(c.duration_count), 0))::numeric, 1),
           round(eventlog._percentile(eventlog._merge_histograms(c.duration_histogram), 0.5)::numeric, 1),
           round(eventlog._percentile(eventlog._merge_histograms(c.duration_histogram), 0.95)::numeric, 1),
           coalesce(bool_or(c.weighted_events <> c.events), false)
      FROM eventlog._counts_by_name(tenant, since, until, asked, '1 day') c;
END
$$;

COMMENT ON FUNCTION eventlog.summary(timestamptz, timestamptz, text[], uuid) IS
'One row for a span (default the last 30 days): events, distinct actors (of whole days in UTC), successes and failures as event types define them, and durations (percentiles within 2 %). is_sampled: some of these events were sampled, so that actors may be missing. By created_at.';
