-- Report: the use of each subject, by operation.

CREATE FUNCTION eventlog.usage_summary(
    prefix    text    DEFAULT '',
    names     text[]  DEFAULT NULL,
    since     date    DEFAULT (now() AT TIME ZONE 'UTC')::date - 90,
    until     date    DEFAULT NULL,
    tenant_id uuid    DEFAULT NULL,
    filters   jsonb   DEFAULT NULL,
    breakdown text    DEFAULT NULL,
    top       integer DEFAULT 10,
    subjects  text[]  DEFAULT NULL,
    time_zone text    DEFAULT 'UTC'
) RETURNS TABLE (subject text, first_used_at timestamptz, last_used_at timestamptz, events bigint, operations jsonb,
                 breakdown_value text, is_others boolean, covered_since timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
DECLARE
    tenant  uuid := eventlog._report_tenant(usage_summary.tenant_id);
    asked   text[] := eventlog._check_names(names);
    today   date := eventlog._today(time_zone);
    -- All time begins before any event, in every zone alike.
    is_all  boolean := since IS NULL;
    value   text;
    source  text;
BEGIN
    PERFORM eventlog._check_top(top);
    PERFORM eventlog._check_filters_known(filters, asked);
    subjects := eventlog._without_nulls(subjects);
    IF NOT is_all THEN
        PERFORM eventlog._check_span(since, coalesce(until, greatest(since, today + 1)));
    ELSIF NOT isfinite(until) THEN
        PERFORM eventlog._check_span(today, until);
    END IF;
    since := coalesce(since, '0001-01-01');
    IF until IS NULL THEN
        until := greatest(since, today + 1);
        -- Whatever has happened is before the end, and the rollups have days of UTC.
        IF is_all THEN
            time_zone := 'UTC';
            until := (now() AT TIME ZONE 'UTC')::date + 1;
        END IF;
    END IF;
    value := eventlog._breakdown_expression(breakdown, asked);
    source := CASE WHEN value IS NULL THEN
        'SELECT NULL::text AS value, s.subject, s.name, s.first_at, s.last_at, s.weighted_events AS events, s.covered_since
           FROM eventlog._subjects($1, $2, $3, $4, $5, $6) s
          WHERE starts_with(s.subject, $7) AND ($8 IS NULL OR s.subject = ANY ($8))'
    ELSE format(
        'SELECT %s AS value, e.subject, e.name, min(e.created_at) AS first_at, max(e.created_at) AS last_at, sum(e.weight) AS events,
                $10 AS covered_since
           FROM eventlog._measured_events() e
          WHERE eventlog._is_tenant($1, e.tenant_id) AND e.created_at >= $11 AND e.created_at < $12
            AND ($4 IS NULL OR e.name = ANY ($4)) AND e.subject IS NOT NULL AND e.count_subjects
            AND starts_with(e.subject, $7) AND ($8 IS NULL OR e.subject = ANY ($8)) AND (%s)
          GROUP BY 1, 2, 3', value, eventlog._filter_sql(filters)) END;
    RETURN QUERY EXECUTE format($sql$
        WITH counted AS MATERIALIZED (%s),
        ranked AS (
            SELECT t.*, dense_rank() OVER (ORDER BY t.total DESC, t.value) > $9 AS is_others
              FROM (SELECT c.*, sum(c.events) OVER (PARTITION BY c.value) AS total FROM counted c) t
        ), named AS (
            SELECT CASE WHEN NOT r.is_others THEN r.value END AS value, r.is_others, r.subject, r.name, min(r.first_at) AS first_at,
                   max(r.last_at) AS last_at, sum(r.events) AS events, max(r.covered_since) AS covered_since
              FROM ranked r GROUP BY 1, 2, 3, 4
        ), used AS (
            SELECT n.value, n.is_others, n.subject, min(n.first_at) AS first_at, max(n.last_at) AS last_at, sum(n.events) AS events,
                   jsonb_object_agg(n.name, eventlog._as_count(n.events)) AS operations, max(n.covered_since) AS covered_since
              FROM named n GROUP BY 1, 2, 3
        )
        SELECT u.subject, u.first_at, u.last_at, eventlog._as_count(u.events), u.operations, u.value, u.is_others, u.covered_since
          FROM (SELECT s.*, sum(s.events) OVER (PARTITION BY s.value, s.is_others) AS total FROM used s) u
         ORDER BY u.is_others, u.total DESC, u.value, u.events DESC, u.subject$sql$, source)
      USING tenant, since, until, asked, filters, time_zone, coalesce(prefix, ''), subjects, top,
            CASE WHEN value IS NOT NULL THEN
                eventlog._covered_since(tenant, eventlog._day_start(since, time_zone), eventlog._day_start(until, time_zone), asked, filters) END,
            eventlog._day_start(since, time_zone), eventlog._day_start(until, time_zone);
END
$$;

COMMENT ON FUNCTION eventlog.usage_summary(text, text[], date, date, uuid, jsonb, text, integer, text[], text) IS
'For each subject that begins with prefix, or is one of subjects: when it was first and last used, and how often for each operation (name), from since (default 90 days ago; null for all time) to before until (default tomorrow), in days of a time zone. With a breakdown, such as data.project, for each of its top values (default 10) and all others, from raw rows. covered_since: since when nothing is missing. By created_at.';
