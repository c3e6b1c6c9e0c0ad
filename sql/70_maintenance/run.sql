-- One run of maintain(): its tasks, the attempts at each, and its row in maintenance_runs.

-- Describes the transactions that hold what a task of a phase waited for in vain. Deletes and updates wait
-- for locks of rows too.
CREATE FUNCTION eventlog_private.blockers(phase text) RETURNS text
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(eventlog_private.describe_lock_holders(
                        eventlog_private.conflicting_modes(p.awaited_lock)
                        || CASE WHEN p.awaited_lock = 'ShareRowExclusiveLock' THEN ARRAY['RowShareLock'] ELSE '{}' END),
                    'a transaction that has ended by now')
      FROM eventlog_private.phases() p WHERE p.phase = blockers.phase
$$;

-- Makes one attempt at a task. Returns whether the task is over, the warning to raise, and how long to
-- pause. Waits for locks are short, since others wait behind them; after most_attempts the task is left to
-- the next run. `attempt` carries over to the next task of the phase, which gets a single attempt if the
-- lock was not free for so long.
CREATE FUNCTION eventlog_private.attempt(run bigint, phase text, task text, INOUT attempt integer, INOUT total bigint,
                                  OUT is_over boolean, OUT warning text, OUT pause double precision)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most_attempts constant integer := 6;
    result     record;
    reason     text;
    more       text;
BEGIN
    pause := 0;
    BEGIN
        PERFORM eventlog_private.lock_maintenance();
        PERFORM eventlog_private.limit_waits();
        SELECT * INTO result FROM eventlog_private.perform(phase, task);
        attempt := 0;
        total := total + coalesce(result.rows, 0);
        is_over := NOT result.is_more OR result.failure IS NOT NULL;
        IF is_over AND (total > 0 OR result.rows IS NULL) AND result.action IS NOT NULL THEN
            PERFORM eventlog_private.note_action(run, CASE WHEN result.rows IS NULL THEN result.action
                                                           ELSE format(result.action, total) END, NULL);
        END IF;
        reason := result.failure;
    EXCEPTION
        WHEN lock_not_available OR deadlock_detected OR serialization_failure OR object_in_use THEN
            reason := 'blocked by ' || eventlog_private.blockers(phase);
            attempt := attempt + 1;
            is_over := attempt >= most_attempts;
            pause := 0.2;
        WHEN dependent_objects_still_exist THEN
            GET STACKED DIAGNOSTICS more = PG_EXCEPTION_DETAIL;
            reason := concat_ws(': ', SQLERRM, nullif(more, ''));
            is_over := true;
        WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS more = PG_EXCEPTION_HINT;
            reason := concat_ws('; ', SQLERRM, nullif(more, ''));
            is_over := true;
    END;
    IF is_over AND reason IS NOT NULL THEN
        warning := format('%s %s: %s', phase, task, reason);
        PERFORM eventlog_private.note_action(run, NULL, warning);
    END IF;
END
$$;

-- Records that a run begins; returns a warning if the clock is not believed.
CREATE FUNCTION eventlog_private.start_run(trust_clock boolean, OUT run bigint, OUT warning text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE eventlog.maintenance_runs SET outcome = 'interrupted' WHERE outcome = 'running';
    INSERT INTO eventlog.maintenance_runs (started_at) VALUES (clock_timestamp()) RETURNING id INTO run;
    warning := eventlog_private.read_clock(trust_clock);
    IF warning IS NOT NULL THEN
        PERFORM eventlog_private.note_action(run, NULL, warning);
    END IF;
END
$$;

CREATE FUNCTION eventlog_private.note_action(run bigint, action text, failure text) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE eventlog.maintenance_runs r
       SET actions  = CASE WHEN action IS NULL OR cardinality(r.actions) >= 1000 THEN r.actions ELSE r.actions || action END,
           failures = CASE WHEN failure IS NULL OR cardinality(r.failures) >= 100 THEN r.failures ELSE r.failures || failure END
     WHERE r.id = run
$$;

-- Returns the tasks of a phase. If they cannot even be listed, for example because of a column that is not
-- the log's, records that, and the run goes on with the next phase.
CREATE FUNCTION eventlog_private.tasks(run bigint, phase text) RETURNS text[]
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    failure text;
BEGIN
    RETURN ARRAY(SELECT d.task FROM eventlog_private.due(phase) d);
EXCEPTION WHEN OTHERS THEN
    failure := format('%s: %s', phase, SQLERRM);
    PERFORM eventlog_private.note_action(run, NULL, failure);
    RAISE WARNING '%', failure USING HINT = 'the next run tries again: SELECT * FROM eventlog.stat_maintenance;';
    RETURN '{}';
END
$$;

CREATE FUNCTION eventlog_private.finish_run(run bigint) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE eventlog.maintenance_runs r
       SET finished_at = clock_timestamp(),
           outcome = CASE WHEN r.failures = '{}' THEN 'done' ELSE 'incomplete' END
     WHERE r.id = run
$$;
