-- An owner is not bound by the policies, so that no application may log in as it.
WITH log AS (
    SELECT r.oid, r.rolname, r.rolsuper, r.rolcanlogin,
           EXISTS (SELECT FROM pg_stat_activity a
                    WHERE a.usesysid = r.oid AND a.datname = current_database() AND a.pid <> pg_backend_pid()
                      AND a.backend_type = 'client backend' AND a.application_name NOT IN ('psql', 'eventlog')) AS is_used,
           -- A name that is free.
           (SELECT n FROM unnest(ARRAY['log_owner', 'eventlog_owner', current_database() || '_log_owner']) AS n
             WHERE to_regrole(quote_ident(n)) IS NULL LIMIT 1) AS other
      FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
     WHERE c.oid = 'eventlog.events'::regclass
)
SELECT l.rolsuper OR l.is_used,
       format(CASE WHEN l.rolsuper THEN 'the log belongs to %s, a superuser: what works for the log may do everything'
                   WHEN l.is_used THEN 'the log belongs to %s, and an application logs in as it: the policies do not bind an owner'
                   ELSE 'the log belongs to %s, which may log in: the policies do not bind an owner' END, l.rolname),
       format('CREATE ROLE %I; SELECT eventlog.create_log(owner => %L);', l.other, quote_ident(l.other))
       || CASE WHEN l.rolsuper THEN ''
               ELSE format(' SELECT eventlog.grant_service(%2$L); REVOKE CREATE ON SCHEMA eventlog FROM %1$I; REVOKE USAGE ON SCHEMA eventlog_private FROM %1$I;',
                           l.rolname, quote_ident(l.rolname)) END,
       'superuser'
  FROM log l
 WHERE l.rolsuper OR l.rolcanlogin
 UNION ALL
-- A role that has grants of its own, as an application's has, and is a member as well.
SELECT DISTINCT false,
       format('%s is a member of %s, which owns the log: the policies do not bind it', m.rolname, l.rolname),
       format('SELECT eventlog.grant_service(%L); REVOKE %I FROM %I;', quote_ident(m.rolname), l.rolname, m.rolname),
       'superuser'
  FROM log l
  JOIN pg_auth_members g ON g.roleid = l.oid
  JOIN pg_roles m ON m.oid = g.member
  JOIN pg_attribute a ON a.attrelid = 'eventlog.events'::regclass
 CROSS JOIN LATERAL aclexplode(a.attacl) acl
 WHERE m.rolcanlogin AND NOT m.rolsuper AND pg_has_role(m.oid, l.oid, 'USAGE') AND acl.grantee = m.oid
 UNION ALL
SELECT true,
       format('%s belongs to %s, and the log to %s', t.oid::regclass, pg_get_userbyid(t.relowner), l.rolname),
       format('ALTER TABLE %s OWNER TO %I;', t.oid::regclass, l.rolname), 'superuser'
  FROM log l, pg_class t
 WHERE t.relnamespace = 'eventlog'::regnamespace AND t.relkind IN ('r', 'p') AND t.relowner <> l.oid
   AND (t.relname IN (SELECT n.table_name FROM eventlog_private.relations() n)
        OR t.oid IN (SELECT p.partition_oid FROM eventlog._partitions p))
 UNION ALL
SELECT true,
       format('the schema %s belongs to %s, which may put objects of its own into it', n.nspname, pg_get_userbyid(n.nspowner)),
       format('ALTER SCHEMA %I OWNER TO %I;', n.nspname, pg_get_userbyid(e.extowner)), 'superuser'
  FROM log l, pg_namespace n, pg_extension e
 WHERE n.nspname IN ('eventlog', 'eventlog_private') AND e.extname = 'eventlog'
   AND n.nspowner NOT IN (e.extowner, l.oid)
   AND NOT (SELECT o.rolsuper FROM pg_roles o WHERE o.oid = n.nspowner)
 UNION ALL
SELECT true,
       format('%s owns the log, and lacks rights on its schemas', l.rolname),
       format('SELECT eventlog.create_log(owner => %L);', quote_ident(l.rolname)), 'superuser'
  FROM log l
 WHERE NOT has_schema_privilege(l.oid, 'eventlog', 'USAGE WITH GRANT OPTION')
    OR NOT has_schema_privilege(l.oid, 'eventlog', 'CREATE WITH GRANT OPTION')
    OR NOT has_schema_privilege(l.oid, 'eventlog_private', 'USAGE')
