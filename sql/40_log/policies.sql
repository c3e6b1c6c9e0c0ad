-- Row-level security: who may read and write which rows. It is on for every table of the log; a table
-- without a policy is the owner's alone. FORCE ROW LEVEL SECURITY is not used, because the owner's own
-- pg_dump would fail.

-- Returns true. As a function of the extension, it takes the policies of services with it when the
-- extension is dropped, so that the log stays closed.
CREATE FUNCTION eventlog.any_tenant() RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS 'SELECT true';

COMMENT ON FUNCTION eventlog.any_tenant() IS
'Condition of the policies of service roles: true for every row.';

-- Creates a policy, or replaces one that differs; drops it if `roles` is null. The conditions are written
-- as PostgreSQL prints them, so that they can be compared.
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

-- Returns true if the caller may see the event. The policy of late_events asks it for rows without a
-- tenant. Each call gets its own plan, with created_at as a constant, so that only one partition is opened.
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
'Part of the policy of late_events: true if the caller may see the event.';

-- Returns the roles with a privilege on a column, which is how services and gateways are marked. Unlike a
-- name in a list, a grant goes when the role is dropped, follows a rename, and is restored only for a role
-- that existed when the dump was made.
CREATE FUNCTION eventlog_private.marked_roles(table_name text, column_name name, privilege text) RETURNS oid[]
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT array_agg(DISTINCT acl.grantee) FROM pg_attribute a, aclexplode(a.attacl) acl
     WHERE a.attrelid = to_regclass(format('eventlog.%I', table_name)) AND a.attname = column_name
       AND acl.privilege_type = privilege AND acl.grantee <> 0
$$;

-- Lists every policy of the log. Where roles is null, the policy must not exist.
CREATE FUNCTION eventlog_private.wanted_policies()
RETURNS TABLE (relation regclass, policy name, is_permissive boolean, command "char", using_text text, check_text text, roles oid[])
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT to_regclass(format('eventlog.%I', w.table_name)), w.table_name || w.suffix, w.is_permissive, w.command::"char",
           w.using_text, w.check_text, w.roles
      FROM (
        -- A tenant's role reads and inserts its own rows. Nobody updates or deletes.
        SELECT t.table_name, '_tenant_select' AS suffix, true AS is_permissive, 'r' AS command,
               -- The note of a service's plain INSERT has no tenant; the event itself has.
               CASE t.table_name WHEN 'late_events'
                    THEN '((tenant_id = eventlog.current_tenant()) OR ((tenant_id IS NULL) AND eventlog.is_visible_event(id, created_at)))'
                    ELSE '(tenant_id = eventlog.current_tenant())' END AS using_text,
               NULL AS check_text, ARRAY[0]::oid[] AS roles
          FROM eventlog_private.relations() t WHERE t.readers_see = 'own'
        UNION ALL
        SELECT 'events', '_tenant_insert', true, 'a', NULL, '(tenant_id = eventlog.current_tenant())', ARRAY[0]::oid[]
        UNION ALL
        SELECT 'events', '_guard', false, 'a', NULL, 'eventlog.guard(id, name, data, actor, subject, weight, occurred_at, tenant_id)', ARRAY[0]::oid[]
        UNION ALL
        -- These rows are of no tenant: any role with SELECT may read them.
        SELECT t.table_name, '_select', true, 'r', 'true', NULL, ARRAY[0]::oid[]
          FROM eventlog_private.relations() t WHERE t.readers_see = 'all'
        UNION ALL
        -- Only the gateway is granted SELECT, to look up keys. The condition is dropped with the extension,
        -- which closes the table; so are those of services.
        SELECT g.table_name, '_select', true, 'r', 'eventlog.any_tenant()', NULL, ARRAY[0]::oid[]
          FROM eventlog_private.gateway_columns() g
        UNION ALL
        SELECT t.table_name, '_service_select', true, 'r', 'eventlog.any_tenant()', NULL,
               eventlog_private.marked_roles('log_config', 'service_roles', 'REFERENCES')
          FROM eventlog_private.relations() t WHERE t.readers_see = 'own'
        UNION ALL
        SELECT 'events', '_service_insert', true, 'a', NULL, 'eventlog.any_tenant()',
               eventlog_private.marked_roles('log_config', 'service_roles', 'REFERENCES')
        UNION ALL
        -- A gateway logs for every tenant, but reads as the tenant of a request's key. These restrictive
        -- policies narrow the permissive ones that it has as a service. What it stored in the quarantine
        -- has no caller's tenant, only the one that it named, the key's. The tenant is eventlog.tenant_id
        -- whatever eventlog.tenant_source says: a gateway has no row in tenant_roles and no token, and a
        -- role that may read every tenant gains nothing by naming one. For a key of all tenants it is
        -- all_tenants(), and the rows lie between the lowest uuid and that highest one. (With an OR instead,
        -- no index would be used.)
        SELECT t.table_name, '_gateway_select', false, 'r',
               format(CASE t.table_name WHEN 'late_events' THEN '((tenant_id IS NULL) OR ((%1$s >= %2$s) AND (%1$s <= %3$s)))'
                                        ELSE '((%1$s >= %2$s) AND (%1$s <= %3$s))' END,
                      -- A refused event that named no tenant is seen with all tenants only.
                      CASE t.table_name WHEN 'rejected_events'
                           THEN 'COALESCE(tenant_id, claimed_tenant_id, ''ffffffff-ffff-ffff-ffff-ffffffffffff''::uuid)' ELSE 'tenant_id' END,
                      'COALESCE(NULLIF(COALESCE((NULLIF(current_setting(''eventlog.tenant_id''::text, true), ''''::text))::uuid, eventlog.current_tenant()), ''ffffffff-ffff-ffff-ffff-ffffffffffff''::uuid), ''00000000-0000-0000-0000-000000000000''::uuid)',
                      'COALESCE((NULLIF(current_setting(''eventlog.tenant_id''::text, true), ''''::text))::uuid, eventlog.current_tenant())'),
               NULL, eventlog_private.marked_roles('api_keys', 'secret_hash', 'SELECT')
          FROM eventlog_private.relations() t WHERE t.readers_see = 'own'
      ) AS w
     WHERE to_regclass(format('eventlog.%I', w.table_name)) IS NOT NULL
$$;

-- Creates missing policies, and replaces those that differ or whose roles changed.
CREATE FUNCTION eventlog_private.apply_policies() RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT eventlog_private.ensure_policy(w.relation, w.policy, w.is_permissive, w.command, w.using_text, w.check_text, w.roles)
      FROM eventlog_private.wanted_policies() w
$$;
