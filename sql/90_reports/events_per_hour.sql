-- Report: events by hour, and by name or another breakdown.

CREATE FUNCTION eventlog.events_per_hour(
    names     text[]      DEFAULT NULL,
    since     timestamptz DEFAULT now() - interval '24 hours',
    until     timestamptz DEFAULT now(),
    tenant_id uuid        DEFAULT NULL,
    filters   jsonb       DEFAULT NULL,
    breakdown text        DEFAULT NULL,
    top       integer     DEFAULT 10,
    time_zone text        DEFAULT 'UTC'
) RETURNS TABLE (hour timestamptz, name text, events bigint, failures bigint, successes bigint, median_duration numeric,
                 p95_duration numeric, actors bigint, breakdown_value text, is_others boolean, is_complete boolean,
                 covered_since timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(events_per_hour.tenant_id);
    asked  text[] := eventlog._check_names(names);
    starts timestamptz[];
BEGIN
    PERFORM eventlog._check_span(since, until);
    PERFORM eventlog._check_time_zone(time_zone);
    IF until - since > interval '366 days' THEN
        RAISE EXCEPTION 'the report spans % hours, limit 8784', round(extract(epoch FROM until - since) / 3600)
            USING ERRCODE = 'program_limit_exceeded', HINT = 'SELECT * FROM eventlog.events_per_day(…);';
    END IF;
    starts := eventlog._hour_starts(since, until, time_zone);
    RETURN QUERY
    SELECT starts[c.period], c.name, c.events, c.failures, c.successes, c.median_duration, c.p95_duration, c.actors, c.breakdown_value,
           c.is_others, coalesce(starts[c.period + 1] <= until, starts[c.period] + interval '1 hour' <= until)
                        AND starts[c.period] + interval '1 hour' <= now(), c.covered_since
      FROM eventlog._counts_per_period(tenant, starts, ARRAY(SELECT generate_series(1, cardinality(starts))), starts[1], until, asked,
                                       filters, breakdown, top) c
     ORDER BY 1, c.place;
END
$$;

COMMENT ON FUNCTION eventlog.events_per_hour(text[], timestamptz, timestamptz, uuid, jsonb, text, integer, text) IS
'Events by hour and name, with 0 for hours without any, from the hour of since (default 24 hours ago) to until (default now), at most 366 days. Hours are those of time_zone (default UTC). names, filters, breakdown, top and the columns are those of events_per_day. By created_at.';
