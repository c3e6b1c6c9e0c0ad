-- What the reports are made of: counts out of the rollups below the watermark, out of raw rows above
-- it and at the ends of a span that is not whole hours, and of late events. All read with the
-- caller's own rights.

-- The tenant of a report: the argument, or the connection's. A role that policies bind to a tenant
-- may name no other.
CREATE FUNCTION eventlog._report_tenant(tenant_id uuid) RETURNS uuid
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    current uuid;
BEGIN
    PERFORM eventlog._require_layout(2);
    IF tenant_id IS NULL THEN
        RETURN eventlog.current_tenant();
    END IF;
    IF row_security_active('eventlog.events')
       AND NOT EXISTS (SELECT FROM pg_policy p, unnest(p.polroles) AS r (role)
                        WHERE p.polrelid = 'eventlog.events'::regclass AND p.polname = 'events_service_select'
                          AND pg_has_role(r.role, 'USAGE'))
    THEN
        current := eventlog.current_tenant();
        IF tenant_id <> current THEN
            RAISE EXCEPTION 'tenant % is not this connection''s', tenant_id
                USING ERRCODE = 'insufficient_privilege', HINT = 'leave the argument out';
        END IF;
    END IF;
    RETURN tenant_id;
END
$$;

-- A span of time that makes sense, or 22023.
CREATE FUNCTION eventlog._check_span(since timestamptz, until timestamptz) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF since IS NULL OR until IS NULL OR NOT isfinite(since) OR NOT isfinite(until) OR since > until THEN
        RAISE EXCEPTION 'the report has no span: since is %, until is %',
                coalesce(since::text, 'null'), coalesce(until::text, 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'since => now() - interval ''30 days'', until => now()';
    END IF;
    -- In numbers: the difference of two timestamps can be more than an interval holds.
    IF extract(epoch FROM until) - extract(epoch FROM since) > 3700 * 86400 THEN
        RAISE EXCEPTION 'the report spans % days, limit 3700',
                trunc((extract(epoch FROM until) - extract(epoch FROM since)) / 86400)
            USING ERRCODE = 'program_limit_exceeded', HINT = 'a later since, or an earlier until';
    END IF;
END
$$;

-- The first instant of a day in a time zone. Where clocks are set back over midnight, it comes twice,
-- and PostgreSQL gives the second: the first is midnight by the offset of the day before. A day that a
-- zone left out begins where the next one does. Without a SET clause, so that it becomes part of the
-- query that calls it; the two below it are its parts, so that `midnight` is not written nine times.
CREATE FUNCTION eventlog._day_start(day date, time_zone text) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT eventlog._earlier_midnight(day, time_zone, day::timestamp AT TIME ZONE time_zone)
$$;

CREATE FUNCTION eventlog._earlier_midnight(day date, time_zone text, midnight timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT least(midnight, eventlog._if_within_day(day, time_zone,
        (day::timestamp - ((midnight - interval '24 hours') AT TIME ZONE time_zone
                           - (midnight - interval '24 hours') AT TIME ZONE 'UTC')) AT TIME ZONE 'UTC'))
$$;

CREATE FUNCTION eventlog._if_within_day(day date, time_zone text, at timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN (at AT TIME ZONE time_zone)::date = day THEN at END
$$;

-- The longest stretch that all days of a span are made of, in a time zone: UTC's own days, or hours,
-- or less where an offset is no whole hours (which only raw rows tell). Clocks that are set back over
-- midnight bring the evening before once more: there it must fit within the day too.
CREATE FUNCTION eventlog._grain(time_zone text, first_day date, last_day date) RETURNS interval
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
    WITH day AS MATERIALIZED (
        SELECT d.day, eventlog._day_start(d.day, time_zone) AS starts_at, d.day::timestamp AT TIME ZONE time_zone AS midnight
          FROM (SELECT first_day + n FROM generate_series(0, last_day - first_day + 1) AS n) AS d (day)
    ), grain AS (
        SELECT CASE WHEN bool_and(b.seconds % 86400 = 0) THEN interval '1 day'
                    WHEN bool_and(b.seconds % 3600 = 0) THEN interval '1 hour'
                    WHEN bool_and(b.seconds % 900 = 0) THEN interval '15 minutes'
                    ELSE interval '1 second' END AS grain
          FROM (SELECT extract(epoch FROM d.starts_at) FROM day d) AS b (seconds)
    )
    SELECT CASE WHEN EXISTS (SELECT FROM day d,
                                    generate_series(d.starts_at, d.midnight - interval '1 microsecond', least(g.grain, '1 hour')) AS at
                              WHERE d.starts_at < d.midnight
                                AND (at AT TIME ZONE time_zone)::date
                                    <> ((at + least(g.grain, '1 hour') - interval '1 microsecond') AT TIME ZONE time_zone)::date)
                THEN interval '1 second' ELSE g.grain END
      FROM grain g
$$;

-- Names, subjects and the like that a report is asked for: in one dimension, and without nulls, which
-- would make `<> ALL` of no row true. Null is for all.
CREATE FUNCTION eventlog._without_nulls(texts text[]) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN texts IS NOT NULL THEN ARRAY(SELECT t.text FROM unnest(texts) WITH ORDINALITY AS t (text, place)
                                                   WHERE t.text IS NOT NULL ORDER BY t.place) END
$$;

-- The names that a report is asked for, as above. A name that is no event type is answered with zero
-- rows, as one without events is, so it is said.
CREATE FUNCTION eventlog._asked_names(names text[]) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    asked   text[] := eventlog._without_nulls(names);
    unknown text;
    nearest text;
BEGIN
    FOR unknown IN
        SELECT DISTINCT n.name FROM unnest(asked) AS n (name)
         WHERE NOT EXISTS (SELECT FROM eventlog.event_types t
                            WHERE t.name = n.name OR (right(t.name, 2) = '.*' AND starts_with(n.name, left(t.name, -1))))
    LOOP
        SELECT t.name INTO nearest FROM eventlog.event_types t
         WHERE t.name = regexp_replace(lower(btrim(unknown)), '[^a-z0-9.]+', '_', 'g')
            OR length(unknown) >= 3 AND (starts_with(t.name, unknown) OR starts_with(unknown, t.name))
         ORDER BY length(t.name) LIMIT 1;
        RAISE NOTICE 'unknown event name "%"', left(unknown, 200)
            USING HINT = CASE WHEN nearest IS NULL THEN 'SELECT name FROM eventlog.event_types;' ELSE format('perhaps "%s"', nearest) END;
    END LOOP;
    RETURN asked;
END
$$;

-- Weights as a whole number. A bigint holds more events than there are; of weights that an owner put in
-- by hand it may not.
CREATE FUNCTION eventlog._whole(weights double precision) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN weights < 9e18 THEN round(weights)::bigint WHEN weights IS NOT NULL THEN 9000000000000000000 END
$$;

-- Where late events of a span lie: from the first until after the last. A report that joins
-- events to their notes bounds created_at by it, else it opens every partition; where there are none it is
-- a span that no partition meets, since a null would not reach them.
CREATE FUNCTION eventlog._late_span(tenant uuid, since timestamptz, until timestamptz,
                                    OUT late_since timestamptz, OUT late_until timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(min(l.created_at), 'infinity'), coalesce(max(l.created_at) + interval '1 microsecond', '-infinity')
      FROM eventlog.late_events l
     WHERE (l.tenant_id = tenant OR l.tenant_id IS NULL) AND l.created_at >= since AND l.created_at < until
$$;

-- This and the next ask for one tenant of many, so for an index: the planner would rather read all
-- of a rollup where a tenant has a fortieth of it. Without JIT, which the price of a table too small for
-- an index would call in. And with a plan for each call, whose bounds are constants: it leaves other
-- partitions out before it locks them.
--
-- Counts of a tenant by name and by stretches of time, each at most a `grain` long, that together
-- make up the span.
CREATE FUNCTION eventlog._counted(tenant uuid, since timestamptz, until timestamptz, names text[], grain interval)
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
    watermark  timestamptz := (SELECT s.rolled_until FROM eventlog.rollup_state s);
    first_hour timestamptz := since;
    last_hour  timestamptz := since;
    first_day  timestamptz;
    last_day   timestamptz;
    late_since timestamptz;
    late_until timestamptz;
BEGIN
    IF grain >= interval '1 hour' THEN
        first_hour := date_bin('1 hour', since + interval '1 hour' - interval '1 microsecond', '2000-01-01');
        last_hour := greatest(first_hour, least(date_bin('1 hour', until, '2000-01-01'), watermark));
    END IF;
    first_day := last_hour;
    last_day := last_hour;
    IF grain >= interval '1 day' THEN
        first_day := least(last_hour, date_trunc('day', first_hour + interval '1 day' - interval '1 microsecond'));
        -- The day of the watermark is whole: daily_counts has just what lies below.
        last_day := greatest(first_day, CASE WHEN last_hour = watermark THEN last_hour ELSE date_trunc('day', last_hour) END);
    END IF;

    IF first_day < last_day THEN
        RETURN QUERY
        SELECT d.day::timestamptz, d.name, d.events, d.weighted_events, d.failures, d.successes, d.duration_count,
               d.duration_sum, d.duration_histogram
          FROM eventlog.daily_counts d
         WHERE d.tenant_id = tenant AND d.day >= first_day::date AND d.day < last_day
           AND (names IS NULL OR d.name = ANY (names));
    END IF;
    IF first_hour < first_day OR last_day < last_hour THEN
        RETURN QUERY
        SELECT h.hour, h.name, h.events, h.weighted_events, h.failures, h.successes, h.duration_count,
               h.duration_sum, h.duration_histogram
          FROM eventlog.hourly_counts h
         WHERE h.tenant_id = tenant AND h.hour >= first_hour AND h.hour < last_hour
           AND (h.hour < first_day OR h.hour >= last_day)
           AND (names IS NULL OR h.name = ANY (names));
    END IF;

    -- Raw rows: before the first whole hour, after the last one, and those that came late.
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
             WHERE r.tenant_id = tenant AND r.created_at >= since AND r.created_at < least(first_hour, until)
             UNION ALL
            SELECT r.created_at, r.name, r.weight, r.has_failed, r.duration
              FROM eventlog._measured_events() r
             WHERE r.tenant_id = tenant AND r.created_at >= last_hour AND r.created_at < until
             UNION ALL
            SELECT r.created_at, r.name, r.weight, r.has_failed, r.duration
              FROM eventlog.late_events l
              JOIN eventlog._measured_events() r ON r.id = l.id AND r.created_at = l.created_at
             WHERE (l.tenant_id = tenant OR l.tenant_id IS NULL) AND r.tenant_id = tenant
               AND l.created_at >= first_hour AND l.created_at < last_hour
               AND r.created_at >= late_since AND r.created_at < late_until) e
     WHERE names IS NULL OR e.name = ANY (names)
     GROUP BY 1, 2;
END
$$;

-- Counts of a tenant by name and subject over whole days in UTC, of names that count subjects.
CREATE FUNCTION eventlog._counted_subjects(tenant uuid, since date, until date, names text[])
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
    -- Of the type of created_at: partitions are not told by a date.
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
             WHERE d.tenant_id = tenant AND d.day >= since AND d.day < until
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
                     WHERE r.tenant_id = tenant AND r.created_at >= raw_since AND r.created_at < raw_until
                     UNION ALL
                    SELECT r.* FROM eventlog.late_events l
                      JOIN eventlog._measured_events() r ON r.id = l.id AND r.created_at = l.created_at
                     WHERE (l.tenant_id = tenant OR l.tenant_id IS NULL) AND r.tenant_id = tenant
                       AND r.created_at >= late_since AND r.created_at < late_until) e
             WHERE e.subject IS NOT NULL AND e.count_subjects AND (names IS NULL OR e.name = ANY (names))
             GROUP BY e.name, e.subject) c
     GROUP BY c.name, c.subject;
END
$$;

-- Where the rows of a span of days in UTC lie that _active_days() reads beside the rollup, of the type of
-- created_at: partitions are not told by a date.
CREATE FUNCTION eventlog._raw_spans(tenant uuid, since date, until date, OUT raw_since timestamptz, OUT raw_until timestamptz,
                                    OUT late_since timestamptz, OUT late_until timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
    SELECT greatest(since::timestamptz, w.rolled_until), until::timestamptz, l.late_since, l.late_until
      FROM eventlog.rollup_state w
     CROSS JOIN LATERAL eventlog._late_span(tenant, since::timestamptz, least(until::timestamptz, w.rolled_until)) l
$$;

-- On which days in UTC actors were active: a bit for each day of a month, the lowest for the first.
-- Of events of a name, or of any for the empty one. An actor and a month come more than once where
-- there are rows that the rollup does not hold yet. Without a SET clause, so that it becomes part of
-- the query that calls it, and twenty thousand actors are not copied; who calls it brings what
-- _raw_spans() gives in plain variables (what they say is worked out for each row), and _counted()'s
-- settings.
CREATE FUNCTION eventlog._active_days(tenant uuid, since date, until date, event_name text, raw_since timestamptz,
                                      raw_until timestamptz, late_since timestamptz, late_until timestamptz)
RETURNS TABLE (actor text, month date, days integer)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT d.actor, d.month, d.days & eventlog._days_within(d.month, since, until)
      FROM (SELECT a.actor, a.month, a.days
              FROM eventlog.monthly_actors a
             WHERE a.tenant_id = tenant AND a.name = event_name
               AND a.month >= date_trunc('month', since)::date AND a.month < until
             UNION ALL
            SELECT e.actor, date_trunc('month', e.created_at)::date, 1 << (extract(day FROM e.created_at)::integer - 1)
              FROM (SELECT r.actor, r.created_at, r.name FROM eventlog.events r
                     WHERE r.tenant_id = tenant AND r.created_at >= raw_since AND r.created_at < raw_until
                       AND eventlog._uncountable_column(r.name, r.data, r.actor, r.subject, r.created_at, r.weight) IS NULL
                     UNION ALL
                    SELECT r.actor, r.created_at, r.name FROM eventlog.late_events l
                      JOIN eventlog.events r ON r.id = l.id AND r.created_at = l.created_at
                     WHERE (l.tenant_id = tenant OR l.tenant_id IS NULL) AND r.tenant_id = tenant
                       AND r.created_at >= late_since AND r.created_at < late_until
                       AND eventlog._uncountable_column(r.name, r.data, r.actor, r.subject, r.created_at, r.weight) IS NULL) e
             WHERE e.actor IS NOT NULL AND (event_name = '' OR e.name = event_name)) d
     -- The empty actor is nobody.
     WHERE d.actor <> '' AND d.days & eventlog._days_within(d.month, since, until) <> 0
$$;

-- The bits of a month's days that lie in a span.
CREATE FUNCTION eventlog._days_within(month date, since date, until date) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN since <= month AND until > month + 30 THEN 2147483647
                WHEN until <= month OR since > month + 30 THEN 0
                ELSE ((1::bigint << least(31, until - month)) - (1::bigint << greatest(0, since - month)))::integer & 2147483647 END
$$;
