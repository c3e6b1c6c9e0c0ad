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

CREATE FUNCTION eventlog.grant_writer(role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog._require_owner(role);
    EXECUTE format('GRANT USAGE ON SCHEMA eventlog TO %s', role);
    -- id and created_at are left out: they are the server's.
    EXECUTE format('GRANT INSERT (tenant_id, name, data, occurred_at, actor, subject, weight)
                        ON TABLE eventlog.events TO %s', role);
    EXECUTE format('GRANT SELECT ON TABLE eventlog.event_types TO %s', role);
END
$$;

COMMENT ON FUNCTION eventlog.grant_writer(regrole) IS
'Lets a role log events of its own tenant, and read none.';

-- The tables that a reader may read, under their policies, with the layout that each came with.
CREATE FUNCTION eventlog_private.reader_tables() RETURNS TABLE (table_name name, layout integer)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    VALUES ('events'::name, 1), ('rejected_events', 1), ('hygiene_counts', 1), ('event_types', 1), ('log_config', 1),
           ('rollup_state', 2), ('late_events', 2), ('hourly_counts', 2), ('daily_counts', 2), ('daily_subjects', 2),
           ('monthly_actors', 2)
$$;

CREATE FUNCTION eventlog.grant_reader(role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog._require_owner(role);
    EXECUTE format('GRANT USAGE ON SCHEMA eventlog TO %s', role);
    EXECUTE (SELECT format('GRANT SELECT ON TABLE %s TO %s', string_agg(format('eventlog.%I', t.table_name), ', '), role)
               FROM eventlog_private.reader_tables() t WHERE t.layout <= coalesce(eventlog._log_layout(), 1));
END
$$;

COMMENT ON FUNCTION eventlog.grant_reader(regrole) IS
'Lets a role read the events and the quarantine of its own tenant.';

CREATE FUNCTION eventlog.grant_service(role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog.grant_writer(role);
    PERFORM eventlog.grant_reader(role);
    UPDATE eventlog.log_config SET service_roles = service_roles || role::text
     WHERE role::text <> ALL (service_roles);
    PERFORM eventlog_private.ensure_services();
END
$$;

COMMENT ON FUNCTION eventlog.grant_service(regrole) IS
'Lets a role log and read the events of every tenant.';

-- Makes the policies of service roles as log_config lists the roles; create_log() calls it too,
-- since DROP EXTENSION … CASCADE takes them. A role that was dropped is left out.
CREATE FUNCTION eventlog_private.ensure_services() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted oid[] := (SELECT array_agg(to_regrole(s.r)::oid ORDER BY s.n) FROM eventlog.log_config c,
                            unnest(c.service_roles) WITH ORDINALITY AS s (r, n) WHERE to_regrole(s.r) IS NOT NULL);
    roles  text  := (SELECT string_agg(w.r::regrole::text, ', ' ORDER BY w.n)
                       FROM unnest(wanted) WITH ORDINALITY AS w (r, n));
    policy record;
BEGIN
    FOR policy IN
        SELECT p.*, (SELECT polroles FROM pg_policy WHERE polrelid = p.relation AND polname = p.name) AS has
          FROM (SELECT format('eventlog.%I', t)::regclass, t || '_service_select', 'FOR SELECT', 'USING (eventlog.any_tenant())'
                  FROM eventlog_private.tenants_tables() t WHERE to_regclass(format('eventlog.%I', t)) IS NOT NULL
                 UNION ALL
                VALUES ('eventlog.events'::regclass, 'events_service_insert', 'FOR INSERT', 'WITH CHECK (eventlog.any_tenant())')
        ) AS p (relation, name, command, condition)
    LOOP
        IF policy.has IS NOT NULL AND wanted IS NULL THEN
            EXECUTE format('DROP POLICY %I ON %s', policy.name, policy.relation);
        ELSIF policy.has IS NOT NULL AND NOT (policy.has @> wanted AND wanted @> policy.has) THEN
            EXECUTE format('ALTER POLICY %I ON %s TO %s', policy.name, policy.relation, roles);
        ELSIF policy.has IS NULL AND wanted IS NOT NULL THEN
            EXECUTE format('CREATE POLICY %I ON %s %s TO %s %s', policy.name, policy.relation, policy.command,
                           roles, policy.condition);
        END IF;
    END LOOP;
    PERFORM eventlog_private.ensure_gateways();
END
$$;

CREATE FUNCTION eventlog.revoke_role(role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    table_name name;
    grantor    regrole;
    caller     text := current_setting('role');
BEGIN
    PERFORM eventlog._require_owner(role);
    UPDATE eventlog.log_config SET service_roles = array_remove(service_roles, role::text)
     WHERE role::text = ANY (service_roles);
    PERFORM eventlog_private.ensure_services();
    FOR table_name IN
        SELECT t.table_name FROM eventlog_private.tables() t WHERE to_regclass(format('eventlog.%I', t.table_name)) IS NOT NULL
    LOOP
        EXECUTE format('REVOKE ALL ON TABLE eventlog.%I FROM %s', table_name, role);
    END LOOP;
    PERFORM eventlog_private.ensure_gateways();
    -- USAGE of the schema may have been granted by its owner and by the log's: a REVOKE takes back
    -- only what its own role granted.
    FOR grantor IN
        SELECT DISTINCT acl.grantor FROM pg_namespace n, aclexplode(n.nspacl) acl
         WHERE n.nspname = 'eventlog' AND acl.grantee = role::oid AND pg_has_role(acl.grantor, 'MEMBER')
    LOOP
        EXECUTE format('SET LOCAL ROLE %s', grantor);
        EXECUTE format('REVOKE ALL ON SCHEMA eventlog FROM %s', role);
        EXECUTE format('SET LOCAL ROLE %s', CASE caller WHEN 'none' THEN 'none' ELSE quote_ident(caller) END);
    END LOOP;
END
$$;

COMMENT ON FUNCTION eventlog.revoke_role(regrole) IS
'Takes back what grant_writer, grant_reader, grant_service and grant_gateway gave a role.';
