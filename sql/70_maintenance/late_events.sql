-- Counting late events, and reporting events that cannot be counted.

-- Adds up to most_rows() late events to the rollups, and returns their number: fewer if the counts of all do not
-- fit into memory. A note whose time has no
-- partition waits: the partition may be detached and come back.
CREATE FUNCTION eventlog_private.add_late_events(until timestamptz DEFAULT 'infinity') RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    notes   tid[];
    tenants uuid[];
    names   text[];
    since   timestamptz;
    counted bigint;
BEGIN
    notes := ARRAY(SELECT n.ctid FROM eventlog.late_events n
                    WHERE n.created_at < (SELECT s.rolled_until FROM eventlog.rollup_state s)
                      AND n.created_at < add_late_events.until
                      AND (n.created_at <@ (SELECT eventlog_private.partitioned_time())
                           OR EXISTS (SELECT FROM eventlog.events e WHERE e.id = n.id AND e.created_at = n.created_at))
                    LIMIT eventlog_private.most_rows());
    IF notes = '{}' THEN
        RETURN 0;
    END IF;
    LOOP
        SELECT array_agg(DISTINCT e.tenant_id), array_agg(DISTINCT e.name), min(e.created_at) INTO tenants, names, since
          FROM eventlog.late_events l JOIN eventlog.events e ON e.id = l.id AND e.created_at = l.created_at
         WHERE l.ctid = ANY (notes);
        BEGIN
            counted := eventlog_private.add_to_rollups(
                'eventlog.late_events l JOIN eventlog.events e ON e.id = l.id AND e.created_at = l.created_at WHERE l.ctid = ANY ($4)',
                'SELECT $4', late => notes);
            EXIT;
        EXCEPTION WHEN out_of_memory THEN
            IF cardinality(notes) < 4 THEN
                RAISE;
            END IF;
            notes := notes[:cardinality(notes) / 4];
        END;
    END LOOP;
    PERFORM eventlog_private.reopen_retention(tenants, names, since);
    RETURN counted;
END
$$;

-- Returns the time that partitions cover.
CREATE FUNCTION eventlog_private.partitioned_time() RETURNS tstzmultirange
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(range_agg(tstzrange(p.from_at, p.until_at)), '{}') FROM eventlog._partitions p
$$;

-- Reports events that cannot be counted, given by id and column, in a WARNING and in the current run. They
-- stay in the log, and stat_uncounted lists them.
CREATE FUNCTION eventlog_private.report_uncountable(events text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    told text := 'left out of the rollups: ' || events;
BEGIN
    IF told IS NOT NULL THEN
        RAISE WARNING '%', told USING HINT = 'for all of them: SELECT * FROM eventlog.stat_uncounted;';
        PERFORM eventlog_private.note_action(r.id, NULL, told)
           FROM eventlog.maintenance_runs r WHERE r.outcome = 'running';
    END IF;
END
$$;
