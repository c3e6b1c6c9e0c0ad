-- The keys of count_keys: since when they are counted, and counting them later.

-- Notes which keys are counted from `since` on, by the rules that the pass used. A name of which nothing was
-- counted before is counted as a whole.
CREATE FUNCTION eventlog_private.note_counted_keys(rules jsonb, since timestamptz) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    DELETE FROM eventlog.counted_keys c WHERE (rules -> c.name -> 'count_keys' ? c.key) IS NOT TRUE;
    INSERT INTO eventlog.counted_keys (name, key, since)
    SELECT n.name, k.key, CASE WHEN EXISTS (SELECT FROM eventlog.daily_counts d WHERE d.name = n.name) THEN note_counted_keys.since
                               ELSE '-infinity' END
      FROM jsonb_each(rules) AS n (name, rule)
     CROSS JOIN LATERAL (SELECT DISTINCT k.key FROM jsonb_array_elements_text(n.rule -> 'count_keys') AS k (key)) k
     WHERE NOT EXISTS (SELECT FROM eventlog.counted_keys c WHERE c.name = n.name AND c.key = k.key);
$$;

-- Replaces counts by key with those of the last pass, which counted whole days, and returns the number of changed
-- rows.
CREATE FUNCTION eventlog_private.replace_key_counts() RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    changed bigint := 0;
    rollup  record;
    rows    bigint;
BEGIN
    FOR rollup IN
        SELECT t.table_name, v.change, v.is_other
          FROM (VALUES ('hourly_keys'), ('daily_keys')) AS t (table_name)
         CROSS JOIN (
            SELECT string_agg(format('%1$I = EXCLUDED.%1$I', m.name), ', '),
                   format('(%s) IS DISTINCT FROM (%s)', string_agg(format('r.%I', m.name), ', '), string_agg(format('EXCLUDED.%I', m.name), ', '))
              FROM eventlog_private.measures() m) AS v (change, is_other)
         UNION ALL
        SELECT 'monthly_key_actors', 'days = r.days | EXCLUDED.days, quarters = eventlog._quarters_union(r.quarters, EXCLUDED.quarters)',
               'eventlog._quarters_union(r.quarters, EXCLUDED.quarters) IS DISTINCT FROM r.quarters'
    LOOP
        EXECUTE format('INSERT INTO eventlog.%1$I AS r SELECT c.* FROM eventlog_private.%2$I() c
                            ON CONFLICT ON CONSTRAINT %3$I DO UPDATE SET %4$s WHERE %5$s',
                       rollup.table_name, 'counted_' || rollup.table_name, rollup.table_name || '_pkey', rollup.change, rollup.is_other);
        GET DIAGNOSTICS rows = ROW_COUNT;
        changed := changed + rows;
    END LOOP;
    RETURN changed;
END
$$;

-- Counts the keys of past days anew, and returns the number of changed rows. Only of days whose events are all
-- still there, judging by the count of the day.
CREATE FUNCTION eventlog_private.recount_keys(name text) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    -- Counts are kept in memory, so days with about as many events are counted at a time.
    most_events constant integer := 500000;
    -- Subjects are left out, which can be many.
    rules   constant jsonb := (SELECT jsonb_build_object(t.name, to_jsonb(t) || '{"count_subjects": false}')
                                 FROM eventlog.event_types t WHERE t.name = recount_keys.name AND t.count_keys <> '{}');
    changed bigint := 0;
    span    record;
    lost    date;
    broken  date;
    counted bigint[];
BEGIN
    IF rules IS NULL THEN
        RETURN 0;
    END IF;
    FOR span IN
        SELECT min(s.day) AS first_day, max(s.day) + 1 AS end_day
          FROM (SELECT d.day, div(sum(sum(d.events)) OVER (ORDER BY d.day), most_events) AS place
                  FROM eventlog.daily_counts d WHERE d.name = recount_keys.name GROUP BY d.day) s
         GROUP BY s.place ORDER BY s.place
    LOOP
        -- The last day that has lost events, and the counts of all days that have not.
        WITH remaining AS MATERIALIZED (
            SELECT e.tenant_id, e.created_at::date AS day, count(*) AS events
              FROM eventlog._measured_events() e
             WHERE e.name = recount_keys.name AND e.created_at < (SELECT s.rolled_until FROM eventlog.rollup_state s)
               AND e.created_at >= span.first_day::timestamptz AND e.created_at < span.end_day::timestamptz
               AND NOT EXISTS (SELECT FROM eventlog.late_events l WHERE l.id = e.id AND l.created_at = e.created_at)
             GROUP BY 1, 2
        ), day AS MATERIALIZED (
            SELECT d.tenant_id, d.day, d.events = coalesce(r.events, 0) AS is_whole
              FROM eventlog.daily_counts d
              LEFT JOIN remaining r ON r.tenant_id = d.tenant_id AND r.day = d.day
             WHERE d.name = recount_keys.name AND d.day >= span.first_day AND d.day < span.end_day
        )
        SELECT (SELECT max(d.day) FROM day d WHERE NOT d.is_whole),
               (SELECT eventlog_private.count_all(e.id, e.tenant_id, e.name, e.data, e.actor, e.subject, e.created_at, e.weight, rules)
                  FROM eventlog.events e
                  JOIN day d ON d.tenant_id = e.tenant_id AND d.day = e.created_at::date AND d.is_whole
                 WHERE e.name = recount_keys.name AND e.created_at < (SELECT s.rolled_until FROM eventlog.rollup_state s)
                   AND e.created_at >= span.first_day::timestamptz AND e.created_at < span.end_day::timestamptz
                   AND NOT EXISTS (SELECT FROM eventlog.late_events l WHERE l.id = e.id AND l.created_at = e.created_at))
          INTO lost, counted;
        broken := greatest(broken, lost);
        changed := changed + eventlog_private.replace_key_counts();
        IF counted[1] > 0 THEN
            PERFORM eventlog_private.drop_counts_of_erased(eventlog_private.counted_tenants(), '-infinity');
        END IF;
        PERFORM eventlog_private.forget_counts();
    END LOOP;
    -- A key that was chosen just now has not been in a pass yet.
    INSERT INTO eventlog.counted_keys (name, key, since)
    SELECT DISTINCT recount_keys.name, k.key, s.rolled_until
      FROM jsonb_array_elements_text(rules -> recount_keys.name -> 'count_keys') AS k (key), eventlog.rollup_state s
     WHERE NOT EXISTS (SELECT FROM eventlog.counted_keys c WHERE c.name = recount_keys.name AND c.key = k.key);
    UPDATE eventlog.counted_keys c SET since = least(c.since, coalesce(broken + 1, '-infinity')) WHERE c.name = recount_keys.name;
    RETURN changed;
END
$$;
