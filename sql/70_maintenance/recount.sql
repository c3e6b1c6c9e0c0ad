-- What a later definition does to events that are counted already: nothing, until it is asked to.

-- Outcomes and durations only: how many events there were, of whom and of what stays as it was counted.
-- A row of which retention or erasure took events keeps what it has: the rest would be wrong too.
CREATE FUNCTION eventlog_private.recount(name text) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    measures constant text := 'count(*) AS events,
        coalesce(sum(e.weight) FILTER (WHERE e.has_failed), 0) AS failures,
        coalesce(sum(e.weight) FILTER (WHERE NOT e.has_failed), 0) AS successes,
        coalesce(sum(e.weight) FILTER (WHERE e.duration IS NOT NULL), 0) AS duration_count,
        coalesce(sum(e.weight * e.duration), 0) AS duration_sum,
        eventlog._histogram(e.duration, e.weight) FILTER (WHERE e.duration IS NOT NULL) AS duration_histogram';
    changed bigint := 0;
    rollup  record;
    rows    bigint;
BEGIN
    PERFORM eventlog._require_layout(2);
    IF NOT EXISTS (SELECT FROM eventlog.event_types t WHERE t.name = recount.name) THEN
        RAISE EXCEPTION 'unknown event name "%"', left(recount.name, 200)
            USING ERRCODE = 'undefined_object', HINT = 'SELECT name FROM eventlog.event_types;';
    END IF;
    -- Nothing is counted meanwhile, and nothing dropped.
    PERFORM eventlog_private.lock_maintenance();
    FOR rollup IN
        SELECT * FROM (VALUES
            ('hourly_counts', 'hour', $q$date_bin('1 hour', e.created_at, '2000-01-01 00:00:00+00')$q$, false),
            ('daily_counts', 'day', 'e.created_at::date', false),
            ('daily_subjects', 'day', 'e.created_at::date', true)) AS r (table_name, stretch, of_event, has_subject)
    LOOP
        EXECUTE format($sql$
            UPDATE eventlog.%1$I r
               SET failures = f.failures, successes = f.successes, duration_count = f.duration_count,
                   duration_sum = f.duration_sum, duration_histogram = f.duration_histogram
              FROM (SELECT e.tenant_id, %3$s AS stretch, %4$s AS subject, %5$s
                      FROM eventlog._measured_events() e
                     WHERE e.name = $1 AND e.created_at < (SELECT s.rolled_until FROM eventlog.rollup_state s)
                       AND NOT EXISTS (SELECT FROM eventlog.late_events l WHERE l.id = e.id AND l.created_at = e.created_at)
                     GROUP BY 1, 2, 3) f
             WHERE r.name = $1 AND r.tenant_id = f.tenant_id AND r.%2$I = f.stretch AND r.events = f.events AND %6$s
               AND (r.failures, r.successes, r.duration_count, r.duration_sum, r.duration_histogram)
                   IS DISTINCT FROM (f.failures, f.successes, f.duration_count, f.duration_sum, f.duration_histogram)$sql$,
            rollup.table_name, rollup.stretch, rollup.of_event, CASE WHEN rollup.has_subject THEN 'e.subject' ELSE '''''' END,
            measures, CASE WHEN rollup.has_subject THEN 'r.subject = f.subject' ELSE 'true' END)
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
'Measures the counted events of a name anew, by the success_key, error_key and duration_key that its type has now, where their rows are all still there; returns how many rows of the rollups it changed. Those keys count for events from the watermark on: after a change of them the reports of single events follow at once, and summary, events_per_day and the like once this was called. Reads all events; for the log''s owner.';
