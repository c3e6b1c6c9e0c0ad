-- Report: how many actors came back, by cohort.

CREATE FUNCTION eventlog.cohort_retention(
    first_name     text DEFAULT NULL,
    returning_name text DEFAULT NULL,
    period         text DEFAULT 'week',
    since          date DEFAULT NULL,
    until          date DEFAULT (now() AT TIME ZONE 'UTC')::date + 1,
    tenant_id      uuid DEFAULT NULL,
    filters        jsonb DEFAULT NULL,
    first_ever     boolean DEFAULT true,
    time_zone      text DEFAULT 'UTC'
) RETURNS TABLE (cohort date, actors integer, period_number integer, returned integer, share numeric,
                 is_complete boolean, is_sampled boolean, covered_since timestamptz)
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
    most_periods constant integer := 600;
    tenant   uuid := eventlog._report_tenant(cohort_retention.tenant_id);
    begins   date;
    starts   date[];
    offsets  integer[];
    span_days integer;
    periods  integer;
    matrix   integer[];
    first_event     text := coalesce(first_name, '');
    returning_event text := coalesce(returning_name, '');
    -- All names if either is null.
    names           text[] := CASE WHEN first_name IS NOT NULL AND returning_name IS NOT NULL THEN ARRAY[first_name, returning_name] END;
    ends            date[];
    sampled         integer[];
    raw_since  timestamptz;
    raw_until  timestamptz;
    late_since timestamptz;
    late_until timestamptz;
BEGIN
    PERFORM eventlog._check_names(ARRAY[first_name, returning_name]);
    IF period IS NULL OR period NOT IN ('day', 'week', 'month') THEN
        RAISE EXCEPTION 'unknown period "%"', period
            USING ERRCODE = 'invalid_parameter_value', HINT = 'day, week or month';
    END IF;
    begins := date_trunc(period, coalesce(since::timestamp, CASE period WHEN 'day' THEN until - interval '14 days'
                                      WHEN 'week' THEN until - interval '11 weeks' ELSE until - interval '11 months' END))::date;
    PERFORM eventlog._check_span(coalesce(since, begins), until);
    PERFORM eventlog._check_span(begins, until);
    starts := ARRAY(SELECT d::date FROM generate_series(begins::timestamp, until::timestamp - interval '1 day', ('1 ' || period)::interval) AS d);
    periods := cardinality(starts);
    IF periods > most_periods THEN
        RAISE EXCEPTION 'the report has % periods, limit %', periods, most_periods
            USING ERRCODE = 'program_limit_exceeded', HINT = 'choose a later since or a longer period';
    END IF;
    span_days := until - begins;
    ends := starts[2:] || (starts[periods] + ('1 ' || period)::interval)::date;
    SELECT * INTO raw_since, raw_until, late_since, late_until FROM eventlog._raw_spans(tenant, begins, until);
    -- Periods with sampled events.
    sampled := ARRAY(SELECT DISTINCT width_bucket(s.at::date, starts)
                       FROM eventlog._counts_by_name(tenant, begins::timestamptz, until::timestamptz, names, '1 day') s
                      WHERE s.weighted_events <> s.events);
    offsets := ARRAY(SELECT s - begins FROM unnest(starts) AS s ORDER BY s) || span_days;

    -- Asks once, not twice, if both names are the same.
    IF first_name IS NOT DISTINCT FROM returning_name THEN
        SELECT eventlog._retained(coalesce(eventlog._activity(a.actor, a.month - begins, a.days, a.days, span_days), ''), offsets)
          INTO matrix
          FROM eventlog._active_days(tenant, begins, until, first_event, raw_since, raw_until, late_since, late_until) a;
    ELSE
        SELECT eventlog._retained(coalesce(eventlog._activity(a.actor, a.month - begins, a.first_days, a.returning_days, span_days), ''), offsets)
          INTO matrix
          FROM (SELECT f.actor, f.month, f.days AS first_days, 0 AS returning_days
                  FROM eventlog._active_days(tenant, begins, until, first_event, raw_since, raw_until, late_since, late_until) f
                 UNION ALL
                SELECT r.actor, r.month, 0, r.days
                  FROM eventlog._active_days(tenant, begins, until, returning_event, raw_since, raw_until, late_since, late_until) r) a;
    END IF;
    RETURN QUERY
    SELECT starts[c], matrix[(c - 1) * (periods + 1) + 1], p, matrix[(c - 1) * (periods + 1) + 2 + p],
           round(matrix[(c - 1) * (periods + 1) + 2 + p] / nullif(matrix[(c - 1) * (periods + 1) + 1], 0)::numeric, 4),
           ends[c + p] <= least(until, now()::date), c = ANY (sampled) OR c + p = ANY (sampled),
           eventlog._day_start(begins, cohort_retention.time_zone)
      FROM generate_series(1, periods) AS c CROSS JOIN LATERAL generate_series(0, periods - c) AS p
     ORDER BY c, p;
END
$$;

COMMENT ON FUNCTION eventlog.cohort_retention(text, text, text, date, date, uuid, jsonb, boolean, text) IS
'Of the actors whose first event in the span (of first_name, or any) is in a day, week or month: how many had an event (of returning_name, or any) in that period (period_number 0) and in each later one. The span defaults to 15 days, 12 weeks or 12 months. In UTC, by created_at. is_complete: false for a period that is not over or not wholly in the span, so that its share can grow. is_sampled: some events of that period, or of the cohort''s first, were sampled.';
