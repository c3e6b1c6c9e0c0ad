-- The phases of a run of maintain(), in their order. Each has two functions, named after it, in the file
-- of its subject; 'trim' for example has
--
--   due_trim(counted_until)  lists its tasks: for each the argument of do_trim() and a line that describes
--                            it. With counted_until, the tasks of a run whose rollups reach until there.
--   do_trim(task)            does one transaction's worth of a task. Returns a line for the run's actions
--                            (with %s for the number of rows, where rows is not null), the number of rows,
--                            whether more of the task remains, and the reason if it could not be done.

--   needs_clock   false: the phase also does something while the server's clock is not believed
--   awaited_lock  the mode of the strongest lock that its tasks wait for
CREATE FUNCTION eventlog_private.phases() RETURNS TABLE (phase text, needs_clock boolean, awaited_lock text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 8
SET search_path = pg_catalog, pg_temp
AS $$
    VALUES
        ('make partition',    true,  'ShareUpdateExclusiveLock'),
        ('roll up',           false, 'ShareRowExclusiveLock'),
        ('seal',              true,  'ShareRowExclusiveLock'),
        ('evaluate alerts',   true,  'ShareRowExclusiveLock'),
        ('drop partition',    true,  'AccessExclusiveLock'),
        ('apply retention',   true,  'ShareRowExclusiveLock'),
        ('rewrite partition', true,  'AccessExclusiveLock'),
        ('trim',              true,  'ShareRowExclusiveLock')
$$;

-- Rows that one transaction of a phase deletes or counts at most.
CREATE FUNCTION eventlog_private.most_rows() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS 'SELECT 50000';

-- Lists the tasks of a phase.
CREATE FUNCTION eventlog_private.due(phase text, counted_until timestamptz DEFAULT NULL) RETURNS TABLE (task text, description text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $$
BEGIN
    IF (SELECT p.needs_clock FROM eventlog_private.phases() p WHERE p.phase = due.phase)
       AND eventlog_private.clock_doubt() IS NOT NULL THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format('SELECT d.task, d.description FROM eventlog_private.%I($1) d', 'due_' || replace(phase, ' ', '_'))
      USING counted_until;
END
$$;

-- Does one transaction's worth of a task.
CREATE FUNCTION eventlog_private.perform(phase text, task text, OUT action text, OUT rows bigint, OUT is_more boolean, OUT failure text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $$
BEGIN
    -- The clock may have been set since the run began.
    IF (SELECT p.needs_clock FROM eventlog_private.phases() p WHERE p.phase = perform.phase) THEN
        failure := eventlog_private.clock_doubt();
    END IF;
    IF failure IS NULL THEN
        EXECUTE format('SELECT d.action, d.rows, d.is_more, d.failure FROM eventlog_private.%I($1) d', 'do_' || replace(phase, ' ', '_'))
           INTO action, rows, is_more, failure USING task;
    END IF;
    is_more := coalesce(is_more, false);
END
$$;
