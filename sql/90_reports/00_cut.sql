-- Counts that are cut: by periods, filters and a breakdown.

-- Returns where counts come from: "names", if rollups by name can answer, else "rows".
CREATE FUNCTION eventlog._cut_source(filters jsonb, breakdown text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN coalesce(breakdown, 'name') = 'name'
                 AND NOT EXISTS (SELECT FROM eventlog._filter_parts(filters) p WHERE p.field <> 'name') THEN 'names' ELSE 'rows' END
$$;

-- Returns the counts of a tenant by period and by value of a breakdown. The period of a time is the element of
-- `periods` for the last of `starts` that is not after it. `cut_by` is the breakdown as an SQL expression over a
-- row e (eventlog._breakdown_expression), or null; with `top`, values after the first ones are counted
-- together as others. `condition` is what eventlog._filter_condition returns.
CREATE FUNCTION eventlog._cut(tenant uuid, starts timestamptz[], periods integer[], until timestamptz, names text[],
                              condition text, cut_by text, top integer, source text, grain interval)
RETURNS TABLE (period integer, value text, is_others boolean, names_seen bigint, events double precision, failures double precision,
               successes double precision, duration_count double precision, duration_sum double precision,
               duration_histogram double precision[], is_sampled boolean, actors bigint, last_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET jit = off
SET max_parallel_workers_per_gather = 0
SET work_mem = '64MB'
AS $$
BEGIN
    RETURN QUERY EXECUTE format($sql$
        WITH raw AS MATERIALIZED (
            SELECT ($3)[width_bucket(e.created_at, $2)] AS period, %1$s AS value, e.name, nullif(e.actor, '') AS actor, e.tenant_id,
                   e.created_at, e.weight, e.has_failed, e.duration
              FROM eventlog._measured_events() e
             WHERE eventlog._is_tenant($1, e.tenant_id) AND e.created_at >= $4 AND e.created_at < $5
               AND ($6 IS NULL OR e.name = ANY ($6)) AND (%2$s)
        ), counted AS MATERIALIZED (%3$s
        ), ranked AS MATERIALIZED (
            SELECT t.*, coalesce(dense_rank() OVER (ORDER BY t.total DESC, t.value) > $7, false) AS is_others
              FROM (SELECT c.*, sum(c.events) OVER (PARTITION BY c.value) AS total FROM counted c
                     -- Not of a period, but of one before the first (eventlog._stretches).
                     WHERE c.period IS NOT NULL) t
        ), active AS (
            SELECT d.period, d.value, d.is_others, count(*) AS actors
              FROM (SELECT DISTINCT r.period, CASE WHEN NOT v.is_others THEN r.value END AS value, v.is_others, r.tenant_id, r.actor
                      FROM raw r
                      -- Null equals null here, as = cannot say.
                      JOIN (SELECT DISTINCT k.value, k.is_others FROM ranked k) v
                        ON coalesce('=' || v.value, '') = coalesce('=' || r.value, '')
                     WHERE r.actor IS NOT NULL AND r.period IS NOT NULL) d
             GROUP BY d.period, d.value, d.is_others
        ), grouped AS (
            SELECT k.period, CASE WHEN NOT k.is_others THEN k.value END AS value, k.is_others, count(DISTINCT k.name) AS names_seen,
                   sum(k.events) AS events, sum(k.failures) AS failures, sum(k.successes) AS successes,
                   sum(k.duration_count) AS duration_count, sum(k.duration_sum) AS duration_sum,
                   eventlog._merge_histograms(k.duration_histogram) AS duration_histogram, bool_or(k.events <> k.rows) AS is_sampled,
                   max(k.last_at) AS last_at
              FROM ranked k
             GROUP BY 1, 2, 3
        )
        SELECT g.period, g.value, g.is_others, g.names_seen, g.events, g.failures, g.successes, g.duration_count, g.duration_sum,
               g.duration_histogram, g.is_sampled, coalesce(a.actors, 0), g.last_at
          FROM grouped g
          LEFT JOIN active a ON a.period = g.period AND a.is_others = g.is_others
                            AND coalesce('=' || a.value, '') = coalesce('=' || g.value, '')$sql$,
        coalesce(cut_by, 'NULL::text'), condition,
        CASE source
        WHEN 'names' THEN format($sql$
            SELECT ($3)[width_bucket(greatest(e.at, $4), $2)] AS period, %1$s AS value, e.name, sum(e.events) AS rows, sum(e.weighted_events) AS events,
                   sum(e.failures) AS failures, sum(e.successes) AS successes, sum(e.duration_count) AS duration_count,
                   sum(e.duration_sum) AS duration_sum, eventlog._merge_histograms(e.duration_histogram) AS duration_histogram,
                   NULL::timestamptz AS last_at
              FROM eventlog._counts_by_name($1, $4, $5, $6, $8) e
             WHERE %2$s
             GROUP BY 1, 2, 3$sql$, coalesce(cut_by, 'NULL::text'), condition)
        ELSE $sql$
            SELECT r.period, r.value, r.name, count(*) AS rows, sum(r.weight) AS events,
                   coalesce(sum(r.weight) FILTER (WHERE r.has_failed), 0) AS failures,
                   coalesce(sum(r.weight) FILTER (WHERE NOT r.has_failed), 0) AS successes,
                   coalesce(sum(r.weight) FILTER (WHERE r.duration IS NOT NULL), 0) AS duration_count,
                   coalesce(sum(r.weight * r.duration), 0) AS duration_sum,
                   eventlog._histogram(r.duration, r.weight) FILTER (WHERE r.duration IS NOT NULL) AS duration_histogram,
                   max(r.created_at) AS last_at
              FROM raw r
             GROUP BY r.period, r.value, r.name$sql$
        END)
      USING tenant, starts, periods, starts[1], until, names, top, grain;
END
$$;

-- Returns the time from which on raw rows answer completely: that of `since`, or what retention has left.
CREATE FUNCTION eventlog._covered_since(tenant uuid, since timestamptz, until timestamptz, names text[]) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
BEGIN
    RETURN since;
END
$$;
