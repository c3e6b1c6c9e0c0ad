-- Report: how many actors came back, by cohort.

-- Returns the cohorts of one part of the report, whose periods begin on `starts`.
CREATE FUNCTION eventlog._cohort_retention(tenant uuid, of_first text[], of_return text[], period text, starts date[], until date,
                                           filters jsonb, first_ever boolean, time_zone text)
RETURNS TABLE (cohort date, actors integer, period_number integer, returned integer, share numeric,
               is_complete boolean, is_sampled boolean, covered_since timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
DECLARE
    today       date := eventlog._today(time_zone);
    begins      date := starts[1];
    periods     integer := cardinality(starts);
    ends        date[] := starts[2:] || (starts[periods] + ('1 ' || period)::interval)::date;
    span_days   integer := until - begins;
    day_starts  timestamptz[] := eventlog._day_starts(begins, until, time_zone);
    route       record := eventlog._presence_source(filters, of_return, day_starts[1]);
    route_first record;
    names       text[];
    matrix      integer[];
    sampled     integer[];
    kept        timestamptz;
BEGIN
    of_return := route.names;
    IF NOT first_ever AND filters IS NOT NULL THEN
        route_first := eventlog._presence_source(filters, of_first, day_starts[1]);
        of_first := route_first.names;
        -- Both from the same source.
        IF route_first.source <> route.source THEN
            route.source := 'rows';
        END IF;
    END IF;
    -- All names if either is null.
    names := of_first || CASE WHEN of_first IS NOT NULL THEN of_return END;
    names := CASE WHEN of_return IS NOT NULL THEN names END;

    matrix := eventlog._retention_of(
        eventlog._presence_of(tenant, begins, day_starts, of_first, route, first_ever),
        ARRAY(SELECT s - begins FROM unnest(starts) AS s ORDER BY s) || span_days);
    -- Periods with sampled events. Days of UTC that are partly in two days of the zone may count for both.
    sampled := ARRAY(SELECT DISTINCT width_bucket((at AT TIME ZONE time_zone)::date, starts)
                       FROM unnest(eventlog._sampled_days(tenant, day_starts[1], day_starts[span_days + 1], names)) AS d,
                            unnest(ARRAY[d::timestamptz, d::timestamptz + interval '1 day' - interval '1 microsecond']) AS at);
    kept := CASE WHEN route.source = 'rows' THEN eventlog._covered_since(tenant, day_starts[1], day_starts[span_days + 1], of_return, filters)
                 ELSE day_starts[1] END;
    RETURN QUERY
    SELECT starts[c], matrix[(c - 1) * (periods + 1) + 1], p, matrix[(c - 1) * (periods + 1) + 2 + p],
           round(matrix[(c - 1) * (periods + 1) + 2 + p] / nullif(matrix[(c - 1) * (periods + 1) + 1], 0)::numeric, 4),
           ends[c + p] <= least(until, today), c = ANY (sampled) OR c + p = ANY (sampled), kept
      FROM generate_series(1, periods) AS c CROSS JOIN LATERAL generate_series(0, periods - c) AS p
     ORDER BY c, p;
END
$$;

CREATE FUNCTION eventlog.cohort_retention(
    first_name     text    DEFAULT NULL,
    returning_name text    DEFAULT NULL,
    period         text    DEFAULT 'week',
    since          date    DEFAULT NULL,
    until          date    DEFAULT NULL,
    tenant_id      uuid    DEFAULT NULL,
    filters        jsonb   DEFAULT NULL,
    breakdown      text    DEFAULT NULL,
    top            integer DEFAULT 10,
    first_ever     boolean DEFAULT true,
    time_zone      text    DEFAULT 'UTC'
) RETURNS TABLE (cohort date, actors integer, period_number integer, returned integer, share numeric,
                 is_complete boolean, is_sampled boolean, breakdown_value text, is_others boolean, covered_since timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
DECLARE
    most_periods constant integer := 600;
    tenant    uuid := eventlog._report_tenant(cohort_retention.tenant_id);
    today     date := eventlog._today(time_zone);
    of_first  text[] := eventlog._check_names(CASE WHEN first_name IS NOT NULL THEN ARRAY[first_name] END);
    of_return text[] := eventlog._check_names(CASE WHEN returning_name IS NOT NULL THEN ARRAY[returning_name] END);
    begins    date;
    starts    date[];
BEGIN
    IF period IS NULL OR period NOT IN ('day', 'week', 'month') THEN
        RAISE EXCEPTION 'unknown period "%"', period
            USING ERRCODE = 'invalid_parameter_value', HINT = 'day, week or month';
    END IF;
    until := coalesce(until, today + 1);
    begins := date_trunc(period, coalesce(since::timestamp, CASE period WHEN 'day' THEN until - interval '14 days'
                                      WHEN 'week' THEN until - interval '11 weeks' ELSE until - interval '11 months' END))::date;
    PERFORM eventlog._check_span(coalesce(since, begins), until);
    PERFORM eventlog._check_span(begins, until);
    starts := ARRAY(SELECT d::date FROM generate_series(begins::timestamp, until::timestamp - interval '1 day', ('1 ' || period)::interval) AS d);
    IF cardinality(starts) > most_periods THEN
        RAISE EXCEPTION 'the report has % periods, limit %', cardinality(starts), most_periods
            USING ERRCODE = 'program_limit_exceeded', HINT = 'choose a later since or a longer period';
    END IF;
    RETURN QUERY
    SELECT r.cohort, r.actors, r.period_number, r.returned, r.share, r.is_complete, r.is_sampled, p.value, p.is_others, r.covered_since
      FROM eventlog._parts_of(tenant, eventlog._day_start(begins, time_zone), eventlog._day_start(until, time_zone), of_return, filters,
                              breakdown, top) p
     CROSS JOIN LATERAL eventlog._cohort_retention(tenant, of_first, of_return, period, starts, until, p.part_filters,
                                                   coalesce(first_ever, true), time_zone) r
     ORDER BY r.cohort, r.period_number, p.place;
END
$$;

COMMENT ON FUNCTION eventlog.cohort_retention(text, text, text, date, date, uuid, jsonb, text, integer, boolean, text) IS
'Of the actors whose first event ever (of first_name, or any) is in a day, week (from Monday) or month of a time zone: how many had an event (of returning_name, or any, which meets the filters) in that period (period_number 0) and in each later one. With a breakdown, returns are told apart by the values with the most events (top, default 10, at most 50) and all others; the cohorts stay the same, unless first_ever is false. first_ever => false takes the first event in the span that meets the filters instead, as if nothing had happened before. The span defaults to 15 days, 12 weeks or 12 months. By created_at. is_complete: false for a period that is not over or not wholly in the span, so that its share can grow. is_sampled: some events of that period, or of the cohort''s first, were sampled. With filters other than by name or a counted key, returns come from raw rows, which are complete from covered_since on; first events never need raw rows.';
