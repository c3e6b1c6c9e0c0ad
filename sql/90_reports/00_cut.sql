-- Counts that are cut: by periods, filters and a breakdown. They come from one of three sources:
--   names   the rollups by name, for filters and breakdowns by name
--   key     the rollups by a payload key that event types count (count_keys), for filters and breakdowns by
--           this key and by name (00_cut_key.sql)
--   rows    raw rows, for everything else
-- Each source makes a query of the same parts (eventlog._cut_query).

-- Returns the counts of a tenant by period and by value of a breakdown. The period of a time is the element of
-- `periods` for the last of `starts` that is not after it; null is none. With `top`, values after the first ones
-- are counted together as others. Without a breakdown there is one value, null. actors are distinct in each
-- row, if they are asked for: they cost more than all else. last_at is null unless there is one period.
CREATE FUNCTION eventlog._cut(tenant uuid, starts timestamptz[], periods integer[], until timestamptz, names text[],
                              filters jsonb, breakdown text, top integer, with_actors boolean)
RETURNS TABLE (period integer, value text, is_others boolean, names_seen bigint, events double precision, failures double precision,
               successes double precision, duration_count double precision, duration_sum double precision,
               duration_histogram double precision[], is_sampled boolean, actors bigint, last_at timestamptz, covered_since timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    condition text := eventlog._filter_condition(filters, names);
    cut_by    text := eventlog._breakdown_expression(breakdown, names);
    grain     interval := CASE WHEN cardinality(starts) = 1 THEN interval '1 day' ELSE eventlog._grain_of(starts) END;
    source    text := 'rows';
    key       text;
    covered   timestamptz := starts[1];
BEGIN
    -- Not for periods in pieces, and those that begin within a quarter-hour.
    IF grain >= interval '15 minutes' AND periods = ARRAY(SELECT generate_series(1, cardinality(periods))) THEN
        IF coalesce(breakdown, 'name') = 'name' AND NOT EXISTS (SELECT FROM eventlog._filter_parts(filters) p WHERE p.field <> 'name') THEN
            source := 'names';
        ELSIF grain >= interval '1 hour' THEN
            key := eventlog._counted_key(filters, breakdown, names, starts[1]);
            source := CASE WHEN key IS NOT NULL THEN 'key' ELSE 'rows' END;
        END IF;
    END IF;
    IF source = 'rows' THEN
        covered := eventlog._covered_since(tenant, starts[1], until, names, filters);
        RETURN QUERY
        SELECT c.*, covered FROM eventlog._cut_rows(tenant, starts, periods, until, names, condition, cut_by, top) c;
    ELSIF source = 'key' THEN
        RETURN QUERY
        SELECT c.*, covered
          FROM eventlog._cut_key(tenant, starts, until, names, key, condition, eventlog._filter_sql(filters, key),
                                 CASE WHEN breakdown = 'name' THEN cut_by WHEN breakdown IS NOT NULL THEN 'e.value' END, top, grain) c;
    ELSE
        RETURN QUERY
        SELECT c.*, covered FROM eventlog._cut_names(tenant, starts, until, names, condition, cut_by, top, grain, with_actors) c;
    END IF;
END
$$;

-- Returns the query of a source.
--   first    the first parts of WITH, or an empty text
--   counted  counts by period, value and name: rows, events, the other measures, last_at
--   active   actors by period, value and is_others, of values as they are in `shown`
-- Null equals null in a comparison of '=' || value and an empty text.
CREATE FUNCTION eventlog._cut_query(first text, counted text, active text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $query$
    SELECT format($sql$
        WITH %1$s counted AS MATERIALIZED (%2$s),
        shown AS MATERIALIZED (
            SELECT r.*, CASE WHEN NOT r.is_others THEN r.value END AS shown_value
              FROM (SELECT t.*, coalesce(dense_rank() OVER (ORDER BY t.total DESC, t.value) > $7, false) AS is_others
                      FROM (SELECT c.*, sum(c.events) OVER (PARTITION BY c.value) AS total FROM counted c WHERE c.period IS NOT NULL) t) r
        ), active AS (%3$s),
        added AS (
            SELECT s.period, s.shown_value AS value, s.is_others, count(DISTINCT s.name) AS names_seen,
                   sum(s.events) AS events, sum(s.failures) AS failures, sum(s.successes) AS successes,
                   sum(s.duration_count) AS duration_count, sum(s.duration_sum) AS duration_sum,
                   eventlog._merge_histograms(s.duration_histogram) AS duration_histogram, bool_or(s.events <> s.rows) AS is_sampled,
                   max(s.last_at) AS last_at
              FROM shown s
             GROUP BY 1, 2, 3
        )
        SELECT d.period, d.value, d.is_others, d.names_seen, d.events, d.failures, d.successes, d.duration_count, d.duration_sum,
               d.duration_histogram, d.is_sampled, coalesce(a.actors, 0), d.last_at
          FROM added d
          LEFT JOIN active a ON a.period = d.period AND a.is_others = d.is_others
                            AND coalesce('=' || a.value, '') = coalesce('=' || d.value, '')$sql$, first, counted, active)
$query$;

-- Returns an SQL expression for who an actor is: those of different tenants are different.
CREATE FUNCTION eventlog._actor_expression(tenant uuid, alias text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN tenant = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
                THEN format('%1$s.tenant_id || nullif(%1$s.actor, '''')', alias) ELSE format('nullif(%s.actor, '''')', alias) END
$$;

-- From raw rows.
CREATE FUNCTION eventlog._cut_rows(tenant uuid, starts timestamptz[], periods integer[], until timestamptz, names text[],
                                   condition text, cut_by text, top integer)
RETURNS TABLE (period integer, value text, is_others boolean, names_seen bigint, events double precision, failures double precision,
               successes double precision, duration_count double precision, duration_sum double precision,
               duration_histogram double precision[], is_sampled boolean, actors bigint, last_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET jit = off
SET max_parallel_workers_per_gather = 0
SET work_mem = '64MB'
-- Groups are few, though the planner expects as many as rows.
SET enable_sort = off
AS $$
BEGIN
    RETURN QUERY EXECUTE eventlog._cut_query(
        format($sql$
            raw AS MATERIALIZED (
                SELECT %4$s AS period, %1$s AS value, e.name, %2$s AS actor,
                       e.created_at, e.weight, e.has_failed, e.duration
                  FROM eventlog._measured_events() e
                 WHERE eventlog._is_tenant($1, e.tenant_id) AND e.created_at >= $4 AND e.created_at < $5
                   AND ($6 IS NULL OR e.name = ANY ($6)) AND (%3$s)
            ),$sql$, coalesce(cut_by, 'NULL::text'), eventlog._actor_expression(tenant, 'e'), condition,
            CASE WHEN cardinality(starts) = 1 THEN '1' ELSE '($3)[width_bucket(e.created_at, $2)]' END),
        $sql$
            SELECT r.period, r.value, r.name, count(*) AS rows, sum(r.weight) AS events,
                   coalesce(sum(r.weight) FILTER (WHERE r.has_failed), 0) AS failures,
                   coalesce(sum(r.weight) FILTER (WHERE NOT r.has_failed), 0) AS successes,
                   coalesce(sum(r.weight) FILTER (WHERE r.duration IS NOT NULL), 0) AS duration_count,
                   coalesce(sum(r.weight * r.duration), 0) AS duration_sum,
                   eventlog._histogram(r.duration, r.weight) FILTER (WHERE r.duration IS NOT NULL) AS duration_histogram,
                   max(r.created_at) AS last_at
              FROM raw r
             GROUP BY r.period, r.value, r.name$sql$,
        $sql$
            SELECT d.period, d.value, d.is_others, count(*) AS actors
              FROM (SELECT DISTINCT r.period, v.shown_value AS value, v.is_others, r.actor
                      FROM raw r
                      JOIN (SELECT DISTINCT s.value, s.shown_value, s.is_others FROM shown s) v
                        ON coalesce('=' || v.value, '') = coalesce('=' || r.value, '')
                     WHERE r.actor IS NOT NULL AND r.period IS NOT NULL) d
             GROUP BY d.period, d.value, d.is_others$sql$)
      USING tenant, starts, periods, starts[1], until, names, top;
END
$$;

-- Returns the ends of a span that the rollups of actors do not hold: before the first whole quarter-hour, and
-- from the watermark on or within the last quarter-hour. `of_days`: they are asked for days.
CREATE FUNCTION eventlog._ends_of(since timestamptz, until timestamptz, of_days boolean, OUT head_until timestamptz,
                                  OUT tail_since timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN of_days THEN since ELSE least(date_bin('15 minutes', since + interval '15 minutes' - interval '1 microsecond', '2000-01-01'), until) END,
           greatest(since, least(w.rolled_until, CASE WHEN of_days THEN until ELSE date_bin('15 minutes', until, '2000-01-01') END))
      FROM eventlog.rollup_state w
$$;

-- Returns a query over raw rows that the rollups of actors do not hold: at both ends of the span, and late ones.
-- Its parameters: $1 tenant, $4 and $5 the span, $6 names, $9 and $10 the ends, $11 and $12 the span of late events.
CREATE FUNCTION eventlog._fresh_query(columns text, condition text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $query$
    SELECT format($sql$
        SELECT %1$s FROM eventlog._measured_events() e
         WHERE eventlog._is_tenant($1, e.tenant_id) AND e.created_at >= $4 AND e.created_at < $9
           AND ($6 IS NULL OR e.name = ANY ($6)) AND (%2$s)
         UNION ALL
        SELECT %1$s FROM eventlog._measured_events() e
         WHERE eventlog._is_tenant($1, e.tenant_id) AND e.created_at >= $10 AND e.created_at < $5
           AND ($6 IS NULL OR e.name = ANY ($6)) AND (%2$s)
         UNION ALL
        SELECT %1$s FROM eventlog.late_events l
          JOIN eventlog._measured_events() e ON e.id = l.id AND e.created_at = l.created_at
         WHERE (l.tenant_id IS NULL OR eventlog._is_tenant($1, l.tenant_id)) AND eventlog._is_tenant($1, e.tenant_id)
           AND l.created_at >= $4 AND l.created_at < $5 AND e.created_at >= $11 AND e.created_at < $12
           AND ($6 IS NULL OR e.name = ANY ($6)) AND (%2$s)$sql$, columns, condition)
$query$;

-- From the rollups by name, whose counts eventlog._counts_by_name() completes from raw rows.
CREATE FUNCTION eventlog._cut_names(tenant uuid, starts timestamptz[], until timestamptz, names text[], condition text, cut_by text,
                                    top integer, grain interval, with_actors boolean)
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
AS $$
DECLARE
    -- All names together have rows of their own in the rollup of actors.
    all_names boolean := cut_by IS NULL AND names IS NULL AND condition = 'true';
    -- Days of UTC are enough, and are in the index.
    of_days   boolean := eventlog._grain_of(starts || until) = interval '1 day'
                         OR eventlog._grain_of(starts) = interval '1 day' AND until >= (SELECT w.rolled_until FROM eventlog.rollup_state w);
    ends      record := eventlog._ends_of(starts[1], until, of_days);
    late      record := eventlog._late_span(tenant, starts[1], until);
    actor     text := eventlog._actor_expression(tenant, 'm');
    -- Hours in which a period ends, in zones whose offset is not whole hours: their rows are read.
    cut_hours timestamptz[] := CASE WHEN grain = interval '15 minutes' THEN ARRAY(
        SELECT DISTINCT date_bin('1 hour', s.at, '2000-01-01') FROM unnest(starts[2:]) AS s (at)
         WHERE s.at < until AND s.at > date_bin('1 hour', s.at, '2000-01-01')) ELSE '{}' END;
BEGIN
    -- Hours are all cut there: one query is better than one for each.
    IF cardinality(cut_hours) * 4 > extract(epoch FROM until - starts[1]) / 3600 THEN
        cut_hours := '{}';
    END IF;
    RETURN QUERY EXECUTE eventlog._cut_query(
        format('fresh AS MATERIALIZED (%s),',
               eventlog._fresh_query(format('e.name, %s AS actor, e.created_at AS at', eventlog._actor_expression(tenant, 'e')), condition)),
        format($sql$
            SELECT width_bucket(greatest(e.at, $4), $2) AS period, %1$s AS value, e.name, sum(e.events) AS rows,
                   sum(e.weighted_events) AS events, sum(e.failures) AS failures, sum(e.successes) AS successes,
                   sum(e.duration_count) AS duration_count, sum(e.duration_sum) AS duration_sum,
                   eventlog._merge_histograms(e.duration_histogram) AS duration_histogram,
                   %3$s AS last_at
              FROM (%4$s) e
             WHERE %2$s
             GROUP BY 1, 2, 3$sql$, coalesce(cut_by, 'NULL::text'), condition,
            -- The index has it, of one tenant at a time.
            CASE WHEN cardinality(starts) > 1 THEN 'NULL::timestamptz'
                 WHEN tenant = 'ffffffff-ffff-ffff-ffff-ffffffffffff' THEN
                '(SELECT greatest(max(r.created_at), (SELECT max(f.at) FROM fresh f WHERE f.name = e.name))
                    FROM (SELECT DISTINCT d.tenant_id FROM eventlog.daily_counts d
                           WHERE d.name = e.name AND d.day >= $4::date AND d.day < $5) t
                   CROSS JOIN LATERAL (SELECT r.created_at FROM eventlog.events r
                                        WHERE r.tenant_id = t.tenant_id AND r.name = e.name AND r.created_at >= $4 AND r.created_at < $5
                                        ORDER BY r.created_at DESC LIMIT 1) r)'
                 ELSE
                '(SELECT r.created_at FROM eventlog.events r
                   WHERE r.tenant_id = $1 AND r.name = e.name AND r.created_at >= $4 AND r.created_at < $5
                   ORDER BY r.created_at DESC LIMIT 1)'
                 END,
            CASE WHEN cut_hours = '{}' THEN 'SELECT c.* FROM eventlog._counts_by_name($1, $4, $5, $6, $8) c'
                 ELSE 'SELECT c.* FROM eventlog._counts_by_name($1, $4, $5, $6, ''1 hour'') c
                        WHERE date_bin(''1 hour'', c.at, ''2000-01-01'') <> ALL ($15)
                        UNION ALL
                       SELECT c.* FROM unnest($15) AS h (hour)
                        CROSS JOIN LATERAL eventlog._counts_by_name($1, greatest(h.hour, $4), least(h.hour + interval ''1 hour'', $5),
                                                                    $6, ''15 minutes'') c' END),
        CASE WHEN with_actors THEN format($sql$
            SELECT u.period::integer AS period, g.value, g.is_others, u.actors
              FROM (SELECT k.value, k.is_others, eventlog._period_actors(a.actor, a.month, a.days, a.quarters, a.at, $13) AS counts
                      FROM (%1$s) k
                     CROSS JOIN LATERAL (
                            SELECT %2$s AS actor, m.month, m.days, %3$s AS quarters, NULL::timestamptz AS at
                              FROM eventlog.monthly_actors m
                             WHERE eventlog._is_tenant($1, m.tenant_id) AND m.name = k.name AND m.month >= $14 AND m.month < $5::date + 1
                             UNION ALL
                            SELECT f.actor, NULL, NULL, NULL, f.at FROM fresh f WHERE k.name = '' OR f.name = k.name) a
                     GROUP BY k.value, k.is_others) g
             CROSS JOIN unnest(g.counts) WITH ORDINALITY AS u (actors, period)$sql$,
            CASE WHEN all_names THEN $sql$SELECT '' AS name, NULL::text AS value, false AS is_others$sql$
                 ELSE 'SELECT DISTINCT s.name, s.shown_value AS value, s.is_others FROM shown s' END,
            actor, CASE WHEN of_days THEN 'NULL::bytea' ELSE 'm.quarters' END)
        ELSE 'SELECT NULL::integer AS period, NULL::text AS value, NULL::boolean AS is_others, NULL::bigint AS actors WHERE false' END)
      USING tenant, starts, NULL::integer[], starts[1], until, names, top, grain, ends.head_until, ends.tail_since,
            late.late_since, late.late_until, starts || until, date_trunc('month', starts[1])::date, cut_hours;
END
$$;
