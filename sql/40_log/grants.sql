-- Grants to the roles of applications. Roles are the DBA's own; sql/optional/roles.sql creates three.

-- Layout 1 listed services by name. This marks the roles that the policies name. A listed role that no
-- policy names was dropped; a role of that name now is another one.
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

-- Grants the privileges of a kind of role on the tables, as the log's owner.
CREATE FUNCTION eventlog_private.grant_tables(kind text, role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF coalesce(eventlog._log_layout(), 1) < 2 THEN
        PERFORM eventlog_private.mark_services();
    END IF;
    IF kind IN ('writer', 'service', 'gateway') THEN
        -- Not id and created_at: the server sets them.
        EXECUTE (SELECT format('GRANT INSERT (%s) ON TABLE eventlog.events TO %s', string_agg(quote_ident(c.name), ', '), role)
                   FROM eventlog_private.event_columns() c WHERE c.is_writable);
        EXECUTE format('GRANT SELECT ON TABLE eventlog.event_types TO %s', role);
        PERFORM eventlog_private.mark_writer(role);
    END IF;
    IF kind IN ('reader', 'service', 'gateway') THEN
        EXECUTE (SELECT format('GRANT SELECT ON TABLE %s TO %s', string_agg(format('eventlog.%I', t.table_name), ', '), role)
                   FROM eventlog_private.relations() t
                  WHERE t.readers_see IS NOT NULL AND t.layout <= coalesce(eventlog._log_layout(), 1));
    END IF;
    IF kind = 'webhooks' THEN
        IF to_regclass('eventlog.webhooks') IS NULL THEN
            RAISE EXCEPTION 'the log has no webhooks'
                USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'SELECT eventlog.migrate_log();';
        END IF;
        -- Marks the role, as for services below.
        EXECUTE format('GRANT REFERENCES (tenant_id) ON TABLE eventlog.webhooks TO %s', role);
        EXECUTE format('GRANT SELECT ON TABLE eventlog.webhooks, eventlog.webhook_retries, eventlog.webhook_deliveries, eventlog.consumer_losses,
                        eventlog.delivery_looks, eventlog.event_types, eventlog.log_config TO %s', role);
    END IF;
    IF kind = 'gateway' THEN
        IF to_regclass('eventlog.api_keys') IS NULL THEN
            RAISE EXCEPTION 'the log has no api_keys'
                USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'SELECT eventlog.migrate_log();';
        END IF;
        EXECUTE (SELECT string_agg(format('GRANT SELECT (%s) ON TABLE eventlog.%I TO %s',
                                          array_to_string(g.columns, ', '), g.table_name, role), '; ')
                   FROM eventlog_private.gateway_columns() g);
    END IF;
    IF kind IN ('service', 'gateway') THEN
        -- Marks the role as a service (see marked_roles). The privilege itself is of no use to it.
        EXECUTE format('GRANT REFERENCES (service_roles) ON TABLE eventlog.log_config TO %s', role);
        PERFORM eventlog_private.apply_policies();
    END IF;
END
$$;

CREATE FUNCTION eventlog._grant_tables(kind text, role regrole) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

-- Grants USAGE of the schema as the caller, who may be a superuser: the log's owner may lack the right to
-- grant it.
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

CREATE FUNCTION eventlog.grant_writer(role regrole) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT eventlog._grant('writer', role) $$;

COMMENT ON FUNCTION eventlog.grant_writer(regrole) IS
'Lets a role log events of its own tenant. It cannot read any.';

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
'Prepares the role of eventlog serve: lets it log events of every tenant, read as the tenant of its connection, and look up API keys (only their hashes are stored), make and end sessions and share links.';

CREATE FUNCTION eventlog.grant_webhooks(role regrole) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT eventlog._grant('webhooks', role) $$;

COMMENT ON FUNCTION eventlog.grant_webhooks(regrole) IS
'Lets a role create and manage webhooks of its own tenant, which get the tenant''s events. Services may do that for every tenant.';

-- Revokes the privileges on the tables, as the log's owner.
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
    -- Revoking from a table also revokes from its columns, and with them the marks of services and
    -- gateways.
    FOR table_name IN
        SELECT t.table_name FROM eventlog_private.relations() t WHERE to_regclass(format('eventlog.%I', t.table_name)) IS NOT NULL
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
    -- Both the owner of the schema and the log's owner may have granted USAGE. A REVOKE only takes back
    -- what the revoking role granted.
    IF EXISTS (SELECT FROM pg_namespace n, aclexplode(n.nspacl) acl
                WHERE n.nspname = 'eventlog' AND acl.grantee = role::oid AND acl.grantor = n.nspowner
                  AND pg_has_role(n.nspowner, 'USAGE')) THEN
        EXECUTE format('REVOKE ALL ON SCHEMA eventlog FROM %s', role);
    END IF;
END
$$;

COMMENT ON FUNCTION eventlog.revoke_role(regrole) IS
'Revokes from a role everything that grant_writer, grant_reader, grant_service, grant_gateway and grant_webhooks granted.';
