-- Recounting after the keys of an event type changed. Events that are counted already keep their outcomes
-- and durations until recount() is called.

-- Measures outcomes and durations only; numbers of events, actors and subjects stay. A row that lost events
-- to retention or erasure is left alone, since the remaining events would give wrong values.
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
        RAISE EXCEPTION 'unknown event name "%"', left(recount.name, 200)
            USING ERRCODE = 'undefined_object', HINT = 'SELECT name FROM eventlog.event_types;';
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
    RETURN changed;
END
$$;

CREATE FUNCTION eventlog.recount(name text) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

COMMENT ON FUNCTION eventlog.recount(text) IS
'Recounts outcomes and durations of a name by the success_key, error_key and duration_key that its event type has now, where no events were deleted, and returns the number of changed rows of the rollups. Without it, a change of these keys applies to events from the watermark on: reports of single events follow at once, summary, events_per_day and the like only after a recount. Reads all events. For the log''s owner.';
