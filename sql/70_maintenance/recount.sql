-- Recounting after an event type changed. Events that are counted already keep their outcomes, durations and
-- subjects until recount() is called.

-- Counts the subjects of past days anew, if they were not counted then, and returns the number of changed
-- rows. Only of days whose events are all still there, judging by the count of the day.
CREATE FUNCTION eventlog_private.recount_subjects(name text) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET jit = off
AS $$
DECLARE
    changed bigint;
    tenants uuid[];
BEGIN
    EXECUTE (SELECT format($sql$
        WITH found AS MATERIALIZED (
            SELECT e.tenant_id, e.created_at::date AS day, e.subject, %s, min(e.created_at) AS first_at, max(e.created_at) AS last_at
              FROM eventlog._measured_events() e
             WHERE e.name = $1 AND e.count_subjects
               AND e.created_at < (SELECT s.rolled_until FROM eventlog.rollup_state s)
               AND NOT EXISTS (SELECT FROM eventlog.late_events l WHERE l.id = e.id AND l.created_at = e.created_at)
             GROUP BY 1, 2, 3
        ), whole AS (
            SELECT f.tenant_id, f.day FROM found f
              JOIN eventlog.daily_counts d ON d.tenant_id = f.tenant_id AND d.day = f.day AND d.name = $1
             GROUP BY f.tenant_id, f.day, d.events HAVING sum(f.events) = d.events
        ), written AS (
            INSERT INTO eventlog.daily_subjects AS r
            SELECT f.tenant_id, f.day, $1, f.subject, %s, f.first_at, f.last_at
              FROM found f JOIN whole w USING (tenant_id, day)
             WHERE f.subject IS NOT NULL
             ORDER BY 1, 2, 4
                ON CONFLICT ON CONSTRAINT daily_subjects_pkey
                DO UPDATE SET %s, first_at = EXCLUDED.first_at, last_at = EXCLUDED.last_at
                 WHERE r.events <> EXCLUDED.events
            RETURNING r.tenant_id
        )
        SELECT count(*), array_agg(DISTINCT w.tenant_id) FROM written w$sql$,
        string_agg(format('%s AS %I', m.of_events, m.name), ', '), string_agg(format('f.%I', m.name), ', '),
        string_agg(format('%1$I = EXCLUDED.%1$I', m.name), ', ')) FROM eventlog_private.measures() m)
       INTO changed, tenants USING name;
    -- A tenant that a trigger erases meanwhile keeps no counts, as in roll_up().
    IF changed > 0 THEN
        PERFORM eventlog_private.take_lock('erasure', false, true);
        DELETE FROM eventlog.daily_subjects c
         WHERE c.name = recount_subjects.name AND c.tenant_id = ANY (tenants)
           AND NOT EXISTS (SELECT FROM eventlog.events e WHERE e.tenant_id = c.tenant_id);
    END IF;
    RETURN changed;
END
$$;

-- Measures outcomes and durations again, and counts subjects and keys that were not counted; numbers of events and
-- actors stay. A row that lost events to retention or erasure is left alone, since the remaining events
-- would give wrong values.
CREATE FUNCTION eventlog_private.recount(name text) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    measures constant text := (SELECT string_agg(format('%s AS %I', m.of_events, m.name), ', ') FROM eventlog_private.measures() m);
    outcomes constant name[] := ARRAY(SELECT m.name FROM eventlog_private.measures() m WHERE m.is_outcome);
    changed bigint := 0;
    rollup  record;
    rows    bigint;
BEGIN
    PERFORM eventlog._require_layout(2);
    IF NOT EXISTS (SELECT FROM eventlog.event_types t WHERE t.name = recount.name) THEN
        PERFORM eventlog_private.refuse_name(recount.name);
    END IF;
    -- Nothing is counted or dropped meanwhile.
    PERFORM eventlog_private.lock_maintenance();
    FOR rollup IN
        SELECT * FROM (VALUES
            ('hourly_counts', 'hour', $q$date_bin('1 hour', e.created_at, '2000-01-01 00:00:00+00')$q$, false),
            ('daily_counts', 'day', 'e.created_at::date', false),
            ('daily_subjects', 'day', 'e.created_at::date', true)) AS r (table_name, stretch, of_event, has_subject)
    LOOP
        EXECUTE format($sql$
            UPDATE eventlog.%1$I r
               SET %7$s
              FROM (SELECT e.tenant_id, %3$s AS stretch, %4$s AS subject, %5$s
                      FROM eventlog._measured_events() e
                     WHERE e.name = $1 AND e.created_at < (SELECT s.rolled_until FROM eventlog.rollup_state s)
                       AND NOT EXISTS (SELECT FROM eventlog.late_events l WHERE l.id = e.id AND l.created_at = e.created_at)
                     GROUP BY 1, 2, 3) f
             WHERE r.name = $1 AND r.tenant_id = f.tenant_id AND r.%2$I = f.stretch AND r.events = f.events AND %6$s
               AND (%8$s) IS DISTINCT FROM (%9$s)$sql$,
            rollup.table_name, rollup.stretch, rollup.of_event, CASE WHEN rollup.has_subject THEN 'e.subject' ELSE '''''' END,
            measures, CASE WHEN rollup.has_subject THEN 'r.subject = f.subject' ELSE 'true' END,
            (SELECT string_agg(format('%1$I = f.%1$I', o), ', ') FROM unnest(outcomes) AS o),
            (SELECT string_agg(format('r.%I', o), ', ') FROM unnest(outcomes) AS o),
            (SELECT string_agg(format('f.%I', o), ', ') FROM unnest(outcomes) AS o))
          USING recount.name;
        GET DIAGNOSTICS rows = ROW_COUNT;
        changed := changed + rows;
    END LOOP;
    RETURN changed + eventlog_private.recount_subjects(recount.name) + eventlog_private.recount_keys(recount.name);
END
$$;

CREATE FUNCTION eventlog.recount(name text) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

COMMENT ON FUNCTION eventlog.recount(text) IS
'Recounts outcomes and durations of a name by the success_key, error_key and duration_key that its event type has now, where no events were deleted, its subjects if count_subjects was switched on since, and its keys in count_keys. Returns the number of changed rows of the rollups. Without it, a change of these keys applies to events from the watermark on: reports of single events follow at once, summary, events_per_day and the like only after a recount. Reads all events. For the log''s owner.';
