-- maintain() keeps the log in shape. It commits after each step, so that no lock is held longer than one
-- step needs; the next run continues where a run was interrupted.

CREATE FUNCTION eventlog._check_maintain(dry_run boolean, trust_clock boolean) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog._require_owner(current_user::regrole);
    PERFORM eventlog._require_layout(2);
    IF dry_run IS NULL OR trust_clock IS NULL THEN
        RAISE EXCEPTION '% must not be null', CASE WHEN dry_run IS NULL THEN 'dry_run' ELSE 'trust_clock' END
            USING ERRCODE = 'null_value_not_allowed';
    ELSIF pg_is_in_recovery() AND NOT dry_run THEN
        RAISE EXCEPTION 'the server is a standby' USING ERRCODE = 'read_only_sql_transaction',
            HINT = 'call it on the primary; the standby follows';
    END IF;
END
$$;

-- A procedure that commits cannot have SET clauses, and the settings of begin_step() end with each
-- transaction. So all names here are qualified and there are no operators. Each COMMIT is followed by SET
-- TRANSACTION before anything takes a snapshot, so that the next step sees what another step committed, and
-- may write, whatever the session's defaults are.
CREATE PROCEDURE eventlog.maintain(dry_run boolean DEFAULT false, trust_clock boolean DEFAULT false)
LANGUAGE plpgsql
AS $$
DECLARE
    phases pg_catalog.text[];
    phase  pg_catalog.text;
    tasks  pg_catalog.text[];
    task   pg_catalog.text;
    other  pg_catalog.text;
    begun  pg_catalog.record;
    step   pg_catalog.record;
BEGIN
    PERFORM eventlog._check_maintain(dry_run, trust_clock);
    -- In a transaction block this raises 2D000 before anything is done.
    COMMIT;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    IF dry_run THEN
        PERFORM eventlog_private.begin_step();
        FOR step IN SELECT d.description FROM eventlog_private.phases() AS p,
                                              eventlog_private.due(p.phase, eventlog_private.next_watermark()) AS d LOOP
            RAISE NOTICE 'would %', step.description;
        END LOOP;
        other := eventlog_private.clock_doubt();
        IF other IS NOT NULL THEN
            RAISE WARNING '%', other USING HINT = 'if the clock is right: CALL eventlog.maintain(trust_clock => true);';
        END IF;
        RETURN;
    END IF;
    COMMIT;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE;
    PERFORM eventlog_private.begin_step();
    other := eventlog_private.other_maintenance();
    IF other IS NOT NULL THEN
        RAISE NOTICE 'another maintain() or an erasure is running: %', other;
        RETURN;
    END IF;
    SELECT r.run, r.warning INTO begun FROM eventlog_private.start_run(trust_clock) AS r;
    phases := ARRAY(SELECT p.phase FROM eventlog_private.phases() AS p);
    COMMIT;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE;
    IF begun.warning IS NOT NULL THEN
        RAISE WARNING '%', begun.warning USING HINT = 'if the clock is right: CALL eventlog.maintain(trust_clock => true);';
    END IF;

    FOREACH phase IN ARRAY phases LOOP
        COMMIT;
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE;
        PERFORM eventlog_private.begin_step();
        tasks := eventlog_private.tasks(begun.run, phase);
        SELECT 0 AS attempt INTO step;
        FOREACH task IN ARRAY tasks LOOP
            SELECT step.attempt AS attempt, 0::pg_catalog.int8 AS total INTO step;
            LOOP
                COMMIT;
                SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE;
                PERFORM eventlog_private.begin_step();
                SELECT a.* INTO step FROM eventlog_private.attempt(begun.run, phase, task, step.attempt, step.total) AS a;
                COMMIT;
                SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE;
                IF step.warning IS NOT NULL THEN
                    RAISE WARNING '%', step.warning
                        USING HINT = 'the next run tries again: SELECT * FROM eventlog.stat_maintenance;';
                END IF;
                EXIT WHEN step.is_over;
                PERFORM pg_catalog.pg_sleep(step.pause);
            END LOOP;
        END LOOP;
    END LOOP;

    COMMIT;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE;
    PERFORM eventlog_private.begin_step();
    PERFORM eventlog_private.finish_run(begun.run);
    COMMIT;
END
$$;

COMMENT ON PROCEDURE eventlog.maintain(boolean, boolean) IS
'Keeps the log in shape: creates partitions ahead, counts events in the rollups, drops partitions past the log''s retention, applies the retention of tenants and names, and trims the quarantine, idempotency keys and producers. Commits after each step, and records the run in maintenance_runs. With dry_run it only reports, in NOTICEs, what it would do. If the server''s clock jumps, nothing is dropped or deleted until two runs a day apart agree, or until a call with trust_clock. Call it every few minutes as the log''s owner or a superuser, or let the background worker do so.';
