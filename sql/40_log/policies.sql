-- Who may see and write what. Every relation of the log has row-level security on; a relation
-- without a policy is its owner's alone. FORCE ROW LEVEL SECURITY is not used: the owner's own
-- pg_dump would fail.

-- True, said by the extension: a service's policies go with it, and leave the log closed.
CREATE FUNCTION eventlog.any_tenant() RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS 'SELECT true';

COMMENT ON FUNCTION eventlog.any_tenant() IS
'The condition of the policies of service roles: true for every row.';

-- Makes a policy, or makes it anew where it is not what it is to be. The conditions are written as
-- PostgreSQL prints them, so that they can be compared. Where `roles` is null the policy goes.
CREATE FUNCTION eventlog_private.ensure_policy(relation regclass, policy name, is_permissive boolean, command "char",
                                               using_text text, check_text text, roles oid[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    is_right boolean;
BEGIN
    SELECT p.polpermissive = is_permissive AND p.polcmd = command
           AND pg_get_expr(p.polqual, p.polrelid) IS NOT DISTINCT FROM using_text
           AND pg_get_expr(p.polwithcheck, p.polrelid) IS NOT DISTINCT FROM check_text
           AND p.polroles @> roles AND roles @> p.polroles INTO is_right
      FROM pg_policy p WHERE p.polrelid = relation AND p.polname = policy;
    IF FOUND AND is_right IS NOT TRUE THEN
        EXECUTE format('DROP POLICY %I ON %s', policy, relation);
    END IF;
    IF is_right IS NOT TRUE AND roles IS NOT NULL THEN
        EXECUTE format('CREATE POLICY %I ON %s AS %s FOR %s TO %s %s %s', policy, relation,
            CASE WHEN is_permissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
            CASE command WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' END,
            (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE r::regrole::text END, ', ' ORDER BY r) FROM unnest(roles) AS r),
            'USING (' || using_text || ')', 'WITH CHECK (' || check_text || ')');
    END IF;
END
$$;

-- Whether the caller may see an event: for the policy of late_events, whose own rows may not tell. With
-- a plan for each call, whose created_at is a constant: it opens one partition, not all.
CREATE FUNCTION eventlog.is_visible_event(id bigint, created_at timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM eventlog.events e
                    WHERE e.id = is_visible_event.id AND e.created_at = is_visible_event.created_at);
END
$$;

COMMENT ON FUNCTION eventlog.is_visible_event(bigint, timestamptz) IS
'Part of the policy of late_events: whether the caller may see the event.';

-- The roles that grant_service() made services, and those that may look API keys up. A grant on a
-- column says so, not a list of names: it goes with the role, follows a rename, and comes back in a
-- restore for a role that was there when the dump was made.
CREATE FUNCTION eventlog_private.marked_roles(table_name text, column_name name, privilege text) RETURNS oid[]
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT array_agg(DISTINCT acl.grantee) FROM pg_attribute a, aclexplode(a.attacl) acl
     WHERE a.attrelid = to_regclass(format('eventlog.%I', table_name)) AND a.attname = column_name
       AND acl.privilege_type = privilege AND acl.grantee <> 0
$$;

-- Every policy of the log as it has to be; a relation that has none is its owner's alone. No roles:
-- there must be no such policy.
CREATE FUNCTION eventlog_private.wanted_policies()
RETURNS TABLE (relation regclass, policy name, is_permissive boolean, command "char", using_text text, check_text text, roles oid[])
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT to_regclass(format('eventlog.%I', w.table_name)), w.table_name || w.suffix, w.is_permissive, w.command::"char",
           w.using_text, w.check_text, w.roles
      FROM (
        -- A tenant's role reads and inserts its own rows; nobody may update or delete.
        SELECT t.table_name, '_tenant_select' AS suffix, true AS is_permissive, 'r' AS command,
               -- The tenant of a plain INSERT of a service is not noted; the event itself tells.
               CASE t.table_name WHEN 'late_events'
                    THEN '((tenant_id = eventlog.current_tenant()) OR ((tenant_id IS NULL) AND eventlog.is_visible_event(id, created_at)))'
                    ELSE '(tenant_id = eventlog.current_tenant())' END AS using_text,
               NULL AS check_text, ARRAY[0]::oid[] AS roles
          FROM eventlog_private.tenants_tables() t (table_name)
        UNION ALL
        SELECT 'events', '_tenant_insert', true, 'a', NULL, '(tenant_id = eventlog.current_tenant())', ARRAY[0]::oid[]
        UNION ALL
        SELECT 'events', '_guard', false, 'a', NULL, 'eventlog.guard(id, name, data, actor, subject, weight, occurred_at, tenant_id)', ARRAY[0]::oid[]
        UNION ALL
        -- No tenant's data: everybody who was granted SELECT may read.
        SELECT o.table_name, '_select', true, 'r', 'true', NULL, ARRAY[0]::oid[]
          FROM (VALUES ('event_types'::name), ('log_config'), ('rollup_state')) AS o (table_name)
        UNION ALL
        -- Who was granted SELECT may look a key up, which is the gateway alone. The condition goes with
        -- the extension, and leaves the table closed; so do those of services.
        SELECT 'api_keys', '_select', true, 'r', 'eventlog.any_tenant()', NULL, ARRAY[0]::oid[]
        UNION ALL
        SELECT t.table_name, '_service_select', true, 'r', 'eventlog.any_tenant()', NULL,
               eventlog_private.marked_roles('log_config', 'service_roles', 'REFERENCES')
          FROM eventlog_private.tenants_tables() t (table_name)
        UNION ALL
        SELECT 'events', '_service_insert', true, 'a', NULL, 'eventlog.any_tenant()',
               eventlog_private.marked_roles('log_config', 'service_roles', 'REFERENCES')
        UNION ALL
        -- A gateway logs for every tenant, but reads as the tenant of a request's key: these stand
        -- beside and against those of the service that it is too. What it put into the quarantine has
        -- no caller's tenant, only the key's, which it names. The tenant is eventlog.tenant_id, whatever
        -- eventlog.tenant_source is for others: a gateway has no row in tenant_roles and no token, and
        -- a role that may read every tenant forges nothing by saying which one it means.
        SELECT t.table_name, '_gateway_select', false, 'r',
               format(CASE t.table_name
                      WHEN 'late_events' THEN '((tenant_id IS NULL) OR (tenant_id = %s))'
                      WHEN 'rejected_events' THEN '(COALESCE(tenant_id, claimed_tenant_id) = %s)'
                      ELSE '(tenant_id = %s)' END,
                      'COALESCE((NULLIF(current_setting(''eventlog.tenant_id''::text, true), ''''::text))::uuid, eventlog.current_tenant())'),
               NULL, eventlog_private.marked_roles('api_keys', 'secret_hash', 'SELECT')
          FROM eventlog_private.tenants_tables() t (table_name)
      ) AS w
     WHERE to_regclass(format('eventlog.%I', w.table_name)) IS NOT NULL
$$;

-- Makes all policies what they have to be: missing ones, altered ones, and those whose roles changed.
CREATE FUNCTION eventlog_private.apply_policies() RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT eventlog_private.ensure_policy(w.relation, w.policy, w.is_permissive, w.command, w.using_text, w.check_text, w.roles)
      FROM eventlog_private.wanted_policies() w
$$;
