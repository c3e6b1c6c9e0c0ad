-- The triggers that create_log() and maintain() make: 60 is AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE for
-- each statement, 18 BEFORE UPDATE for each statement, 23 BEFORE INSERT OR UPDATE for each row, 5 AFTER INSERT for each row, 9 AFTER DELETE for each row, 21 AFTER INSERT OR UPDATE for each row.
WITH wanted (relation, name, kind, function, enabled, arguments) AS (
    SELECT to_regclass(format('eventlog.%I', t.table_name)), 'registry_changed'::name, 60, to_regprocedure('eventlog.registry_changed()'),
           'A'::"char", ''::text
      FROM eventlog_private.relations() t WHERE t.is_cached
     UNION ALL
    SELECT to_regclass('eventlog.tenant_roles'), 'tenant_role_named', 23, to_regprocedure('eventlog.tenant_role_named()'), 'A', ''
     UNION ALL
    SELECT r, 'events_append_only', 18, to_regprocedure('eventlog.events_append_only()'), 'A', ''
      FROM (SELECT 'eventlog.events'::regclass UNION ALL SELECT p.partition_oid::regclass FROM eventlog._partitions p) AS r (r)
     UNION ALL
    -- Where partitions are below the watermark; on a subscriber the others have it for replication only.
    SELECT p.partition_oid::regclass, 'late_event', 5, to_regprocedure('eventlog.late_event()'),
           CASE WHEN p.until_at <= s.announced_until THEN 'A' ELSE 'R' END::"char", ''
      FROM eventlog._partitions p, eventlog.rollup_state s
     WHERE p.until_at <= s.announced_until OR eventlog_private.is_subscriber()
     UNION ALL
    SELECT to_regclass(c.tenants_table), 'eventlog_erase_tenant', 9, to_regprocedure('eventlog.erase_tenant()'), 'O',
           c.tenants_key || '\000'
      FROM eventlog.log_config c
     WHERE c.tenants_method IS NOT NULL AND to_regclass(c.tenants_table) IS NOT NULL
     UNION ALL
    SELECT to_regclass(c.tenants_table), 'eventlog_name_tenant', 21, to_regprocedure('eventlog.name_tenant()'), 'O',
           c.tenants_key || '\000' || r.name_column || '\000'
      FROM eventlog.log_config c, eventlog.tenants_reference r
     WHERE c.tenants_method IS NOT NULL AND r.name_column IS NOT NULL AND to_regclass(c.tenants_table) IS NOT NULL
), found AS (
    SELECT w.*, t.oid IS NOT NULL AS is_there,
           t.tgtype = w.kind AND t.tgfoid = w.function AND t.tgqual IS NULL AND cardinality(t.tgattr::int2[]) = 0
           AND encode(t.tgargs, 'escape') = w.arguments AS is_right,
           t.tgenabled = w.enabled OR (w.enabled = 'O' AND t.tgenabled = 'A') AS is_on
      FROM wanted w LEFT JOIN pg_trigger t ON t.tgrelid = w.relation AND t.tgname = w.name
     WHERE w.relation IS NOT NULL
)
SELECT true,
       format(CASE WHEN NOT f.is_there THEN 'the trigger %s is missing on %s'
                   WHEN NOT f.is_right THEN 'the trigger %s on %s is not the one that the log makes'
                   ELSE 'the trigger %s on %s is off, or not always on' END, f.name, f.relation),
       CASE WHEN NOT f.is_there OR (NOT f.is_right AND f.name NOT IN ('eventlog_erase_tenant', 'eventlog_name_tenant')) THEN 'SELECT eventlog.create_log();'
            WHEN NOT f.is_right THEN format('DROP TRIGGER %I ON %s; SELECT eventlog.create_log();', f.name, f.relation)
            ELSE format('ALTER TABLE %s ENABLE %s TRIGGER %I;', f.relation,
                        CASE f.enabled WHEN 'A' THEN 'ALWAYS' WHEN 'R' THEN 'REPLICA' ELSE '' END, f.name) END,
       CASE WHEN f.name IN ('eventlog_erase_tenant', 'eventlog_name_tenant') THEN 'superuser' ELSE 'owner' END
  FROM found f
 WHERE NOT coalesce(f.is_right AND f.is_on, false)
 UNION ALL
SELECT true, format('the foreign key of eventlog.events to %s is missing', c.tenants_table),
       format('SELECT eventlog.reference_tenants(%L, ''foreign_key'', %L);', c.tenants_table, c.tenants_key), 'owner'
  FROM eventlog.log_config c
 WHERE c.tenants_method = 'foreign_key' AND to_regclass(c.tenants_table) IS NOT NULL
   AND NOT EXISTS (SELECT FROM pg_constraint k
                    WHERE k.conrelid = 'eventlog.events'::regclass AND k.contype = 'f' AND k.convalidated
                      AND k.confrelid = to_regclass(c.tenants_table))
