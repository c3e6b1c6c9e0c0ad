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

-- Returns the bits of the days of a month that lie in a span.
CREATE FUNCTION eventlog._days_within(month date, since date, until date) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN since <= month AND until > month + 30 THEN 2147483647
                WHEN until <= month OR since > month + 30 THEN 0
                ELSE ((1::bigint << least(31, until - month)) - (1::bigint << greatest(0, since - month)))::integer & 2147483647 END
$$;
