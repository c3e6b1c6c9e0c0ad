-- The days on which actors were active, from the rollup and from raw rows.

-- Returns the spans of raw rows that _active_days() reads in addition to the rollup. They have the type of
-- created_at, because a date would not exclude partitions.
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

-- Returns the days in UTC on which actors were active, one bit per day of a month, for events of one name,
-- or of all names for the empty one. An actor and a month can occur more than once if the rollup lacks some
-- rows. The function has no SET clause, so that it is inlined into the calling query, and twenty thousand
-- actors are not copied. The caller passes the results of _raw_spans() as plain variables (expressions
-- would be evaluated for each row), and has the settings of _counts_by_name().
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
     -- An empty actor counts as none.
     WHERE d.actor <> '' AND d.days & eventlog._days_within(d.month, since, until) <> 0
$$;

-- Returns the bits of the days of a month that lie in a span.
CREATE FUNCTION eventlog._days_within(month date, since date, until date) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN since <= month AND until > month + 30 THEN 2147483647
                WHEN until <= month OR since > month + 30 THEN 0
                ELSE ((1::bigint << least(31, until - month)) - (1::bigint << greatest(0, since - month)))::integer & 2147483647 END
$$;
