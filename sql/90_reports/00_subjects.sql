-- Counts by name and subject, which top_subjects and subject_stats share.

-- Returns counts of a tenant by name and subject over whole days of a time zone: from the rollup where it can
-- answer, else from raw rows.
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
    condition text := eventlog._filter_condition(filters, names);
    first_at  timestamptz := eventlog._day_start(since, time_zone);
    end_at    timestamptz := eventlog._day_start(until, time_zone);
BEGIN
    IF first_at = since::timestamptz AND end_at = until::timestamptz
       AND NOT EXISTS (SELECT FROM eventlog._filter_parts(filters) p WHERE p.field NOT IN ('name', 'subject')) THEN
        RETURN QUERY EXECUTE format(
            'SELECT e.name, e.subject, e.weighted_events, e.failures, e.successes, e.duration_count, e.duration_sum,
                    e.duration_histogram, e.first_at, e.last_at, $5
               FROM eventlog._counts_by_subject($1, $2, $3, $4) e
              WHERE %s', condition)
          USING tenant, since, until, names, first_at;
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format(
        'SELECT e.name, e.subject, sum(e.weight),
                coalesce(sum(e.weight) FILTER (WHERE e.has_failed), 0),
                coalesce(sum(e.weight) FILTER (WHERE NOT e.has_failed), 0),
                coalesce(sum(e.weight) FILTER (WHERE e.duration IS NOT NULL), 0),
                coalesce(sum(e.weight * e.duration), 0),
                eventlog._histogram(e.duration, e.weight) FILTER (WHERE e.duration IS NOT NULL),
                min(e.created_at), max(e.created_at), $5
           FROM (SELECT e.* FROM eventlog._measured_events() e
                  WHERE eventlog._is_tenant($1, e.tenant_id) AND e.created_at >= $2 AND e.created_at < $3
                    AND ($4 IS NULL OR e.name = ANY ($4)) AND e.subject IS NOT NULL AND e.count_subjects AND (%s)) e
          GROUP BY e.name, e.subject', condition)
      USING tenant, first_at, end_at, names, eventlog._covered_since(tenant, first_at, end_at, names);
END
$$;
