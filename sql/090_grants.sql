-- What a role may do with the log. Roles are the DBA's own; sql/roles.sql offers three.

CREATE FUNCTION eventlog.grant_writer(role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog._require_log();
    EXECUTE format('GRANT USAGE ON SCHEMA eventlog TO %s', role);
    -- id and created_at are left out: they are the server's.
    EXECUTE format('GRANT INSERT (tenant_id, name, data, occurred_at, actor, subject, weight)
                        ON TABLE eventlog.events TO %s', role);
    EXECUTE format('GRANT SELECT ON TABLE eventlog.event_types TO %s', role);
END
$$;

COMMENT ON FUNCTION eventlog.grant_writer(regrole) IS
'Lets a role log events of its own tenant, and read none.';

CREATE FUNCTION eventlog.grant_reader(role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog._require_log();
    EXECUTE format('GRANT USAGE ON SCHEMA eventlog TO %s', role);
    EXECUTE format('GRANT SELECT ON TABLE eventlog.events, eventlog.rejected_events, eventlog.event_types,
                        eventlog.log_config TO %s', role);
END
$$;

COMMENT ON FUNCTION eventlog.grant_reader(regrole) IS
'Lets a role read the events and the quarantine of its own tenant.';

CREATE FUNCTION eventlog.grant_service(role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    policy record;
BEGIN
    PERFORM eventlog.grant_writer(role);
    PERFORM eventlog.grant_reader(role);
    FOR policy IN
        SELECT * FROM (VALUES
            ('eventlog.events'::regclass,          'events_service_select',          'FOR SELECT', 'USING (true)'),
            ('eventlog.events'::regclass,          'events_service_insert',          'FOR INSERT', 'WITH CHECK (true)'),
            ('eventlog.rejected_events'::regclass, 'rejected_events_service_select', 'FOR SELECT', 'USING (true)')
        ) AS p (relation, policy, command, condition)
    LOOP
        PERFORM eventlog._add_to_policy(policy.relation, policy.policy::name, policy.command, policy.condition, role);
    END LOOP;
END
$$;

COMMENT ON FUNCTION eventlog.grant_service(regrole) IS
'Lets a role log and read the events of every tenant.';

CREATE FUNCTION eventlog._add_to_policy(relation regclass, policy name, command text, condition text, role regrole)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    roles oid[] := (SELECT polroles FROM pg_policy WHERE polrelid = relation AND polname = policy);
BEGIN
    IF roles IS NULL THEN
        EXECUTE format('CREATE POLICY %I ON %s %s TO %s %s', policy, relation, command, role, condition);
    ELSIF NOT role::oid = ANY (roles) THEN
        EXECUTE format('ALTER POLICY %I ON %s TO %s', policy, relation,
            (SELECT string_agg(r::regrole::text, ', ') FROM unnest(roles || role::oid) AS r));
    END IF;
END
$$;

CREATE FUNCTION eventlog._remove_from_policies(role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    policy record;
BEGIN
    FOR policy IN
        SELECT p.polname, p.polrelid::regclass AS relation, array_remove(p.polroles, role::oid) AS roles
          FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
         WHERE c.relnamespace = 'eventlog'::regnamespace AND role::oid = ANY (p.polroles)
    LOOP
        IF policy.roles = '{}' THEN
            EXECUTE format('DROP POLICY %I ON %s', policy.polname, policy.relation);
        ELSE
            EXECUTE format('ALTER POLICY %I ON %s TO %s', policy.polname, policy.relation,
                (SELECT string_agg(r::regrole::text, ', ') FROM unnest(policy.roles) AS r));
        END IF;
    END LOOP;
END
$$;

CREATE FUNCTION eventlog.revoke_role(role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    table_name name;
BEGIN
    PERFORM eventlog._require_log();
    PERFORM eventlog._remove_from_policies(role);
    FOR table_name IN SELECT t.table_name FROM eventlog._tables() t LOOP
        EXECUTE format('REVOKE ALL ON TABLE eventlog.%I FROM %s', table_name, role);
    END LOOP;
    EXECUTE format('REVOKE ALL ON SCHEMA eventlog FROM %s', role);
END
$$;

COMMENT ON FUNCTION eventlog.revoke_role(regrole) IS
'Takes back what grant_writer, grant_reader and grant_service gave a role.';
