-- Days in a time zone.

-- Returns the first instant of a day in a time zone. If clocks are set back over midnight, midnight comes
-- twice, and PostgreSQL returns the second; the first is midnight by the offset of the day before. A day
-- that a zone skipped begins with the next one. The function has no SET clause, so that it is inlined into
-- the calling query; the two below are its parts, so that `midnight` is not written nine times.
CREATE FUNCTION eventlog._day_start(day date, time_zone text) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT eventlog._earlier_midnight(day, time_zone, day::timestamp AT TIME ZONE time_zone)
$$;

CREATE FUNCTION eventlog._earlier_midnight(day date, time_zone text, midnight timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT least(midnight, eventlog._if_within_day(day, time_zone,
        (day::timestamp - ((midnight - interval '24 hours') AT TIME ZONE time_zone
                           - (midnight - interval '24 hours') AT TIME ZONE 'UTC')) AT TIME ZONE 'UTC'))
$$;

CREATE FUNCTION eventlog._if_within_day(day date, time_zone text, at timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN (at AT TIME ZONE time_zone)::date = day THEN at END
$$;

-- Returns the longest stretch that all days of a span consist of in a time zone: days in UTC, hours, or
-- less if an offset is not whole hours (which only raw rows can answer). Clocks that are set back over
-- midnight repeat the evening before, and each stretch must lie within one day there too.
CREATE FUNCTION eventlog._grain(time_zone text, first_day date, last_day date) RETURNS interval
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
    WITH day AS MATERIALIZED (
        SELECT d.day, eventlog._day_start(d.day, time_zone) AS starts_at, d.day::timestamp AT TIME ZONE time_zone AS midnight
          FROM (SELECT first_day + n FROM generate_series(0, last_day - first_day + 1) AS n) AS d (day)
    ), grain AS (
        SELECT CASE WHEN bool_and(b.seconds % 86400 = 0) THEN interval '1 day'
                    WHEN bool_and(b.seconds % 3600 = 0) THEN interval '1 hour'
                    WHEN bool_and(b.seconds % 900 = 0) THEN interval '15 minutes'
                    ELSE interval '1 second' END AS grain
          FROM (SELECT extract(epoch FROM d.starts_at) FROM day d) AS b (seconds)
    )
    SELECT CASE WHEN EXISTS (SELECT FROM day d,
                                    generate_series(d.starts_at, d.midnight - interval '1 microsecond', least(g.grain, '1 hour')) AS at
                              WHERE d.starts_at < d.midnight
                                AND (at AT TIME ZONE time_zone)::date
                                    <> ((at + least(g.grain, '1 hour') - interval '1 microsecond') AT TIME ZONE time_zone)::date)
                THEN interval '1 second' ELSE g.grain END
      FROM grain g
$$;
