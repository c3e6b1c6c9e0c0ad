-- What stands in the extension's schemas, and is neither its own nor the log's. A function that is called
-- like one of the extension's may be called in its place.
WITH place AS (
    SELECT n.oid, n.nspname FROM pg_namespace n WHERE n.nspname IN ('eventlog', 'eventlog_private')
), own AS (
    SELECT d.classid, d.objid FROM pg_depend d
     WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
       AND d.refobjid = (SELECT e.oid FROM pg_extension e WHERE e.extname = 'eventlog')
)
SELECT true,
       format('the function %s is not the extension''s, and may be called in place of one that is', f.oid::regprocedure),
       format('ALTER ROUTINE %s SET SCHEMA public;', f.oid::regprocedure), 'superuser'
  FROM pg_proc f JOIN place ON place.oid = f.pronamespace
 WHERE f.oid NOT IN (SELECT o.objid FROM own o WHERE o.classid = 'pg_proc'::regclass)
 UNION ALL
SELECT true, format('the operator %s is not the extension''s', o.oid::regoperator),
       format('ALTER OPERATOR %s SET SCHEMA public;', o.oid::regoperator), 'superuser'
  FROM pg_operator o JOIN place ON place.oid = o.oprnamespace
 WHERE o.oid NOT IN (SELECT w.objid FROM own w WHERE w.classid = 'pg_operator'::regclass)
 UNION ALL
SELECT false, format('the type %s is not the extension''s', t.oid::regtype),
       format('ALTER TYPE %s SET SCHEMA public;', t.oid::regtype), 'superuser'
  FROM pg_type t JOIN place ON place.oid = t.typnamespace
 WHERE t.typrelid = 0 AND t.typelem = 0 AND t.typtype <> 'm'
   AND t.oid NOT IN (SELECT w.objid FROM own w WHERE w.classid = 'pg_type'::regclass)
 UNION ALL
-- create_log() is refused where one is not the owner's.
SELECT c.relowner <> (SELECT l.relowner FROM pg_class l WHERE l.oid = 'eventlog.events'::regclass),
       CASE WHEN c.relkind = 'r' AND c.relname ~ '^events_p[0-9]{8}'
                 AND EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'events_append_only')
            THEN format('%s is a partition that was detached: its events are in no report', c.oid::regclass)
            ELSE format('%s is not the log''s', c.oid::regclass) END,
       format('ALTER %s %s SET SCHEMA public;',
              CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
                             WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END, c.oid::regclass),
       'superuser'
  FROM pg_class c JOIN place ON place.oid = c.relnamespace
 WHERE c.relkind NOT IN ('i', 'I', 't')
   AND c.oid NOT IN (SELECT w.objid FROM own w WHERE w.classid = 'pg_class'::regclass)
   AND NOT (place.nspname = 'eventlog' AND c.relname IN (SELECT n.table_name FROM eventlog_private.relations() n))
   -- Partitions, a DEFAULT one too; sequences go with their tables.
   AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid AND i.inhparent = 'eventlog.events'::regclass)
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                                             AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i'))
