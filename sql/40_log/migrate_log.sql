-- Migrating the tables of an older log to the layout of this version. ALTER EXTENSION … UPDATE only changes
-- functions; they work on the previous layout until the log's owner calls migrate_log().
--
-- Layout 1 is that of 0.1.0, layout 2 that of 0.2.0.

-- Takes every lock that the migration needs and that a writer may hold up, or releases all of them and
-- tries again. So a writer waits a moment at most and never becomes the victim of a deadlock. The order is
-- that in which the library reads these tables.
CREATE FUNCTION eventlog_private.lock_for_migration() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    former   text        := current_setting('lock_timeout');
    deadline timestamptz := eventlog_private.lock_deadline();
    relation name;
BEGIN
    PERFORM eventlog_private.limit_waits();
    LOOP
        BEGIN
            PERFORM eventlog._lock_partitions();
            FOREACH relation IN ARRAY ARRAY['events', 'tenant_settings', 'event_types', 'tenant_roles', 'producers', 'rejected_events']::name[] LOOP
                IF to_regclass(format('eventlog.%I', relation)) IS NOT NULL THEN
                    EXECUTE format('LOCK TABLE ONLY eventlog.%I IN ACCESS EXCLUSIVE MODE', relation);
                END IF;
            END LOOP;
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            IF clock_timestamp() >= deadline THEN
                RAISE EXCEPTION 'cannot migrate the log now: a transaction holds locks on its tables'
                    USING ERRCODE = 'lock_not_available',
                          DETAIL = eventlog_private.describe_lock_holders(eventlog_private.conflicting_modes('AccessExclusiveLock')),
                          HINT = 'end that transaction, or wait longer: SET lock_timeout = ''1min''; SELECT eventlog.migrate_log();';
            END IF;
        END;
        -- Lets others pass who waited behind this.
        PERFORM pg_sleep(0.1);
    END LOOP;
    PERFORM set_config('lock_timeout', former, true);
END
$$;

-- Updates existing rows to layout 2.
CREATE FUNCTION eventlog_private.migrate_to_2() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog_private.mark_services();
    PERFORM eventlog_private.mark_writers();
    UPDATE eventlog.log_config SET service_roles = '{}' WHERE service_roles <> '{}';
    -- A trigger records the role of each row from now on.
    UPDATE eventlog.tenant_roles r SET role_name = r.role_name;
    -- Event types of the starter taxonomy, if nobody changed their subject_keys.
    UPDATE eventlog.event_types t SET count_subjects = false
      FROM eventlog_private.starter_taxonomy() s
     WHERE s.name = t.name AND s.rules -> 'subject_keys' = to_jsonb(t.subject_keys) AND s.rules -> 'count_subjects' = 'false'
       AND t.count_subjects;
    -- Of those that nobody changed at all, the rules that reports use. Not path_keys: only the owner changes
    -- what is stored of a payload.
    PERFORM eventlog_private.write_event_type(t.name, s.rules, replaced => '{optional_keys,success_key,success_values}')
       FROM eventlog.event_types t
       JOIN eventlog_private.starter_taxonomy() s ON s.name = t.name
      WHERE to_jsonb(t) - '{name,created_at,retention,count_subjects}'::text[]
            = (eventlog._default_rules() || s.rules || jsonb_build_object(
                   -- Without the keys that are new.
                   'optional_keys', (SELECT coalesce(jsonb_agg(k.key ORDER BY k.place), '[]')
                                       FROM jsonb_array_elements_text(s.rules -> 'optional_keys') WITH ORDINALITY AS k (key, place)
                                      WHERE k.key <> 'metadata' AND (s.domain <> 'artifacts' OR k.key NOT IN ('success', 'conflicts'))),
                   'success_key', CASE WHEN s.domain <> 'artifacts' THEN s.rules -> 'success_key' END,
                   'success_values', '{}'::text[], 'path_keys', '{}'::text[]))
              - '{retention,count_subjects}'::text[];
END
$$;

-- Lets roles that may read every readable table of the older layout read the new ones too.
CREATE FUNCTION eventlog_private.grant_to_readers(former_layout integer) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    reader    regrole;
    new_table name;
BEGIN
    FOR reader IN
        SELECT acl.grantee
          FROM eventlog_private.relations() t
          JOIN pg_class c ON c.oid = to_regclass(format('eventlog.%I', t.table_name)), aclexplode(c.relacl) acl
         WHERE t.readers_see IS NOT NULL AND t.layout <= former_layout AND acl.privilege_type = 'SELECT' AND acl.grantee NOT IN (0, c.relowner)
         GROUP BY acl.grantee
        HAVING count(DISTINCT t.table_name)
               = (SELECT count(*) FROM eventlog_private.relations() r WHERE r.readers_see IS NOT NULL AND r.layout <= former_layout)
    LOOP
        FOR new_table IN
            SELECT t.table_name FROM eventlog_private.relations() t WHERE t.readers_see IS NOT NULL AND t.layout > former_layout
        LOOP
            EXECUTE format('GRANT SELECT ON TABLE eventlog.%I TO %s', new_table, reader);
        END LOOP;
    END LOOP;
END
$$;

-- Switches the seals on or off; null leaves them as they are.
CREATE FUNCTION eventlog_private.switch_seals(seals boolean) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE eventlog.seal_state s SET is_on = switch_seals.seals WHERE s.is_on <> switch_seals.seals
$$;

CREATE FUNCTION eventlog_private.migrate_log(seals boolean) RETURNS integer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = 'warning'
SET standard_conforming_strings = on
SET quote_all_identifiers = off
AS $$
DECLARE
    newest constant integer := eventlog._layout_version();
    has    integer;
    former text;
BEGIN
    PERFORM eventlog._require_layout(0);
    IF eventlog._log_layout() = newest THEN
        PERFORM eventlog_private.switch_seals(migrate_log.seals);
        RETURN newest;
    END IF;
    PERFORM eventlog._check_objects(current_user::regrole, NULL);

    PERFORM eventlog_private.lock_for_migration();
    former := eventlog_private.bound_lock_timeout();
    -- Another connection may have migrated it meanwhile.
    has := eventlog._log_layout();
    IF has < newest THEN
        PERFORM eventlog_private.create_tables();
        PERFORM eventlog_private.apply_triggers();
        IF has < 2 THEN
            PERFORM eventlog_private.migrate_to_2();
        END IF;
        PERFORM eventlog_private.apply_policies();
        PERFORM eventlog._make_tenant_triggers(u.tenants, u.tenant_key, u.name_column) FROM eventlog_private.tenants_without_trigger() u;
        PERFORM eventlog_private.grant_to_readers(has);
        UPDATE eventlog.log_config SET layout_version = newest;
    END IF;
    PERFORM eventlog_private.switch_seals(migrate_log.seals);
    PERFORM set_config('lock_timeout', former, true);
    RETURN newest;
END
$$;

CREATE FUNCTION eventlog.migrate_log(seals boolean DEFAULT NULL) RETURNS integer
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

COMMENT ON FUNCTION eventlog.migrate_log(boolean) IS
'Migrates the tables of an older log to the layout of this version, as the log''s owner, and returns the number of the layout. With seals it also switches the seals on or off; null leaves them as they are. Call it after ALTER EXTENSION eventlog UPDATE. Writers wait a moment at most; if a long transaction is in the way, it gives up after lock_timeout or eventlog.lock_timeout without changing anything (55P03).';

-- Called by create_log(), which completes any log.
CREATE FUNCTION eventlog_private.migrate_if_older() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regclass('eventlog.event_types') IS NOT NULL AND to_regclass('eventlog.events') IS NOT NULL
       AND eventlog._log_layout() <> eventlog._layout_version() THEN
        PERFORM eventlog.migrate_log();
    END IF;
END
$$;
