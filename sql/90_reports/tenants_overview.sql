-- Report: tenants side by side.

-- Returns every tenant with events in the newest partitions, each found by one step through the index; the
-- bounds are those of whole partitions, so that no step passes over events.
CREATE FUNCTION eventlog._recent_tenants(since timestamptz, until timestamptz) RETURNS SETOF uuid
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED ROWS 500
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    from_at timestamptz := (SELECT max(p.from_at) FROM eventlog._partitions p WHERE p.from_at <= since);
BEGIN
    RETURN QUERY
    WITH RECURSIVE t (tenant_id) AS (
        (SELECT e.tenant_id FROM eventlog.events e
          WHERE e.created_at >= coalesce(from_at, since) AND e.created_at < until ORDER BY e.tenant_id LIMIT 1)
         UNION ALL
        SELECT (SELECT e.tenant_id FROM eventlog.events e
                 WHERE e.tenant_id > t.tenant_id AND e.created_at >= coalesce(from_at, since) AND e.created_at < until
                 ORDER BY e.tenant_id LIMIT 1)
          FROM t WHERE t.tenant_id IS NOT NULL)
    SELECT t.tenant_id FROM t WHERE t.tenant_id IS NOT NULL;
END
$$;

-- Returns every tenant in the rollups, found in the same way.
CREATE FUNCTION eventlog._counted_tenants() RETURNS SETOF uuid
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 500
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
    WITH RECURSIVE t (tenant_id) AS (
        (SELECT d.tenant_id FROM eventlog.daily_counts d ORDER BY d.tenant_id LIMIT 1)
         UNION ALL
        SELECT (SELECT d.tenant_id FROM eventlog.daily_counts d WHERE d.tenant_id > t.tenant_id ORDER BY d.tenant_id LIMIT 1)
          FROM t WHERE t.tenant_id IS NOT NULL)
    SELECT t.tenant_id FROM t WHERE t.tenant_id IS NOT NULL
$$;

-- The report itself: PL/pgSQL takes no argument with the name of a column.
CREATE FUNCTION eventlog._tenants_overview(
    since      timestamptz,
    until      timestamptz,
    row_limit  integer,
    tenant_ids uuid[],
    asked      uuid
) RETURNS TABLE (tenant_id uuid, display_name text, events bigint, previous_events bigint, growth numeric, actors bigint,
                 failures bigint, failure_rate numeric, last_event_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET enable_seqscan = off
SET jit = off
SET max_parallel_workers_per_gather = 0
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    seen        uuid;
    watermark   timestamptz;
    first_at    timestamptz;
    previous_at timestamptz;
    -- Where days of the rollup begin and end, then hours, then raw rows.
    first_day   timestamptz;
    last_day    timestamptz;
    last_hour   timestamptz;
    first_date  date;
    last_date   date;
    late_since  timestamptz;
    late_until  timestamptz;
    candidates  uuid[];
BEGIN
    PERFORM eventlog._require_layout(2);
    PERFORM eventlog._check_span(since, until);
    PERFORM eventlog._check_row_limit(row_limit);
    watermark := (SELECT s.rolled_until FROM eventlog.rollup_state s);
    IF asked IS NULL AND eventlog._reads_all_tenants() THEN
        seen := eventlog.all_tenants();
    ELSE
        seen := eventlog._report_tenant(asked);
    END IF;
    first_at := date_trunc('day', since);
    previous_at := date_trunc('hour', first_at - (until - first_at));
    first_date := first_at::date;
    last_date := (until + interval '1 day' - interval '1 microsecond')::date;
    last_hour := greatest(previous_at, least(date_trunc('hour', until), watermark));
    first_day := least(last_hour, date_trunc('day', previous_at + interval '1 day' - interval '1 microsecond'));
    last_day := greatest(first_day, CASE WHEN last_hour = watermark THEN last_hour ELSE date_trunc('day', last_hour) END);
    SELECT l.late_since, l.late_until INTO late_since, late_until FROM eventlog._late_span(seen, previous_at, last_hour) l;

    IF seen <> eventlog.all_tenants() THEN
        candidates := ARRAY[seen];
    ELSE
        candidates := ARRAY(SELECT n.tenant_id FROM eventlog.tenant_names n
                             UNION SELECT c FROM eventlog._counted_tenants() c
                             UNION SELECT r FROM eventlog._recent_tenants(last_hour, until) r
                             UNION SELECT a FROM unnest(tenant_ids) AS a WHERE a IS NOT NULL AND a <> eventlog.all_tenants());
    END IF;
    IF tenant_ids IS NOT NULL THEN
        candidates := ARRAY(SELECT c FROM unnest(candidates) AS c WHERE c = ANY (tenant_ids));
    END IF;

    RETURN QUERY
    WITH known AS MATERIALIZED (
        SELECT c AS tenant_id FROM unnest(candidates) AS c
    ), rolled AS (
        SELECT k.tenant_id, c.events, c.previous, c.failures, c.successes
          FROM known k
         CROSS JOIN LATERAL (
            SELECT sum(d.weighted_events) FILTER (WHERE d.day >= first_date) AS events,
                   sum(d.weighted_events) FILTER (WHERE d.day < first_date) AS previous,
                   sum(d.failures) FILTER (WHERE d.day >= first_date) AS failures,
                   sum(d.successes) FILTER (WHERE d.day >= first_date) AS successes
              FROM eventlog.daily_counts d
             WHERE d.tenant_id = k.tenant_id AND d.day >= first_day::date AND d.day < last_day) c
         UNION ALL
        SELECT k.tenant_id, c.events, c.previous, c.failures, c.successes
          FROM known k
         CROSS JOIN LATERAL (
            SELECT sum(h.weighted_events) FILTER (WHERE h.hour >= first_at) AS events,
                   sum(h.weighted_events) FILTER (WHERE h.hour < first_at) AS previous,
                   sum(h.failures) FILTER (WHERE h.hour >= first_at) AS failures,
                   sum(h.successes) FILTER (WHERE h.hour >= first_at) AS successes
              FROM (SELECT * FROM eventlog.hourly_counts b
                     WHERE b.tenant_id = k.tenant_id AND b.hour >= previous_at AND b.hour < first_day
                     UNION ALL
                    SELECT * FROM eventlog.hourly_counts b
                     WHERE b.tenant_id = k.tenant_id AND b.hour >= last_day AND b.hour < last_hour) h) c
    ), raw AS (
        SELECT k.tenant_id, r.created_at, r.weight, r.has_failed
          FROM known k
         CROSS JOIN LATERAL (SELECT m.created_at, m.weight, m.has_failed FROM eventlog._measured_events() m
                              WHERE m.tenant_id = k.tenant_id AND m.created_at >= last_hour AND m.created_at < until) r
         UNION ALL
        SELECT r.tenant_id, r.created_at, r.weight, r.has_failed
          FROM eventlog.late_events l
          JOIN eventlog._measured_events() r ON r.id = l.id AND r.created_at = l.created_at
         WHERE eventlog._is_tenant(seen, r.tenant_id) AND (tenant_ids IS NULL OR r.tenant_id = ANY (tenant_ids))
           AND l.created_at >= previous_at AND l.created_at < last_hour
           AND r.created_at >= late_since AND r.created_at < late_until
    ), total AS (
        SELECT t.tenant_id, coalesce(sum(t.events), 0) AS events, coalesce(sum(t.previous), 0) AS previous,
               coalesce(sum(t.failures), 0) AS failures, coalesce(sum(t.successes), 0) AS successes
          FROM (SELECT * FROM rolled
                 UNION ALL
                SELECT w.tenant_id, CASE WHEN w.created_at >= first_at THEN w.weight END,
                       CASE WHEN w.created_at < first_at THEN w.weight END,
                       CASE WHEN w.created_at >= first_at AND w.has_failed THEN w.weight END,
                       CASE WHEN w.created_at >= first_at AND NOT w.has_failed THEN w.weight END
                  FROM raw w
                 UNION ALL
                SELECT k.tenant_id, 0, 0, 0, 0 FROM known k) t
         GROUP BY t.tenant_id
    ), shown AS MATERIALIZED (
        SELECT t.* FROM total t
         ORDER BY abs(t.events - t.previous) DESC, t.events DESC, t.tenant_id
         LIMIT row_limit
    )
    SELECT s.tenant_id, n.name, eventlog._as_count(s.events), eventlog._as_count(s.previous),
           round(((s.events - s.previous) / nullif(s.previous, 0))::numeric, 4),
           (SELECT count(*) FROM (SELECT a.actor
              FROM (SELECT m.actor FROM eventlog.monthly_actors m
                     WHERE m.tenant_id = s.tenant_id AND m.name = '' AND m.actor <> ''
                       AND m.month >= date_trunc('month', first_date)::date AND m.month < last_date
                       AND m.days & eventlog._days_within(m.month, first_date, last_date) <> 0
                     UNION ALL
                    SELECT m.actor FROM eventlog._measured_events() m
                     WHERE m.tenant_id = s.tenant_id AND m.actor <> ''
                       AND m.created_at >= greatest(first_at, watermark) AND m.created_at < last_date::timestamptz
                     UNION ALL
                    SELECT r.actor FROM eventlog.late_events l
                      JOIN eventlog._measured_events() r ON r.id = l.id AND r.created_at = l.created_at
                     WHERE r.tenant_id = s.tenant_id AND r.actor <> ''
                       AND r.created_at >= greatest(first_at, late_since) AND r.created_at < late_until) a
             GROUP BY a.actor) g),
           eventlog._as_count(s.failures),
           round((s.failures / nullif(s.failures + s.successes, 0))::numeric, 4),
           (SELECT e.created_at FROM eventlog.events e WHERE e.tenant_id = s.tenant_id AND e.created_at < until
                AND eventlog._uncountable_column(e.name, e.data, e.actor, e.subject, e.created_at, e.weight) IS NULL
             ORDER BY e.created_at DESC LIMIT 1)
      FROM shown s
      LEFT JOIN LATERAL (SELECT coalesce(n.display_name, n.tenant_name) AS name
                           FROM eventlog.tenant_names n WHERE n.tenant_id = s.tenant_id) n ON true
     ORDER BY abs(s.events - s.previous) DESC, s.events DESC, s.tenant_id;
END
$$;

CREATE FUNCTION eventlog.tenants_overview(
    since      timestamptz DEFAULT now() - interval '30 days',
    until      timestamptz DEFAULT now(),
    row_limit  integer     DEFAULT 100,
    tenant_ids uuid[]      DEFAULT NULL,
    tenant_id  uuid        DEFAULT NULL
) RETURNS TABLE (tenant_id uuid, display_name text, events bigint, previous_events bigint, growth numeric, actors bigint,
                 failures bigint, failure_rate numeric, last_event_at timestamptz)
LANGUAGE sql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT * FROM eventlog._tenants_overview($1, $2, $3, $4, $5)
$$;

COMMENT ON FUNCTION eventlog.tenants_overview(timestamptz, timestamptz, integer, uuid[], uuid) IS
'Tenants side by side over whole days in UTC (default the last 30): name, events, those of the same time before (to the hour) and the growth, distinct actors, failures with their share of the outcomes, and the last event before until. Largest change first, at most row_limit. Of every tenant that the caller may read, or of tenant_ids: all for the log''s owner and services, its own for the others. By created_at.';
