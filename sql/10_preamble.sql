\echo Use "CREATE EXTENSION eventlog" to load this file. \quit

-- The install script is the files of sql/ in the order of their names. It only creates functions, views and
-- event triggers. create_log() creates the log itself, as ordinary tables that belong to the database,
-- because a dump of a member table of an extension loses its policies, row-level security and foreign keys.

-- Payloads, names and actors are UTF-8; a database of another encoding could not store them as they are.
DO $$
BEGIN
    IF pg_catalog.current_setting('server_encoding') OPERATOR(pg_catalog.<>) 'UTF8' THEN
        RAISE EXCEPTION 'eventlog needs a database with encoding UTF8, this one has %',
                pg_catalog.current_setting('server_encoding')
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'CREATE DATABASE name TEMPLATE template0 ENCODING ''UTF8'';';
    END IF;
END
$$;

-- Refuses a schema that may hold objects of others. A role that can create objects there could have put a
-- function beside ours that matches a call better, or a table with a trigger in the place of ours, and a
-- superuser who creates or maintains the log would run it. After DROP EXTENSION, and in a restore, the
-- schema belongs to a superuser, and holds the tables of a log but no function.
DO $$
DECLARE
    planted text;
BEGIN
    SELECT pg_catalog.format('%s %s of role %s', o.kind, o.name, owner.rolname) INTO planted
      FROM pg_catalog.pg_namespace n
      JOIN pg_catalog.pg_roles schema_owner ON schema_owner.oid OPERATOR(pg_catalog.=) n.nspowner
      JOIN (SELECT c.relnamespace AS schema, 'pg_catalog.pg_class'::pg_catalog.regclass AS catalog, c.oid, 'relation' AS kind,
                   c.relname AS name, c.relowner AS owner FROM pg_catalog.pg_class c
             UNION ALL
            SELECT p.pronamespace, 'pg_catalog.pg_proc', p.oid, 'function', p.proname, p.proowner FROM pg_catalog.pg_proc p) o
        ON o.schema OPERATOR(pg_catalog.=) n.oid
      JOIN pg_catalog.pg_roles owner ON owner.oid OPERATOR(pg_catalog.=) o.owner
     WHERE n.nspname OPERATOR(pg_catalog.=) 'eventlog'
       AND (NOT schema_owner.rolsuper OR o.kind OPERATOR(pg_catalog.=) 'function' AND NOT owner.rolsuper)
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                        WHERE d.classid OPERATOR(pg_catalog.=) o.catalog AND d.objid OPERATOR(pg_catalog.=) o.oid
                          AND d.deptype OPERATOR(pg_catalog.=) 'e')
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'schema eventlog contains an object that the extension cannot trust: %', planted
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = 'If schema eventlog exists before the extension, it must belong to a superuser and contain no function of another role.',
                  HINT = 'inspect and drop it, or: ALTER SCHEMA eventlog OWNER TO <a superuser>;';
    END IF;
END
$$;

-- The schema of what only the log's owner needs. create_log() grants it to the owner; no other role may use
-- it.
CREATE SCHEMA eventlog_private;

COMMENT ON SCHEMA eventlog_private IS
'Private functions of the extension, for the log''s owner only.';
