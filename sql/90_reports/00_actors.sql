-- On which days actors were active, from the rollup and from raw rows.

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
