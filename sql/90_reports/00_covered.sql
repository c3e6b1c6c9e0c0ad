-- How far back raw rows answer.

-- Returns the time from which on raw rows answer completely for events of these names (all if null): that of
-- `since`, or what retention has left. The rollups keep counts of events that are gone: it is the end of the
-- last hour in which a name was counted and has no rows any more, or, if the rest of its partition was dropped,
-- the start of the oldest one.
CREATE FUNCTION eventlog._covered_since(tenant uuid, since timestamptz, until timestamptz, names text[], filters jsonb DEFAULT NULL)
RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET enable_seqscan = off
SET jit = off
SET max_parallel_workers_per_gather = 0
AS $$
DECLARE
    first_hour timestamptz := date_bin('1 hour', since + interval '1 hour' - interval '1 microsecond', '2000-01-01');
    lost_until timestamptz;
BEGIN
    IF first_hour >= until THEN
        RETURN since;
    END IF;
    EXECUTE format($sql$
        SELECT max(l.hour) + interval '1 hour'
          FROM (SELECT e.tenant_id, e.name, min(e.day) AS first_day
                  FROM eventlog.daily_counts e
                 WHERE eventlog._is_tenant($1, e.tenant_id) AND e.day >= $2::date AND e.day < $3
                   AND ($4 IS NULL OR e.name = ANY ($4)) AND (%s)
                 GROUP BY e.tenant_id, e.name) n
          LEFT JOIN LATERAL (SELECT e.created_at FROM eventlog.events e
                              WHERE e.tenant_id = n.tenant_id AND e.name = n.name AND e.created_at >= $2 AND e.created_at < $3
                              ORDER BY e.created_at LIMIT 1) r ON true
          LEFT JOIN LATERAL (SELECT max(h.hour) AS hour FROM eventlog.hourly_counts h
                              WHERE h.tenant_id = n.tenant_id AND h.name = n.name AND h.hour >= $2
                                AND h.hour < date_bin('1 hour', coalesce(r.created_at, $3), '2000-01-01')
                                AND n.first_day <= coalesce(r.created_at, $3)::date) l ON true$sql$,
        (SELECT eventlog._filter_sql(jsonb_agg(jsonb_build_object(p.field, jsonb_build_object(p.operator, p.operand))))
           FROM eventlog._filter_parts(filters) p WHERE p.field = 'name'))
       INTO lost_until USING tenant, first_hour, until, names;
    RETURN greatest(since, lost_until,
                    CASE WHEN lost_until IS NOT NULL
                         THEN (SELECT min(p.from_at) FROM eventlog._partitions p WHERE p.until_at > since AND p.from_at < until) END);
END
$$;
