-- What grant_writer(), grant_reader(), grant_service() and grant_gateway() give, and what else was granted.
WITH log AS (
    SELECT c.relowner AS owner FROM pg_class c WHERE c.oid = 'eventlog.events'::regclass
), relation AS (
    SELECT c.oid, c.relname, c.relkind, c.relowner, c.relacl,
           c.oid IN (SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = 'eventlog.events'::regclass) AS is_partition
      FROM pg_class c
     WHERE c.relnamespace = 'eventlog'::regnamespace
       AND (c.relname IN (SELECT n.table_name FROM eventlog_private.relations() n)
            OR c.oid IN (SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = 'eventlog.events'::regclass)
            OR (c.relkind = 'S' AND EXISTS (SELECT FROM pg_depend d
                                             WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                                               AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i'))))
), granted AS (
    SELECT r.*, NULL::name AS attname, acl.grantor, acl.grantee, acl.privilege_type AS privilege
      FROM relation r CROSS JOIN LATERAL aclexplode(r.relacl) acl
     WHERE acl.grantee <> r.relowner
     UNION ALL
    SELECT r.*, a.attname, acl.grantor, acl.grantee, acl.privilege_type
      FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND NOT a.attisdropped
     CROSS JOIN LATERAL aclexplode(a.attacl) acl
     WHERE acl.grantee <> r.relowner
), extra AS (
    SELECT g.*,
           -- Row-level security shows a reader nothing where no policy is for it.
           g.privilege = 'SELECT' AND g.grantee <> 0 AND NOT g.is_partition AND k.columns IS NULL AS is_harmless
      FROM granted g
      LEFT JOIN eventlog_private.gateway_columns() k ON k.table_name = g.relname
     WHERE g.grantee = 0 OR g.is_partition OR NOT coalesce(CASE
               WHEN g.relname = 'events' AND g.privilege = 'INSERT' THEN
                   g.attname IN (SELECT c.name FROM eventlog_private.event_columns() c WHERE c.is_writable)
               WHEN k.columns IS NOT NULL AND g.privilege = 'SELECT' THEN g.attname = ANY (k.columns)
               -- The mark of a service.
               WHEN g.relname = 'log_config' AND g.privilege = 'REFERENCES' THEN g.attname = 'service_roles'
               -- Evidence that a role existed when a dump was made.
               WHEN g.relname = 'producers' AND g.privilege = 'REFERENCES' THEN g.attname = 'producer'
               WHEN g.relname = 'tenant_roles' AND g.privilege = 'REFERENCES' THEN g.attname = 'tenant_id'
               WHEN g.privilege = 'SELECT' THEN g.relname IN (SELECT t.table_name FROM eventlog_private.relations() t WHERE t.readers_see IS NOT NULL)
               ELSE false END, false)
), grouped AS (
    SELECT e.oid, e.relkind, e.relowner, e.grantor, e.grantee, bool_or(NOT e.is_harmless) AS is_wrong,
           string_agg(DISTINCT e.privilege || CASE WHEN e.attname IS NULL THEN '' ELSE format(' (%I)', e.attname) END, ', ') AS privileges,
           -- The rights on the columns go with the one on the table.
           bool_or(e.relname = 'events' AND e.privilege = 'INSERT' AND e.attname IS NULL)
           AND EXISTS (SELECT FROM granted o WHERE o.relname = 'events' AND o.grantee = e.grantee
                                               AND o.privilege = 'INSERT' AND o.attname IS NOT NULL) AS is_writer,
           bool_or(e.relname IN ('api_keys', 'api_tokens') AND e.privilege = 'SELECT' AND e.attname IS NULL
                   AND EXISTS (SELECT FROM granted o WHERE o.relname = e.relname AND o.grantee = e.grantee
                                                       AND o.privilege = 'SELECT' AND o.attname IS NOT NULL)) AS is_gateway
      FROM extra e
     GROUP BY e.oid, e.relkind, e.relowner, e.grantor, e.grantee
), role AS (
    SELECT g.*, CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee)::text END AS name,
           CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END AS quoted
      FROM grouped g
), writer AS (
    SELECT DISTINCT r.oid, r.rolname
      FROM granted g JOIN pg_roles r ON r.oid = g.grantee
     WHERE g.relname = 'events' AND g.privilege = 'INSERT'
)
-- What was passed on goes first: a privilege that others depend on cannot be taken.
(SELECT r.is_wrong, format('%s may %s on %s', r.name, r.privileges, r.oid::regclass),
       concat_ws(' ',
           CASE WHEN r.grantor <> r.relowner THEN format('SET ROLE %I;', pg_get_userbyid(r.grantor)) END,
           format('REVOKE %s ON %s %s FROM %s;', r.privileges, CASE r.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
                  r.oid::regclass, r.quoted),
           CASE WHEN r.grantor <> r.relowner THEN 'RESET ROLE;' END,
           CASE WHEN r.is_writer THEN format('SELECT eventlog.grant_writer(%L);', r.quoted) END,
           CASE WHEN r.is_gateway THEN format('SELECT eventlog.grant_gateway(%L);', r.quoted) END),
       CASE WHEN r.grantor = r.relowner THEN 'owner' ELSE 'superuser' END
  FROM role r
 ORDER BY r.grantor = r.relowner, r.name, r.oid::regclass::text)
 UNION ALL
SELECT true,
       format('%s may %s the schema %s, which only the log''s owner needs', CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(acl.grantee) END,
              CASE acl.privilege_type WHEN 'CREATE' THEN 'create objects in' ELSE 'use' END, n.nspname),
       concat_ws(' ',
           CASE WHEN acl.grantor <> n.nspowner THEN format('SET ROLE %I;', pg_get_userbyid(acl.grantor)) END,
           format('REVOKE %s ON SCHEMA %I FROM %s;', acl.privilege_type, n.nspname,
                  CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END),
           CASE WHEN acl.grantor <> n.nspowner THEN 'RESET ROLE;' END), 'superuser'
  FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) acl
 WHERE n.nspname IN ('eventlog', 'eventlog_private') 
   AND (acl.privilege_type = 'CREATE' OR n.nspname = 'eventlog_private')
   AND acl.grantee NOT IN (n.nspowner, (SELECT l.owner FROM log l))
 UNION ALL
-- Who may log, and lacks a part of what it takes.
SELECT true, format('%s may log events, and lacks a right that it takes', w.rolname),
       format('SELECT eventlog.grant_writer(%L);', quote_ident(w.rolname)), 'owner'
  FROM writer w
 WHERE NOT has_schema_privilege(w.oid, 'eventlog', 'USAGE')
    OR NOT has_table_privilege(w.oid, 'eventlog.event_types', 'SELECT')
    OR EXISTS (SELECT FROM eventlog_private.event_columns() c
                WHERE c.is_writable AND NOT has_column_privilege(w.oid, 'eventlog.events', c.name, 'INSERT'))
 UNION ALL
SELECT true, format('%s may log events, and may not execute %s', w.rolname, string_agg(f.oid::regprocedure::text, ', ')),
       format('GRANT EXECUTE ON FUNCTION %s TO %I;', string_agg(f.oid::regprocedure::text, ', '), w.rolname), 'superuser'
  FROM writer w, pg_proc f
 WHERE f.pronamespace = 'eventlog'::regnamespace
   AND f.proname IN ('log_event', 'try_log_event', 'log_events', 'validate_event', 'current_tenant', 'guard', 'any_tenant')
   AND NOT has_function_privilege(w.oid, f.oid, 'EXECUTE')
 GROUP BY w.rolname
 UNION ALL
SELECT false, 'no role but the owner may log events', 'SELECT eventlog.grant_writer(''ROLE'');', 'owner'
 WHERE NOT EXISTS (SELECT FROM writer)
 UNION ALL
SELECT false, format('%s goes past row-level security, and may use the log', r.rolname),
       format('ALTER ROLE %I NOBYPASSRLS;', r.rolname), 'superuser'
  FROM pg_roles r
 WHERE r.rolbypassrls AND NOT r.rolsuper AND r.rolcanlogin AND has_schema_privilege(r.oid, 'eventlog', 'USAGE')
