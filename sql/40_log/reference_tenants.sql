-- Tying the log to the application's own table of tenants, so that deleting a tenant erases its events.

-- Identifies this database, as stored in tenants_reference.
CREATE FUNCTION eventlog_private.this_database() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('%s/%s', s.system_identifier, d.oid) FROM pg_control_system() s, pg_database d WHERE d.datname = current_database()
$$;

CREATE FUNCTION eventlog_private.note_tenants(tenants regclass, method text, tenant_key name, name_column name) RETURNS void
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
        INSERT INTO eventlog.tenants_reference (tenants, database_name, name_column)
        SELECT note_tenants.tenants, eventlog_private.this_database(), note_tenants.name_column WHERE method <> 'none';
    END IF;
END
$$;

CREATE FUNCTION eventlog._note_tenants(tenants regclass, method text, tenant_key name, name_column name) RETURNS void
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

-- The same for the trigger that keeps names.
CREATE FUNCTION eventlog_private.is_table_of_names(relation oid, tenant_key text, name_column text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT eventlog_private.is_table_of_tenants(relation, tenant_key)
           AND coalesce((SELECT r.name_column = is_table_of_names.name_column FROM eventlog.tenants_reference r), false)
$$;

-- Refuses a column that cannot be the name of a tenant: one whose values are not plain text, since casting
-- another type may call a function of its owner. And a table that is none.
CREATE FUNCTION eventlog._check_name_column(tenants regclass, name_column name) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    hint constant text := format('SELECT eventlog.reference_tenants(%L, name_column => ''<column>'');', tenants);
    base oid;
BEGIN
    PERFORM eventlog._require_layout(2);
    IF (SELECT c.relkind FROM pg_class c WHERE c.oid = tenants) NOT IN ('r', 'p') THEN
        RAISE EXCEPTION '% is not a table', tenants USING ERRCODE = 'wrong_object_type';
    END IF;
    base := (SELECT a.atttypid FROM pg_attribute a
              WHERE a.attrelid = tenants AND a.attname = name_column AND a.attnum > 0 AND NOT a.attisdropped);
    IF base IS NULL THEN
        RAISE EXCEPTION 'table % has no column "%"', tenants, name_column USING ERRCODE = 'undefined_column', HINT = hint;
    END IF;
    WHILE (SELECT t.typtype FROM pg_type t WHERE t.oid = base) = 'd' LOOP
        base := (SELECT t.typbasetype FROM pg_type t WHERE t.oid = base);
    END LOOP;
    IF base NOT IN ('text'::regtype, 'character varying'::regtype, 'character'::regtype) THEN
        RAISE EXCEPTION 'column "%" of table % is %, not text', name_column, tenants, format_type(base, NULL)
            USING ERRCODE = 'datatype_mismatch', HINT = hint;
    END IF;
END
$$;

-- Copies the names that the table has now. Runs as the caller, who owns the table or is a superuser: then
-- its policies do not apply, and no code of anybody else runs. (Later names come by a trigger, from the rows
-- that the application writes, so nobody reads the table again.)
CREATE FUNCTION eventlog._copy_names(tenants regclass, tenant_key name, name_column name) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    batch record;
BEGIN
    FOR batch IN EXECUTE format(
        'SELECT array_agg(t.id) AS ids, array_agg(t.name) AS names
           FROM (SELECT %I AS id, left(%I::text, 1000) AS name, row_number() OVER () / 1000 AS part
                   FROM %s WHERE %1$I IS NOT NULL) t GROUP BY t.part', tenant_key, name_column, tenants)
    LOOP
        PERFORM eventlog._note_names(batch.ids, batch.names);
    END LOOP;
END
$$;

CREATE FUNCTION eventlog.reference_tenants(
    tenants     regclass,
    method      text DEFAULT 'trigger',
    tenant_key  name DEFAULT 'id',
    name_column name DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    former record;
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
    IF method <> 'none' AND name_column IS NOT NULL THEN
        PERFORM eventlog._check_name_column(tenants, name_column);
    END IF;

    -- There is one tie at a time, so the former one goes, whichever table it was on.
    IF EXISTS (SELECT FROM pg_constraint
                WHERE conrelid = 'eventlog.events'::regclass AND conname = 'events_tenant_id_fkey') THEN
        ALTER TABLE eventlog.events DROP CONSTRAINT events_tenant_id_fkey;
    END IF;
    FOR former IN
        SELECT t.tgrelid, t.tgname FROM pg_trigger t
         WHERE (t.tgname = 'eventlog_erase_tenant' AND t.tgfoid = 'eventlog.erase_tenant()'::regprocedure
                OR t.tgname = 'eventlog_name_tenant' AND t.tgfoid = 'eventlog.name_tenant()'::regprocedure)
           AND t.tgparentid = 0
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', former.tgname, former.tgrelid::regclass);
    END LOOP;

    IF method = 'foreign_key' THEN
        -- Checks the existing rows, under a lock that lets readers through.
        EXECUTE format('ALTER TABLE eventlog.events ADD CONSTRAINT events_tenant_id_fkey
                            FOREIGN KEY (tenant_id) REFERENCES %s (%I) ON DELETE CASCADE', tenants, tenant_key);
    END IF;
    -- The foreign key gets the trigger too, since it deletes events only.
    IF method <> 'none' THEN
        PERFORM eventlog._note_tenants(tenants, method, tenant_key, name_column);
        PERFORM eventlog._make_tenant_triggers(tenants, tenant_key, name_column);
    ELSE
        PERFORM eventlog._note_tenants(tenants, method, tenant_key, NULL);
    END IF;
END
$$;

COMMENT ON FUNCTION eventlog.reference_tenants(regclass, text, name, name) IS
'Ties the log to a table of tenants, so that deleting a tenant erases its data: foreign_key (a tenant must exist, checked for each insert), trigger (inserts cost nothing), or none (unties). With name_column, the log keeps the names of tenants from that column: those of now, and each new or changed one.';

-- Returns the table of tenants if it lacks a trigger, which DROP EXTENSION … CASCADE drops. Stores the
-- table's oid, which differs after a restore.
CREATE FUNCTION eventlog_private.tenants_without_trigger() RETURNS TABLE (tenants regclass, tenant_key name, name_column name)
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
    tenant_key := config.tenants_key;
    -- The column goes if the table lost it.
    name_column := (SELECT a.attname FROM eventlog.tenants_reference r
                      JOIN pg_attribute a ON a.attrelid = tenants_without_trigger.tenants AND a.attname = r.name_column
                     WHERE a.attnum > 0 AND NOT a.attisdropped);
    IF NOT EXISTS (SELECT FROM eventlog.tenants_reference r
                    WHERE r.tenants = tenants_without_trigger.tenants AND r.database_name = eventlog_private.this_database()) THEN
        PERFORM eventlog_private.note_tenants(tenants, config.tenants_method, tenant_key, name_column);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = tenants AND tgname = 'eventlog_erase_tenant')
       OR name_column IS NOT NULL
          AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = tenants AND tgname = 'eventlog_name_tenant') THEN
        RETURN NEXT;
    END IF;
END
$$;

CREATE FUNCTION eventlog._tenants_without_trigger() RETURNS TABLE (tenants regclass, tenant_key name, name_column name)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

-- Makes the triggers that the table of tenants lacks. Runs as the caller, who may create a trigger on that
-- table.
CREATE FUNCTION eventlog._make_tenant_triggers(tenants regclass, tenant_key name, name_column name) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = tenants AND tgname = 'eventlog_erase_tenant') THEN
        EXECUTE format('CREATE TRIGGER eventlog_erase_tenant AFTER DELETE ON %s
                            FOR EACH ROW EXECUTE FUNCTION eventlog.erase_tenant(%L)', tenants, tenant_key);
    END IF;
    IF name_column IS NOT NULL
       AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = tenants AND tgname = 'eventlog_name_tenant') THEN
        EXECUTE format('CREATE TRIGGER eventlog_name_tenant AFTER INSERT OR UPDATE ON %s
                            FOR EACH ROW EXECUTE FUNCTION eventlog.name_tenant(%L, %L)', tenants, tenant_key, name_column);
        PERFORM eventlog._copy_names(tenants, tenant_key, name_column);
    END IF;
END
$$;
