-- The tables of the log, in one list, and what the files beside this one make them with. create_log()
-- and migrate_log() call all of them.

-- Closes a new relation: row-level security on, nothing granted to anybody. ALTER DEFAULT
-- PRIVILEGES may have granted, and TRUNCATE is beyond what policies refuse.
CREATE FUNCTION eventlog_private.close(relation regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    grantee text;
    kind    "char" := (SELECT relkind FROM pg_class WHERE oid = relation);
BEGIN
    IF kind IN ('r', 'p') THEN
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation);
    END IF;
    FOR grantee IN
        SELECT DISTINCT CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END
          FROM pg_class c, aclexplode(c.relacl) acl
         WHERE c.oid = relation AND acl.grantee <> c.relowner
    LOOP
        EXECUTE format('REVOKE ALL ON %s %s FROM %s CASCADE',
                       CASE kind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, relation, grantee);
    END LOOP;
END
$$;

-- Whether a table of the log has to be made; says 42501 with the remedy where that is not allowed.
CREATE FUNCTION eventlog_private.is_missing(table_name text) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regclass(format('eventlog.%I', table_name)) IS NOT NULL THEN
        RETURN false;
    END IF;
    IF NOT has_schema_privilege('eventlog', 'CREATE') THEN
        RAISE EXCEPTION 'permission denied to create the log in schema eventlog'
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('a superuser types: SELECT eventlog.create_log(owner => %L);', current_user);
    END IF;
    RETURN true;
END
$$;

-- Whether a table is there, and is of an older layout than this column. New columns are added at the
-- end of the tables, in fresh logs as in old ones, so that both are alike.
CREATE FUNCTION eventlog_private.lacks_column(table_name text, column_name name, wanted regtype) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    relation regclass := to_regclass(format('eventlog.%I', table_name));
    has      regtype  := (SELECT a.atttypid FROM pg_attribute a
                           WHERE a.attrelid = relation AND a.attname = column_name AND a.attnum > 0 AND NOT a.attisdropped);
BEGIN
    IF has <> wanted THEN
        RAISE EXCEPTION 'column % of eventlog.% is %, the log needs %', column_name, table_name, has, wanted
            USING ERRCODE = 'datatype_mismatch',
                  DETAIL = 'It is not the log''s own, which has this name in the layout of this version.',
                  HINT = format('ALTER TABLE eventlog.%I RENAME COLUMN %I TO %I;', table_name, column_name, column_name || '_former');
    END IF;
    RETURN relation IS NOT NULL AND has IS NULL;
END
$$;

-- Every table, index and comment that is missing, and every column that an older log lacks.
CREATE FUNCTION eventlog_private.create_tables() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog_private.create_events();
    PERFORM eventlog_private.create_event_types();
    PERFORM eventlog_private.create_other_tables();
    PERFORM eventlog_private.create_hygiene_tables();
    PERFORM eventlog_private.create_maintenance_tables();
    PERFORM eventlog_private.create_rollup_tables();
    PERFORM eventlog_private.create_erasure_tables();
    PERFORM eventlog_private.create_api_key_tables();
    PERFORM eventlog_private.create_reference_tables();
END
$$;

-- The tables of the log, partitions left out.
CREATE FUNCTION eventlog_private.tables() RETURNS TABLE (table_name name)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT unnest(ARRAY['events', 'event_types', 'rejected_events', 'idempotency_keys', 'producers', 'tenant_roles',
                        'enrichments', 'tenant_settings', 'hygiene_counts', 'log_config', 'maintenance_runs', 'maintenance_settings',
                        'thinned_partitions', 'retention_progress', 'rollup_state', 'late_events', 'hourly_counts',
                        'daily_counts', 'daily_subjects', 'monthly_actors', 'erasures', 'api_keys', 'tenants_reference']::name[])
$$;

-- The tables that a reader may read, under their policies, with the layout that each came with.
CREATE FUNCTION eventlog_private.reader_tables() RETURNS TABLE (table_name name, layout integer)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    VALUES ('events'::name, 1), ('rejected_events', 1), ('hygiene_counts', 1), ('event_types', 1), ('log_config', 1),
           ('rollup_state', 2), ('late_events', 2), ('hourly_counts', 2), ('daily_counts', 2), ('daily_subjects', 2),
           ('monthly_actors', 2)
$$;

-- The tables with rows of tenants that a tenant's role may read, its own.
CREATE FUNCTION eventlog_private.tenants_tables() RETURNS SETOF name
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT unnest(ARRAY['events', 'rejected_events', 'hygiene_counts', 'late_events', 'hourly_counts', 'daily_counts',
                        'daily_subjects', 'monthly_actors']::name[])
$$;
