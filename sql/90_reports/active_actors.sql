-- Report: how many actors were active, from the rollup of active days.

CREATE FUNCTION eventlog.active_actors(
    since     date DEFAULT (now() AT TIME ZONE 'UTC')::date - 29,
    until     date DEFAULT (now() AT TIME ZONE 'UTC')::date + 1,
    name      text DEFAULT NULL,
    tenant_id uuid DEFAULT NULL,
    filters   jsonb DEFAULT NULL,
    time_zone text DEFAULT 'UTC'
) RETURNS TABLE (day date, daily integer, weekly integer, monthly integer, is_sampled boolean,
                 is_complete boolean, covered_since timestamptz)
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
    tenant    uuid := eventlog._report_tenant(active_actors.tenant_id);
    first     date := since - 29;
    span_days integer;
    wanted    text := coalesce(active_actors.name, '');
    names     text[] := eventlog._check_names(CASE WHEN active_actors.name IS NOT NULL THEN ARRAY[active_actors.name] END);
    activity  bytea;
    raw_since  timestamptz;
    raw_until  timestamptz;
    late_since timestamptz;
    late_until timestamptz;
BEGIN
    PERFORM eventlog._check_span(since, until);
    span_days := until - first;
    SELECT * INTO raw_since, raw_until, late_since, late_until FROM eventlog._raw_spans(tenant, first, until);
    SELECT coalesce(eventlog._activity(a.actor, a.month - first, a.days, 0, span_days), '') INTO activity
      FROM eventlog._active_days(tenant, first, until, wanted, raw_since, raw_until, late_since, late_until) a;
    RETURN QUERY
    WITH sampled AS MATERIALIZED (
        SELECT DISTINCT s.at::date AS day
          FROM eventlog._counts_by_name(tenant, first::timestamptz, until::timestamptz, names, '1 day') s
         WHERE s.weighted_events <> s.events
    )
    SELECT first + d.n - 1, d.daily, d.weekly, d.monthly, coalesce(d.sampled_at > first + d.n - 31, false),
           eventlog._day_start(first + d.n, active_actors.time_zone) <= now(), eventlog._day_start(since, active_actors.time_zone)
      FROM (SELECT c.daily, c.weekly, c.monthly, c.n::integer AS n, max(s.day) OVER (ORDER BY c.n) AS sampled_at
              FROM ROWS FROM (unnest(eventlog._active_within(activity, 1, span_days)), unnest(eventlog._active_within(activity, 7, span_days)),
                              unnest(eventlog._active_within(activity, 30, span_days))) WITH ORDINALITY AS c (daily, weekly, monthly, n)
              LEFT JOIN sampled s ON s.day = first + c.n::integer - 1) d
     WHERE d.n > 29
     ORDER BY d.n;
END
$$;

COMMENT ON FUNCTION eventlog.active_actors(date, date, text, uuid, jsonb, text) IS
'For each day in UTC from since (default 29 days ago) to before until (default tomorrow): the distinct actors of that day, and of the 7 and the 30 days that end with it, of events of one name or of any. is_sampled: some events of those 30 days were sampled, so that actors are missing. By created_at.';
