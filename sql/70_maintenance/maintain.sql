-- maintain(): keeps the log in shape. It commits after each step, so that no lock is held longer
-- than one step needs it; a step that was interrupted is found due again by the next run.

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
            HINT = 'the primary maintains the log, and the standby follows';
    END IF;
END
$$;

-- The phases of a run, in their order.
CREATE FUNCTION eventlog_private.phases() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT ARRAY['make partition', 'roll up', 'drop partition', 'apply retention', 'rewrite partition', 'trim']
$$;

-- Whether a phase goes by the clock all the way. What is announced already is counted whatever it says.
CREATE FUNCTION eventlog_private.needs_clock(phase text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT phase <> 'roll up'
$$;

-- What a phase has to do now: the argument of each task, and a line that says it. With `counted_until`
-- what it will have to do in a run whose rollups reach until there.
CREATE FUNCTION eventlog_private.due(phase text, counted_until timestamptz DEFAULT NULL) RETURNS TABLE (task text, description text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $$
DECLARE
    is_believed boolean := eventlog_private.clock_doubt() IS NULL;
BEGIN
    IF NOT is_believed AND eventlog_private.needs_clock(phase) THEN
        RETURN;
    END IF;
    CASE phase
    WHEN 'make partition' THEN
        RETURN QUERY SELECT m.from_at::text, format('make the partition of %s until %s', m.from_at, m.until_at)
                       FROM eventlog_private.missing_partitions() m;
    WHEN 'roll up' THEN
        RETURN QUERY SELECT 'watermark back', format('take the watermark of the rollups back, which is ahead of the clock at %s', s.announced_until)
                       FROM eventlog.rollup_state s WHERE is_believed AND s.announced_until > eventlog_private.furthest_watermark()
                      UNION ALL
                     SELECT t.task, format(t.description, s.rolled_until)
                       FROM eventlog.rollup_state s
                      CROSS JOIN (VALUES ('watermark', 'announce the next watermark of the rollups'),
                                         ('events', 'count events in the rollups, which reach until %s')) AS t (task, description)
                      WHERE is_believed AND s.rolled_until < eventlog_private.next_watermark()
                         OR t.task = 'events' AND s.rolled_until < s.announced_until
                      UNION ALL
                     SELECT 'late events', 'count late events in the rollups' FROM eventlog.rollup_state s
                      WHERE is_believed AND s.rolled_until < eventlog_private.next_watermark() OR EXISTS (
                            SELECT FROM eventlog.late_events l WHERE l.created_at <@ (SELECT eventlog_private.partitioned_time()));
    WHEN 'drop partition' THEN
        RETURN QUERY SELECT e.partition_name::text,
                            format('drop partition %I, events of %s until %s', e.partition_name, e.from_at, e.until_at)
                       FROM eventlog_private.expired_partitions(counted_until) e;
    WHEN 'apply retention' THEN
        RETURN QUERY SELECT json_build_array(r.tenant_id, r.name)::text,
                            format('delete events of %s created before %s',
                                   coalesce('tenant ' || r.tenant_id, 'name ' || r.name, 'all tenants'), r.cutoff)
                       FROM eventlog_private.retention_rules(counted_until) r WHERE r.cutoff > r.thinned_until;
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
CREATE FUNCTION eventlog_private.perform(phase text, task text, OUT action text, OUT rows bigint, OUT is_more boolean, OUT failure text)
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
    -- It may have been set since the run began.
    IF eventlog_private.needs_clock(phase) OR task LIKE 'watermark%' THEN
        failure := eventlog_private.clock_doubt();
        IF failure IS NOT NULL THEN
            RETURN;
        END IF;
    END IF;
    CASE phase
    WHEN 'make partition' THEN
        PERFORM eventlog._make_partition(task::timestamptz);
        action := format('made the partition of %s', task);
    WHEN 'roll up' THEN
        SELECT r.action, r.rows, r.is_more, r.failure INTO action, rows, is_more, failure FROM eventlog_private.roll_up_step(task) r;
    WHEN 'drop partition' THEN
        action := eventlog_private.drop_partition(task);
    WHEN 'apply retention' THEN
        rule_tenant := task::json ->> 0;
        rule_name := task::json ->> 1;
        rows := eventlog_private.thin(rule_tenant, rule_name);
        is_more := rows > 0;
        action := format('deleted %%s events past the retention of %s',
                         coalesce('tenant ' || rule_tenant, 'name ' || rule_name, 'the log'));
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
        FOR step IN SELECT d.description FROM pg_catalog.unnest(eventlog_private.phases()) AS p,
                                              eventlog_private.due(p, eventlog_private.next_watermark()) AS d LOOP
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
    phases := eventlog_private.phases();
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
