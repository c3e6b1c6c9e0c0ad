-- maintain(): keeps the log in shape. It commits after each step, so that no lock is held longer
-- than one step needs it; a step that was interrupted is found due again by the next run.

-- Begins a transaction of a procedure that commits: as the log's owner, with names that mean what
-- they say, and with bounded waits for locks. All of it ends with the transaction. No SET clause here:
-- it would undo that on return.
CREATE FUNCTION eventlog_private.begin_step() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    PERFORM eventlog_private.become_owner();
    PERFORM eventlog_private.bound_lock_timeout();
END
$$;

-- Waits for the step of maintenance, or of an erasure, that runs now: one at a time.
CREATE FUNCTION eventlog_private.lock_maintenance() RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('eventlog maintain', 0))
$$;

CREATE FUNCTION eventlog._check_maintain() RETURNS void
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog._require_owner(current_user::regrole);
    PERFORM eventlog._require_layout(2);
END
$$;

-- The phases of a run, in their order.
CREATE FUNCTION eventlog_private.phases() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT ARRAY['make partition', 'roll up', 'drop partition', 'apply retention', 'rewrite partition', 'trim']
$$;

-- What a phase has to do now: the argument of each task, and a line that says it.
CREATE FUNCTION eventlog_private.due(phase text) RETURNS TABLE (task text, description text)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $$
BEGIN
    CASE phase
    WHEN 'make partition' THEN
        RETURN QUERY SELECT m.from_at::text, format('make the partition of %s until %s', m.from_at, m.until_at)
                       FROM eventlog_private.missing_partitions() m;
    WHEN 'roll up' THEN
        RETURN QUERY SELECT t.task, format(t.description, s.rolled_until)
                       FROM eventlog.rollup_state s
                      CROSS JOIN (VALUES ('watermark', 'announce the next watermark of the rollups'),
                                         ('events', 'count events in the rollups, which reach until %s')) AS t (task, description)
                      WHERE s.rolled_until < eventlog_private.next_watermark()
                      UNION ALL
                     SELECT 'late events', 'count late events in the rollups' FROM eventlog.rollup_state s
                      WHERE s.rolled_until < eventlog_private.next_watermark() OR EXISTS (SELECT FROM eventlog.late_events);
    WHEN 'drop partition' THEN
        RETURN QUERY SELECT e.partition_name::text,
                            format('drop partition %I, events of %s until %s', e.partition_name, e.from_at, e.until_at)
                       FROM eventlog_private.expired_partitions() e;
    WHEN 'apply retention' THEN
        RETURN QUERY SELECT json_build_array(r.tenant_id, r.name)::text,
                            format('delete events of %s created before %s',
                                   coalesce('tenant ' || r.tenant_id, 'name ' || r.name), r.cutoff)
                       FROM eventlog_private.retention_rules() r WHERE r.cutoff > r.thinned_until;
    WHEN 'rewrite partition' THEN
        RETURN QUERY SELECT w.partition_name::text,
                            format('rewrite partition %I, which lost %s rows', w.partition_name, w.deleted_rows)
                       FROM eventlog_private.partitions_to_rewrite() w;
    WHEN 'trim' THEN
        RETURN QUERY SELECT t.table_name, format('delete %s rows of %I', t.due, t.table_name)
                       FROM eventlog_private.rows_to_trim() t WHERE t.due > 0
                      UNION ALL
                     SELECT 'hygiene_counts by day', 'add up the hygiene_counts of each day'
                      WHERE EXISTS (SELECT FROM eventlog.hygiene_counts h
                                     WHERE h.created_at < date_trunc('day', now(), 'UTC')
                                     GROUP BY h.tenant_id, h.kind, h.name, h.key, date_trunc('day', h.created_at, 'UTC')
                                    HAVING count(*) > 1);
    END CASE;
END
$$;

-- One transaction's worth of a task: what was done, and whether there is more of it to do.
CREATE FUNCTION eventlog_private.perform(phase text, task text, OUT action text, OUT rows bigint, OUT is_more boolean)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $$
DECLARE
    rule_tenant uuid;
    rule_name   text;
BEGIN
    is_more := false;
    CASE phase
    WHEN 'make partition' THEN
        PERFORM eventlog._make_partition(task::timestamptz);
        action := format('made the partition of %s', task);
    WHEN 'roll up' THEN
        SELECT r.action, r.rows, r.is_more INTO action, rows, is_more FROM eventlog_private.roll_up_step(task) r;
    WHEN 'drop partition' THEN
        action := eventlog_private.drop_partition(task);
    WHEN 'apply retention' THEN
        rule_tenant := task::json ->> 0;
        rule_name := task::json ->> 1;
        rows := eventlog_private.thin(rule_tenant, rule_name);
        is_more := rows > 0;
        action := format('deleted %%s events past the retention of %s',
                         coalesce('tenant ' || rule_tenant, 'name ' || rule_name));
    WHEN 'rewrite partition' THEN
        action := eventlog_private.rewrite_partition(task);
    WHEN 'trim' THEN
        IF task = 'hygiene_counts by day' THEN
            rows := eventlog_private.compact_hygiene_counts();
            action := 'added up %s rows of hygiene_counts';
        ELSE
            rows := eventlog_private.trim(task);
            is_more := rows >= 10000;
            action := format('deleted %%s rows of %I', task);
        END IF;
    END CASE;
END
$$;

-- Who holds the log back, for the message of a step that waited in vain.
CREATE FUNCTION eventlog_private.blockers() RETURNS text
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce('locks of ' || string_agg(DISTINCT coalesce('process ' || l.pid, 'a prepared transaction'), ', '),
                    'a lock that is gone by now')
      FROM pg_locks l
     WHERE l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
       AND l.locktype = 'relation' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND (l.relation = 'eventlog.events'::regclass
            OR l.relation IN (SELECT p.partition_oid FROM eventlog._partitions p))
$$;

-- One attempt at a task, and what comes of it: whether the task is over, the warning to give, how
-- long to pause. It waits for locks a little longer each time: whoever waits for a lock on events
-- lets others wait behind, so first attempts are short.
CREATE FUNCTION eventlog_private.attempt(run bigint, phase text, task text, INOUT attempt integer, INOUT total bigint,
                                  OUT is_over boolean, OUT warning text, OUT pause double precision)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most_attempts constant integer := 9;
    longest_ms integer := (SELECT setting FROM pg_settings WHERE name = 'lock_timeout');
    result     record;
    reason     text;
BEGIN
    pause := 0;
    PERFORM set_config('lock_timeout', least(longest_ms, 50 * 2 ^ attempt)::integer::text, true);
    BEGIN
        SELECT * INTO result FROM eventlog_private.perform(phase, task);
        total := total + coalesce(result.rows, 0);
        is_over := NOT result.is_more;
        IF is_over AND (total > 0 OR result.rows IS NULL) AND result.action IS NOT NULL THEN
            PERFORM eventlog_private.note_action(run, format(result.action, total), NULL);
        END IF;
        RETURN;
    EXCEPTION
        WHEN lock_not_available OR deadlock_detected OR serialization_failure OR object_in_use THEN
            reason := 'blocked by ' || eventlog_private.blockers();
            attempt := attempt + 1;
            is_over := attempt >= most_attempts;
            pause := 0.1;
        WHEN OTHERS THEN
            reason := SQLERRM;
            is_over := true;
    END;
    IF is_over THEN
        warning := format('%s %s: %s', phase, task, reason);
        PERFORM eventlog_private.note_action(run, NULL, warning);
    END IF;
END
$$;

CREATE FUNCTION eventlog_private.start_run() RETURNS bigint
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE eventlog.maintenance_runs SET outcome = 'interrupted' WHERE outcome = 'running';
    INSERT INTO eventlog.maintenance_runs (started_at) VALUES (clock_timestamp()) RETURNING id
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

CREATE FUNCTION eventlog_private.finish_run(run bigint) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE eventlog.maintenance_runs r
       SET finished_at = clock_timestamp(),
           outcome = CASE WHEN r.failures = '{}' THEN 'done' ELSE 'incomplete' END
     WHERE r.id = run
$$;

CREATE FUNCTION eventlog_private.is_maintained_by_another() RETURNS boolean
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT NOT pg_try_advisory_xact_lock(hashtextextended('eventlog maintain', 0))
$$;

-- A procedure that commits can have no SET clause, and the settings of _begin_step() end with each
-- transaction: so all names here are qualified, and there is no operator.
CREATE PROCEDURE eventlog.maintain(dry_run boolean DEFAULT false)
LANGUAGE plpgsql
AS $$
DECLARE
    run   pg_catalog.int8;
    phase pg_catalog.text;
    tasks pg_catalog.text[];
    task  pg_catalog.text;
    step  pg_catalog.record;
BEGIN
    PERFORM eventlog._check_maintain();
    -- In a transaction block this is 2D000, before anything is done. What another step committed must
    -- be seen whatever isolation the session prefers.
    COMMIT;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    IF eventlog_private.is_maintained_by_another() THEN
        RAISE NOTICE 'another maintain() is at work, or an erasure';
        RETURN;
    END IF;
    PERFORM eventlog_private.begin_step();
    IF dry_run THEN
        FOR step IN SELECT d.description FROM pg_catalog.unnest(eventlog_private.phases()) AS p, eventlog_private.due(p) AS d LOOP
            RAISE NOTICE 'would %', step.description;
        END LOOP;
        RETURN;
    END IF;
    run := eventlog_private.start_run();
    COMMIT;

    FOREACH phase IN ARRAY eventlog_private.phases() LOOP
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        PERFORM eventlog_private.begin_step();
        tasks := ARRAY(SELECT d.task FROM eventlog_private.due(phase) AS d);
        COMMIT;
        FOREACH task IN ARRAY tasks LOOP
            SELECT 0 AS attempt, 0::pg_catalog.int8 AS total INTO step;
            LOOP
                COMMIT;
                SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
                PERFORM eventlog_private.begin_step();
                PERFORM eventlog_private.lock_maintenance();
                SELECT a.* INTO step FROM eventlog_private.attempt(run, phase, task, step.attempt, step.total) AS a;
                COMMIT;
                IF step.warning IS NOT NULL THEN
                    RAISE WARNING '%', step.warning
                        USING HINT = 'the next run tries again: SELECT * FROM eventlog.stat_maintenance;';
                END IF;
                EXIT WHEN step.is_over;
                PERFORM pg_catalog.pg_sleep(step.pause);
            END LOOP;
        END LOOP;
        COMMIT;
    END LOOP;

    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    PERFORM eventlog_private.begin_step();
    PERFORM eventlog_private.finish_run(run);
    COMMIT;
END
$$;

COMMENT ON PROCEDURE eventlog.maintain(boolean) IS
'Keeps the log in shape: makes partitions ahead, counts events in the rollups, drops those past the log''s retention, applies the retention of tenants and names, and trims the quarantine, idempotency keys and producers. Commits after each step; notes the run in maintenance_runs. With dry_run it only tells, in NOTICEs, what it would do. Call it every few minutes as the log''s owner or a superuser, or have the background worker do so.';
