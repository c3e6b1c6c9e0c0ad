-- The last file: grants of the extension, and two event triggers that guard its schemas.

-- Refuses functions of other roles in the schemas of the log. The log's owner may create tables there, for
-- its partitions. But a function could match a call better than one of the extension, and a superuser who
-- types what the manual says would run it.
CREATE FUNCTION eventlog_private.refuse_functions() RETURNS event_trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    strange text := (SELECT c.object_identity FROM pg_event_trigger_ddl_commands() c
                      WHERE c.schema_name IN ('eventlog', 'eventlog_private') AND NOT c.in_extension LIMIT 1);
BEGIN
    IF strange IS NOT NULL AND NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
        RAISE EXCEPTION 'cannot create function % in a schema of the log', strange
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = 'Only functions of the extension may be in the schemas eventlog and eventlog_private.',
                  HINT = 'create it in another schema';
    END IF;
END
$$;

CREATE EVENT TRIGGER eventlog_refuse_functions ON ddl_command_end
    WHEN TAG IN ('CREATE FUNCTION', 'CREATE PROCEDURE', 'CREATE AGGREGATE',
                 'ALTER FUNCTION', 'ALTER PROCEDURE', 'ALTER ROUTINE', 'ALTER AGGREGATE')
    EXECUTE FUNCTION eventlog_private.refuse_functions();

COMMENT ON EVENT TRIGGER eventlog_refuse_functions IS
'Refuses functions of other roles in the schemas of the log.';

-- Grants the owner of events USAGE of the private schema as soon as events exists: a dump of 0.1.0 lacks
-- this grant, and its log must work after a restore without the help of a superuser. Runs as the
-- extension's owner, since the log's owner may be the one who restores; it does nothing else, and nobody
-- can call it.
CREATE FUNCTION eventlog_private.admit_owner() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    owner regrole := (SELECT c.relowner FROM pg_class c WHERE c.oid = to_regclass('eventlog.events'));
BEGIN
    IF NOT has_schema_privilege(owner, 'eventlog_private', 'USAGE') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA eventlog_private TO %s', owner);
    END IF;
END
$$;

CREATE EVENT TRIGGER eventlog_admit_owner ON ddl_command_end
    WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE')
    EXECUTE FUNCTION eventlog_private.admit_owner();

COMMENT ON EVENT TRIGGER eventlog_admit_owner IS
'Grants the log''s owner the use of the private functions.';

-- Grants PUBLIC the use of new objects, whatever ALTER DEFAULT PRIVILEGES says; objects that existed before
-- an upgrade keep what a DBA granted or revoked. The functions of eventlog are for every role that may use
-- the schema, and check their caller; those of eventlog_private are protected by their schema.
DO $$
DECLARE
    former pg_catalog.oid[] := coalesce(pg_catalog.current_setting('eventlog_upgrade.former', true), '{}')::pg_catalog.oid[];
    object pg_catalog.record;
BEGIN
    FOR object IN
        SELECT 'ROUTINE' AS kind, p.oid::pg_catalog.regprocedure::pg_catalog.text AS name
          FROM pg_catalog.pg_proc p
         WHERE p.pronamespace OPERATOR(pg_catalog.=) ANY (ARRAY['eventlog'::pg_catalog.regnamespace, 'eventlog_private'::pg_catalog.regnamespace])
           AND p.oid OPERATOR(pg_catalog.<>) ALL (former)
           AND NOT pg_catalog.has_function_privilege('public', p.oid, 'EXECUTE')
         UNION ALL
        SELECT 'TABLE', c.oid::pg_catalog.regclass::pg_catalog.text
          FROM pg_catalog.pg_class c
          JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
                                     AND d.objid OPERATOR(pg_catalog.=) c.oid AND d.deptype OPERATOR(pg_catalog.=) 'e'
         WHERE c.relnamespace OPERATOR(pg_catalog.=) 'eventlog'::pg_catalog.regnamespace AND c.relkind OPERATOR(pg_catalog.=) 'v'
           AND c.oid OPERATOR(pg_catalog.<>) ALL (former)
    LOOP
        EXECUTE pg_catalog.format('GRANT %s ON %s %s TO PUBLIC', CASE object.kind WHEN 'TABLE' THEN 'SELECT' ELSE 'EXECUTE' END,
                                  object.kind, object.name);
    END LOOP;

    -- A function that an upgrade created again with more arguments keeps the grants of the former one.
    FOR object IN
        SELECT p.oid::pg_catalog.regprocedure::pg_catalog.text AS name,
               pg_catalog.current_setting(pg_catalog.format('eventlog_upgrade.acl_of_%s', p.proname), true) AS acl
          FROM pg_catalog.pg_proc p
         WHERE p.pronamespace OPERATOR(pg_catalog.=) 'eventlog'::pg_catalog.regnamespace
           AND p.proname OPERATOR(pg_catalog.=) ANY (ARRAY['define_event', 'set_tenant', 'reference_tenants']::pg_catalog.name[])
    LOOP
        IF object.acl OPERATOR(pg_catalog.<>) '' THEN
            EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', object.name);
            EXECUTE (SELECT pg_catalog.string_agg(pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO %s', object.name,
                                CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::pg_catalog.regrole::pg_catalog.text END), '; ')
                       FROM pg_catalog.aclexplode(object.acl::pg_catalog.aclitem[]) a);
        END IF;
    END LOOP;
END
$$;

-- Grants the owner of an existing log the private schema: after DROP EXTENSION, or in an upgrade. What the
-- script of an extension grants is recorded as its initial state, which pg_dump leaves out; deleting that
-- record keeps the grant in dumps.
DO $$
DECLARE
    owner pg_catalog.regrole := (SELECT c.relowner FROM pg_catalog.pg_class c
                                  WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass('eventlog.events'));
BEGIN
    IF owner IS NOT NULL THEN
        EXECUTE pg_catalog.format('GRANT USAGE ON SCHEMA eventlog_private TO %s', owner);
        DELETE FROM pg_catalog.pg_init_privs
         WHERE classoid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass
           AND objoid OPERATOR(pg_catalog.=) 'eventlog_private'::pg_catalog.regnamespace;
    END IF;
END
$$;
