\echo Use "ALTER EXTENSION eventlog UPDATE TO '0.2.0'" to load this file. \quit

-- The head of the upgrade script: what CREATE OR REPLACE cannot do. The files of sql/ follow it, with each
-- function and view replaced in place. Never drop what a policy, a trigger or a view depends on (guard,
-- current_tenant, any_tenant, events_append_only, registry_changed, erase_tenant, …), nor what the library
-- of 0.1.0 calls by name in sessions that still have it loaded (_covering_partition, _lock_partitions,
-- _make_partition).
--
-- Tables belong to the log, not to the extension: SELECT eventlog.migrate_log() changes them.

-- The last file grants new objects; this keeps what a DBA granted or revoked.
DO $$
DECLARE
    function pg_catalog.record;
BEGIN
    PERFORM pg_catalog.set_config('eventlog_upgrade.former', (
        SELECT pg_catalog.array_agg(d.objid) FROM pg_catalog.pg_depend d
         WHERE d.deptype OPERATOR(pg_catalog.=) 'e'
           AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
           AND d.refobjid OPERATOR(pg_catalog.=) (SELECT e.oid FROM pg_catalog.pg_extension e WHERE e.extname OPERATOR(pg_catalog.=) 'eventlog'))::pg_catalog.text, true);

    -- These have more arguments now. Functions and views of users that depend on one keep working with it.
    FOR function IN
        SELECT p.oid::pg_catalog.regprocedure AS signature, p.proname AS name, p.proacl AS acl,
               EXISTS (SELECT FROM pg_catalog.pg_depend d
                        WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
                          AND d.refobjid OPERATOR(pg_catalog.=) p.oid AND d.deptype OPERATOR(pg_catalog.=) 'n') AS is_used
          FROM pg_catalog.pg_proc p
         WHERE p.pronamespace OPERATOR(pg_catalog.=) 'eventlog'::pg_catalog.regnamespace
           AND p.proname OPERATOR(pg_catalog.=) ANY (ARRAY['create_log', 'define_event', 'set_tenant', 'reference_tenants']::pg_catalog.name[])
    LOOP
        PERFORM pg_catalog.set_config(pg_catalog.format('eventlog_upgrade.acl_of_%s', function.name),
                                      coalesce(function.acl::pg_catalog.text, ''), true);
        IF function.is_used THEN
            EXECUTE pg_catalog.format('ALTER FUNCTION %s RENAME TO %I', function.signature,
                                      pg_catalog.format('_%s_0_1_0', function.name));
        ELSE
            EXECUTE pg_catalog.format('DROP FUNCTION %s', function.signature);
        END IF;
    END LOOP;

    -- Private functions are in a schema of their own now.
    FOR function IN
        SELECT p.oid::pg_catalog.regprocedure AS signature
          FROM pg_catalog.pg_proc p
         WHERE p.pronamespace OPERATOR(pg_catalog.=) 'eventlog'::pg_catalog.regnamespace
           AND pg_catalog.starts_with(p.proname::pg_catalog.text, '_')
           AND p.proname OPERATOR(pg_catalog.<>) ALL (ARRAY['_covering_partition', '_lock_partitions', '_make_partition', '_require_log',
                   '_require_owner', '_stat_rejected', '_stat_hygiene', '_rules_of', '_default_rules']::pg_catalog.name[])
           AND p.proname OPERATOR(pg_catalog.!~) '_0_1_0$'
    LOOP
        EXECUTE pg_catalog.format('DROP FUNCTION %s', function.signature);
    END LOOP;

    -- A renamed function passes its arguments on by name to the one that takes its place.
    FOR function IN
        SELECT p.proname AS name, pg_catalog.pg_get_function_arguments(p.oid) AS arguments,
               pg_catalog.pg_get_function_result(p.oid) AS result,
               CASE p.provolatile WHEN 'i' THEN 'IMMUTABLE' WHEN 's' THEN 'STABLE' ELSE 'VOLATILE' END AS volatility,
               CASE p.proparallel WHEN 's' THEN 'SAFE' WHEN 'r' THEN 'RESTRICTED' ELSE 'UNSAFE' END AS parallel,
               pg_catalog.format(CASE WHEN p.proretset THEN 'SELECT %3$s FROM eventlog.%1$I(%2$s)' ELSE 'SELECT eventlog.%1$I(%2$s)' END,
                                 pg_catalog.regexp_replace(p.proname::pg_catalog.text, '^_(.*)_0_1_0$', '\1'),
                                 (SELECT pg_catalog.string_agg(pg_catalog.format('%I => $%s', p.proargnames[place], place), ', ' ORDER BY place)
                                    FROM pg_catalog.generate_series(1, p.pronargs) AS place),
                                 (SELECT pg_catalog.string_agg(pg_catalog.format('%I', p.proargnames[place]), ', ' ORDER BY place)
                                    FROM pg_catalog.unnest(p.proargmodes) WITH ORDINALITY AS m (mode, place)
                                   WHERE m.mode OPERATOR(pg_catalog.=) 't')) AS body
          FROM pg_catalog.pg_proc p
         WHERE p.pronamespace OPERATOR(pg_catalog.=) 'eventlog'::pg_catalog.regnamespace
           AND p.proname OPERATOR(pg_catalog.~) '^_.*_0_1_0$'
    LOOP
        EXECUTE pg_catalog.format('CREATE OR REPLACE FUNCTION eventlog.%I(%s) RETURNS %s LANGUAGE sql %s PARALLEL %s
                                       SET search_path = pg_catalog, pg_temp AS %L',
                                  function.name, function.arguments, function.result, function.volatility, function.parallel,
                                  function.body);
    END LOOP;
END
$$;

