-- Importing a table of events: writing its rows. A row that is refused does not keep out the others.

-- Inserts the rows of import_in_progress in this range that have no fault, and returns the number of rows
-- inserted. If something on events refuses a row (a trigger, a constraint, an index), halving the range
-- finds it and marks it. Errors that no row causes, such as a deadlock or a full disk, end the import.
CREATE FUNCTION eventlog_private.insert_import(first integer, last integer, key_prefix text) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    inserted bigint;
    middle   integer := (first + last) / 2;
    state    text;
    fault    text;
BEGIN
    BEGIN
        EXECUTE format($sql$
            WITH inserted AS (
                INSERT INTO eventlog.events (%1$s) OVERRIDING SYSTEM VALUE
                SELECT %1$s FROM eventlog.import_in_progress i WHERE i.place BETWEEN $1 AND $2 AND i.sqlstate IS NULL
                ON CONFLICT ON CONSTRAINT events_pkey DO NOTHING
                RETURNING tenant_id, id, created_at
            ) %2$s
            SELECT count(*) FROM inserted$sql$,
            (SELECT string_agg(quote_ident(c.name), ', ') FROM eventlog_private.event_columns() c),
            -- A log of layout 1 has no rollups.
            CASE WHEN to_regclass('eventlog.late_events') IS NOT NULL THEN
                ', late AS (
                    INSERT INTO eventlog.late_events (tenant_id, id, created_at)
                    SELECT n.tenant_id, n.id, n.created_at FROM inserted n WHERE n.created_at < eventlog_private.announced_watermark()
                    ON CONFLICT ON CONSTRAINT late_events_pkey DO NOTHING
                )' END)
           INTO inserted USING first, last;
        RETURN inserted;
    EXCEPTION WHEN OTHERS THEN
        IF left(SQLSTATE, 2) NOT IN ('22', '23', '42', '44', '54', 'P0') THEN
            RAISE;
        END IF;
        state := SQLSTATE;
        -- Messages of class 22 quote the value.
        fault := CASE WHEN left(SQLSTATE, 2) = '22' THEN 'a trigger or constraint on events rejects one of its values'
                      ELSE SQLERRM END;
    END;
    IF first < last THEN
        RETURN eventlog_private.insert_import(first, middle, key_prefix) + eventlog_private.insert_import(middle + 1, last, key_prefix);
    END IF;
    UPDATE eventlog.import_in_progress i SET sqlstate = state, reason = fault, key = key_prefix || i.id WHERE i.place = first;
    RETURN 0;
END
$$;

-- Makes the partitions that the rows need.
CREATE FUNCTION eventlog_private.make_import_partitions(source regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most_partitions constant integer := eventlog_private.most_partitions();
    starts timestamptz[];
    at     timestamptz;
BEGIN
    starts := ARRAY(SELECT DISTINCT s.from_at
                      FROM (SELECT DISTINCT date_trunc('hour', i.created_at, 'UTC') AS hour
                              FROM eventlog.import_in_progress i WHERE i.sqlstate IS NULL) h,
                           eventlog.log_config c,
                           eventlog_private.partition_span(h.hour, c.partition_interval) s
                     ORDER BY 1);
    IF cardinality(starts) > most_partitions THEN
        RAISE EXCEPTION 'the rows of % span % partitions, limit %', source, cardinality(starts), most_partitions
            USING ERRCODE = 'program_limit_exceeded',
                  HINT = 'import a view with fewer rows, or create the log with a longer partition_interval';
    END IF;
    FOREACH at IN ARRAY starts LOOP
        PERFORM eventlog._make_partition(at);
    END LOOP;
END
$$;

-- Warns how many of the rows the next maintain() will delete, and how to keep them.
CREATE FUNCTION eventlog_private.warn_of_retention() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    past record;
BEGIN
    IF to_regclass('eventlog.late_events') IS NULL THEN
        -- A log of layout 1 deletes nothing.
        RETURN;
    END IF;
    SELECT c.retention,
           count(*) FILTER (WHERE r.is_past) AS events, min(r.created_at) FILTER (WHERE r.is_past) AS oldest_at,
           count(*) FILTER (WHERE r.is_past_own AND NOT r.is_past) AS own_events,
           min(r.created_at) FILTER (WHERE r.is_past_own AND NOT r.is_past) AS own_oldest_at
      INTO past
      FROM eventlog.log_config c,
           (SELECT i.created_at, i.created_at < date_trunc('day', now() - g.retention, 'UTC') AS is_past,
                   i.created_at < date_trunc('day', now() - least(t.retention, e.retention), 'UTC') AS is_past_own
              FROM eventlog.import_in_progress i
             CROSS JOIN eventlog.log_config g
              LEFT JOIN eventlog.tenant_settings t ON t.tenant_id = i.tenant_id
              LEFT JOIN eventlog.event_types e ON e.name = i.name
             WHERE i.sqlstate IS NULL) r
     GROUP BY c.retention;
    IF past.events > 0 THEN
        RAISE WARNING '% events are past the log''s retention of %', past.events, past.retention
            USING DETAIL = format('The oldest is of %s. The next maintain() counts them in the rollups and deletes them.',
                                  past.oldest_at::date),
                  HINT = format('to keep them: SELECT eventlog.create_log(retention => %L);',
                                ceil((now()::date - past.oldest_at::date + 30) / 365.0) || ' years');
    END IF;
    IF past.own_events > 0 THEN
        RAISE WARNING '% events are past the retention of their tenant or their name', past.own_events
            USING DETAIL = format('The oldest is of %s. The next maintain() counts them in the rollups and deletes them.',
                                  past.own_oldest_at::date),
                  HINT = 'SELECT tenant_id, retention FROM eventlog.tenant_settings; SELECT name, retention FROM eventlog.event_types; '
                         'eventlog.set_tenant() and eventlog.define_event() change them';
    END IF;
END
$$;

CREATE FUNCTION eventlog_private.import_events(source regclass)
RETURNS TABLE (imported bigint, rejected bigint, already_there bigint)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $$
DECLARE
    most_rows constant integer := 10000;
    opted_out bigint;
    skipped   bigint := 0;
    place     integer;
    rows      integer;
BEGIN
    PERFORM eventlog_private.check_source(source);
    BEGIN
        opted_out := eventlog_private.read_import(source, false);
    EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
        -- Some value cannot be cast: read again, testing each.
        opted_out := eventlog_private.read_import(source, true);
    END;
    PERFORM eventlog_private.make_import_partitions(source);

    SELECT coalesce(max(i.place), 0) INTO rows FROM eventlog.import_in_progress i;
    imported := 0;
    FOR place IN 1 .. rows BY most_rows LOOP
        imported := imported
            + eventlog_private.insert_import(place, least(place + most_rows - 1, rows), format('import of %s: ', source));
    END LOOP;

    INSERT INTO eventlog.rejected_events (claimed_tenant_id, name, data, occurred_at, actor, subject,
            idempotency_key, sqlstate, reason, role_name, weight)
    SELECT i.tenant_id, left(i.name, 200),
           CASE WHEN octet_length(i.data::text) <= 65536 THEN i.data::text END,
           coalesce(i.occurred_at, i.created_at), left(i.actor, 200), left(i.subject, 200),
           i.key, i.sqlstate, i.reason, current_user, i.weight
      FROM eventlog.import_in_progress i
     WHERE i.sqlstate IS NOT NULL
       AND NOT EXISTS (SELECT FROM eventlog.rejected_events r WHERE r.idempotency_key = i.key)
     ORDER BY i.place;
    GET DIAGNOSTICS rejected = ROW_COUNT;

    -- Rows that a trigger left out are not in the log.
    IF EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = 'eventlog.events'::regclass AND NOT t.tgisinternal
                  AND t.tgtype & 7 = 7) THEN
        SELECT count(*) INTO skipped FROM eventlog.import_in_progress i
         WHERE i.sqlstate IS NULL
           AND NOT EXISTS (SELECT FROM eventlog.events e WHERE e.id = i.id AND e.created_at = i.created_at);
    END IF;
    SELECT count(*) - imported - rejected - skipped INTO already_there FROM eventlog.import_in_progress;
    IF skipped > 0 THEN
        RAISE NOTICE 'a trigger on events left out % rows', skipped;
    END IF;
    IF opted_out > 0 THEN
        RAISE NOTICE 'left out % rows of tenants that opted out', opted_out;
    END IF;
    PERFORM eventlog_private.warn_of_retention();

    -- New events are numbered from after the imported ones.
    PERFORM setval('eventlog.events_id_seq', i.id)
       FROM (SELECT max(m.id) AS id FROM eventlog.import_in_progress m WHERE m.sqlstate IS NULL) i
      WHERE i.id >= nextval('eventlog.events_id_seq');
    DROP TABLE eventlog.import_in_progress;
    RETURN NEXT;
END
$$;

CREATE FUNCTION eventlog.import_events(source regclass)
RETURNS TABLE (imported bigint, rejected bigint, already_there bigint)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

COMMENT ON FUNCTION eventlog.import_events(regclass) IS
'Imports a table with the columns id, tenant_id, name, data, created_at (and actor, subject, occurred_at, weight, if it has them) as the log''s owner. Keeps id and created_at, creates the partitions that the rows need, applies the rules of event_types, and stores rows that break one, or that something on events refuses, in rejected_events. Safe to run again: rows that are already in the log stay as they are.';
