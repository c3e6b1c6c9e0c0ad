-- What a later definition does to events that are counted already: nothing, until it is asked to.

-- The subjects of days whose events are all still there, by the count of the day, where subjects were not
-- counted then. How many rows.
CREATE FUNCTION eventlog_private.recount_subjects(name text) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    changed bigint;
    tenants uuid[];
BEGIN
    WITH found AS MATERIALIZED (
        SELECT e.tenant_id, e.created_at::date AS day, e.subject, count(*) AS events, sum(e.weight) AS weighted_events,
               coalesce(sum(e.weight) FILTER (WHERE e.has_failed), 0) AS failures,
               coalesce(sum(e.weight) FILTER (WHERE NOT e.has_failed), 0) AS successes,
               coalesce(sum(e.weight) FILTER (WHERE e.duration IS NOT NULL), 0) AS duration_count,
               coalesce(sum(e.weight * e.duration), 0) AS duration_sum,
               eventlog._histogram(e.duration, e.weight) FILTER (WHERE e.duration IS NOT NULL) AS duration_histogram,
               min(e.created_at) AS first_at, max(e.created_at) AS last_at
          FROM eventlog._measured_events() e
         WHERE e.name = recount_subjects.name AND e.count_subjects
           AND e.created_at < (SELECT s.rolled_until FROM eventlog.rollup_state s)
           AND NOT EXISTS (SELECT FROM eventlog.late_events l WHERE l.id = e.id AND l.created_at = e.created_at)
         GROUP BY 1, 2, 3
    ), whole AS (
        SELECT f.tenant_id, f.day FROM found f
          JOIN eventlog.daily_counts d ON d.tenant_id = f.tenant_id AND d.day = f.day AND d.name = recount_subjects.name
         GROUP BY f.tenant_id, f.day, d.events HAVING sum(f.events) = d.events
    ), written AS (
        INSERT INTO eventlog.daily_subjects AS r
        SELECT f.tenant_id, f.day, recount_subjects.name, f.subject, f.events, f.weighted_events, f.failures, f.successes,
               f.duration_count, f.duration_sum, f.duration_histogram, f.first_at, f.last_at
          FROM found f JOIN whole w USING (tenant_id, day)
         WHERE f.subject IS NOT NULL
         ORDER BY 1, 2, 4
            ON CONFLICT ON CONSTRAINT daily_subjects_pkey
            DO UPDATE SET events = EXCLUDED.events, weighted_events = EXCLUDED.weighted_events, failures = EXCLUDED.failures,
                          successes = EXCLUDED.successes, duration_count = EXCLUDED.duration_count,
                          duration_sum = EXCLUDED.duration_sum, duration_histogram = EXCLUDED.duration_histogram,
                          first_at = EXCLUDED.first_at, last_at = EXCLUDED.last_at
             WHERE r.events <> EXCLUDED.events
        RETURNING r.tenant_id
    )
    SELECT count(*), array_agg(DISTINCT w.tenant_id) INTO changed, tenants FROM written w;
    -- A tenant that its trigger erases meanwhile keeps none, as when events are counted first.
    IF changed > 0 THEN
        PERFORM eventlog_private.take_lock('erasure', false, true);
        DELETE FROM eventlog.daily_subjects c
         WHERE c.name = recount_subjects.name AND c.tenant_id = ANY (tenants)
           AND NOT EXISTS (SELECT FROM eventlog.events e WHERE e.tenant_id = c.tenant_id);
    END IF;
    RETURN changed;
END
$$;

-- Outcomes, durations, and the subjects that were not counted: how many events there were and of whom stays
-- as it was counted. A row of which retention or erasure took events keeps what it has: the rest would be
-- wrong too.
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
    RETURN changed + eventlog_private.recount_subjects(recount.name);
END
$$;

CREATE FUNCTION eventlog.recount(name text) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

COMMENT ON FUNCTION eventlog.recount(text) IS
'Measures the counted events of a name anew, by the success_key, error_key and duration_key that its type has now, where their rows are all still there, and counts their subjects where count_subjects was switched on since; returns how many rows of the rollups it changed. Those keys count for events from the watermark on: after a change of them the reports of single events follow at once, and summary, events_per_day and the like once this was called. Reads all events; for the log''s owner.';
