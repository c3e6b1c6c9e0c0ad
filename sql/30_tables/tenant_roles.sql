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
        'The tenant of each database role, used while eventlog.tenant_source is role. The log''s owner changes it.';
    COMMENT ON COLUMN eventlog.tenant_roles.role_name IS 'Name of the role when the row was created; it must be the current role when the log is used.';
    COMMENT ON COLUMN eventlog.tenant_roles.tenant_id IS 'The tenant of the role.';
    COMMENT ON COLUMN eventlog.tenant_roles.role_oid IS 'Oid of the role, set by a trigger: a role created later under the same name is another one.';
    COMMENT ON COLUMN eventlog.tenant_roles.cluster IS 'System identifier of the server of role_oid. On another server the name counts, if the role existed when the dump was made.';
END
$$;

-- Records which role a new or changed row of tenant_roles names. The role gets a privilege that is of no
-- use to it: it is dropped with the role, so that a role created later under the same name gets no tenant,
-- not even in a restored database.
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
    -- A row from a dump has both already.
    IF TG_OP = 'UPDATE' OR NEW.role_oid IS NULL OR NEW.cluster IS NULL THEN
        -- An existing row with this name is of a role that was renamed or dropped.
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
            RAISE WARNING 'role "%" does not exist, so its row has no effect', NEW.role_name
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
'Trigger of tenant_roles: records the oid of the named role.';
