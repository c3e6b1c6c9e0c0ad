-- Tying the log to the application's own table of tenants, so that deleting a tenant erases its events.

-- Identifies this database, as stored in tenants_reference.
CREATE FUNCTION eventlog_private.this_database() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('%s/%s', s.system_identifier, d.oid) FROM pg_control_system() s, pg_database d WHERE d.datname = current_database()
$$;

CREATE FUNCTION eventlog_private.note_tenants(tenants regclass, method text, tenant_key name) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE eventlog.log_config c SET
        tenants_table  = CASE WHEN method <> 'none' THEN (
            SELECT format('%I.%I', n.nspname, t.relname)
              FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace WHERE t.oid = tenants) END,
        tenants_method = nullif(method, 'none'),
        tenants_key    = CASE WHEN method <> 'none' THEN tenant_key END;
    -- A log of layout 1 lacks this table.
    IF to_regclass('eventlog.tenants_reference') IS NOT NULL THEN
        DELETE FROM eventlog.tenants_reference;
        INSERT INTO eventlog.tenants_reference (tenants, database_name)
        SELECT note_tenants.tenants, eventlog_private.this_database() WHERE method <> 'none';
    END IF;
END
$$;

CREATE FUNCTION eventlog._note_tenants(tenants regclass, method text, tenant_key name) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

-- Returns the table of tenants: the one that was named, not a table created later under its name. In a
-- restored database the name counts, until create_log() stores the oid again.
CREATE FUNCTION eventlog_private.tenants_relation() RETURNS regclass
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    noted oid;
BEGIN
    IF to_regclass('eventlog.tenants_reference') IS NOT NULL THEN
        SELECT c.oid INTO noted FROM eventlog.tenants_reference r LEFT JOIN pg_class c ON c.oid = r.tenants
         WHERE r.database_name = eventlog_private.this_database();
        IF FOUND THEN
            RETURN noted;
        END IF;
    END IF;
    RETURN (SELECT to_regclass(l.tenants_table) FROM eventlog.log_config l);
END
$$;

-- Called by the trigger before it erases: true if it is on the table of tenants, or on a partition of it,
-- with the key that was named.
CREATE FUNCTION eventlog_private.is_table_of_tenants(relation oid, tenant_key text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce((eventlog_private.tenants_relation() = relation
                     OR eventlog_private.tenants_relation() IN (SELECT a FROM pg_partition_ancestors(relation) a))
                    AND (SELECT l.tenants_key = tenant_key FROM eventlog.log_config l), false)
$$;

CREATE FUNCTION eventlog.reference_tenants(
    tenants    regclass,
    method     text DEFAULT 'trigger',
    tenant_key name DEFAULT 'id'
) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    former regclass;
BEGIN
    PERFORM eventlog._require_owner(current_user::regrole);
    IF tenants IS NULL THEN
        RAISE EXCEPTION 'tenants must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF method IS NULL OR method NOT IN ('foreign_key', 'trigger', 'none') THEN
        RAISE EXCEPTION 'unknown method "%"', method
            USING ERRCODE = 'invalid_parameter_value', HINT = 'foreign_key, trigger or none';
    END IF;
    IF method <> 'none' AND NOT EXISTS (
        SELECT FROM pg_attribute a
         WHERE a.attrelid = tenants AND a.attname = tenant_key AND a.atttypid = 'uuid'::regtype
           AND a.attnum > 0 AND NOT a.attisdropped)
    THEN
        RAISE EXCEPTION 'table % has no column "%" of type uuid', tenants, tenant_key
            USING ERRCODE = 'undefined_column',
                  HINT = format('SELECT eventlog.reference_tenants(%L, tenant_key => ''<column>'');', tenants);
    END IF;

    -- There is one tie at a time, so the former one goes, whichever table it was on.
    IF EXISTS (SELECT FROM pg_constraint
                WHERE conrelid = 'eventlog.events'::regclass AND conname = 'events_tenant_id_fkey') THEN
        ALTER TABLE eventlog.events DROP CONSTRAINT events_tenant_id_fkey;
    END IF;
    FOR former IN
        SELECT t.tgrelid FROM pg_trigger t
         WHERE t.tgname = 'eventlog_erase_tenant' AND t.tgfoid = 'eventlog.erase_tenant()'::regprocedure
    LOOP
        EXECUTE format('DROP TRIGGER eventlog_erase_tenant ON %s', former);
    END LOOP;

    IF method = 'foreign_key' THEN
        -- Checks the existing rows, under a lock that lets readers through.
        EXECUTE format('ALTER TABLE eventlog.events ADD CONSTRAINT events_tenant_id_fkey
                            FOREIGN KEY (tenant_id) REFERENCES %s (%I) ON DELETE CASCADE', tenants, tenant_key);
    END IF;
    -- The foreign key gets the trigger too, since it deletes events only.
    IF method <> 'none' THEN
        PERFORM eventlog._make_erase_trigger(tenants, tenant_key);
    END IF;
    PERFORM eventlog._note_tenants(tenants, method, tenant_key);
END
$$;

COMMENT ON FUNCTION eventlog.reference_tenants(regclass, text, name) IS
'Ties the log to a table of tenants, so that deleting a tenant erases its data: foreign_key (a tenant must exist, checked for each insert), trigger (inserts cost nothing), or none (unties).';

-- Returns the table of tenants if it lacks its trigger, which DROP EXTENSION … CASCADE drops. Stores the
-- table's oid, which differs after a restore.
CREATE FUNCTION eventlog_private.tenants_without_trigger() RETURNS TABLE (tenants regclass, tenant_key name)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    config eventlog.log_config;
BEGIN
    SELECT * INTO STRICT config FROM eventlog.log_config;
    tenants := eventlog_private.tenants_relation();
    IF config.tenants_method IS NULL OR tenants IS NULL THEN
        RETURN;
    END IF;
    IF NOT EXISTS (SELECT FROM eventlog.tenants_reference r
                    WHERE r.tenants = tenants_without_trigger.tenants AND r.database_name = eventlog_private.this_database()) THEN
        PERFORM eventlog_private.note_tenants(tenants, config.tenants_method, config.tenants_key);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = tenants AND tgname = 'eventlog_erase_tenant') THEN
        tenant_key := config.tenants_key;
        RETURN NEXT;
    END IF;
END
$$;

CREATE FUNCTION eventlog._tenants_without_trigger() RETURNS TABLE (tenants regclass, tenant_key name)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

-- Runs as the caller, who may create a trigger on that table.
CREATE FUNCTION eventlog._make_erase_trigger(tenants regclass, tenant_key name) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER eventlog_erase_tenant AFTER DELETE ON %s
                        FOR EACH ROW EXECUTE FUNCTION eventlog.erase_tenant(%L)', tenants, tenant_key);
END
$$;
