-- Report: events by hour and name.

CREATE FUNCTION eventlog.events_per_hour(
    names     text[]      DEFAULT NULL,
    since     timestamptz DEFAULT now() - interval '24 hours',
    until     timestamptz DEFAULT now(),
    tenant_id uuid        DEFAULT NULL
) RETURNS TABLE (hour timestamptz, name text, events bigint, failures bigint)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    tenant     uuid := eventlog._report_tenant(events_per_hour.tenant_id);
    asked      text[] := eventlog._check_names(names);
    first_hour timestamptz := date_bin('1 hour', since, '2000-01-01 00:00:00+00');
BEGIN
    PERFORM eventlog._check_span(since, until);
    IF until - since > interval '366 days' THEN
        RAISE EXCEPTION 'the report spans % hours, limit 8784', round(extract(epoch FROM until - since) / 3600)
            USING ERRCODE = 'program_limit_exceeded', HINT = 'SELECT * FROM eventlog.events_per_day(…);';
    END IF;
    RETURN QUERY
    WITH counted AS MATERIALIZED (
        SELECT date_bin('1 hour', c.at, '2000-01-01 00:00:00+00') AS hour, c.name, sum(c.weighted_events) AS events,
               sum(c.failures) AS failures
          FROM eventlog._counts_by_name(tenant, first_hour, until, asked, '1 hour') c
         GROUP BY 1, 2
    ), wanted AS (
        SELECT n.name FROM unnest(asked) AS n (name)
         UNION
        SELECT c.name FROM counted c
    )
    SELECT h.hour, w.name, coalesce(eventlog._as_count(c.events), 0), coalesce(eventlog._as_count(c.failures), 0)
      FROM wanted w
     CROSS JOIN generate_series(first_hour, until - interval '1 microsecond', interval '1 hour') AS h (hour)
      LEFT JOIN counted c ON c.name = w.name AND c.hour = h.hour
     ORDER BY h.hour, w.name;
END
$$;

COMMENT ON FUNCTION eventlog.events_per_hour(text[], timestamptz, timestamptz, uuid) IS
'Events by hour and name, with 0 for hours without any, from the hour of since (default 24 hours ago) to until (default now), at most 366 days. names defaults to all that occur. By created_at.';
