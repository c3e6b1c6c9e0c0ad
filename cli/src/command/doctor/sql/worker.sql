WITH this AS (
    SELECT coalesce(current_setting('eventlog.databases', true), '') AS list,
           EXISTS (SELECT FROM unnest(string_to_array(current_setting('eventlog.databases', true), ',')) AS n
                    WHERE btrim(n, ' "') = current_database()) AS is_named,
           CASE WHEN current_database() ~ '[," ]' THEN format('"%s"', replace(current_database(), '"', '""'))
                ELSE current_database()::text END AS quoted
)
-- Loaded first: where the library is not preloaded, a new connection does not know the setting.
SELECT false, 'eventlog.databases does not name this database: nothing runs maintain() here, unless pg_cron or a shell does',
       format('LOAD ''eventlog''; ALTER SYSTEM SET eventlog.databases = %L; SELECT pg_reload_conf();',
              concat_ws(', ', nullif(t.list, ''), t.quoted)), 'superuser'
  FROM this t WHERE NOT t.is_named
 UNION ALL
SELECT true, 'eventlog.databases names this database, and the worker does not run',
       'restart the server with eventlog in shared_preload_libraries; its log says why the worker ended', NULL
  FROM this t
 WHERE t.is_named AND pg_has_role('pg_read_all_stats', 'USAGE')
   AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.backend_type = 'eventlog launcher')
