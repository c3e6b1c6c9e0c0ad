-- Report: events by day and name.

CREATE FUNCTION eventlog.events_per_day(
    names     text[]      DEFAULT NULL,
    since     timestamptz DEFAULT now() - interval '30 days',
    until     timestamptz DEFAULT now(),
    tenant_id uuid        DEFAULT NULL,
    time_zone text        DEFAULT 'UTC'
) RETURNS TABLE (day date, name text, events bigint, failures bigint)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    tenant    uuid := eventlog._report_tenant(events_per_day.tenant_id);
    asked     text[] := eventlog._check_names(names);
    first_day date;
    last_day  date;
    grain     interval;
BEGIN
    PERFORM eventlog._check_span(since, until);
    IF time_zone IS NULL THEN
        RAISE EXCEPTION 'time_zone must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    -- PostgreSQL raises 22023 for an unknown zone.
    first_day := (since AT TIME ZONE time_zone)::date;
    last_day := ((until - interval '1 microsecond') AT TIME ZONE time_zone)::date;
    grain := eventlog._grain(time_zone, first_day, last_day);
    RETURN QUERY
    WITH counted AS MATERIALIZED (
        SELECT (c.at AT TIME ZONE time_zone)::date AS day, c.name, sum(c.weighted_events) AS events, sum(c.failures) AS failures
          FROM eventlog._counts_by_name(tenant, eventlog._day_start(first_day, time_zone), until, asked, grain) c
         GROUP BY 1, 2
    ), wanted AS (
        SELECT n.name FROM unnest(asked) AS n (name)
         UNION
        SELECT c.name FROM counted c
    )
    SELECT d.day::date, w.name, coalesce(eventlog._as_count(c.events), 0), coalesce(eventlog._as_count(c.failures), 0)
      FROM wanted w
     CROSS JOIN generate_series(first_day::timestamp, last_day::timestamp, interval '1 day') AS d (day)
      LEFT JOIN counted c ON c.name = w.name AND c.day = d.day::date
     ORDER BY d.day, w.name;
END
$$;

COMMENT ON FUNCTION eventlog.events_per_day(text[], timestamptz, timestamptz, uuid, text) IS
'Events by day and name, with 0 for days without any, from the day of since (default 30 days ago) to the day of until (default now), in time_zone (default UTC). names defaults to all that occur. By created_at.';
