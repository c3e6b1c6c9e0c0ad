-- Verifying that the rollups agree with the events.

-- Returns a number that stands for the quarters of a month, to compare them; 0 for a month that is not wholly
-- in the span, and null for quarters that are not known.
CREATE FUNCTION eventlog_private.quarters_sum(quarters bytea, month date, span_from timestamptz, span_until timestamptz, watermark timestamptz)
RETURNS double precision
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
    SELECT CASE WHEN month >= span_from AND (month + interval '1 month' <= span_until OR span_until = watermark)
                THEN hashtext(encode(quarters, 'hex')) ELSE 0 END
$$;

CREATE FUNCTION eventlog_private.verify_rollups(
    since timestamptz,
    until timestamptz
) RETURNS TABLE (rollup text, tenant_id uuid, at timestamptz, name text, key text, counted double precision,
                 found double precision, is_sealed boolean)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
DECLARE
    watermark timestamptz;
    span_from  timestamptz;
    span_until   timestamptz;
BEGIN
    PERFORM eventlog._require_layout(2);
    SELECT s.rolled_until INTO watermark FROM eventlog.rollup_state s;
    -- Whole days of existing partitions; the day of the watermark up to the watermark.
    SELECT greatest(date_trunc('day', min(p.from_at) + interval '1 day' - interval '1 microsecond'), date_trunc('day', since))
      INTO span_from FROM eventlog._partitions p;
    span_until := least(watermark, CASE WHEN isfinite(until) THEN date_trunc('day', until + interval '1 day' - interval '1 microsecond') ELSE until END);
    IF span_from IS NULL OR span_from >= span_until THEN
        RETURN;
    END IF;
    RETURN QUERY
    -- Compares one sum of all measures, in which successes have a factor such that failures cannot cancel
    -- them out.
    WITH event AS NOT MATERIALIZED (
        SELECT e.* FROM eventlog._measured_events() e
         WHERE e.created_at >= span_from AND e.created_at < span_until
           AND NOT EXISTS (SELECT FROM eventlog.late_events l WHERE l.id = e.id AND l.created_at = e.created_at)
    ), whole_key AS MATERIALIZED (
        -- Late events of the day on which a key began to count may be counted by it or not.
        SELECT c.name, c.key, CASE WHEN isfinite(c.since) THEN date_trunc('day', c.since) + interval '1 day' ELSE c.since END AS since
          FROM eventlog.counted_keys c
    ), found AS (
        SELECT 'hourly_counts' AS rollup, e.tenant_id, date_bin('1 hour', e.created_at, '2000-01-01') AS at, e.name,
               ''::text AS key, count(*)::double precision AS n, sum(e.weight) + coalesce(sum(e.weight * e.duration), 0)
                   + coalesce(sum(e.weight) FILTER (WHERE e.has_failed), 0)
                   + pi() * coalesce(sum(e.weight) FILTER (WHERE NOT e.has_failed), 0) AS total
          FROM event e GROUP BY 2, 3, 4
         UNION ALL
        SELECT 'daily_counts', e.tenant_id, date_trunc('day', e.created_at), e.name, '', count(*),
               sum(e.weight) + coalesce(sum(e.weight * e.duration), 0) + coalesce(sum(e.weight) FILTER (WHERE e.has_failed), 0)
                   + pi() * coalesce(sum(e.weight) FILTER (WHERE NOT e.has_failed), 0)
          FROM event e GROUP BY 2, 3, 4
         UNION ALL
        SELECT 'daily_subjects', e.tenant_id, date_trunc('day', e.created_at), e.name, e.subject, count(*),
               sum(e.weight) + coalesce(sum(e.weight * e.duration), 0) + coalesce(sum(e.weight) FILTER (WHERE e.has_failed), 0)
                   + pi() * coalesce(sum(e.weight) FILTER (WHERE NOT e.has_failed), 0)
          FROM event e WHERE e.subject IS NOT NULL AND e.count_subjects GROUP BY 2, 3, 4, 5
         UNION ALL
        SELECT 'monthly_actors', e.tenant_id, date_trunc('month', e.created_at), n.name, e.actor,
               bit_or(1::bigint << (extract(day FROM e.created_at)::integer - 1)),
               eventlog_private.quarters_sum(eventlog._quarters(e.created_at), date_trunc('month', e.created_at)::date, span_from, span_until, watermark)
          FROM event e CROSS JOIN LATERAL (VALUES (e.name), ('')) AS n (name)
         WHERE e.actor IS NOT NULL GROUP BY 2, 3, 4, 5
         UNION ALL
        SELECT k.rollup, k.tenant_id, k.at, k.name, k.key, count(*), sum(k.weight) + coalesce(sum(k.weight * k.duration), 0)
                   + coalesce(sum(k.weight) FILTER (WHERE k.has_failed), 0) + pi() * coalesce(sum(k.weight) FILTER (WHERE NOT k.has_failed), 0)
          FROM (SELECT r.rollup, r.at, e.tenant_id, e.name, format('%s=%s', c.key, left(e.data ->> c.key, 200)) AS key,
                       e.weight, e.duration, e.has_failed
                  FROM event e JOIN whole_key c ON c.name = e.name AND e.created_at >= c.since
                 CROSS JOIN LATERAL (VALUES ('hourly_keys', date_bin('1 hour', e.created_at, '2000-01-01')),
                                            ('daily_keys', date_trunc('day', e.created_at))) AS r (rollup, at)
                 WHERE e.data ->> c.key IS NOT NULL) k
         GROUP BY 1, 2, 3, 4, 5
         UNION ALL
        SELECT 'monthly_key_actors', e.tenant_id, date_trunc('month', e.created_at), e.name,
               format('%s=%s %s', c.key, left(e.data ->> c.key, 200), e.actor),
               bit_or(1::bigint << (extract(day FROM e.created_at)::integer - 1)),
               eventlog_private.quarters_sum(eventlog._quarters(e.created_at), date_trunc('month', e.created_at)::date, span_from, span_until, watermark)
          FROM event e JOIN whole_key c ON c.name = e.name AND date_trunc('month', e.created_at) >= c.since
         WHERE e.actor <> '' AND e.data ->> c.key IS NOT NULL GROUP BY 2, 3, 4, 5
         UNION ALL
        -- The first event of those whose first event is not older than the span.
        SELECT 'first_events', f.tenant_id, date_trunc('month', f.first_at), f.name, f.actor, extract(epoch FROM f.first_at), 0
          FROM (SELECT e.tenant_id, n.name, e.actor, min(e.created_at) AS first_at
                  FROM event e CROSS JOIN LATERAL (VALUES (e.name), ('')) AS n (name)
                 WHERE e.actor <> '' GROUP BY 1, 2, 3) f
         WHERE NOT EXISTS (SELECT FROM eventlog.first_events o
                            WHERE o.tenant_id = f.tenant_id AND o.name = f.name AND o.actor = f.actor AND o.first_at < span_from)
    ), counted AS (
        SELECT 'hourly_counts' AS rollup, h.tenant_id, h.hour AS at, h.name, ''::text AS key, h.events::double precision AS n,
               h.weighted_events + h.duration_sum + h.failures + pi() * h.successes AS total
          FROM eventlog.hourly_counts h WHERE h.hour >= span_from AND h.hour < span_until
         UNION ALL
        SELECT 'daily_counts', d.tenant_id, d.day, d.name, '', d.events, d.weighted_events + d.duration_sum + d.failures + pi() * d.successes
          FROM eventlog.daily_counts d WHERE d.day >= span_from AND d.day < span_until
         UNION ALL
        SELECT 'daily_subjects', s.tenant_id, s.day, s.name, s.subject, s.events, s.weighted_events + s.duration_sum + s.failures + pi() * s.successes
          FROM eventlog.daily_subjects s WHERE s.day >= span_from AND s.day < span_until
         UNION ALL
        SELECT 'monthly_actors', a.tenant_id, a.month, a.name, a.actor,
               a.days & eventlog._days_within(a.month, span_from::date, (span_until + interval '1 day' - interval '1 microsecond')::date),
               eventlog_private.quarters_sum(a.quarters, a.month, span_from, span_until, watermark)
          FROM eventlog.monthly_actors a
         WHERE a.month >= date_trunc('month', span_from) AND a.month < span_until
           AND a.days & eventlog._days_within(a.month, span_from::date, (span_until + interval '1 day' - interval '1 microsecond')::date) <> 0
         UNION ALL
        SELECT 'hourly_keys', h.tenant_id, h.hour, h.name, format('%s=%s', h.key, h.value), h.events,
               h.weighted_events + h.duration_sum + h.failures + pi() * h.successes
          FROM eventlog.hourly_keys h JOIN whole_key c ON c.name = h.name AND c.key = h.key AND h.hour >= c.since
         WHERE h.hour >= span_from AND h.hour < span_until
         UNION ALL
        SELECT 'daily_keys', d.tenant_id, d.day, d.name, format('%s=%s', d.key, d.value), d.events,
               d.weighted_events + d.duration_sum + d.failures + pi() * d.successes
          FROM eventlog.daily_keys d JOIN whole_key c ON c.name = d.name AND c.key = d.key AND d.day >= c.since
         WHERE d.day >= span_from AND d.day < span_until
         UNION ALL
        SELECT 'monthly_key_actors', a.tenant_id, a.month, a.name, format('%s=%s %s', a.key, a.value, a.actor),
               a.days & eventlog._days_within(a.month, span_from::date, (span_until + interval '1 day' - interval '1 microsecond')::date),
               eventlog_private.quarters_sum(a.quarters, a.month, span_from, span_until, watermark)
          FROM eventlog.monthly_key_actors a JOIN whole_key c ON c.name = a.name AND c.key = a.key AND a.month >= c.since
         WHERE a.month >= date_trunc('month', span_from) AND a.month < span_until
           AND a.days & eventlog._days_within(a.month, span_from::date, (span_until + interval '1 day' - interval '1 microsecond')::date) <> 0
         UNION ALL
        SELECT 'first_events', f.tenant_id, date_trunc('month', f.first_at), f.name, f.actor, extract(epoch FROM f.first_at), 0
          FROM eventlog.first_events f WHERE f.first_at >= span_from AND f.first_at < span_until
    )
    SELECT coalesce(c.rollup, f.rollup), coalesce(c.tenant_id, f.tenant_id), coalesce(c.at, f.at), coalesce(c.name, f.name),
           nullif(coalesce(c.key, f.key), ''), coalesce(c.n, 0), coalesce(f.n, 0),
           EXISTS (SELECT FROM eventlog.thinned_partitions t JOIN eventlog._partitions p ON p.partition_name = t.partition_name
                    WHERE p.from_at < coalesce(c.at, f.at) + CASE WHEN coalesce(c.rollup, f.rollup) ~ '^(month|first)' THEN interval '1 month'
                                                                   ELSE interval '1 day' END
                      AND least(t.sealed_until, p.until_at) > coalesce(c.at, f.at))
           AND (coalesce(c.n, 0) >= coalesce(f.n, 0) OR c.rollup = 'first_events')
      FROM counted c
      FULL JOIN found f ON f.rollup = c.rollup AND f.tenant_id = c.tenant_id AND f.at = c.at AND f.name = c.name
                       AND f.key = c.key
     WHERE c.n IS DISTINCT FROM f.n OR abs(c.total - f.total) > 1e-9 * (1 + abs(c.total))
     ORDER BY 1, 2, 3, 4, 5;
END
$$;

CREATE FUNCTION eventlog.verify_rollups(
    since timestamptz DEFAULT '-infinity',
    until timestamptz DEFAULT 'infinity'
) RETURNS TABLE (rollup text, tenant_id uuid, at timestamptz, name text, key text, counted double precision,
                 found double precision, is_sealed boolean)
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

COMMENT ON FUNCTION eventlog.verify_rollups(timestamptz, timestamptz) IS
'Counts the events of whole days in UTC again and returns the rows of the rollups that differ: what was counted and what is found (for monthly_actors and monthly_key_actors the days as bits, for first_events seconds since 1970). is_sealed: retention or erasure deleted rows there, so less is found than was counted. If both are equal, outcomes or durations differ, because keys of the event type changed; recount() corrects them. Reads all rows of the span. For the log''s owner.';
