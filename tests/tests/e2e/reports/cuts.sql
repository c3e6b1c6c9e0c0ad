-- A log with random events, and reports in plain SQL over its raw rows: what cuts.rs compares.

SELECT eventlog.create_log(retention => '50 years');
SELECT eventlog.define_event('tool', success_key => 'ok', duration_key => 'ms', error_key => 'err', count_keys => '{plan,"it''s"}');
SELECT eventlog.define_event('message', success_key => 'ok', count_keys => '{plan}');
SELECT eventlog.define_event('ping');
SELECT eventlog.define_event('page', count_subjects => false);

-- From before the clocks of New York and Lord Howe change in spring to after; of two tenants.
CREATE FUNCTION public.add_events(seed double precision, number integer) RETURNS void
LANGUAGE plpgsql
SET timezone = 'UTC'
AS $$
BEGIN
    PERFORM setseed(seed);
    INSERT INTO eventlog.events (tenant_id, name, data, actor, subject, weight, created_at)
    SELECT CASE WHEN r.of_other THEN 'bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb'::uuid ELSE 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa' END,
           r.name,
           jsonb_strip_nulls(jsonb_build_object(
               'plan', CASE WHEN r.a < 0.3 THEN to_jsonb('free'::text) WHEN r.a < 0.5 THEN '"pro"' WHEN r.a < 0.6 THEN '"it''s \"x\\"'
                            WHEN r.a < 0.7 THEN '7' WHEN r.a < 0.75 THEN 'true' WHEN r.a < 0.8 THEN '{"a": [1]}' END,
               'size', CASE WHEN r.b < 0.2 THEN to_jsonb('big'::text) WHEN r.b < 0.9 THEN to_jsonb(floor(r.b * 20)) END,
               'it''s', 'v' || floor(40 * r.c * r.c),
               'ok', CASE WHEN r.c < 0.9 THEN r.c < 0.7 END,
               'ms', CASE WHEN r.b > 0.1 THEN floor(1000 * r.c * r.b) END,
               'err', CASE WHEN r.c >= 0.7 AND r.name = 'tool' THEN 'E' || floor(3 * r.a) END,
               'errorMessage', CASE WHEN r.c >= 0.7 THEN 'message ' || r.n END)),
           CASE WHEN r.d < 0.05 THEN NULL WHEN r.d < 0.1 THEN '' ELSE 'u' || floor(60 * r.d * r.d) END,
           CASE WHEN r.b < 0.1 THEN NULL ELSE 's' || floor(9 * r.d) END,
           CASE WHEN r.name = 'message' THEN 2 END,
           timestamptz '2013-03-01' + r.e * interval '45 days'
      FROM (SELECT n, random() < 0.2 AS of_other, (ARRAY['tool', 'tool', 'message', 'ping', 'page'])[1 + floor(5 * random())] AS name,
                   random() AS a, random() AS b, random() AS c, random() AS d, random() AS e
              FROM generate_series(1, number) AS n) r;
END
$$;
SELECT eventlog._make_partition(timestamptz '2013-02-15' + n * interval '1 month') FROM generate_series(0, 3) n;

-- The events that a condition selects, each with its value and period.
CREATE FUNCTION public.chosen(condition text, value_of text, period_of text, since timestamptz, until timestamptz)
RETURNS TABLE (value text, period text, name text, actor text, created_at timestamptz, weight double precision, ok boolean, ms numeric)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT (%s)::text, (%s)::text, name, CASE WHEN actor <> '''' THEN actor END, created_at, coalesce(weight, 1)::double precision,
                CASE WHEN name IN (''tool'', ''message'') AND data ? ''ok'' THEN (data ->> ''ok'')::boolean
                     WHEN name = ''tool'' AND data ? ''err'' THEN false END,
                CASE WHEN name = ''tool'' THEN (data ->> ''ms'')::numeric END
           FROM eventlog.events
          WHERE tenant_id = ''aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa'' AND created_at >= $1 AND created_at < $2 AND (%s)',
        value_of, period_of, condition) USING since, until;
END
$$;

-- Rows of summary() and of events_per_day() and events_per_hour(), apart from percentiles.
CREATE FUNCTION public.expected(condition text, value_of text, period_of text, since timestamptz, until timestamptz, top integer)
RETURNS TABLE (period text, value text, is_others boolean, events numeric, names bigint, actors bigint, successes numeric,
               failures numeric, mean numeric, median numeric, last_at timestamptz)
LANGUAGE sql STABLE AS $$
    WITH chosen AS MATERIALIZED (
        SELECT * FROM public.chosen(condition, value_of, period_of, since, until)
    ), best AS (
        SELECT c.value FROM chosen c GROUP BY c.value ORDER BY sum(c.weight) DESC, c.value LIMIT top
    ), marked AS (
        SELECT c.*, NOT EXISTS (SELECT FROM best b WHERE b.value IS NOT DISTINCT FROM c.value) AS is_others FROM chosen c
    )
    SELECT m.period, CASE WHEN NOT m.is_others THEN m.value END, m.is_others, round(sum(m.weight)), count(DISTINCT m.name),
           count(DISTINCT m.actor), coalesce(round(sum(m.weight) FILTER (WHERE m.ok)), 0), coalesce(round(sum(m.weight) FILTER (WHERE NOT m.ok)), 0),
           round((sum(m.weight * m.ms) / sum(m.weight) FILTER (WHERE m.ms IS NOT NULL))::numeric, 1),
           percentile_disc(0.5) WITHIN GROUP (ORDER BY m.ms), max(m.created_at)
      FROM marked m
     GROUP BY 1, 2, 3
$$;
