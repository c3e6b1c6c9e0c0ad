CREATE FUNCTION eventlog.create_log(
    owner              regrole  DEFAULT NULL,
    partition_interval interval DEFAULT NULL,
    retention          interval DEFAULT NULL,
    premake            interval DEFAULT NULL,
    taxonomies         text[]   DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = 'warning'
AS $$
DECLARE
    is_new    boolean := eventlog_private.is_missing('event_types');
    new_owner oid     := coalesce(create_log.owner::oid,
                                  (SELECT relowner FROM pg_class WHERE oid = to_regclass('eventlog.events')),
                                  current_user::regrole::oid);
    relation  regclass;
BEGIN
    IF NOT is_new THEN
        PERFORM eventlog._require_owner(current_user::regrole);
    END IF;
    PERFORM eventlog_private.check_partition_interval(create_log.partition_interval);
    IF create_log.retention <= '0'::interval OR create_log.premake < '0'::interval THEN
        RAISE EXCEPTION 'retention is %, premake is %: the one must be positive, the other not negative',
                coalesce(create_log.retention::text, 'not given'), coalesce(create_log.premake::text, 'not given')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'such as ''90 days'' and ''1 year''';
    END IF;

    IF new_owner <> current_user::regrole::oid OR create_log.owner IS NOT NULL THEN
        IF NOT has_schema_privilege(new_owner, 'eventlog', 'CREATE WITH GRANT OPTION')
           OR NOT has_schema_privilege(new_owner, 'eventlog', 'USAGE WITH GRANT OPTION') THEN
            EXECUTE format('GRANT USAGE, CREATE ON SCHEMA eventlog TO %s WITH GRANT OPTION', new_owner::regrole);
        END IF;
    END IF;

    PERFORM eventlog_private.migrate_if_older();
    PERFORM eventlog_private.create_tables();
    UPDATE eventlog.log_config c
       SET partition_interval = coalesce(create_log.partition_interval, c.partition_interval),
           retention          = coalesce(create_log.retention, c.retention),
           premake            = coalesce(create_log.premake, c.premake)
     WHERE create_log.partition_interval IS NOT NULL OR create_log.retention IS NOT NULL
        OR create_log.premake IS NOT NULL;
    IF is_new OR create_log.taxonomies IS NOT NULL THEN
        PERFORM eventlog_private.load_taxonomy(create_log.taxonomies);
    END IF;
    PERFORM eventlog_private.make_partitions();
    PERFORM eventlog_private.ensure_late_events((SELECT s.announced_until FROM eventlog.rollup_state s));
    PERFORM eventlog_private.apply_policies();
    PERFORM eventlog_private.ensure_services();
    PERFORM eventlog_private.ensure_tenants();

    IF new_owner <> current_user::regrole::oid OR create_log.owner IS NOT NULL THEN
        FOR relation IN
            SELECT c.oid FROM pg_class c
             WHERE c.relnamespace = 'eventlog'::regnamespace AND c.relkind IN ('r', 'p')
               AND c.relowner <> new_owner
               AND (c.relname IN (SELECT table_name FROM eventlog_private.tables())
                    OR c.oid IN (SELECT p.partition_oid FROM eventlog._partitions p))
        LOOP
            EXECUTE format('ALTER TABLE %s OWNER TO %s', relation, new_owner::regrole);
        END LOOP;
    END IF;

    IF (SELECT rolsuper FROM pg_roles WHERE oid = new_owner) THEN
        RAISE WARNING 'the log belongs to superuser %', new_owner::regrole
            USING HINT = 'SELECT eventlog.create_log(owner => ''<role that no application logs in as>'');';
    END IF;
END
$$;

COMMENT ON FUNCTION eventlog.create_log(regrole, interval, interval, interval, text[]) IS
'Makes the log in this database, or whatever of it is missing: tables, indexes, policies, partitions for premake (default a year) ahead, and the starter taxonomy (all domains, or those given). partition_interval defaults to 1 month, retention to 90 days; null keeps what the log has. The owner (default: the caller) bypasses the policies, so must not be a role that an application logs in as.';

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
                        'daily_counts', 'daily_subjects', 'monthly_actors', 'erasures', 'api_keys']::name[])
$$;

-- 55000 where create_log() was not called.
CREATE FUNCTION eventlog._require_log() RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regclass('eventlog.event_types') IS NULL THEN
        RAISE EXCEPTION 'there is no log in this database yet'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'SELECT eventlog.create_log();';
    END IF;
END
$$;
