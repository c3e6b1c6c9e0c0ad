-- Taking over a table of events that the application has already.

-- An expression for a column of the source, or a null of the type where it has none.
CREATE FUNCTION eventlog_private.source_column(source regclass, column_name name, wanted text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = source
                                AND a.attname = column_name AND a.attnum > 0 AND NOT a.attisdropped)
                THEN format('s.%I::%s', column_name, wanted)
                ELSE format('NULL::%s', wanted) END
$$;

CREATE FUNCTION eventlog_private.import_events(source regclass)
RETURNS TABLE (imported bigint, rejected bigint, already_there bigint)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    most_partitions constant integer := 1200;
    missing    text;
    source_rows text;
    step       interval;
    at         timestamptz;
    partitions bigint;
    valid      bigint;
    key_prefix text := format('import of %s: ', source);
BEGIN
    IF source IS NULL THEN
        RAISE EXCEPTION 'source must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    SELECT string_agg(format('"%s"', wanted), ', ' ORDER BY place) INTO missing
      FROM unnest(ARRAY['id', 'tenant_id', 'name', 'data', 'created_at']) WITH ORDINALITY AS w (wanted, place)
     WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = source AND a.attname = wanted
                          AND a.attnum > 0 AND NOT a.attisdropped);
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'table % has no column %', source, missing
            USING ERRCODE = 'undefined_column',
                  HINT = 'import a view that gives them: id, tenant_id, name, data, created_at';
    END IF;
    IF source = 'eventlog.events'::regclass THEN
        RAISE EXCEPTION 'the log cannot be imported into itself' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    source_rows := format(
        'SELECT %s AS id, %s AS tenant_id, %s AS name, %s AS data, %s AS created_at,
                %s AS occurred_at, %s AS actor, %s AS subject, %s AS weight FROM %s s',
        eventlog_private.source_column(source, 'id', 'bigint'),
        eventlog_private.source_column(source, 'tenant_id', 'uuid'),
        eventlog_private.source_column(source, 'name', 'text'),
        eventlog_private.source_column(source, 'data', 'jsonb'),
        eventlog_private.source_column(source, 'created_at', 'timestamptz'),
        eventlog_private.source_column(source, 'occurred_at', 'timestamptz'),
        eventlog_private.source_column(source, 'actor', 'text'),
        eventlog_private.source_column(source, 'subject', 'text'),
        eventlog_private.source_column(source, 'weight', 'real'),
        source);

    -- Nobody else ever sees this table: it goes with the transaction. Not a temporary one, which a
    -- superuser may not make while the log's owner acts.
    -- What the rules say of each row, once; of one that is refused, what the quarantine may keep.
    EXECUTE format($sql$
        CREATE UNLOGGED TABLE eventlog.import_in_progress AS
        SELECT r.id, r.tenant_id, r.name, v.data, r.created_at,
               r.occurred_at, v.actor, coalesce(v.subject, r.subject) AS subject,
               CASE WHEN w.is_valid THEN r.weight END AS weight,
               f.sqlstate, concat_ws(': ', v.message, v.detail, f.message) AS reason,
               CASE WHEN f.sqlstate IS NOT NULL THEN
                   %L || coalesce(r.id::text, 'row ' || md5(r::text)) END AS key
          FROM (%s) r
         CROSS JOIN LATERAL eventlog_private.check_import(
                    r.id, r.tenant_id, r.name, r.data, r.created_at, r.occurred_at, r.actor, r.subject) v
         CROSS JOIN LATERAL (
            SELECT r.weight IS NULL OR r.weight >= 1 AND r.weight < 'infinity' AS is_valid) w
         CROSS JOIN LATERAL (
            SELECT coalesce(v.sqlstate, CASE WHEN NOT w.is_valid THEN '22023' END) AS sqlstate,
                   CASE WHEN NOT w.is_valid THEN 'weight must be finite, and at least 1' END AS message) f
    $sql$, key_prefix, source_rows);

    SELECT c.partition_interval INTO STRICT step FROM eventlog.log_config c;
    SELECT count(DISTINCT s.from_at) INTO partitions
      FROM (SELECT DISTINCT date_trunc('hour', i.created_at) AS hour
              FROM eventlog.import_in_progress i WHERE i.sqlstate IS NULL) h,
           eventlog_private.partition_span(h.hour, step) s;
    IF partitions > most_partitions THEN
        RAISE EXCEPTION 'the rows of % span % partitions, limit %', source, partitions, most_partitions
            USING ERRCODE = 'program_limit_exceeded',
                  HINT = 'import a view of the rows that matter, or make the log with a longer partition_interval';
    END IF;
    FOR at IN
        SELECT DISTINCT s.from_at
          FROM (SELECT DISTINCT date_trunc('hour', i.created_at) AS hour
                  FROM eventlog.import_in_progress i WHERE i.sqlstate IS NULL) h,
               eventlog_private.partition_span(h.hour, step) s
         ORDER BY 1
    LOOP
        PERFORM eventlog._make_partition(at);
    END LOOP;

    IF to_regclass('eventlog.late_events') IS NULL THEN
        -- A log of layout 1, without rollups.
        INSERT INTO eventlog.events (id, tenant_id, name, data, actor, subject, occurred_at, created_at, weight)
        OVERRIDING SYSTEM VALUE
        SELECT i.id, i.tenant_id, i.name, i.data, i.actor, i.subject, i.occurred_at, i.created_at, i.weight
          FROM eventlog.import_in_progress i WHERE i.sqlstate IS NULL
        ON CONFLICT ON CONSTRAINT events_pkey DO NOTHING;
        GET DIAGNOSTICS imported = ROW_COUNT;
    ELSE
        WITH inserted AS (
            INSERT INTO eventlog.events (id, tenant_id, name, data, actor, subject, occurred_at, created_at, weight)
            OVERRIDING SYSTEM VALUE
            SELECT i.id, i.tenant_id, i.name, i.data, i.actor, i.subject, i.occurred_at, i.created_at, i.weight
              FROM eventlog.import_in_progress i WHERE i.sqlstate IS NULL
            ON CONFLICT ON CONSTRAINT events_pkey DO NOTHING
            RETURNING tenant_id, id, created_at
        ), late AS (
            INSERT INTO eventlog.late_events (tenant_id, id, created_at)
            SELECT n.tenant_id, n.id, n.created_at FROM inserted n WHERE n.created_at < eventlog_private.announced_watermark()
            ON CONFLICT ON CONSTRAINT late_events_pkey DO NOTHING
        )
        SELECT count(*) INTO imported FROM inserted;
    END IF;

    INSERT INTO eventlog.rejected_events (claimed_tenant_id, name, data, occurred_at, actor, subject,
            idempotency_key, sqlstate, reason, role_name, weight)
    SELECT i.tenant_id, left(i.name, 200),
           CASE WHEN octet_length(i.data::text) <= 65536 THEN i.data::text END,
           coalesce(i.occurred_at, i.created_at), left(i.actor, 200), left(i.subject, 200),
           i.key, i.sqlstate, i.reason, current_user, i.weight
      FROM eventlog.import_in_progress i
     WHERE i.sqlstate IS NOT NULL
       AND NOT EXISTS (SELECT FROM eventlog.rejected_events r WHERE r.idempotency_key = i.key);
    GET DIAGNOSTICS rejected = ROW_COUNT;

    SELECT count(*) - imported - rejected INTO already_there FROM eventlog.import_in_progress;

    -- New events go on behind the imported ones.
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
'Takes over a table with the columns id, tenant_id, name, data, created_at (and actor, subject, occurred_at, weight where it has them) as the log''s owner: keeps id and created_at, makes old partitions, applies the rules of event_types, and puts rows that break one into rejected_events. Can be run again: rows that are there stay as they are.';
