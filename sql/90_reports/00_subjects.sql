-- Counts by name and subject, which top_subjects and subject_stats share.

-- Returns counts of a tenant by name and subject over whole days of a time zone, of names that count subjects.
-- Filters by name and subject are answered from the rollup, with raw rows for what the first and the last day
-- have of other days of UTC; all others from raw rows.
CREATE FUNCTION eventlog._subjects(tenant uuid, since date, until date, names text[], filters jsonb, time_zone text)
RETURNS TABLE (name text, subject text, weighted_events double precision, failures double precision,
               successes double precision, duration_count double precision, duration_sum double precision,
               duration_histogram double precision[], first_at timestamptz, last_at timestamptz, covered_since timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET jit = off
SET max_parallel_workers_per_gather = 0
SET work_mem = '64MB'
AS $$
#variable_conflict use_column
DECLARE
    condition text := eventlog._filter_sql(filters);
    first_at  timestamptz := eventlog._day_start(since, time_zone);
    end_at    timestamptz := eventlog._day_start(until, time_zone);
    -- The whole days of UTC in between.
    first_day timestamptz := date_trunc('day', first_at + interval '1 day' - interval '1 microsecond');
    end_day   timestamptz := greatest(first_day, date_trunc('day', end_at));
    is_raw    boolean := EXISTS (SELECT FROM eventlog._filter_parts(filters) p WHERE p.field NOT IN ('name', 'subject'));
    measured  constant text :=
        'SELECT e.name, e.subject, sum(e.weight),
                coalesce(sum(e.weight) FILTER (WHERE e.has_failed), 0),
                coalesce(sum(e.weight) FILTER (WHERE NOT e.has_failed), 0),
                coalesce(sum(e.weight) FILTER (WHERE e.duration IS NOT NULL), 0),
                coalesce(sum(e.weight * e.duration), 0),
                eventlog._histogram(e.duration, e.weight) FILTER (WHERE e.duration IS NOT NULL),
                min(e.created_at), max(e.created_at)
           FROM (SELECT e.name, e.subject, e.created_at, e.weight, e.has_failed, e.duration
                   FROM eventlog._measured_events() e
                  WHERE eventlog._is_tenant($1, e.tenant_id) AND e.created_at >= %s AND e.created_at < %s
                    AND ($4 IS NULL OR e.name = ANY ($4)) AND e.subject IS NOT NULL AND e.count_subjects AND (%s)) e
          GROUP BY e.name, e.subject';
BEGIN
    IF is_raw OR first_day >= end_day THEN
        RETURN QUERY EXECUTE format('SELECT c.*, $5 FROM (' || measured || ') c', '$2', '$3', condition)
          USING tenant, first_at, end_at, names, eventlog._covered_since(tenant, first_at, end_at, names, filters);
    ELSIF first_day = first_at AND end_day = end_at THEN
        RETURN QUERY EXECUTE format(
            'SELECT e.name, e.subject, e.weighted_events, e.failures, e.successes, e.duration_count, e.duration_sum,
                    e.duration_histogram, e.first_at, e.last_at, $5
               FROM eventlog._counts_by_subject($1, $2, $3, $4) e
              WHERE %s', condition)
          USING tenant, first_day::date, end_day::date, names, first_at;
    ELSE
        RETURN QUERY EXECUTE format(
            'SELECT s.name, s.subject, sum(s.weighted_events), sum(s.failures), sum(s.successes), sum(s.duration_count),
                    sum(s.duration_sum), eventlog._merge_histograms(s.duration_histogram), min(s.first_at), max(s.last_at), $2
               FROM (SELECT e.name, e.subject, e.weighted_events, e.failures, e.successes, e.duration_count, e.duration_sum,
                            e.duration_histogram, e.first_at, e.last_at
                       FROM eventlog._counts_by_subject($1, $5::date, $6::date, $4) e
                      WHERE %1$s
                      UNION ALL
                     ' || format(measured, '$2', '$5', '%1$s') || '
                      UNION ALL
                     ' || format(measured, '$6', '$3', '%1$s') || ') s
              GROUP BY s.name, s.subject', condition)
          USING tenant, first_at, end_at, names, first_day, end_day;
    END IF;
END
$$;
