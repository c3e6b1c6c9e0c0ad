-- Counts that are cut by a payload key that event types count (count_keys), from the rollups by key.

-- Returns the names whose events the rollups hold by a payload key, from `since` on.
CREATE FUNCTION eventlog._names_counting(since timestamptz, names text[], key text) RETURNS text[]
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT ARRAY(SELECT t.name FROM eventlog.event_types t
                   JOIN eventlog.counted_keys c ON c.name = t.name AND c.key = _names_counting.key AND c.since <= _names_counting.since
                  WHERE _names_counting.key = ANY (t.count_keys) AND (names IS NULL OR t.name = ANY (names)))
$$;

-- Returns the payload key that the rollups can answer for, or null: filters and breakdown are by name and by
-- this key only, and compare it with texts, since the rollups hold values as text, cut at 200 characters.
CREATE FUNCTION eventlog._counted_key(filters jsonb, breakdown text, names text[], since timestamptz DEFAULT 'infinity') RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH part AS MATERIALIZED (
        SELECT p.field, p.key, p.operator, p.operand FROM eventlog._filter_parts(filters) p
    ), asked AS (
        SELECT p.key FROM part p WHERE p.field = 'data'
         UNION
        SELECT substr(breakdown, 6) WHERE breakdown ~ '^data\.'
    )
    SELECT min(a.key)
      FROM asked a
    HAVING count(*) = 1 AND (coalesce(breakdown, 'name') = 'name' OR breakdown ~ '^data\.')
       AND NOT EXISTS (
            SELECT FROM part p
             WHERE p.field NOT IN ('name', 'data') OR p.operator NOT IN ('is', 'not', 'present', 'prefix')
                OR p.field = 'data' AND p.operator <> 'present'
                   AND (EXISTS (SELECT FROM jsonb_array_elements(CASE jsonb_typeof(p.operand) WHEN 'array' THEN p.operand
                                                                      ELSE jsonb_build_array(p.operand) END) AS v (value)
                                 WHERE jsonb_typeof(v.value) NOT IN ('string', 'null') OR length(v.value #>> '{}') >= 200)))
       AND eventlog._names_counting(since, names, min(a.key)) <> '{}'
$$;

-- Returns counts of a tenant by name, value of a key and stretches of time that together make up the span, each
-- at most a `grain` long (an hour or more), like eventlog._counts_by_name(). Events without the key are left out.
CREATE FUNCTION eventlog._counts_by_key(tenant uuid, since timestamptz, until timestamptz, names text[], key text, grain interval)
RETURNS TABLE (at timestamptz, name text, value text, events bigint, weighted_events double precision, failures double precision,
               successes double precision, duration_count double precision, duration_sum double precision,
               duration_histogram double precision[])
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET enable_seqscan = off
SET jit = off
SET max_parallel_workers_per_gather = 0
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    first_hour timestamptz;
    last_hour  timestamptz;
    first_day  timestamptz;
    last_day   timestamptz;
    late_since timestamptz;
    late_until timestamptz;
BEGIN
    SELECT p.* INTO first_hour, last_hour, first_day, last_day FROM eventlog._rollup_parts(since, until, grain) p;
    IF first_day < last_day THEN
        RETURN QUERY
        SELECT d.day::timestamptz, d.name, d.value, d.events, d.weighted_events, d.failures, d.successes, d.duration_count,
               d.duration_sum, d.duration_histogram
          FROM eventlog.daily_keys d
         WHERE eventlog._is_tenant(tenant, d.tenant_id) AND d.key = _counts_by_key.key
           AND d.day >= first_day::date AND d.day < last_day AND d.name = ANY (names);
    END IF;
    IF first_hour < first_day OR last_day < last_hour THEN
        RETURN QUERY
        SELECT h.hour, h.name, h.value, h.events, h.weighted_events, h.failures, h.successes, h.duration_count,
               h.duration_sum, h.duration_histogram
          FROM eventlog.hourly_keys h
         WHERE eventlog._is_tenant(tenant, h.tenant_id) AND h.key = _counts_by_key.key
           AND h.hour >= first_hour AND h.hour < last_hour
           AND (h.hour < first_day OR h.hour >= last_day) AND h.name = ANY (names);
    END IF;
    SELECT l.late_since, l.late_until INTO late_since, late_until FROM eventlog._late_span(tenant, first_hour, last_hour) l;
    RETURN QUERY
    SELECT date_bin(least(grain, '1 hour'), e.created_at, '2000-01-01') AS at, e.name, e.value, count(*), sum(e.weight),
           coalesce(sum(e.weight) FILTER (WHERE e.has_failed), 0),
           coalesce(sum(e.weight) FILTER (WHERE NOT e.has_failed), 0),
           coalesce(sum(e.weight) FILTER (WHERE e.duration IS NOT NULL), 0),
           coalesce(sum(e.weight * e.duration), 0),
           eventlog._histogram(e.duration, e.weight) FILTER (WHERE e.duration IS NOT NULL)
      FROM (SELECT r.created_at, r.name, left(r.data ->> _counts_by_key.key, 200) AS value, r.weight, r.has_failed, r.duration
              FROM eventlog._measured_events() r
             WHERE eventlog._is_tenant(tenant, r.tenant_id) AND r.created_at >= since AND r.created_at < least(first_hour, until)
               AND r.name = ANY (names)
             UNION ALL
            SELECT r.created_at, r.name, left(r.data ->> _counts_by_key.key, 200), r.weight, r.has_failed, r.duration
              FROM eventlog._measured_events() r
             WHERE eventlog._is_tenant(tenant, r.tenant_id) AND r.created_at >= last_hour AND r.created_at < until
               AND r.name = ANY (names)
             UNION ALL
            SELECT r.created_at, r.name, left(r.data ->> _counts_by_key.key, 200), r.weight, r.has_failed, r.duration
              FROM eventlog.late_events l
              JOIN eventlog._measured_events() r ON r.id = l.id AND r.created_at = l.created_at
             WHERE (l.tenant_id IS NULL OR eventlog._is_tenant(tenant, l.tenant_id)) AND eventlog._is_tenant(tenant, r.tenant_id)
               AND l.created_at >= first_hour AND l.created_at < last_hour
               AND r.created_at >= late_since AND r.created_at < late_until AND r.name = ANY (names)) e
     WHERE e.value IS NOT NULL
     GROUP BY 1, 2, 3;
END
$$;

-- Returns the names of the span whose events the rollups do not hold by a payload key. Their rows are read, since
-- a key need not be declared.
CREATE FUNCTION eventlog._names_not_counting(tenant uuid, since timestamptz, until timestamptz, names text[], counting text[]) RETURNS text[]
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN names <@ counting THEN '{}' ELSE ARRAY(
        SELECT DISTINCT c.name FROM eventlog._counts_by_name(tenant, since, until, names, '1 day') c WHERE c.name <> ALL (counting)) END
$$;

-- From the rollups by a key. `condition` is over raw rows, `of_values` the same over a row e of a rollup with
-- name and value; `cut_by` likewise is the breakdown over such a row.
CREATE FUNCTION eventlog._cut_key(tenant uuid, starts timestamptz[], until timestamptz, names text[], key text, condition text,
                                  of_values text, cut_by text, top integer, grain interval)
RETURNS TABLE (period integer, value text, is_others boolean, names_seen bigint, events double precision, failures double precision,
               successes double precision, duration_count double precision, duration_sum double precision,
               duration_histogram double precision[], is_sampled boolean, actors bigint, last_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET enable_seqscan = off
SET enable_sort = off
SET jit = off
SET max_parallel_workers_per_gather = 0
SET work_mem = '64MB'
AS $$
DECLARE
    counting text[] := eventlog._names_counting(starts[1], names, key);
    others   text[] := eventlog._names_not_counting(tenant, starts[1], until, names, counting);
    of_days  boolean := eventlog._grain_of(starts || until) = interval '1 day'
                        OR eventlog._grain_of(starts) = interval '1 day' AND until >= (SELECT w.rolled_until FROM eventlog.rollup_state w);
    ends     record := eventlog._ends_of(starts[1], until, of_days);
    late     record := eventlog._late_span(tenant, starts[1], until);
    -- Of raw rows.
    value_of text := format('left(e.data ->> %L, 200)', key);
    actor_of text := eventlog._actor_expression(tenant, 'e');
    measures constant text := 'sum(e.events) AS rows, sum(e.weighted_events) AS events, sum(e.failures) AS failures,
        sum(e.successes) AS successes, sum(e.duration_count) AS duration_count, sum(e.duration_sum) AS duration_sum,
        eventlog._merge_histograms(e.duration_histogram) AS duration_histogram';
    -- Whether events without the key can meet the condition.
    with_none boolean;
BEGIN
    cut_by := coalesce(cut_by, 'NULL::text');
    EXECUTE format('SELECT count(*) > 0 FROM (SELECT NULL::text AS value, c.name FROM unnest($1) AS c (name)) e WHERE %s', of_values)
       INTO with_none USING counting;
    RETURN QUERY EXECUTE eventlog._cut_query(
        format($sql$
            keyed AS MATERIALIZED (
                SELECT width_bucket(greatest(e.at, $4), $2) AS period, e.name, e.value, %1$s
                  FROM eventlog._counts_by_key($1, $4, $5, $6, $15, $8) e
                 GROUP BY 1, 2, 3
            ), without AS MATERIALIZED (
                -- All events of a name less those that have the key.
                SELECT t.period, t.name, NULL::text AS value, t.rows - coalesce(k.rows, 0) AS rows, t.events - coalesce(k.events, 0) AS events,
                       t.failures - coalesce(k.failures, 0) AS failures, t.successes - coalesce(k.successes, 0) AS successes,
                       CASE WHEN abs(t.duration_count - coalesce(k.duration_count, 0)) < 1e-6 THEN 0
                            ELSE t.duration_count - coalesce(k.duration_count, 0) END AS duration_count,
                       t.duration_sum - coalesce(k.duration_sum, 0) AS duration_sum,
                       CASE WHEN abs(t.duration_count - coalesce(k.duration_count, 0)) >= 1e-6
                            THEN eventlog._less_histogram(t.duration_histogram, k.duration_histogram) END AS duration_histogram
                  FROM (SELECT width_bucket(greatest(e.at, $4), $2) AS period, e.name, %1$s
                          FROM eventlog._counts_by_name($1, $4, $5, $6, $8) e WHERE $16 GROUP BY 1, 2) t
                  LEFT JOIN (SELECT e.period, e.name, sum(e.rows) AS rows, sum(e.events) AS events, sum(e.failures) AS failures,
                                    sum(e.successes) AS successes, sum(e.duration_count) AS duration_count,
                                    sum(e.duration_sum) AS duration_sum, eventlog._merge_histograms(e.duration_histogram) AS duration_histogram
                               FROM keyed e GROUP BY e.period, e.name) k ON k.period = t.period AND k.name = t.name
                 WHERE t.rows > coalesce(k.rows, 0)
            ), others AS MATERIALIZED (
                SELECT width_bucket(e.created_at, $2) AS period, e.name, %2$s AS value, %3$s AS actor, e.created_at AS at, e.weight,
                       e.has_failed, e.duration
                  FROM eventlog._measured_events() e
                 WHERE eventlog._is_tenant($1, e.tenant_id) AND e.created_at >= $4 AND e.created_at < $5
                   AND e.name = ANY ($17) AND (%4$s)
            ), fresh AS MATERIALIZED (%5$s),
            missing AS MATERIALIZED (
                SELECT e.name, NULL::text AS value, %3$s AS actor, e.created_at AS at
                  FROM eventlog._measured_events() e
                 WHERE eventlog._is_tenant($1, e.tenant_id) AND e.created_at >= $4 AND e.created_at < $5
                   AND e.name = ANY (ARRAY(SELECT DISTINCT w.name FROM without w)) AND %2$s IS NULL AND (%4$s)
            ), last_hours AS MATERIALIZED (
                SELECT h.tenant_id, h.name, h.value, max(h.hour) AS hour
                  FROM eventlog.hourly_keys h
                 WHERE eventlog._is_tenant($1, h.tenant_id) AND h.key = $15 AND h.name = ANY ($6)
                   AND h.hour >= date_bin('1 hour', $4, '2000-01-01') AND h.hour + interval '1 hour' <= $5 AND $18
                 GROUP BY 1, 2, 3
            ), last_rows AS MATERIALIZED (
                SELECT e.name, %2$s AS value, max(e.created_at) AS at
                  FROM eventlog._measured_events() e
                 WHERE eventlog._is_tenant($1, e.tenant_id) AND e.created_at >= greatest($4, date_bin('1 hour', $5, '2000-01-01'))
                   AND e.created_at < $5 AND e.name = ANY ($6) AND $18
                 GROUP BY 1, 2
            ),$sql$, measures, value_of, actor_of, condition,
            eventlog._fresh_query(format('e.name, %s AS value, %s AS actor, e.created_at AS at', value_of, actor_of), condition)),
        format($sql$
            SELECT e.period, %1$s AS value, e.name, sum(e.rows) AS rows, sum(e.events) AS events, sum(e.failures) AS failures,
                   sum(e.successes) AS successes, sum(e.duration_count) AS duration_count, sum(e.duration_sum) AS duration_sum,
                   eventlog._merge_histograms(e.duration_histogram) AS duration_histogram,
                   -- Of one period: from the rows of its last hour, and those that the rollup does not hold.
                   max(CASE WHEN NOT $18 THEN NULL
                            WHEN e.value IS NULL THEN (SELECT max(i.at) FROM missing i WHERE i.name = e.name)
                            ELSE greatest((SELECT l.at FROM last_rows l WHERE l.name = e.name AND l.value = e.value),
                                          (SELECT max(f.at) FROM fresh f WHERE f.name = e.name AND f.value = e.value),
                                          (SELECT max(r.created_at) FROM last_hours h
                                            CROSS JOIN LATERAL (
                                                   SELECT r.created_at FROM eventlog.events r
                                                    WHERE r.tenant_id = h.tenant_id AND r.name = h.name AND r.created_at >= greatest(h.hour, $4)
                                                      AND r.created_at < least(h.hour + interval '1 hour', $5)
                                                      AND %3$s = h.value
                                                    ORDER BY r.created_at DESC LIMIT 1) r
                                            WHERE h.name = e.name AND h.value = e.value)) END) AS last_at
              FROM (SELECT k.period, k.name, k.value, k.rows, k.events, k.failures, k.successes, k.duration_count, k.duration_sum,
                           k.duration_histogram FROM keyed k
                     UNION ALL
                    SELECT w.period, w.name, w.value, w.rows, w.events, w.failures, w.successes, w.duration_count, w.duration_sum,
                           w.duration_histogram FROM without w) e
             WHERE %2$s
             GROUP BY 1, 2, 3
             UNION ALL
            SELECT e.period, %1$s, e.name, count(*), sum(e.weight), coalesce(sum(e.weight) FILTER (WHERE e.has_failed), 0),
                   coalesce(sum(e.weight) FILTER (WHERE NOT e.has_failed), 0),
                   coalesce(sum(e.weight) FILTER (WHERE e.duration IS NOT NULL), 0), coalesce(sum(e.weight * e.duration), 0),
                   eventlog._histogram(e.duration, e.weight) FILTER (WHERE e.duration IS NOT NULL), max(e.at)
              FROM others e
             GROUP BY 1, 2, 3$sql$, cut_by, of_values, format('left(r.data ->> %L, 200)', key)),
        format($sql$
            SELECT u.period::integer AS period, g.value, g.is_others, u.actors
              FROM (SELECT v.shown_value AS value, v.is_others, eventlog._period_actors(a.actor, a.month, a.days, a.quarters, a.at, $13) AS counts
                      FROM (SELECT %1$s AS value, %2$s AS actor, m.month, m.days, %3$s AS quarters, NULL::timestamptz AS at
                              FROM (SELECT DISTINCT e.name, e.value FROM keyed e WHERE %4$s) e
                             CROSS JOIN LATERAL (
                                    SELECT m.* FROM eventlog.monthly_key_actors m
                                     WHERE eventlog._is_tenant($1, m.tenant_id) AND m.key = $15 AND m.value = e.value AND m.name = e.name
                                       AND m.month >= $14 AND m.month < $5::date + 1) m
                             UNION ALL
                            SELECT %1$s, e.actor, NULL, NULL, NULL, e.at
                              FROM (SELECT f.* FROM fresh f
                                     UNION ALL
                                    SELECT i.* FROM missing i
                                     UNION ALL
                                    SELECT o.name, o.value, o.actor, o.at FROM others o) e) a
                      JOIN (SELECT DISTINCT s.value, s.shown_value, s.is_others FROM shown s) v
                        ON coalesce('=' || v.value, '') = coalesce('=' || a.value, '')
                     GROUP BY v.shown_value, v.is_others) g
             CROSS JOIN unnest(g.counts) WITH ORDINALITY AS u (actors, period)$sql$,
            cut_by, eventlog._actor_expression(tenant, 'm'), CASE WHEN of_days THEN 'NULL::bytea' ELSE 'm.quarters' END, of_values))
      USING tenant, starts, NULL::integer[], starts[1], until, counting, top, grain, ends.head_until, ends.tail_since,
            late.late_since, late.late_until, starts || until, date_trunc('month', starts[1])::date, key, with_none, others, cardinality(starts) = 1;
END
$$;

-- Returns a histogram without what is in another one.
CREATE FUNCTION eventlog._less_histogram(a double precision[], b double precision[]) RETURNS double precision[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT array_agg(CASE WHEN place % 2 = 1 THEN n.bucket ELSE n.weight END ORDER BY n.bucket, place)
      FROM (SELECT h.bucket, sum(h.weight) AS weight
              FROM (SELECT a[2 * i - 1] AS bucket, a[2 * i] AS weight FROM generate_series(1, cardinality(a) / 2) AS i
                     UNION ALL
                    SELECT b[2 * i - 1], -b[2 * i] FROM generate_series(1, cardinality(b) / 2) AS i) h
             GROUP BY h.bucket
            HAVING sum(h.weight) > 1e-6) n
     CROSS JOIN generate_series(1, 2) AS place
$$;
