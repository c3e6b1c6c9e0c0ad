-- Lines of the server's files that say nothing that the extension knows.
SELECT true,
       CASE WHEN k.name IS NULL THEN format('there is no setting %s, which is in %s, line %s', f.name, f.sourcefile, f.sourceline)
            ELSE format('%s is %L in %s, line %s, which is no value of it', f.name, f.setting, f.sourcefile, f.sourceline) END,
       CASE WHEN k.name IS NOT NULL AND f.sourcefile LIKE '%postgresql.auto.conf'
            THEN format('LOAD ''eventlog''; ALTER SYSTEM RESET %s; SELECT pg_reload_conf();', k.name)
            ELSE format('take line %s out of %s, and then: SELECT pg_reload_conf();', f.sourceline, f.sourcefile) END,
       CASE WHEN k.name IS NOT NULL AND f.sourcefile LIKE '%postgresql.auto.conf' THEN 'superuser' END
  FROM pg_file_settings f
  LEFT JOIN pg_settings k ON k.name = lower(f.name) AND k.short_desc <> ''
 WHERE lower(f.name) LIKE 'eventlog.%'
   AND (k.name IS NULL OR f.error IS NOT NULL
        OR (k.vartype = 'enum' AND lower(f.setting) <> ALL (k.enumvals))
        OR (k.vartype = 'bool' AND f.setting !~* '^\s*(on|of|off|t|tr|tru|true|f|fa|fal|fals|false|y|ye|yes|n|no|1|0)\s*$')
        OR (k.vartype = 'integer' AND f.setting !~ '^\s*-?\d+(\.\d+)?\s*(us|ms|s|min|h|d)?\s*$'))
