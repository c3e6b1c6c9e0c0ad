-- Bringing the tables of an older log to the layout of this version. ALTER EXTENSION … UPDATE changes
-- functions only; until the log's owner types migrate_log(), they work on the previous layout.
--
-- Layouts: 1 is of 0.1.0; 2 is of 0.2.0.

-- Takes every lock that a migration needs and that a writer could be in the way of, or gives them all
-- back and tries again, so that a writer waits a moment at most and never dies of a deadlock. The order
-- is that in which the library reads.
CREATE FUNCTION eventlog_private.lock_for_migration() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    former   text        := current_setting('lock_timeout');
    deadline timestamptz := eventlog_private.lock_deadline();
    relation name;
BEGIN
    PERFORM eventlog_private.keep_waits_short();
    LOOP
        BEGIN
            PERFORM eventlog._lock_partitions();
            LOCK TABLE ONLY eventlog.events IN SHARE UPDATE EXCLUSIVE MODE;
            FOREACH relation IN ARRAY ARRAY['tenant_settings', 'event_types', 'tenant_roles', 'producers']::name[] LOOP
                IF to_regclass(format('eventlog.%I', relation)) IS NOT NULL THEN
                    EXECUTE format('LOCK TABLE eventlog.%I IN ACCESS EXCLUSIVE MODE', relation);
                END IF;
            END LOOP;
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            IF clock_timestamp() >= deadline THEN
                RAISE EXCEPTION 'the log cannot be migrated now: a transaction holds its tables'
                    USING ERRCODE = 'lock_not_available',
                          DETAIL = eventlog_private.describe_holders(eventlog_private.modes_against('AccessExclusiveLock')),
                          HINT = 'end it, or wait for longer: SET lock_timeout = ''1min''; SELECT eventlog.migrate_log();';
            END IF;
        END;
        -- Lets those through who waited behind this.
        PERFORM pg_sleep(0.1);
    END LOOP;
    PERFORM set_config('lock_timeout', former, true);
END
$$;

-- What is new in layout 2 of rows that are there.
CREATE FUNCTION eventlog_private.migrate_to_2() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog_private.mark_services();
    PERFORM eventlog_private.mark_writers();
    UPDATE eventlog.log_config SET service_roles = '{}' WHERE service_roles <> '{}';
    -- Their roles are noted by a trigger from now on.
    UPDATE eventlog.tenant_roles r SET role_name = r.role_name;
    -- Names of the starter taxonomy that are still what it made them.
    UPDATE eventlog.event_types t SET count_subjects = false
      FROM eventlog_private.starter_taxonomy() s
     WHERE s.name = t.name AND s.subject_keys = t.subject_keys AND NOT s.count_subjects AND t.count_subjects;
    -- Of those that are so to the last column, what reports read. Not path_keys: what is kept of a payload
    -- changes by the owner's word only.
    UPDATE eventlog.event_types t
       SET optional_keys = s.optional_keys, success_key = s.success_key, success_values = s.success_values
      FROM eventlog_private.starter_taxonomy() s
     WHERE s.name = t.name
       AND (t.domain, t.description, t.required_keys, t.optional_keys, t.allow_other_keys, t.allowed_values, t.max_bytes,
            t.actor_key, t.subject_keys, t.duration_key, t.success_key, t.success_values, t.error_key, t.occurred_at_key,
            t.default_values, t.default_when_key, t.sample_rate, t.sample_key, t.redact_keys, t.hash_keys, t.hash_actor,
            t.path_keys, t.status, t.successor)
           IS NOT DISTINCT FROM
           (s.domain, s.description, s.required_keys,
            -- Without those that came since.
            ARRAY(SELECT k.key FROM unnest(s.optional_keys) WITH ORDINALITY AS k (key, place)
                   WHERE k.key <> 'metadata' AND (s.domain <> 'artifacts' OR k.key NOT IN ('success', 'conflicts'))
                   ORDER BY k.place),
            true, s.allowed_values, 2048, NULL::text, s.subject_keys, s.duration_key,
            CASE WHEN s.domain <> 'artifacts' THEN s.success_key END, '{}'::text[], s.error_key, s.occurred_at_key,
            s.default_values, s.default_when_key, 1::double precision, s.sample_key, '{}'::text[], '{}'::text[], false,
            '{}'::text[], 'active', NULL::text);
END
$$;

-- Whoever may read what came with older layouts may read what came with newer ones.
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
          FROM eventlog_private.reader_tables() t
          JOIN pg_class c ON c.oid = to_regclass(format('eventlog.%I', t.table_name)), aclexplode(c.relacl) acl
         WHERE t.layout <= former_layout AND acl.privilege_type = 'SELECT' AND acl.grantee NOT IN (0, c.relowner)
         GROUP BY acl.grantee
        HAVING count(DISTINCT t.table_name) = (SELECT count(*) FROM eventlog_private.reader_tables() r WHERE r.layout <= former_layout)
    LOOP
        FOR new_table IN SELECT t.table_name FROM eventlog_private.reader_tables() t WHERE t.layout > former_layout LOOP
            EXECUTE format('GRANT SELECT ON TABLE eventlog.%I TO %s', new_table, reader);
        END LOOP;
    END LOOP;
END
$$;

CREATE FUNCTION eventlog_private.migrate_log() RETURNS integer
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
        RETURN newest;
    END IF;
    PERFORM eventlog._check_objects(current_user::regrole, NULL);

    PERFORM eventlog_private.lock_for_migration();
    former := eventlog_private.bound_lock_timeout();
    -- Another connection may have been first.
    has := eventlog._log_layout();
    IF has < newest THEN
        PERFORM eventlog_private.create_tables();
        PERFORM eventlog_private.apply_triggers();
        IF has < 2 THEN
            PERFORM eventlog_private.migrate_to_2();
        END IF;
        PERFORM eventlog_private.apply_policies();
        PERFORM eventlog._make_erase_trigger(u.tenants, u.tenant_key) FROM eventlog_private.untied_tenants() u;
        PERFORM eventlog_private.grant_to_readers(has);
        UPDATE eventlog.log_config SET layout_version = newest;
    END IF;
    PERFORM set_config('lock_timeout', former, true);
    RETURN newest;
END
$$;

CREATE FUNCTION eventlog.migrate_log() RETURNS integer
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

COMMENT ON FUNCTION eventlog.migrate_log() IS
'Brings the tables of a log that an older version made to the layout of this one, as the log''s owner, and returns its number; nothing to do where they have it. To be called after ALTER EXTENSION eventlog UPDATE. Writers wait for it a moment; where a long transaction is in the way it gives up after lock_timeout, or eventlog.lock_timeout, and nothing has changed (55P03).';

-- For create_log(), which completes whatever log is there.
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
