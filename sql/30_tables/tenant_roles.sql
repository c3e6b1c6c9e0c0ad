-- The tenant of each database role.

CREATE FUNCTION eventlog_private.create_tenant_roles() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('tenant_roles') THEN
        CREATE TABLE eventlog.tenant_roles (
            role_name name CONSTRAINT tenant_roles_pkey PRIMARY KEY,
            tenant_id uuid NOT NULL
        );
        PERFORM eventlog_private.secure('eventlog.tenant_roles');
    END IF;
    -- Since layout 2.
    IF eventlog_private.lacks_column('tenant_roles', 'role_oid', 'oid') THEN
        ALTER TABLE eventlog.tenant_roles ADD COLUMN role_oid oid, ADD COLUMN cluster bigint;
    END IF;
    COMMENT ON TABLE eventlog.tenant_roles IS
        'The tenant of each database role, where eventlog.tenant_source is role. The owner''s to change.';
    COMMENT ON COLUMN eventlog.tenant_roles.role_name IS 'The role that is current when the log is used, by its name when the row was made.';
    COMMENT ON COLUMN eventlog.tenant_roles.tenant_id IS 'Its tenant.';
    COMMENT ON COLUMN eventlog.tenant_roles.role_oid IS 'The role itself, which a trigger sets: a role that is made later under the same name is another.';
    COMMENT ON COLUMN eventlog.tenant_roles.cluster IS 'System identifier of the server that role_oid is of; on another one the name counts, of a role that was there when the dump was made.';
END
$$;

-- The role that a row of tenant_roles names, as it is when the row is made. Its grant, which lets it do
-- nothing, is what a role has that was there: it goes with the role, so that one that is made later
-- under the same name gets no tenant, in a restore neither.
CREATE FUNCTION eventlog.tenant_role_named() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_RELID <> to_regclass('eventlog.tenant_roles') THEN
        RAISE EXCEPTION 'tenant_role_named() is for eventlog.tenant_roles only'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.role_name = OLD.role_name AND NEW.role_oid IS NOT DISTINCT FROM OLD.role_oid
       AND OLD.role_oid IS NOT NULL THEN
        RETURN NEW;
    END IF;
    -- A row of a dump brings both along.
    IF TG_OP = 'UPDATE' OR NEW.role_oid IS NULL OR NEW.cluster IS NULL THEN
        -- The row that has the name: of a role that has another name by now, or is gone.
        UPDATE eventlog.tenant_roles t SET role_name = r.rolname FROM pg_roles r
         WHERE TG_OP = 'INSERT' AND t.role_name = NEW.role_name AND t.role_oid = r.oid AND r.rolname <> t.role_name
           AND t.cluster = (SELECT system_identifier FROM pg_control_system());
        DELETE FROM eventlog.tenant_roles t
         WHERE TG_OP = 'INSERT' AND t.role_name = NEW.role_name AND t.role_oid IS NOT NULL
           AND t.cluster = (SELECT system_identifier FROM pg_control_system())
           AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = t.role_oid);
        NEW.role_oid := to_regrole(quote_ident(NEW.role_name));
        NEW.cluster := (SELECT system_identifier FROM pg_control_system());
        IF NEW.role_oid IS NULL THEN
            RAISE WARNING 'role "%" does not exist: its row counts for nobody', NEW.role_name
                USING HINT = format('CREATE ROLE %I; then UPDATE eventlog.tenant_roles SET role_name = role_name WHERE role_name = %L;',
                                    NEW.role_name, NEW.role_name);
        ELSE
            EXECUTE format('GRANT REFERENCES (tenant_id) ON TABLE eventlog.tenant_roles TO %I', NEW.role_name);
        END IF;
    END IF;
    RETURN NEW;
END
$$;

COMMENT ON FUNCTION eventlog.tenant_role_named() IS
'Trigger of tenant_roles: notes which role the name is of.';
