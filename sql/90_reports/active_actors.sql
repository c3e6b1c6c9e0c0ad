-- Report: how many actors were active.

-- Returns the days of one part of the report.
CREATE FUNCTION eventlog._active_actors(tenant uuid, since date, until date, names text[], filters jsonb, time_zone text)
RETURNS TABLE (day date, daily integer, weekly integer, monthly integer, is_sampled boolean, is_complete boolean, covered_since timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
DECLARE
    today     date := eventlog._today(time_zone);
    first     date := since - 29;
    span_days integer := until - first;
    starts    timestamptz[] := eventlog._day_starts(first, until, time_zone);
    route     record := eventlog._presence_source(filters, names, starts[1]);
    presence  bytea;
    sampled   date[];
    kept      timestamptz;
BEGIN
    presence := eventlog._presence_of(tenant, first, starts, '{}', route, false);
    sampled := eventlog._sampled_days(tenant, starts[1], starts[span_days + 1], route.names);
    -- Days of UTC that are partly in two days of the zone may count for both.
    sampled := ARRAY(SELECT (at AT TIME ZONE time_zone)::date FROM unnest(sampled) AS d,
                            unnest(ARRAY[d::timestamptz, d::timestamptz + interval '1 day' - interval '1 microsecond']) AS at);
    kept := CASE WHEN route.source = 'rows' THEN eventlog._covered_since(tenant, starts[1], starts[span_days + 1], route.names, filters) ELSE starts[1] END;
    RETURN QUERY
    SELECT first + d.n - 1, d.daily, d.weekly, d.monthly, coalesce(d.sampled_at > first + d.n - 31, false),
           first + d.n <= today, greatest(kept, starts[30])
      FROM (SELECT c.daily, c.weekly, c.monthly, c.n::integer AS n, max(s.day) OVER (ORDER BY c.n) AS sampled_at
              FROM ROWS FROM (unnest(eventlog._present_within(presence, 1, span_days)), unnest(eventlog._present_within(presence, 7, span_days)),
                              unnest(eventlog._present_within(presence, 30, span_days))) WITH ORDINALITY AS c (daily, weekly, monthly, n)
              LEFT JOIN (SELECT DISTINCT u.day FROM unnest(sampled) AS u (day)) s ON s.day = first + c.n::integer - 1) d
     WHERE d.n > 29
     ORDER BY d.n;
END
$$;

CREATE FUNCTION eventlog.active_actors(
    since     date    DEFAULT NULL,
    until     date    DEFAULT NULL,
    name      text    DEFAULT NULL,
    tenant_id uuid    DEFAULT NULL,
    filters   jsonb   DEFAULT NULL,
    breakdown text    DEFAULT NULL,
    top       integer DEFAULT 10,
    time_zone text    DEFAULT 'UTC'
) RETURNS TABLE (day date, daily integer, weekly integer, monthly integer, is_sampled boolean, is_complete boolean,
                 breakdown_value text, is_others boolean, covered_since timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(active_actors.tenant_id);
    today  date := eventlog._today(time_zone);
    asked  text[] := eventlog._check_names(CASE WHEN active_actors.name IS NOT NULL THEN ARRAY[active_actors.name] END);
BEGIN
    until := coalesce(until, today + 1);
    since := coalesce(since, until - 30);
    PERFORM eventlog._check_span(since, until);
    RETURN QUERY
    SELECT a.day, a.daily, a.weekly, a.monthly, a.is_sampled, a.is_complete, p.value, p.is_others, a.covered_since
      FROM eventlog._parts_of(tenant, eventlog._day_start(since - 29, time_zone), eventlog._day_start(until, time_zone), asked, filters,
                              breakdown, top) p
     CROSS JOIN LATERAL eventlog._active_actors(tenant, since, until, asked, p.part_filters, time_zone) a
     ORDER BY a.day, p.place;
END
$$;

COMMENT ON FUNCTION eventlog.active_actors(date, date, text, uuid, jsonb, text, integer, text) IS
'For each day of a time zone from since (default 29 days before today) to before until (default tomorrow): the distinct actors of that day, and of the 7 and the 30 days that end with it, of events of one name or of any, which meet the filters; with a breakdown, for each of the values with the most events (top, default 10, at most 50) and for all others. With filters other than by name or a counted key from raw rows, which are complete from covered_since on. is_sampled: some events of those 30 days were sampled, so that actors are missing. is_complete: false for a day that is not over. By created_at.';
