-- The policies as they have to be, by the function that create_log() makes them with, beside those that are there.
WITH wanted AS (
    SELECT w.* FROM eventlog_private.wanted_policies() w
), relation AS (
    SELECT c.oid, c.relrowsecurity FROM pg_class c
     WHERE c.relnamespace = 'eventlog'::regnamespace AND c.relkind IN ('r', 'p')
       AND (c.relname IN (SELECT n.table_name FROM eventlog_private.relations() n)
            OR c.oid IN (SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = 'eventlog.events'::regclass))
), found AS (
    SELECT w.relation, w.policy, w.roles, p.oid IS NOT NULL AS is_there,
           p.polcmd = w.command AND p.polpermissive = w.is_permissive
           AND pg_get_expr(p.polqual, p.polrelid) IS NOT DISTINCT FROM w.using_text
           AND pg_get_expr(p.polwithcheck, p.polrelid) IS NOT DISTINCT FROM w.check_text
           AND p.polroles @> w.roles AND w.roles @> p.polroles AS is_right
      FROM wanted w
      LEFT JOIN pg_policy p ON p.polrelid = w.relation AND p.polname = w.policy
)
SELECT true, format('row-level security is off on %s', r.oid::regclass),
       format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', r.oid::regclass), 'owner'
  FROM relation r
 WHERE NOT r.relrowsecurity
 UNION ALL
SELECT true,
       format(CASE WHEN f.is_there THEN 'the policy %s on %s is not the one that the log makes'
                   ELSE 'the policy %s is missing on %s' END, f.policy, f.relation),
       'SELECT eventlog.create_log();', 'owner'
  FROM found f
 WHERE CASE WHEN f.roles IS NULL THEN f.is_there ELSE NOT coalesce(f.is_right, false) END
 UNION ALL
-- One for everybody opens the log; one for some roles, or one that closes it further, may be meant so.
SELECT p.polpermissive AND p.polroles @> '{0}'::oid[],
       format('the policy %s on %s is not the log''s', p.polname, p.polrelid::regclass),
       format('DROP POLICY %I ON %s;', p.polname, p.polrelid::regclass), 'owner'
  FROM pg_policy p JOIN relation r ON r.oid = p.polrelid
 WHERE NOT EXISTS (SELECT FROM wanted w WHERE w.relation = r.oid AND w.policy = p.polname)
