-- What events_per_day and events_per_hour share.

-- Returns the counts of each period and of each name or value of the breakdown, with 0 where there are none.
-- Periods are numbered from 1 by `periods` (eventlog._cut), events before `first_at` do not count. `place` orders
-- the rows of a period: names by themselves, values by their events in all periods, others last.
CREATE FUNCTION eventlog._counts_per_period(tenant uuid, starts timestamptz[], periods integer[], first_at timestamptz, until timestamptz,
                                            names text[], filters jsonb, breakdown text, top integer)
RETURNS TABLE (period integer, place bigint, name text, events bigint, failures bigint, successes bigint, median_duration numeric,
               p95_duration numeric, actors bigint, breakdown_value text, is_others boolean, covered_since timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM eventlog._check_top(top);
    -- An empty span.
    IF starts IS NULL THEN
        RETURN;
    END IF;
    -- Periods are in order, so that a later start still belongs to the first of them.
    IF first_at > starts[1] THEN
        starts[1] := first_at;
    END IF;
    RETURN QUERY
    WITH counted AS MATERIALIZED (
        SELECT c.*
          FROM eventlog._cut(tenant, starts, periods, until, names, filters,
                             CASE WHEN breakdown IS NULL THEN 'name' ELSE nullif(breakdown, 'none') END,
                             CASE WHEN breakdown <> 'none' THEN top END, breakdown IS NOT NULL) c
    ), wanted AS (
        SELECT w.value, w.is_others,
               CASE WHEN breakdown IS NULL THEN row_number() OVER (ORDER BY w.value)
                    ELSE row_number() OVER (ORDER BY w.is_others, w.events DESC, w.value) END AS place
          FROM (SELECT u.value, u.is_others, sum(u.events) AS events
                  FROM (SELECT c.value, c.is_others, c.events FROM counted c
                         UNION ALL
                        SELECT n.name, false, 0 FROM unnest(names) AS n (name) WHERE breakdown IS NULL
                         UNION ALL
                        SELECT NULL, false, 0 WHERE breakdown = 'none') u
                 GROUP BY u.value, u.is_others) w
    )
    SELECT p.period, w.place, CASE WHEN breakdown IS NULL THEN w.value END,
           coalesce(eventlog._as_count(c.events), 0), coalesce(eventlog._as_count(c.failures), 0),
           coalesce(eventlog._as_count(c.successes), 0),
           round(eventlog._percentile(c.duration_histogram, 0.5)::numeric, 1),
           round(eventlog._percentile(c.duration_histogram, 0.95)::numeric, 1),
           CASE WHEN breakdown IS NOT NULL THEN coalesce(c.actors, 0) END, CASE WHEN breakdown IS NOT NULL THEN w.value END, w.is_others,
           coalesce(c.covered_since, (SELECT max(o.covered_since) FROM counted o), first_at)
      FROM wanted w
     CROSS JOIN generate_series(1, (SELECT max(n) FROM unnest(periods) AS n)) AS p (period)
      LEFT JOIN counted c ON c.period = p.period AND c.is_others = w.is_others
                         AND coalesce('=' || c.value, '') = coalesce('=' || w.value, '');
END
$$;
