-- The policies that create_log(), grant_service() and grant_gateway() make, with their definitions as the
-- server writes them, blanks left out.
WITH service AS (
    SELECT coalesce(array_agg(to_regrole(r)::oid), '{}') AS roles
      FROM eventlog.log_config c, unnest(c.service_roles) AS r WHERE to_regrole(r) IS NOT NULL
), gateway AS (
    SELECT coalesce(array_agg(DISTINCT acl.grantee), '{}') AS roles
      FROM pg_attribute a, aclexplode(a.attacl) acl
     WHERE a.attrelid = to_regclass('eventlog.api_keys') AND a.attname = 'secret_hash'
       AND acl.privilege_type = 'SELECT' AND acl.grantee <> 0
), own AS (
    SELECT t::name AS relation, '(tenant_id=eventlog.current_tenant())' AS is_own FROM eventlog_private.tenants_tables() AS t
), wanted (relation, name, command, is_permissive, using_text, check_text, roles) AS (
    SELECT o.relation, o.relation || '_tenant_select', 'r', true,
           CASE o.relation WHEN 'late_events' THEN
               '(' || o.is_own || 'OR((tenant_idISNULL)AND(EXISTS(SELECTFROMeventlog.eventseWHERE((e.id=late_events.id)AND(e.created_at=late_events.created_at))))))'
                           ELSE o.is_own END, NULL, '{0}'::oid[]
      FROM own o
     UNION ALL
    VALUES ('events', 'events_tenant_insert', 'a', true, NULL, '(tenant_id=eventlog.current_tenant())', '{0}'::oid[]),
           ('events', 'events_guard', 'a', false, NULL, 'eventlog.guard(id,name,data,actor,subject,weight)', '{0}'),
           ('event_types', 'event_types_select', 'r', true, 'true', NULL, '{0}'),
           ('log_config', 'log_config_select', 'r', true, 'true', NULL, '{0}'),
           ('rollup_state', 'rollup_state_select', 'r', true, 'true', NULL, '{0}'),
           ('api_keys', 'api_keys_select', 'r', true, 'eventlog.any_tenant()', NULL, '{0}')
     UNION ALL
    SELECT o.relation, o.relation || '_service_select', 'r', true, 'eventlog.any_tenant()', NULL, s.roles
      FROM own o, service s WHERE s.roles <> '{}'
     UNION ALL
    SELECT 'events', 'events_service_insert', 'a', true, NULL, 'eventlog.any_tenant()', s.roles
      FROM service s WHERE s.roles <> '{}'
     UNION ALL
    SELECT o.relation, o.relation || '_gateway_select', 'r', false,
           CASE o.relation WHEN 'late_events' THEN '((tenant_idISNULL)OR' || o.is_own || ')'
                           WHEN 'rejected_events' THEN '(COALESCE(tenant_id,claimed_tenant_id)=eventlog.current_tenant())'
                           ELSE o.is_own END, NULL, g.roles
      FROM own o, gateway g WHERE g.roles <> '{}'
), relation AS (
    SELECT c.oid, c.relname, c.relrowsecurity FROM pg_class c
     WHERE c.relnamespace = 'eventlog'::regnamespace AND c.relkind IN ('r', 'p')
       AND (c.relname IN (SELECT n.table_name FROM eventlog_private.tables() n)
            OR c.oid IN (SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = 'eventlog.events'::regclass))
), found AS (
    SELECT r.oid AS relid, w.name, p.oid IS NOT NULL AS is_there,
           p.polcmd = w.command AND p.polpermissive = w.is_permissive
           AND regexp_replace(pg_get_expr(p.polqual, p.polrelid), '\s', '', 'g') IS NOT DISTINCT FROM w.using_text
           AND regexp_replace(pg_get_expr(p.polwithcheck, p.polrelid), '\s', '', 'g') IS NOT DISTINCT FROM w.check_text
           AND p.polroles @> w.roles AND w.roles @> p.polroles AS is_right
      FROM relation r
      JOIN wanted w ON w.relation = r.relname
      LEFT JOIN pg_policy p ON p.polrelid = r.oid AND p.polname = w.name
)
SELECT true, format('row-level security is off on %s', r.oid::regclass),
       format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', r.oid::regclass), 'owner'
  FROM relation r
 WHERE NOT r.relrowsecurity
 UNION ALL
SELECT true, format('the policy %s is missing on %s', f.name, f.relid::regclass), 'SELECT eventlog.create_log();', 'owner'
  FROM found f
 WHERE NOT f.is_there
 UNION ALL
SELECT true, format('the policy %s on %s is not the one that the log makes', f.name, f.relid::regclass),
       format('BEGIN; DROP POLICY %I ON %s; SELECT eventlog.create_log(); COMMIT;', f.name, f.relid::regclass), 'owner'
  FROM found f
 WHERE f.is_there AND NOT coalesce(f.is_right, false)
 UNION ALL
-- One for everybody opens the log; one for some roles, or one that closes it further, may be meant so.
SELECT k.polpermissive AND k.polroles @> '{0}'::oid[],
       format('the policy %s on %s is not the log''s', k.polname, k.polrelid::regclass),
       format('DROP POLICY %I ON %s;', k.polname, k.polrelid::regclass), 'owner'
  FROM pg_policy k JOIN relation r ON r.oid = k.polrelid
 WHERE NOT EXISTS (SELECT FROM wanted w WHERE w.relation = r.relname AND w.name = k.polname)
