-- Reports of actors: who was active, and who came back. From the rollup of active days.

CREATE FUNCTION eventlog.active_actors(
    since     date DEFAULT (now() AT TIME ZONE 'UTC')::date - 29,
    until     date DEFAULT (now() AT TIME ZONE 'UTC')::date + 1,
    name      text DEFAULT NULL,
    tenant_id uuid DEFAULT NULL
) RETURNS TABLE (day date, daily integer, weekly integer, monthly integer)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET enable_seqscan = off
SET jit = off
SET max_parallel_workers_per_gather = 0
AS $$
#variable_conflict use_column
DECLARE
    tenant    uuid := eventlog._report_tenant(active_actors.tenant_id);
    first     date := since - 29;
    span_days integer;
    wanted    text := coalesce(active_actors.name, '');
    watermark timestamptz := (SELECT s.rolled_until FROM eventlog.rollup_state s);
    activity  bytea;
BEGIN
    PERFORM eventlog._check_span(since, until);
    span_days := until - first;
    SELECT coalesce(eventlog._activity(a.actor, a.month - first, a.days, 0, span_days), '') INTO activity
      FROM eventlog._active_days(tenant, first, until, wanted, watermark) a;
    RETURN QUERY
    SELECT first + n::integer - 1, c.daily, c.weekly, c.monthly
      FROM ROWS FROM (unnest(eventlog._active_within(activity, 1, span_days)), unnest(eventlog._active_within(activity, 7, span_days)),
                      unnest(eventlog._active_within(activity, 30, span_days))) WITH ORDINALITY AS c (daily, weekly, monthly, n)
     WHERE n > 29
     ORDER BY n;
END
$$;

COMMENT ON FUNCTION eventlog.active_actors(date, date, text, uuid) IS
'For each day in UTC from since (default 29 days ago) until before until (default tomorrow): distinct actors of that day, of the 7 days and of the 30 days that end with it; of events of one name, or of any. By created_at.';

CREATE FUNCTION eventlog.cohort_retention(
    first_name     text DEFAULT NULL,
    returning_name text DEFAULT NULL,
    period         text DEFAULT 'week',
    since          date DEFAULT NULL,
    until          date DEFAULT (now() AT TIME ZONE 'UTC')::date + 1,
    tenant_id      uuid DEFAULT NULL
) RETURNS TABLE (cohort date, actors integer, period_number integer, returned integer, share numeric)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET enable_seqscan = off
SET jit = off
SET max_parallel_workers_per_gather = 0
AS $$
#variable_conflict use_column
DECLARE
    most_periods constant integer := 600;
    tenant   uuid := eventlog._report_tenant(cohort_retention.tenant_id);
    begins   date;
    starts   date[];
    offsets  integer[];
    span_days integer;
    periods  integer;
    matrix   integer[];
    first_event     text := coalesce(first_name, '');
    returning_event text := coalesce(returning_name, '');
    watermark       timestamptz := (SELECT s.rolled_until FROM eventlog.rollup_state s);
BEGIN
    IF period IS NULL OR period NOT IN ('day', 'week', 'month') THEN
        RAISE EXCEPTION 'unknown period "%"', period
            USING ERRCODE = 'invalid_parameter_value', HINT = 'day, week or month';
    END IF;
    begins := date_trunc(period, coalesce(since::timestamp, CASE period WHEN 'day' THEN until - interval '14 days'
                                      WHEN 'week' THEN until - interval '11 weeks' ELSE until - interval '11 months' END))::date;
    PERFORM eventlog._check_span(coalesce(since, begins), until);
    PERFORM eventlog._check_span(begins, until);
    starts := ARRAY(SELECT d::date FROM generate_series(begins::timestamp, until::timestamp - interval '1 day', ('1 ' || period)::interval) AS d);
    periods := cardinality(starts);
    IF periods > most_periods THEN
        RAISE EXCEPTION 'the report has % periods, limit %', periods, most_periods
            USING ERRCODE = 'program_limit_exceeded', HINT = 'a later since, or a longer period';
    END IF;
    span_days := until - begins;
    offsets := ARRAY(SELECT s - begins FROM unnest(starts) AS s ORDER BY s) || span_days;

    -- Any event is asked for once, not twice.
    IF first_name IS NOT DISTINCT FROM returning_name THEN
        SELECT eventlog._retained(coalesce(eventlog._activity(a.actor, a.month - begins, a.days, a.days, span_days), ''), offsets)
          INTO matrix
          FROM eventlog._active_days(tenant, begins, until, first_event, watermark) a;
    ELSE
        SELECT eventlog._retained(coalesce(eventlog._activity(a.actor, a.month - begins, a.first_days, a.returning_days, span_days), ''), offsets)
          INTO matrix
          FROM (SELECT f.actor, f.month, f.days AS first_days, 0 AS returning_days
                  FROM eventlog._active_days(tenant, begins, until, first_event, watermark) f
                 UNION ALL
                SELECT r.actor, r.month, 0, r.days
                  FROM eventlog._active_days(tenant, begins, until, returning_event, watermark) r) a;
    END IF;
    RETURN QUERY
    SELECT starts[c], matrix[(c - 1) * (periods + 1) + 1], p, matrix[(c - 1) * (periods + 1) + 2 + p],
           round(matrix[(c - 1) * (periods + 1) + 2 + p] / nullif(matrix[(c - 1) * (periods + 1) + 1], 0)::numeric, 4)
      FROM generate_series(1, periods) AS c CROSS JOIN LATERAL generate_series(0, periods - c) AS p
     ORDER BY c, p;
END
$$;

COMMENT ON FUNCTION eventlog.cohort_retention(text, text, text, date, date, uuid) IS
'Of the actors whose first event in the span (of first_name, or any) lies in a day, week or month: how many had an event (of returning_name, or any) in it (period_number 0) and in each period after it. The span is by default 15 days, 12 weeks or 12 months; in UTC, by created_at.';
