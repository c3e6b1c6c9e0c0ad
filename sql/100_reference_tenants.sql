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
    UPDATE eventlog.log_config c SET
        tenants_table  = CASE WHEN method <> 'none' THEN (
            SELECT format('%I.%I', n.nspname, t.relname)
              FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace WHERE t.oid = tenants) END,
        tenants_method = nullif(method, 'none'),
        tenants_key    = CASE WHEN method <> 'none' THEN tenant_key END;
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
    tenants := to_regclass(config.tenants_table);
    IF config.tenants_method IS NOT NULL AND tenants IS NOT NULL AND NOT EXISTS (
        SELECT FROM pg_trigger WHERE tgrelid = tenants AND tgname = 'eventlog_erase_tenant')
    THEN
        PERFORM eventlog_private.make_erase_trigger(tenants, config.tenants_key);
    END IF;
END
$$;
