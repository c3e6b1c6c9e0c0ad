WITH partition AS (
    SELECT p.*, lag(p.until_at) OVER (ORDER BY p.from_at) AS former_until FROM eventlog._partitions p
), fallback AS (
    SELECT i.inhrelid::regclass AS relation, c.relname, c.oid FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = 'eventlog.events'::regclass AND pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT'
)
SELECT true, 'no partition holds what is logged now', 'CALL eventlog.maintain();', 'owner'
 WHERE eventlog._covered_until() IS NULL AND NOT EXISTS (SELECT FROM fallback)
 UNION ALL
SELECT true, format('no partition holds what is logged from %s until %s', p.former_until, p.from_at), 'CALL eventlog.maintain();', 'owner'
  FROM partition p, eventlog.log_config c
 WHERE p.former_until < p.from_at AND p.from_at > now() AND greatest(p.former_until, now()) < now() + c.premake
   AND NOT EXISTS (SELECT FROM fallback)
 UNION ALL
SELECT false, format('the partitions end with %s', max(p.until_at)), 'CALL eventlog.maintain();', 'owner'
  FROM partition p, eventlog.log_config c
HAVING max(p.until_at) <= now() + min(least(c.premake, '1 month')) AND max(p.until_at) > now() AND NOT EXISTS (SELECT FROM fallback)
 UNION ALL
SELECT false, format('%s partitions are past the log''s retention of %s', count(*), min(c.retention)), 'CALL eventlog.maintain();', 'owner'
  FROM partition p, eventlog.log_config c WHERE p.until_at <= now() - c.retention HAVING count(*) > 0
 UNION ALL
-- No partition can be made for a time that it holds a row of.
SELECT true,
       CASE WHEN pg_relation_size(f.oid) > 0
            THEN format('the DEFAULT partition %s holds rows, and no partition can be made for their time', f.relation)
            ELSE format('the DEFAULT partition %s is locked whenever a partition is made or dropped, and writers with it', f.relation) END,
       format('ALTER TABLE eventlog.events DETACH PARTITION %s; ALTER TABLE %s SET SCHEMA public;', f.relation, f.relation)
       || CASE WHEN pg_relation_size(f.oid) > 0
               THEN format(' GRANT SELECT ON public.%1$I TO %2$I; SET ROLE %2$I; SELECT * FROM eventlog.import_events(%3$L); RESET ROLE;', f.relname,
                           (SELECT pg_get_userbyid(c.relowner) FROM pg_class c WHERE c.oid = 'eventlog.events'::regclass),
                           format('public.%I', f.relname)) ELSE '' END
       || ' SELECT eventlog.create_log();',
       'superuser'
  FROM fallback f
 UNION ALL
SELECT false,
       format('the foreign key %I of %s refers to %s: partitions whose rows it needs are kept past their retention',
              k.conname, k.conrelid::regclass, k.confrelid::regclass),
       format('ALTER TABLE %s DROP CONSTRAINT %I;', k.conrelid::regclass, k.conname), 'superuser'
  FROM pg_constraint k
 WHERE k.contype = 'f' AND k.conparentid = 0
   AND (k.confrelid = 'eventlog.events'::regclass OR k.confrelid IN (SELECT p.partition_oid FROM partition p))
 UNION ALL
SELECT NULL, format('%s partitions, which reach until %s', count(*), eventlog._covered_until()), NULL, NULL
  FROM partition HAVING eventlog._covered_until() IS NOT NULL
