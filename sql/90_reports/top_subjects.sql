-- Report: the subjects with the most events.

CREATE FUNCTION eventlog.top_subjects(
    names     text[]  DEFAULT NULL,
    since     date    DEFAULT (now() AT TIME ZONE 'UTC')::date - 30,
    until     date    DEFAULT (now() AT TIME ZONE 'UTC')::date + 1,
    prefix    text    DEFAULT '',
    row_limit integer DEFAULT 10,
    tenant_id uuid    DEFAULT NULL,
    filters   jsonb   DEFAULT NULL,
    breakdown text    DEFAULT NULL,
    top       integer DEFAULT 10,
    time_zone text    DEFAULT 'UTC'
) RETURNS TABLE (rank bigint, subject text, events bigint, share numeric, last_at timestamptz, breakdown_value text, is_others boolean,
                 covered_since timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(top_subjects.tenant_id);
    asked  text[] := eventlog._check_names(names);
BEGIN
    PERFORM eventlog._check_span(since, until);
    PERFORM eventlog._check_row_limit(row_limit);
    PERFORM eventlog._check_time_zone(time_zone);
    RETURN QUERY
    SELECT r.rank, r.subject, eventlog._as_count(r.events), r.share, r.last_at, r.value, r.is_others, r.covered_since
      FROM (SELECT row_number() OVER part AS rank, s.subject, s.events, s.place, s.value, s.is_others, s.last_at, s.covered_since,
                   round((s.events / sum(s.events) OVER (PARTITION BY s.place))::numeric, 4) AS share
              FROM (SELECT p.place, p.value, p.is_others, c.subject, sum(c.weighted_events) AS events, max(c.last_at) AS last_at,
                           max(c.covered_since) AS covered_since
                      FROM eventlog._parts_of(tenant, eventlog._day_start(since, time_zone), eventlog._day_start(until, time_zone), asked,
                                              filters, breakdown, top) p
                     CROSS JOIN LATERAL eventlog._subjects(tenant, since, until, asked, p.part_filters, time_zone) c
                     WHERE starts_with(c.subject, coalesce(prefix, ''))
                     GROUP BY p.place, p.value, p.is_others, c.subject) s
            WINDOW part AS (PARTITION BY s.place ORDER BY s.events DESC, s.subject)) r
     WHERE r.rank <= row_limit
     ORDER BY r.place, r.rank;
END
$$;

COMMENT ON FUNCTION eventlog.top_subjects(text[], date, date, text, integer, uuid, jsonb, text, integer, text) IS
'The subjects with the most events, at most row_limit (default 10), with their share of all subjects that begin with prefix (such as skill/ for artifacts of that type). filters: a JSON object of conditions. With a breakdown, the subjects of each of the values with the most events (top, default 10, at most 50) and of all others. Days are those of time_zone (default UTC). covered_since: the time from which on nothing is missing. By created_at.';
