-- Each name a literal of its own: the setting takes a list, and one literal would be one name.
SELECT false, 'the library is not preloaded: there is no worker, and each connection counts quotas for itself',
       format('ALTER SYSTEM SET shared_preload_libraries = %s;  -- and restart the server',
              concat_ws(', ', (SELECT string_agg(quote_literal(btrim(n, ' "')), ', ')
                                 FROM unnest(string_to_array(l.list, ',')) AS n WHERE btrim(n, ' "') <> ''), quote_literal('eventlog'))),
       'superuser'
  FROM (SELECT current_setting('shared_preload_libraries') AS list) l
 WHERE NOT EXISTS (SELECT FROM unnest(string_to_array(l.list, ',')) AS n
                    WHERE regexp_replace(btrim(n, ' "'), '^.*/', '') = 'eventlog')
