-- The counts that reports are made of: from the rollups below the watermark, and from raw rows above it, at
-- the ends of a span that is not whole hours, and for late events. All are read with the caller's own
-- rights.
--
-- Both functions ask for one tenant of many, and so for an index, though the planner would rather read all
-- of a rollup if a tenant has a fortieth of it. JIT is off: with enable_seqscan = off even a small table
-- looks expensive enough to trigger it. Each call gets its own plan, whose constant bounds exclude
-- partitions before they are locked.

-- Returns the span of the late events within a span. A report that joins events to their notes limits
-- created_at to it, or else every partition would be opened. If there are no late events, it is a span that
-- no partition meets; null would not exclude partitions.
CREATE FUNCTION eventlog._late_span(tenant uuid, since timestamptz, until timestamptz,
                                    OUT late_since timestamptz, OUT late_until timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    SELECT coalesce(min(l.created_at), 'infinity'), coalesce(max(l.created_at) + interval '1 microsecond', '-infinity')
      INTO late_since, late_until
      FROM eventlog.late_events l
     WHERE (eventlog._is_tenant(tenant, l.tenant_id) OR l.tenant_id IS NULL) AND l.created_at >= since AND l.created_at < until;
END
$$;

-- Returns which parts of a span the rollups answer for, in stretches of at most a `grain`: hours from first_hour
-- to last_hour, and among them days from first_day to last_day. The rest is for raw rows. A span may be too short
-- for either; then both ends are the same.
CREATE FUNCTION eventlog._rollup_parts(since timestamptz, until timestamptz, grain interval, OUT first_hour timestamptz,
                                       OUT last_hour timestamptz, OUT first_day timestamptz, OUT last_day timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    watermark timestamptz := (SELECT s.rolled_until FROM eventlog.rollup_state s);
BEGIN
    first_hour := since;
    last_hour := since;
    IF grain >= interval '1 hour' THEN
        first_hour := date_bin('1 hour', since + interval '1 hour' - interval '1 microsecond', '2000-01-01');
        last_hour := greatest(first_hour, least(date_bin('1 hour', until, '2000-01-01'), watermark));
    END IF;
    first_day := last_hour;
    last_day := last_hour;
    IF grain >= interval '1 day' THEN
        first_day := least(last_hour, date_trunc('day', first_hour + interval '1 day' - interval '1 microsecond'));
        -- The day of the watermark counts as whole: the rollups by day hold exactly what lies below it.
        last_day := greatest(first_day, CASE WHEN last_hour = watermark THEN last_hour ELSE date_trunc('day', last_hour) END);
    END IF;
END
$$;

-- Returns counts of a tenant by name and by stretches of time that together make up the span, each at most
-- a `grain` long.
CREATE FUNCTION eventlog._counts_by_name(tenant uuid, since timestamptz, until timestamptz, names text[], grain interval)
RETURNS TABLE (at timestamptz, name text, events bigint, weighted_events double precision, failures double precision,
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
        SELECT d.day::timestamptz, d.name, d.events, d.weighted_events, d.failures, d.successes, d.duration_count,
               d.duration_sum, d.duration_histogram
          FROM eventlog.daily_counts d
         WHERE eventlog._is_tenant(tenant, d.tenant_id) AND d.day >= first_day::date AND d.day < last_day
           AND (names IS NULL OR d.name = ANY (names));
    END IF;
    IF first_hour < first_day OR last_day < last_hour THEN
        RETURN QUERY
        SELECT h.hour, h.name, h.events, h.weighted_events, h.failures, h.successes, h.duration_count,
               h.duration_sum, h.duration_histogram
          FROM eventlog.hourly_counts h
         WHERE eventlog._is_tenant(tenant, h.tenant_id) AND h.hour >= first_hour AND h.hour < last_hour
           AND (h.hour < first_day OR h.hour >= last_day)
           AND (names IS NULL OR h.name = ANY (names));
    END IF;

    -- Raw rows: before the first whole hour, after the last one, and late events.
    SELECT l.late_since, l.late_until INTO late_since, late_until FROM eventlog._late_span(tenant, first_hour, last_hour) l;
    RETURN QUERY
    SELECT date_bin(least(grain, '1 hour'), e.created_at, '2000-01-01') AS at, e.name, count(*), sum(e.weight),
           coalesce(sum(e.weight) FILTER (WHERE e.has_failed), 0),
           coalesce(sum(e.weight) FILTER (WHERE NOT e.has_failed), 0),
           coalesce(sum(e.weight) FILTER (WHERE e.duration IS NOT NULL), 0),
           coalesce(sum(e.weight * e.duration), 0),
           eventlog._histogram(e.duration, e.weight) FILTER (WHERE e.duration IS NOT NULL)
      FROM (SELECT r.created_at, r.name, r.weight, r.has_failed, r.duration
              FROM eventlog._measured_events() r
             WHERE eventlog._is_tenant(tenant, r.tenant_id) AND r.created_at >= since AND r.created_at < least(first_hour, until)
             UNION ALL
            SELECT r.created_at, r.name, r.weight, r.has_failed, r.duration
              FROM eventlog._measured_events() r
             WHERE eventlog._is_tenant(tenant, r.tenant_id) AND r.created_at >= last_hour AND r.created_at < until
             UNION ALL
            SELECT r.created_at, r.name, r.weight, r.has_failed, r.duration
              FROM eventlog.late_events l
              JOIN eventlog._measured_events() r ON r.id = l.id AND r.created_at = l.created_at
             WHERE (l.tenant_id IS NULL OR eventlog._is_tenant(tenant, l.tenant_id)) AND eventlog._is_tenant(tenant, r.tenant_id)
               AND l.created_at >= first_hour AND l.created_at < last_hour
               AND r.created_at >= late_since AND r.created_at < late_until) e
     WHERE names IS NULL OR e.name = ANY (names)
     GROUP BY 1, 2;
END
$$;

-- Returns counts of a tenant by name and subject over whole days in UTC, of names that count subjects.
CREATE FUNCTION eventlog._counts_by_subject(tenant uuid, since date, until date, names text[])
RETURNS TABLE (name text, subject text, events bigint, weighted_events double precision, failures double precision,
               successes double precision, duration_count double precision, duration_sum double precision,
               duration_histogram double precision[], first_at timestamptz, last_at timestamptz)
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
    watermark  timestamptz := (SELECT s.rolled_until FROM eventlog.rollup_state s);
    -- Of the type of created_at, because a date would not exclude partitions.
    raw_since  timestamptz := greatest(since::timestamptz, watermark);
    raw_until  timestamptz := until::timestamptz;
    late_since timestamptz;
    late_until timestamptz;
BEGIN
    SELECT l.late_since, l.late_until INTO late_since, late_until
      FROM eventlog._late_span(tenant, since::timestamptz, least(raw_until, watermark)) l;
    RETURN QUERY
    SELECT c.name, c.subject, sum(c.events)::bigint, sum(c.weighted_events), sum(c.failures), sum(c.successes),
           sum(c.duration_count), sum(c.duration_sum), eventlog._merge_histograms(c.duration_histogram),
           min(c.first_at), max(c.last_at)
      FROM (SELECT d.name, d.subject, d.events, d.weighted_events, d.failures, d.successes, d.duration_count,
                   d.duration_sum, d.duration_histogram, d.first_at, d.last_at
              FROM eventlog.daily_subjects d
             WHERE eventlog._is_tenant(tenant, d.tenant_id) AND d.day >= since AND d.day < until
               AND (names IS NULL OR d.name = ANY (names))
             UNION ALL
            SELECT e.name, e.subject, count(*), sum(e.weight),
                   coalesce(sum(e.weight) FILTER (WHERE e.has_failed), 0),
                   coalesce(sum(e.weight) FILTER (WHERE NOT e.has_failed), 0),
                   coalesce(sum(e.weight) FILTER (WHERE e.duration IS NOT NULL), 0),
                   coalesce(sum(e.weight * e.duration), 0),
                   eventlog._histogram(e.duration, e.weight) FILTER (WHERE e.duration IS NOT NULL),
                   min(e.created_at), max(e.created_at)
              FROM (SELECT r.* FROM eventlog._measured_events() r
                     WHERE eventlog._is_tenant(tenant, r.tenant_id) AND r.created_at >= raw_since AND r.created_at < raw_until
                     UNION ALL
                    SELECT r.* FROM eventlog.late_events l
                      JOIN eventlog._measured_events() r ON r.id = l.id AND r.created_at = l.created_at
                     WHERE (l.tenant_id IS NULL OR eventlog._is_tenant(tenant, l.tenant_id)) AND eventlog._is_tenant(tenant, r.tenant_id)
                       AND r.created_at >= late_since AND r.created_at < late_until) e
             WHERE e.subject IS NOT NULL AND e.count_subjects AND (names IS NULL OR e.name = ANY (names))
             GROUP BY e.name, e.subject) c
     GROUP BY c.name, c.subject;
END
$$;
