-- Report: events by day, week or month, and by name or another breakdown.

CREATE FUNCTION eventlog.events_per_day(
    names     text[]      DEFAULT NULL,
    since     timestamptz DEFAULT now() - interval '30 days',
    until     timestamptz DEFAULT now(),
    tenant_id uuid        DEFAULT NULL,
    time_zone text        DEFAULT 'UTC',
    filters   jsonb       DEFAULT NULL,
    breakdown text        DEFAULT NULL,
    top       integer     DEFAULT 10,
    period    text        DEFAULT 'day'
) RETURNS TABLE (day date, name text, events bigint, failures bigint, successes bigint, median_duration numeric, p95_duration numeric,
                 actors bigint, breakdown_value text, is_others boolean, is_complete boolean, covered_since timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    tenant     uuid := eventlog._report_tenant(events_per_day.tenant_id);
    asked      text[] := eventlog._check_names(names);
    first_days date[];
    starts     timestamptz[];
    stretches  date[];
    first_at   timestamptz;
    length     interval;
BEGIN
    PERFORM eventlog._check_span(since, until);
    SELECT array_agg(s.starts_at), array_agg(s.first_day), array_remove(ARRAY(SELECT DISTINCT unnest(array_agg(s.first_day)) ORDER BY 1), NULL)
      INTO starts, stretches, first_days
      FROM eventlog._stretches(period, since, until, time_zone) s;
    length := ('1 ' || period)::interval;
    -- The first day counts as a whole; a week or month that began before it does not.
    first_at := eventlog._day_start((since AT TIME ZONE time_zone)::date, time_zone);
    RETURN QUERY
    SELECT d.day, c.name, c.events, c.failures, c.successes, c.median_duration, c.p95_duration, c.actors, c.breakdown_value, c.is_others,
           d.starts_at >= first_at
               AND eventlog._day_start((d.day + length)::date, time_zone) <= least(until, now()),
           c.covered_since
      FROM eventlog._counts_per_period(tenant, starts, ARRAY(SELECT array_position(first_days, s) FROM unnest(stretches) AS s),
                                       first_at, until, asked, filters, breakdown, top) c
     CROSS JOIN LATERAL (SELECT first_days[c.period] AS day, eventlog._day_start(first_days[c.period], time_zone) AS starts_at) d
     ORDER BY d.day, c.place;
END
$$;

COMMENT ON FUNCTION eventlog.events_per_day(text[], timestamptz, timestamptz, uuid, text, jsonb, text, integer, text) IS
'Events by day and name, with 0 for days without any, from the day of since (default 30 days ago) to the day of until (default now), in time_zone (default UTC). names defaults to all that occur. period is day, week (day is its Monday) or month (its first day). breakdown gives a row for each of the values with the most events (top, default 10) and one for all others; none gives one row. filters: a JSON object of conditions. actors are the distinct ones of the period, counted only with a breakdown (name and none are such). is_complete: false if the period began before since or has not ended by until or now. covered_since: the time from which on nothing is missing. By created_at.';
