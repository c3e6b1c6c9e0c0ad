-- Periods in a time zone: hours, days, weeks and months as the times at which they begin.

-- Returns the starts of the hours of a time zone, from the one that holds `since` to before `until`. An hour
-- that clocks repeat is two hours, one that they skip is none, and where they move by half an hour the hour
-- before or after is as long as the clock says.
CREATE FUNCTION eventlog._hour_starts(since timestamptz, until timestamptz, time_zone text) RETURNS timestamptz[]
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
    WITH label AS (
        SELECT l.label, l.label AT TIME ZONE time_zone AS at
          FROM generate_series(date_trunc('hour', since AT TIME ZONE time_zone) - interval '2 hours',
                               date_trunc('hour', until AT TIME ZONE time_zone) + interval '2 hours', interval '1 hour') AS l (label)
    ), candidate AS (
        -- By the offsets before and after, since a label can come twice.
        SELECT l.label, l.label - (near.at AT TIME ZONE time_zone - near.at AT TIME ZONE 'UTC') AS local_at, l.at
          FROM label l
         CROSS JOIN LATERAL (VALUES (l.at), (l.at - interval '4 hours'), (l.at + interval '4 hours')) AS near (at)
    ), start AS (
        SELECT DISTINCT c.local_at AT TIME ZONE 'UTC' AS at
          FROM candidate c
         WHERE (c.local_at AT TIME ZONE 'UTC') AT TIME ZONE time_zone = c.label
            -- The clock skipped the full hour, and the hour begins later.
            OR c.at AT TIME ZONE time_zone <> c.label
               AND date_trunc('hour', (c.local_at AT TIME ZONE 'UTC') AT TIME ZONE time_zone) = c.label
    )
    SELECT array_agg(s.at ORDER BY s.at)
      FROM start s
     WHERE s.at < until AND s.at >= (SELECT max(b.at) FROM start b WHERE b.at <= since)
$$;

-- Returns the stretches that days, weeks (from Monday) or months of a time zone consist of, in order, from the
-- start of the period that holds `since` to before `until`. Almost always a period is one stretch. Where clocks
-- are set back over midnight, the evening comes again after the first minutes of the next day, and both are in
-- pieces; a day that a zone skipped starts with the next one, and has no instant.
CREATE FUNCTION eventlog._stretches(period text, since timestamptz, until timestamptz, time_zone text)
RETURNS TABLE (starts_at timestamptz, first_day date)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
BEGIN
    PERFORM eventlog._check_time_zone(time_zone);
    IF period IS NULL OR period NOT IN ('day', 'week', 'month') THEN
        RAISE EXCEPTION 'period must be day, week or month, got "%"', coalesce(left(period, 200), 'null')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN QUERY
    WITH period AS MATERIALIZED (
        SELECT p.day::date AS first_day, eventlog._day_start(p.day::date, time_zone) AS starts_at,
               p.day AT TIME ZONE time_zone AS midnight
          FROM generate_series(date_trunc(period, since AT TIME ZONE time_zone),
                               date_trunc(period, (until - interval '1 microsecond') AT TIME ZONE time_zone),
                               ('1 ' || period)::interval) AS p (day)
    )
    SELECT p.starts_at, p.first_day FROM period p
     UNION ALL
    -- Null before the first period.
    SELECT m.at, CASE WHEN NOT m.is_before THEN p.first_day
                      WHEN p.first_day > (SELECT min(f.first_day) FROM period f)
                      THEN (p.first_day - ('1 ' || period)::interval)::date END
      FROM period p
     CROSS JOIN LATERAL (
            SELECT at, (at AT TIME ZONE time_zone)::date < p.first_day AS is_before,
                   ((at - interval '1 minute') AT TIME ZONE time_zone)::date < p.first_day AS was_before
              FROM generate_series(p.starts_at + interval '1 minute', p.midnight, '1 minute') AS at
             WHERE p.starts_at < p.midnight) m
     WHERE m.is_before <> m.was_before
     ORDER BY 1, 2;
END
$$;

-- PostgreSQL raises 22023 for an unknown zone.
CREATE FUNCTION eventlog._check_time_zone(time_zone text) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF time_zone IS NULL THEN
        RAISE EXCEPTION 'time_zone must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    PERFORM now() AT TIME ZONE time_zone;
END
$$;

-- Returns the longest stretch that periods consist of: days in UTC, hours, quarter-hours, or less.
CREATE FUNCTION eventlog._grain_of(starts timestamptz[]) RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN bool_and(b.seconds % 86400 = 0) THEN interval '1 day'
                WHEN bool_and(b.seconds % 3600 = 0) THEN interval '1 hour'
                WHEN bool_and(b.seconds % 900 = 0) THEN interval '15 minutes'
                ELSE interval '1 second' END
      FROM (SELECT extract(epoch FROM s.at) FROM unnest(starts) AS s (at)) AS b (seconds)
$$;
