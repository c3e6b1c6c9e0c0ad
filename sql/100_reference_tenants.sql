-- The tie between the log and the application's own table of tenants, where one is wanted.

CREATE FUNCTION eventlog.erase_tenant() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'erase_tenant_wrapper';

COMMENT ON FUNCTION eventlog.erase_tenant() IS
'Trigger on a table of tenants: erases a tenant that is deleted, as forget_tenant() does but in one transaction and without a receipt, as the log''s owner. Its argument is the tenant''s key column.';

CREATE FUNCTION eventlog_private.make_erase_trigger(tenants regclass, tenant_key name) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER eventlog_erase_tenant AFTER DELETE ON %s
                        FOR EACH ROW EXECUTE FUNCTION eventlog.erase_tenant(%L)', tenants, tenant_key);
END
$$;

-- This database, as tenants_oid means it.
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
    -- A log of layout 1 does not have these.
    IF eventlog._log_layout() >= 2 THEN
        UPDATE eventlog.log_config c SET
            tenants_oid      = CASE WHEN method <> 'none' THEN tenants::oid END,
            tenants_database = CASE WHEN method <> 'none' THEN eventlog_private.this_database() END;
    END IF;
END
$$;

CREATE FUNCTION eventlog._note_tenants(tenants regclass, method text, tenant_key name) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

-- The table of tenants: the one that was named, not one that was made later under its name. In a restore
-- the name counts, until create_log() has noted the table anew.
CREATE FUNCTION eventlog_private.tenants_relation() RETURNS regclass
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT CASE WHEN c.j ->> 'tenants_database' = eventlog_private.this_database()
                        THEN (SELECT t.oid FROM pg_class t WHERE t.oid = (c.j ->> 'tenants_oid')::oid)
                        ELSE to_regclass(c.j ->> 'tenants_table') END
              FROM (SELECT to_jsonb(l) AS j FROM eventlog.log_config l) c);
END
$$;

-- What the library asks before the trigger erases: whether it is on the table of tenants, or a partition
-- of it, and for its key.
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

    -- One tie at a time: the former one goes, of whatever table it was.
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
        -- Checks the rows that are there, under a lock that lets readers through.
        EXECUTE format('ALTER TABLE eventlog.events ADD CONSTRAINT events_tenant_id_fkey
                            FOREIGN KEY (tenant_id) REFERENCES %s (%I) ON DELETE CASCADE', tenants, tenant_key);
    END IF;
    -- With the foreign key too, which takes the events only.
    IF method <> 'none' THEN
        PERFORM eventlog_private.make_erase_trigger(tenants, tenant_key);
    END IF;
    PERFORM eventlog._note_tenants(tenants, method, tenant_key);
END
$$;

COMMENT ON FUNCTION eventlog.reference_tenants(regclass, text, name) IS
'Ties the log to a table of tenants, so that deleting a tenant erases it: foreign_key (a tenant must exist; each insert pays for the check), trigger (inserts pay nothing), or none (unties).';

-- After DROP EXTENSION … CASCADE the trigger is gone, and create_log() puts it back.
CREATE FUNCTION eventlog_private.ensure_tenants() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    config  eventlog.log_config;
    tenants regclass;
BEGIN
    SELECT * INTO STRICT config FROM eventlog.log_config;
    tenants := eventlog_private.tenants_relation();
    IF config.tenants_method IS NOT NULL AND tenants IS NOT NULL THEN
        PERFORM eventlog_private.note_tenants(tenants, config.tenants_method, config.tenants_key);
    END IF;
    IF config.tenants_method IS NOT NULL AND tenants IS NOT NULL AND NOT EXISTS (
        SELECT FROM pg_trigger WHERE tgrelid = tenants AND tgname = 'eventlog_erase_tenant')
    THEN
        PERFORM eventlog_private.make_erase_trigger(tenants, config.tenants_key);
    END IF;
END
$$;
