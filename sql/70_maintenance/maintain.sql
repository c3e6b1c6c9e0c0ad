

-- A procedure that commits can have no SET clause, and the settings of _begin_step() end with each
-- transaction: so all names here are qualified, and there is no operator. After each COMMIT comes SET
-- TRANSACTION, before anything that would take a snapshot: what another step committed must be seen,
-- and what is due be written, whatever the session prefers.
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
    -- In a transaction block this is 2D000, before anything is done.
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
            RAISE WARNING '%', other USING HINT = 'if it is right: CALL eventlog.maintain(trust_clock => true);';
        END IF;
        RETURN;
    END IF;
    COMMIT;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE;
    PERFORM eventlog_private.begin_step();
    other := eventlog_private.other_maintenance();
    IF other IS NOT NULL THEN
        RAISE NOTICE 'another maintain() is at work, or an erasure: %', other;
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
'Keeps the log in shape: makes partitions ahead, counts events in the rollups, drops those past the log''s retention, applies the retention of tenants and names, and trims the quarantine, idempotency keys and producers. Commits after each step; notes the run in maintenance_runs. With dry_run it only tells, in NOTICEs, what it would do. A clock that jumped is not believed until two runs a day apart agree, or until trust_clock says that it is right: nothing is dropped or deleted by it. Call it every few minutes as the log''s owner or a superuser, or have the background worker do so.';
