-- What is set for all, for a database, a role, or a role in a database; and what the server itself says. The
-- library is loaded, so that pg_settings knows its settings.
WITH unit (name, ms) AS (
    VALUES ('us', 0.001), ('ms', 1), ('s', 1000), ('min', 60000), ('h', 3600000), ('d', 86400000)
), stored AS (
    SELECT s.setdatabase, s.setrole, split_part(e, '=', 1) AS name, substr(e, strpos(e, '=') + 1) AS value,
           CASE WHEN s.setrole = 0 THEN format('the database %s', current_database())
                WHEN s.setdatabase = 0 THEN format('the role %s', pg_get_userbyid(s.setrole))
                ELSE format('the role %s in this database', pg_get_userbyid(s.setrole)) END AS place,
           CASE WHEN s.setrole = 0 THEN format('ALTER DATABASE %I', current_database())
                WHEN s.setdatabase = 0 THEN format('ALTER ROLE %I', pg_get_userbyid(s.setrole))
                ELSE format('ALTER ROLE %I IN DATABASE %I', pg_get_userbyid(s.setrole), current_database()) END AS alter,
           s.setconfig, e AS entry
      FROM pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) AS e
     WHERE s.setdatabase IN (0, (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))
       AND lower(split_part(e, '=', 1)) LIKE 'eventlog.%'
), served AS (
    SELECT p.name, p.setting AS value,
           CASE p.source WHEN 'configuration file' THEN coalesce(p.sourcefile, 'the server''s configuration')
                         WHEN 'command line' THEN 'the server''s command line'
                         WHEN 'environment variable' THEN 'the server''s environment'
                         ELSE 'this connection (PGOPTIONS, or options)' END AS place,
           CASE WHEN p.source = 'configuration file' AND p.sourcefile LIKE '%postgresql.auto.conf'
                THEN format('LOAD ''eventlog''; ALTER SYSTEM RESET %s; SELECT pg_reload_conf();', p.name)
                WHEN p.source = 'configuration file'
                THEN format('LOAD ''eventlog''; ALTER SYSTEM SET %s = %L; SELECT pg_reload_conf();', p.name, p.boot_val) END AS mend
      FROM pg_settings p
     WHERE p.name LIKE 'eventlog.%'
       AND p.source IN ('configuration file', 'command line', 'environment variable', 'client')
), judged AS (
    SELECT s.*, p.name IS NOT NULL AS is_known, p.boot_val, p.enumvals,
           CASE p.vartype
               WHEN 'enum' THEN lower(s.value) = ANY (p.enumvals)
               WHEN 'bool' THEN s.value ~* '^\s*(on|of|off|t|tr|tru|true|f|fa|fal|fals|false|y|ye|yes|n|no|1|0)\s*$'
               WHEN 'integer' THEN coalesce((
                   SELECT (m.part[1]::numeric * coalesce(given.ms / own.ms, 1)) BETWEEN p.min_val::numeric AND p.max_val::numeric
                     FROM regexp_match(s.value, '^\s*(-?\d+(?:\.\d+)?)\s*(us|ms|s|min|h|d)?\s*$') AS m (part)
                     LEFT JOIN unit given ON given.name = m.part[2]
                     LEFT JOIN unit own ON own.name = p.unit
                    WHERE m.part IS NOT NULL), false)
               WHEN 'string' THEN p.name <> 'eventlog.tenant_id' OR s.value = ''
                                  OR s.value ~* '^\{?([0-9a-f]{4}-?){7}[0-9a-f]{4}\}?$'
               ELSE true END AS is_valid,
           format(CASE p.vartype WHEN 'enum' THEN ': it is none of ' || array_to_string(p.enumvals, ', ')
                                 WHEN 'bool' THEN ': it is neither on nor off'
                                 WHEN 'integer' THEN format(': it is no number from %s to %s', p.min_val, p.max_val || coalesce(' ' || p.unit, ''))
                                 ELSE ': it is no UUID' END) AS why
      FROM stored s LEFT JOIN pg_settings p ON p.name = lower(s.name)
), mended AS (
    SELECT j.*,
           CASE WHEN j.is_known THEN format('%s RESET %s;', j.alter, lower(j.name))
                -- Nothing else takes an unknown one away; the others are set again.
                ELSE concat(j.alter, ' RESET ALL;', (
                    SELECT string_agg(format(' %s SET %s = %s;', j.alter, o.name,
                                             CASE WHEN o.name IN ('search_path', 'local_preload_libraries', 'session_preload_libraries',
                                                                  'temp_tablespaces') AND o.value <> ''
                                                  THEN o.value ELSE quote_literal(o.value) END), '')
                      FROM (SELECT split_part(e, '=', 1), substr(e, strpos(e, '=') + 1) FROM unnest(j.setconfig) AS e
                             WHERE e <> j.entry) AS o (name, value))) END AS mend
      FROM judged j
)
SELECT true,
       CASE WHEN NOT m.is_known THEN format('there is no setting %s, which is set for %s', m.name, m.place)
            ELSE format('%s is set to %L for %s%s', m.name, m.value, m.place, m.why) END,
       m.mend, 'superuser'
  FROM mended m
 WHERE NOT m.is_known OR NOT coalesce(m.is_valid, true)
 UNION ALL
SELECT true, format('eventlog.enabled is off for %s: nothing is logged there', m.place), m.mend, 'superuser'
  FROM mended m
 WHERE m.is_known AND m.is_valid AND lower(m.name) = 'eventlog.enabled' AND m.value ~* '^\s*(of|off|f|fa|fal|fals|false|n|no|0)\s*$'
 UNION ALL
SELECT false, format('eventlog.on_unknown_name is register for %s: a typing error becomes a name', m.place), m.mend, 'superuser'
  FROM mended m
 WHERE m.is_known AND lower(m.name) = 'eventlog.on_unknown_name' AND lower(m.value) = 'register'
 UNION ALL
SELECT s.name = 'eventlog.enabled',
       format(CASE s.name WHEN 'eventlog.enabled' THEN 'eventlog.enabled is off by %s: nothing is logged'
                          ELSE 'eventlog.on_unknown_name is register by %s: a typing error becomes a name' END, s.place),
       coalesce(s.mend, format('take %s out of %s', s.name, s.place)), CASE WHEN s.mend IS NOT NULL THEN 'superuser' END
  FROM served s
 WHERE (s.name = 'eventlog.enabled' AND s.value = 'off') OR (s.name = 'eventlog.on_unknown_name' AND s.value = 'register')
 UNION ALL
SELECT true, 'event types are to be hashed, and eventlog.hash_key_file is not set: their events are refused',
       'LOAD ''eventlog''; ALTER SYSTEM SET eventlog.hash_key_file = ''/path/to/key''; SELECT pg_reload_conf();', NULL
 WHERE coalesce(current_setting('eventlog.hash_key_file', true), '') = ''
   AND EXISTS (SELECT FROM eventlog.event_types t WHERE t.status <> 'retired' AND (t.hash_actor OR t.hash_keys <> '{}'))
 UNION ALL
SELECT NULL, format('tenants by %s, unknown names: %s', current_setting('eventlog.tenant_source'),
                    current_setting('eventlog.on_unknown_name')), NULL, NULL
