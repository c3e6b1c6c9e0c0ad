-- Reports of counts. Each reads with the caller's own rights; its tenant is the argument, or the
-- connection's. Time is created_at, the server's clock, unless its comment says otherwise, and
-- sampled events are weighted back.
--
-- All are PARALLEL RESTRICTED: a library that is loaded during a parallel query cannot take over
-- what the session set before, and would know no tenant.

CREATE FUNCTION eventlog.events_per_day(
    names     text[]      DEFAULT NULL,
    since     timestamptz DEFAULT now() - interval '30 days',
    until     timestamptz DEFAULT now(),
    tenant_id uuid        DEFAULT NULL,
    time_zone text        DEFAULT 'UTC'
) RETURNS TABLE (day date, name text, events bigint, failures bigint)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    tenant    uuid := eventlog._report_tenant(events_per_day.tenant_id);
    asked     text[] := eventlog._asked_names(names);
    first_day date;
    last_day  date;
    grain     interval;
BEGIN
    PERFORM eventlog._check_span(since, until);
    IF time_zone IS NULL THEN
        RAISE EXCEPTION 'time_zone must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    -- An unknown zone is PostgreSQL's own error, 22023.
    first_day := (since AT TIME ZONE time_zone)::date;
    last_day := ((until - interval '1 microsecond') AT TIME ZONE time_zone)::date;
    grain := eventlog._grain(time_zone, first_day, last_day);
    RETURN QUERY
    WITH counted AS MATERIALIZED (
        SELECT (c.at AT TIME ZONE time_zone)::date AS day, c.name, sum(c.weighted_events) AS events, sum(c.failures) AS failures
          FROM eventlog._counted(tenant, eventlog._day_start(first_day, time_zone), until, asked, grain) c
         GROUP BY 1, 2
    ), wanted AS (
        SELECT n.name FROM unnest(asked) AS n (name)
         UNION
        SELECT c.name FROM counted c
    )
    SELECT d.day::date, w.name, coalesce(eventlog._whole(c.events), 0), coalesce(eventlog._whole(c.failures), 0)
      FROM wanted w
     CROSS JOIN generate_series(first_day::timestamp, last_day::timestamp, interval '1 day') AS d (day)
      LEFT JOIN counted c ON c.name = w.name AND c.day = d.day::date
     ORDER BY d.day, w.name;
END
$$;

COMMENT ON FUNCTION eventlog.events_per_day(text[], timestamptz, timestamptz, uuid, text) IS
'Events by day and name, days without any as 0: from the day of since (default 30 days ago) to the day of until (default now), in time_zone (default UTC). names defaults to all that occur. By created_at.';

CREATE FUNCTION eventlog.events_per_hour(
    names     text[]      DEFAULT NULL,
    since     timestamptz DEFAULT now() - interval '24 hours',
    until     timestamptz DEFAULT now(),
    tenant_id uuid        DEFAULT NULL
) RETURNS TABLE (hour timestamptz, name text, events bigint, failures bigint)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    tenant     uuid := eventlog._report_tenant(events_per_hour.tenant_id);
    asked      text[] := eventlog._asked_names(names);
    first_hour timestamptz := date_bin('1 hour', since, '2000-01-01 00:00:00+00');
BEGIN
    PERFORM eventlog._check_span(since, until);
    IF until - since > interval '366 days' THEN
        RAISE EXCEPTION 'the report spans % hours, limit 8784', round(extract(epoch FROM until - since) / 3600)
            USING ERRCODE = 'program_limit_exceeded', HINT = 'SELECT * FROM eventlog.events_per_day(…);';
    END IF;
    RETURN QUERY
    WITH counted AS MATERIALIZED (
        SELECT date_bin('1 hour', c.at, '2000-01-01 00:00:00+00') AS hour, c.name, sum(c.weighted_events) AS events,
               sum(c.failures) AS failures
          FROM eventlog._counted(tenant, first_hour, until, asked, '1 hour') c
         GROUP BY 1, 2
    ), wanted AS (
        SELECT n.name FROM unnest(asked) AS n (name)
         UNION
        SELECT c.name FROM counted c
    )
    SELECT h.hour, w.name, coalesce(eventlog._whole(c.events), 0), coalesce(eventlog._whole(c.failures), 0)
      FROM wanted w
     CROSS JOIN generate_series(first_hour, until - interval '1 microsecond', interval '1 hour') AS h (hour)
      LEFT JOIN counted c ON c.name = w.name AND c.hour = h.hour
     ORDER BY h.hour, w.name;
END
$$;

COMMENT ON FUNCTION eventlog.events_per_hour(text[], timestamptz, timestamptz, uuid) IS
'Events by hour and name, hours without any as 0: from the hour of since (default 24 hours ago) until until (default now), at most 366 days. names defaults to all that occur. By created_at.';

CREATE FUNCTION eventlog.summary(
    since     timestamptz DEFAULT now() - interval '30 days',
    until     timestamptz DEFAULT now(),
    names     text[]      DEFAULT NULL,
    tenant_id uuid        DEFAULT NULL
) RETURNS TABLE (events bigint, names_seen bigint, actors bigint, successes bigint, failures bigint,
                 success_rate numeric, mean_duration numeric, median_duration numeric, p95_duration numeric,
                 is_sampled boolean)
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
    tenant     uuid := eventlog._report_tenant(summary.tenant_id);
    asked      text[] := eventlog._asked_names(names);
    first_day  date;
    end_day    date;
    raw_since  timestamptz;
    raw_until  timestamptz;
    late_since timestamptz;
    late_until timestamptz;
    active     bigint;
BEGIN
    PERFORM eventlog._check_span(since, until);
    first_day := since::date;
    end_day := (until + interval '1 day' - interval '1 microsecond')::date;
    SELECT * INTO raw_since, raw_until, late_since, late_until FROM eventlog._raw_spans(tenant, first_day, end_day);
    IF asked IS NULL THEN
        SELECT count(*) INTO active FROM (
            SELECT a.actor
              FROM eventlog._active_days(tenant, first_day, end_day, '', raw_since, raw_until, late_since, late_until) a
             GROUP BY a.actor) g;
    ELSE
        SELECT count(DISTINCT a.actor) INTO active
          FROM unnest(asked) AS n (name),
               eventlog._active_days(tenant, first_day, end_day, n.name, raw_since, raw_until, late_since, late_until) a
         -- No name is the empty one, which _active_days() takes for any.
         WHERE n.name <> '';
    END IF;
    RETURN QUERY
    SELECT coalesce(eventlog._whole(sum(c.weighted_events)), 0), count(DISTINCT c.name), active,
           coalesce(eventlog._whole(sum(c.successes)), 0), coalesce(eventlog._whole(sum(c.failures)), 0),
           round((sum(c.successes) / nullif(sum(c.successes) + sum(c.failures), 0))::numeric, 4),
           round((sum(c.duration_sum) / nullif(sum(c.duration_count), 0))::numeric, 1),
           round(eventlog._percentile(eventlog._merge_histograms(c.duration_histogram), 0.5)::numeric, 1),
           round(eventlog._percentile(eventlog._merge_histograms(c.duration_histogram), 0.95)::numeric, 1),
           coalesce(bool_or(c.weighted_events <> c.events), false)
      FROM eventlog._counted(tenant, since, until, asked, '1 day') c;
END
$$;

COMMENT ON FUNCTION eventlog.summary(timestamptz, timestamptz, text[], uuid) IS
'One row for a span (default the last 30 days): events, distinct actors (of whole days in UTC), successes and failures as event types tell, and durations, whose percentiles are right within 2 %. is_sampled: a sample was taken of some of these events, so that actors are those it kept. By created_at.';

CREATE FUNCTION eventlog.success_rate(
    succeeded text        DEFAULT 'integration_succeeded',
    failed    text        DEFAULT 'integration_failed',
    since     timestamptz DEFAULT now() - interval '30 days',
    until     timestamptz DEFAULT now(),
    tenant_id uuid        DEFAULT NULL
) RETURNS TABLE (subject text, successes bigint, failures bigint, success_rate numeric, last_failure_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(success_rate.tenant_id);
    asked  text[] := eventlog._asked_names(ARRAY[succeeded, failed]);
BEGIN
    PERFORM eventlog._check_span(since, until);
    RETURN QUERY
    SELECT s.subject, s.successes, s.failures, round(s.successes / nullif(s.successes::numeric + s.failures, 0), 4), s.last_at
      FROM (SELECT c.subject,
                   coalesce(eventlog._whole(sum(c.weighted_events) FILTER (WHERE c.name = succeeded)), 0) AS successes,
                   coalesce(eventlog._whole(sum(c.weighted_events) FILTER (WHERE c.name = failed)), 0) AS failures,
                   max(c.last_at) FILTER (WHERE c.name = failed) AS last_at
              FROM eventlog._counted_subjects(tenant, since::date, (until + interval '1 day' - interval '1 microsecond')::date,
                                              asked) c
             GROUP BY c.subject) s
     ORDER BY s.failures DESC, s.subject;
END
$$;

COMMENT ON FUNCTION eventlog.success_rate(text, text, timestamptz, timestamptz, uuid) IS
'Of two names, one that is logged on success and one on failure (default: those of integrations): counts and the share of successes by subject, over whole days in UTC (default the last 30). By created_at.';
