SELECT true,
       format('the tables are of layout %s, this version has %s', c.layout_version, eventlog._layout_version()),
       'SELECT eventlog.migrate_log();', 'owner'
  FROM eventlog.log_config c
 WHERE c.layout_version <> eventlog._layout_version()
 UNION ALL
SELECT true, format('the table eventlog.%I is missing', t.table_name), 'SELECT eventlog.create_log();', 'superuser'
  FROM eventlog_private.relations() t
 WHERE to_regclass(format('eventlog.%I', t.table_name)) IS NULL
