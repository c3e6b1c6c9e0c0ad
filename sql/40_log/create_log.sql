-- Creating the log, or completing it.

CREATE FUNCTION eventlog.create_log(
    owner              regrole  DEFAULT NULL,
    partition_interval interval DEFAULT NULL,
    retention          interval DEFAULT NULL,
    premake            interval DEFAULT NULL,
    taxonomies         text[]   DEFAULT NULL,
    seals              boolean  DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = 'warning'
SET standard_conforming_strings = on
SET quote_all_identifiers = off
SET timezone = 'UTC'
SET datestyle = 'ISO'
SET intervalstyle = 'postgres'
AS $$
DECLARE
    -- If a table of the log is missing, its owner is known from the others.
    former_owner oid := (SELECT c.relowner FROM unnest(ARRAY['events', 'event_types', 'log_config']) WITH ORDINALITY AS t (name, place)
                           JOIN pg_class c ON c.oid = to_regclass(format('eventlog.%I', t.name)) ORDER BY t.place LIMIT 1);
    new_owner    oid := coalesce(create_log.owner::oid, former_owner, current_user::regrole::oid);
    relation     regclass;
BEGIN
    IF NOT pg_has_role(current_user, former_owner, 'USAGE') THEN
        RAISE EXCEPTION 'permission denied: the log belongs to %', former_owner::regrole
            USING ERRCODE = 'insufficient_privilege', HINT = format('SET ROLE %s;', former_owner::regrole);
    END IF;
    PERFORM eventlog._check_objects(new_owner, former_owner);

    -- The privileges that the owner needs; they may be missing after REASSIGN OWNED, or if the extension
    -- was dropped and created again. Up to the call of the door, no statement touches a row of the log, so
    -- all of them may run as the caller.
    IF NOT has_schema_privilege(new_owner, 'eventlog_private', 'USAGE')
       OR NOT has_schema_privilege(new_owner, 'eventlog', 'CREATE') THEN
        IF NOT pg_has_role(current_user, (SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = 'eventlog_private'), 'USAGE') THEN
            RAISE EXCEPTION 'permission denied to create the log in schema eventlog'
                USING ERRCODE = 'insufficient_privilege',
                      HINT = format('a superuser types: SELECT eventlog.create_log(owner => %L);', new_owner::regrole);
        END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA eventlog_private TO %s', new_owner::regrole);
    END IF;
    IF NOT has_schema_privilege(new_owner, 'eventlog', 'CREATE WITH GRANT OPTION')
       OR NOT has_schema_privilege(new_owner, 'eventlog', 'USAGE WITH GRANT OPTION') THEN
        EXECUTE format('GRANT USAGE, CREATE ON SCHEMA eventlog TO %s WITH GRANT OPTION', new_owner::regrole);
    END IF;
    IF former_owner <> new_owner THEN
        FOR relation IN
            SELECT c.oid FROM pg_class c
             WHERE c.relnamespace = 'eventlog'::regnamespace AND c.relkind IN ('r', 'p') AND c.relowner = former_owner
               AND (c.relname IN (SELECT t.table_name FROM eventlog_private.relations() t)
                    OR c.oid IN (SELECT p.partition_oid FROM eventlog._partitions p))
        LOOP
            EXECUTE format('ALTER TABLE %s OWNER TO %s', relation, new_owner::regrole);
        END LOOP;
    END IF;

    PERFORM eventlog._create_log(new_owner::regrole, create_log.partition_interval, create_log.retention,
                                 create_log.premake, create_log.taxonomies, create_log.seals);
    PERFORM eventlog._make_tenant_triggers(u.tenants, u.tenant_key, u.name_column) FROM eventlog._tenants_without_trigger() u;

    IF (SELECT rolsuper FROM pg_roles WHERE oid = new_owner) THEN
        RAISE WARNING 'the log belongs to superuser %', new_owner::regrole
            USING HINT = 'SELECT eventlog.create_log(owner => ''<role that no application logs in as>'');';
    ELSIF (SELECT rolcanlogin FROM pg_roles WHERE oid = new_owner) THEN
        RAISE WARNING 'the log belongs to %, a role that can log in', new_owner::regrole
            USING DETAIL = 'The owner bypasses the policies of the log.',
                  HINT = format('if an application connects as it: SELECT eventlog.create_log(owner => ''<another role>''); otherwise: ALTER ROLE %s NOLOGIN;',
                                new_owner::regrole);
    END IF;
END
$$;

COMMENT ON FUNCTION eventlog.create_log(regrole, interval, interval, interval, text[], boolean) IS
'Creates the log in this database, or whatever of it is missing: tables, indexes, policies, partitions up to premake (default 1 year) ahead, and the starter taxonomy (all domains, or those given). partition_interval defaults to 1 month, retention to 90 days; with seals (default: true for a new log) maintain() seals each day of each tenant. Null keeps the log''s value. The owner (default: the caller) bypasses the policies, so an application must not connect as it.';

-- Creates the log, or whatever of it is missing, as its owner.
CREATE FUNCTION eventlog_private.create_log(role regrole, partition_interval interval, retention interval,
                                            premake interval, taxonomies text[], seals boolean) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    is_new   boolean     := eventlog_private.is_missing('event_types');
    former   text        := current_setting('lock_timeout');
    deadline timestamptz := eventlog_private.lock_deadline();
BEGIN
    PERFORM eventlog_private.check_partition_interval(create_log.partition_interval);
    IF create_log.retention <= '0'::interval OR create_log.premake < '0'::interval THEN
        RAISE EXCEPTION 'retention must be positive and premake must not be negative, got % and %',
                coalesce(create_log.retention::text, 'not given'), coalesce(create_log.premake::text, 'not given')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'such as ''90 days'' and ''1 year''';
    END IF;

    PERFORM eventlog_private.migrate_if_older();
    -- If the log exists, others use it. Then everything that is missing is created with short waits, all of
    -- it or nothing: writers wait a moment at most, and this does not wait behind them while they wait for
    -- it.
    LOOP
        BEGIN
            IF to_regclass('eventlog.events') IS NOT NULL THEN
                PERFORM eventlog_private.limit_waits();
                PERFORM eventlog._lock_partitions();
            END IF;
            PERFORM eventlog_private.complete_log(is_new, create_log.partition_interval, create_log.retention, create_log.premake,
                                           create_log.taxonomies, create_log.seals);
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            IF is_new OR clock_timestamp() >= deadline THEN
                RAISE EXCEPTION 'cannot complete the log now: a transaction holds locks on its tables'
                    USING ERRCODE = 'lock_not_available',
                          DETAIL = eventlog_private.describe_lock_holders(eventlog_private.conflicting_modes('AccessExclusiveLock')),
                          HINT = 'end that transaction, or wait longer: SET lock_timeout = ''1min''; SELECT eventlog.create_log();';
            END IF;
        END;
        PERFORM pg_sleep(0.1);
    END LOOP;
    PERFORM set_config('lock_timeout', former, true);
END
$$;

-- Everything that create_log() changes in the log, in one subtransaction.
CREATE FUNCTION eventlog_private.complete_log(is_new boolean, partition_interval interval, retention interval,
                                       premake interval, taxonomies text[], seals boolean) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog_private.create_tables();
    UPDATE eventlog.log_config c
       SET partition_interval = coalesce(complete_log.partition_interval, c.partition_interval),
           retention          = coalesce(complete_log.retention, c.retention),
           premake            = coalesce(complete_log.premake, c.premake)
     WHERE complete_log.partition_interval IS NOT NULL OR complete_log.retention IS NOT NULL
        OR complete_log.premake IS NOT NULL;
    PERFORM eventlog_private.switch_seals(coalesce(complete_log.seals, nullif(is_new, false)));
    IF is_new OR complete_log.taxonomies IS NOT NULL THEN
        PERFORM eventlog_private.load_taxonomy(complete_log.taxonomies);
    END IF;
    PERFORM eventlog_private.make_partitions();
    PERFORM eventlog_private.ensure_late_events((SELECT s.announced_until FROM eventlog.rollup_state s));
    PERFORM eventlog_private.apply_triggers();
    PERFORM eventlog_private.apply_policies();
END
$$;

-- The door to it, which runs it as the role in its first argument.
CREATE FUNCTION eventlog._create_log(role regrole, partition_interval interval, retention interval,
                                     premake interval, taxonomies text[], seals boolean) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_role_wrapper';
