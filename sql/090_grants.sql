-- What a role may do with the log. Roles are the DBA's own; sql/roles.sql offers three.

-- 55000 without a log, 22004 without a role, 42501 for a caller without the rights of the log's
-- owner: PostgreSQL itself would only warn that nothing was granted.
CREATE FUNCTION eventlog._require_owner(role regrole) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    owner regrole;
BEGIN
    PERFORM eventlog._require_log();
    IF role IS NULL THEN
        RAISE EXCEPTION 'role must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    owner := (SELECT relowner FROM pg_class WHERE oid = 'eventlog.events'::regclass);
    IF NOT pg_has_role(current_user, owner, 'USAGE') THEN
        RAISE EXCEPTION 'permission denied: the log belongs to %', owner
            USING ERRCODE = 'insufficient_privilege', HINT = format('SET ROLE %s;', owner);
    END IF;
END
$$;

-- True, said by the extension: a service's policies go with it, and leave the log closed.
CREATE FUNCTION eventlog.any_tenant() RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS 'SELECT true';

COMMENT ON FUNCTION eventlog.any_tenant() IS
'The condition of the policies of service roles: true for every row.';

-- The tables that a reader may read, under their policies, with the layout that each came with.
CREATE FUNCTION eventlog_private.reader_tables() RETURNS TABLE (table_name name, layout integer)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    VALUES ('events'::name, 1), ('rejected_events', 1), ('hygiene_counts', 1), ('event_types', 1), ('log_config', 1),
           ('rollup_state', 2), ('late_events', 2), ('hourly_counts', 2), ('daily_counts', 2), ('daily_subjects', 2),
           ('monthly_actors', 2)
$$;

-- In layout 1 services were listed by name. Those that the policies know get their mark; a name that
-- they do not know is of a role that is gone, or was dropped and made again.
CREATE FUNCTION eventlog_private.mark_services() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    service regrole;
BEGIN
    FOR service IN
        SELECT DISTINCT r.role::regrole FROM pg_policy p, unnest(p.polroles) AS r (role)
         WHERE p.polrelid = 'eventlog.events'::regclass AND p.polname = 'events_service_insert' AND r.role <> 0
    LOOP
        EXECUTE format('GRANT REFERENCES (service_roles) ON TABLE eventlog.log_config TO %s', service);
    END LOOP;
END
$$;

-- What a kind of role may do with the tables, as the log's owner.
CREATE FUNCTION eventlog_private.grant_tables(kind text, role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF coalesce(eventlog._log_layout(), 1) < 2 THEN
        PERFORM eventlog_private.mark_services();
    END IF;
    IF kind IN ('writer', 'service', 'gateway') THEN
        -- id and created_at are left out: they are the server's.
        EXECUTE format('GRANT INSERT (tenant_id, name, data, occurred_at, actor, subject, weight)
                            ON TABLE eventlog.events TO %s', role);
        EXECUTE format('GRANT SELECT ON TABLE eventlog.event_types TO %s', role);
        PERFORM eventlog_private.mark_writer(role);
    END IF;
    IF kind IN ('reader', 'service', 'gateway') THEN
        EXECUTE (SELECT format('GRANT SELECT ON TABLE %s TO %s', string_agg(format('eventlog.%I', t.table_name), ', '), role)
                   FROM eventlog_private.reader_tables() t WHERE t.layout <= coalesce(eventlog._log_layout(), 1));
    END IF;
    IF kind = 'gateway' THEN
        IF to_regclass('eventlog.api_keys') IS NULL THEN
            RAISE EXCEPTION 'the log has no api_keys'
                USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'SELECT eventlog.migrate_log();';
        END IF;
        -- What judging a key needs. Not when it was last used: that would take a right to write here.
        EXECUTE format('GRANT SELECT (id, tenant_id, kind, event_names, secret_hash, rate_limit, expires_at, revoked_at,
                                      actor, no_actor)
                            ON TABLE eventlog.api_keys TO %s', role);
    END IF;
    IF kind IN ('service', 'gateway') THEN
        -- The mark of a service, which lets it do nothing by itself (marked_roles).
        EXECUTE format('GRANT REFERENCES (service_roles) ON TABLE eventlog.log_config TO %s', role);
        PERFORM eventlog_private.apply_policies();
    END IF;
END
$$;

CREATE FUNCTION eventlog._grant_tables(kind text, role regrole) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

-- USAGE of the schema is granted as the caller, who may be a superuser where the log's owner has no
-- right to pass it on.
CREATE FUNCTION eventlog._grant(kind text, role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog._require_owner(role);
    EXECUTE format('GRANT USAGE ON SCHEMA eventlog TO %s', role);
    PERFORM eventlog._grant_tables(kind, role);
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

CREATE FUNCTION eventlog.grant_writer(role regrole) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT eventlog._grant('writer', role) $$;

COMMENT ON FUNCTION eventlog.grant_writer(regrole) IS
'Lets a role log events of its own tenant, and read none.';

CREATE FUNCTION eventlog.grant_reader(role regrole) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT eventlog._grant('reader', role) $$;

COMMENT ON FUNCTION eventlog.grant_reader(regrole) IS
'Lets a role read the events and the quarantine of its own tenant.';

CREATE FUNCTION eventlog.grant_service(role regrole) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT eventlog._grant('service', role) $$;

COMMENT ON FUNCTION eventlog.grant_service(regrole) IS
'Lets a role log and read the events of every tenant.';

CREATE FUNCTION eventlog.grant_gateway(role regrole) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT eventlog._grant('gateway', role) $$;

COMMENT ON FUNCTION eventlog.grant_gateway(regrole) IS
'For the role of eventlog serve: lets it log events of every tenant, read what its connection''s tenant may read, and look up API keys, of which only hashes are kept.';

-- As the log's owner.
CREATE FUNCTION eventlog_private.revoke_tables(role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    table_name name;
BEGIN
    IF coalesce(eventlog._log_layout(), 1) < 2 THEN
        PERFORM eventlog_private.mark_services();
    END IF;
    -- REVOKE of a table takes the grants on its columns, and so the marks of services and gateways.
    FOR table_name IN
        SELECT t.table_name FROM eventlog_private.tables() t WHERE to_regclass(format('eventlog.%I', t.table_name)) IS NOT NULL
    LOOP
        EXECUTE format('REVOKE ALL ON TABLE eventlog.%I FROM %s', table_name, role);
    END LOOP;
    PERFORM eventlog_private.apply_policies();
    IF EXISTS (SELECT FROM pg_namespace n, aclexplode(n.nspacl) acl
                WHERE n.nspname = 'eventlog' AND acl.grantee = role::oid AND acl.grantor = current_user::regrole::oid) THEN
        EXECUTE format('REVOKE ALL ON SCHEMA eventlog FROM %s', role);
    END IF;
END
$$;

CREATE FUNCTION eventlog._revoke_tables(role regrole) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

CREATE FUNCTION eventlog.revoke_role(role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog._require_owner(role);
    PERFORM eventlog._revoke_tables(role);
    -- USAGE of the schema may have been granted by its owner and by the log's: a REVOKE takes back only
    -- what its own role granted.
    IF EXISTS (SELECT FROM pg_namespace n, aclexplode(n.nspacl) acl
                WHERE n.nspname = 'eventlog' AND acl.grantee = role::oid AND acl.grantor = n.nspowner
                  AND pg_has_role(n.nspowner, 'USAGE')) THEN
        EXECUTE format('REVOKE ALL ON SCHEMA eventlog FROM %s', role);
    END IF;
END
$$;

COMMENT ON FUNCTION eventlog.revoke_role(regrole) IS
'Takes back what grant_writer, grant_reader, grant_service and grant_gateway gave a role.';
