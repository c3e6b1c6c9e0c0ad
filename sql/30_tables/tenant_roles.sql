-- The tenant of each database role.

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
