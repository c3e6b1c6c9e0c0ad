-- Importing a table of events that the application already has: checking the source and reading it.

-- Returns the expression for a column of the source, or for a null of that type if the source lacks it.
CREATE FUNCTION eventlog_private.source_column(source regclass, column_name name, wanted text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = source
                                AND a.attname = column_name AND a.attnum > 0 AND NOT a.attisdropped)
                THEN format('s.%I::%s', column_name, wanted)
                ELSE format('NULL::%s', wanted) END
$$;

-- Checks a table or view as a source before any row is read.
CREATE FUNCTION eventlog_private.check_source(source regclass) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    missing text;
BEGIN
    IF source IS NULL THEN
        RAISE EXCEPTION 'source must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF source = 'eventlog.events'::regclass THEN
        RAISE EXCEPTION 'cannot import the log into itself' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT string_agg(format('"%s"', wanted), ', ' ORDER BY place) INTO missing
      FROM eventlog_private.event_columns() WITH ORDINALITY AS w (wanted, type, is_required, is_writable, place)
     WHERE w.is_required
       AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = source AND a.attname = wanted
                          AND a.attnum > 0 AND NOT a.attisdropped);
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'table % has no column %', source, missing
            USING ERRCODE = 'undefined_column',
                  HINT = 'import a view with the columns id, tenant_id, name, data, created_at';
    END IF;
    IF NOT has_table_privilege(source, 'SELECT')
       OR NOT has_schema_privilege((SELECT c.relnamespace FROM pg_class c WHERE c.oid = source), 'USAGE') THEN
        RAISE EXCEPTION 'permission denied for table %', source
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = format('The import runs as %I, which must be able to read the table.', current_user),
                  HINT = format('GRANT USAGE ON SCHEMA %s TO %I; GRANT SELECT ON %s TO %2$I;',
                                (SELECT c.relnamespace::regnamespace FROM pg_class c WHERE c.oid = source), current_user, source);
    END IF;
END
$$;

-- Returns the SQLSTATE of casting a value as an import casts it, or null if the cast succeeds.
CREATE FUNCTION eventlog_private.cast_fault(value anyelement, wanted text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
BEGIN
    CASE wanted
    WHEN 'bigint'      THEN PERFORM value::bigint;
    WHEN 'uuid'        THEN PERFORM value::uuid;
    WHEN 'text'        THEN PERFORM value::text;
    WHEN 'jsonb'       THEN PERFORM value::jsonb;
    WHEN 'real'        THEN PERFORM value::real;
    WHEN 'timestamp with time zone' THEN PERFORM value::timestamptz;
    ELSE EXECUTE format('SELECT $1::%s', wanted) USING value;
    END CASE;
    RETURN NULL;
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
    RETURN SQLSTATE;
END
$$;

-- Returns a query for the rows of a source: the columns of an event, and cast_sqlstate and cast_fault for a
-- value that cannot be cast. Only with `is_careful` does it test each value, which takes time; without, the
-- first such value ends the query.
CREATE FUNCTION eventlog_private.source_rows(source regclass, is_careful boolean) RETURNS text
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN bool_or(c.is_checked) THEN
               format('SELECT %s, f.* FROM %s s CROSS JOIN LATERAL (
                          SELECT min(v.sqlstate) AS cast_sqlstate,
                                 string_agg(format(''%%s cannot be read as %%s'', v.column_name, v.wanted), ''; '') AS cast_fault
                            FROM (VALUES %s) AS v (column_name, wanted, sqlstate) WHERE v.sqlstate IS NOT NULL) f',
                      string_agg(CASE WHEN c.is_checked
                                      THEN format('CASE WHEN eventlog_private.cast_fault(s.%I, %L) IS NULL THEN %s END AS %1$I',
                                                  c.name, c.wanted, c.expression)
                                      ELSE format('%s AS %I', c.expression, c.name) END, ', ' ORDER BY c.place),
                      source,
                      string_agg(format('(%L, %L, eventlog_private.cast_fault(s.%1$I, %2$L))', c.name, c.wanted), ', ' ORDER BY c.place)
                          FILTER (WHERE c.is_checked))
           ELSE
               format('SELECT %s, NULL::text AS cast_sqlstate, NULL::text AS cast_fault FROM %s s',
                      string_agg(format('%s AS %I', c.expression, c.name), ', ' ORDER BY c.place), source)
           END
      FROM (SELECT w.place, w.name, w.wanted, eventlog_private.source_column(source, w.name, w.wanted) AS expression,
                   is_careful AND a.atttypid IS NOT NULL AND a.atttypid <> w.wanted::regtype AS is_checked
              FROM eventlog_private.event_columns() WITH ORDINALITY AS w (name, wanted, is_required, is_writable, place)
              LEFT JOIN pg_attribute a ON a.attrelid = source AND a.attname = w.name AND a.attnum > 0 AND NOT a.attisdropped) c
$$;

-- Fills the table import_in_progress with the numbered rows of a source, each with its fault if it has one,
-- and for faulty rows only what the quarantine may store. Leaves out rows of tenants that opted out, and
-- returns their number.
--
-- Nobody else ever sees the table: it is dropped before the commit, and another import waits for that. A
-- temporary table would not do, since a superuser may not create one while acting as the log's owner.
--
-- New events are numbered from above the highest imported id, so half of all numbers is reserved for them.
-- A time that no log has, such as a client's zero time, is a fault: it would need a partition of its own.
CREATE FUNCTION eventlog_private.read_import(source regclass, is_careful boolean) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    highest_id  constant bigint := 4611686018427387903;
    earliest_at constant timestamptz := '1000-01-01';
    latest_at   constant timestamptz := now() + make_interval(secs => coalesce(
        (SELECT s.setting FROM pg_settings s WHERE s.name = 'eventlog.max_clock_ahead')::double precision, 300));
    opted_out   bigint;
BEGIN
    EXECUTE format($sql$
        CREATE UNLOGGED TABLE eventlog.import_in_progress AS
        SELECT row_number() OVER ()::integer AS place, r.id, r.tenant_id,
               CASE WHEN v.sqlstate IS NULL THEN eventlog._name_of(r.name) ELSE r.name END AS name, v.data, r.created_at,
               r.occurred_at, v.actor, CASE WHEN v.sqlstate IS NULL THEN v.subject ELSE r.subject END AS subject,
               CASE WHEN r.weight >= 1 AND r.weight < 'infinity' THEN r.weight END AS weight, %s
               coalesce(r.cast_sqlstate, v.sqlstate, CASE WHEN f.fault IS NOT NULL THEN '22023' END) AS sqlstate,
               coalesce(r.cast_fault, nullif(concat_ws(': ', v.message, v.detail), ''), f.fault) AS reason,
               CASE WHEN r.cast_sqlstate IS NOT NULL OR v.sqlstate IS NOT NULL OR f.fault IS NOT NULL THEN
                   %L || coalesce(r.id::text, 'row ' || md5(ROW(r.id, r.tenant_id, r.name, r.data, r.created_at,
                                                                r.occurred_at, r.actor, r.subject, r.weight)::text)) END AS key,
               coalesce(t.is_opted_out, false) AS is_opted_out
          FROM (%s) r
          LEFT JOIN eventlog.tenant_settings t ON t.tenant_id = r.tenant_id
         CROSS JOIN LATERAL eventlog_private.check_import(
                    r.id, r.tenant_id, r.name, r.data, r.created_at, r.occurred_at, r.actor, r.subject) v
         CROSS JOIN LATERAL (
            SELECT CASE WHEN r.id > %s THEN format('id is %%s, limit %s', r.id)
                        WHEN r.created_at < %L THEN 'created_at is before the year 1000'
                        WHEN r.created_at > %L THEN 'created_at is later than now and eventlog.max_clock_ahead'
                        WHEN NOT (r.weight >= 1 AND r.weight < 'infinity') THEN 'weight must be finite, and at least 1'
                   END AS fault) f
    $sql$,
           -- Columns that need no check.
           (SELECT string_agg(format('r.%I, ', c.name), '') FROM eventlog_private.event_columns() c
             WHERE c.name NOT IN ('id', 'tenant_id', 'name', 'data', 'created_at', 'occurred_at', 'actor', 'subject', 'weight')),
           format('import of %s: ', source), eventlog_private.source_rows(source, is_careful), highest_id, highest_id,
           earliest_at, latest_at);
    DELETE FROM eventlog.import_in_progress i WHERE i.is_opted_out;
    GET DIAGNOSTICS opted_out = ROW_COUNT;
    ALTER TABLE eventlog.import_in_progress ADD PRIMARY KEY (place);
    RETURN opted_out;
END
$$;
