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
SET standard_conforming_strings = on
SET quote_all_identifiers = off
SET timezone = 'UTC'
SET datestyle = 'ISO'
SET intervalstyle = 'postgres'
AS $$
DECLARE
    -- Of a log that lacks a table, the others tell.
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

    -- What the owner needs, also after REASSIGN OWNED, or where the extension was made anew. The
    -- statements that follow until the call of the door touch no row of the log: they run as the caller.
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
               AND (c.relname IN (SELECT t.table_name FROM eventlog_private.tables() t)
                    OR c.oid IN (SELECT p.partition_oid FROM eventlog._partitions p))
        LOOP
            EXECUTE format('ALTER TABLE %s OWNER TO %s', relation, new_owner::regrole);
        END LOOP;
    END IF;

    PERFORM eventlog._create_log(new_owner::regrole, create_log.partition_interval, create_log.retention,
                                 create_log.premake, create_log.taxonomies);
    PERFORM eventlog._make_erase_trigger(u.tenants, u.tenant_key) FROM eventlog._untied_tenants() u;

    IF (SELECT rolsuper FROM pg_roles WHERE oid = new_owner) THEN
        RAISE WARNING 'the log belongs to superuser %', new_owner::regrole
            USING HINT = 'SELECT eventlog.create_log(owner => ''<role that no application logs in as>'');';
    ELSIF (SELECT rolcanlogin FROM pg_roles WHERE oid = new_owner) THEN
        RAISE WARNING 'the log belongs to %, a role that can log in', new_owner::regrole
            USING DETAIL = 'The owner bypasses the policies of the log.',
                  HINT = format('if an application connects as it: SELECT eventlog.create_log(owner => ''<another role>''); else: ALTER ROLE %s NOLOGIN;',
                                new_owner::regrole);
    END IF;
END
$$;

COMMENT ON FUNCTION eventlog.create_log(regrole, interval, interval, interval, text[]) IS
'Makes the log in this database, or whatever of it is missing: tables, indexes, policies, partitions for premake (default a year) ahead, and the starter taxonomy (all domains, or those given). partition_interval defaults to 1 month, retention to 90 days; null keeps what the log has. The owner (default: the caller) bypasses the policies, so must not be a role that an application logs in as.';

-- The log, or what of it is missing, as its owner.
CREATE FUNCTION eventlog_private.create_log(role regrole, partition_interval interval, retention interval,
                                            premake interval, taxonomies text[]) RETURNS void
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
        RAISE EXCEPTION 'retention is %, premake is %: the one must be positive, the other not negative',
                coalesce(create_log.retention::text, 'not given'), coalesce(create_log.premake::text, 'not given')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'such as ''90 days'' and ''1 year''';
    END IF;

    PERFORM eventlog_private.migrate_if_older();
    -- Others are at work where there is a log: what is missing is made with short waits, all of it or
    -- nothing, so that writers wait a moment at most, and nobody waits here while they wait for this.
    LOOP
        BEGIN
            IF to_regclass('eventlog.events') IS NOT NULL THEN
                PERFORM eventlog_private.keep_waits_short();
                PERFORM eventlog._lock_partitions();
            END IF;
            PERFORM eventlog_private.complete_log(is_new, create_log.partition_interval, create_log.retention, create_log.premake,
                                           create_log.taxonomies);
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            IF is_new OR clock_timestamp() >= deadline THEN
                RAISE EXCEPTION 'the log cannot be completed now: a transaction holds its tables'
                    USING ERRCODE = 'lock_not_available',
                          DETAIL = eventlog_private.describe_holders(eventlog_private.modes_against('AccessExclusiveLock')),
                          HINT = 'end it, or wait for longer: SET lock_timeout = ''1min''; SELECT eventlog.create_log();';
            END IF;
        END;
        PERFORM pg_sleep(0.1);
    END LOOP;
    PERFORM set_config('lock_timeout', former, true);
END
$$;

-- What create_log() does to the log, in one go.
CREATE FUNCTION eventlog_private.complete_log(is_new boolean, partition_interval interval, retention interval,
                                       premake interval, taxonomies text[]) RETURNS void
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
    IF is_new OR complete_log.taxonomies IS NOT NULL THEN
        PERFORM eventlog_private.load_taxonomy(complete_log.taxonomies);
    END IF;
    PERFORM eventlog_private.make_partitions();
    PERFORM eventlog_private.ensure_late_events((SELECT s.announced_until FROM eventlog.rollup_state s));
    PERFORM eventlog_private.apply_triggers();
    PERFORM eventlog_private.apply_policies();
END
$$;

-- The door to it: as the role that is its first argument.
CREATE FUNCTION eventlog._create_log(role regrole, partition_interval interval, retention interval,
                                     premake interval, taxonomies text[]) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_role_wrapper';
