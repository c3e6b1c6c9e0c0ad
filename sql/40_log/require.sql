-- Requirements that functions check first: that the log exists, has the right layout, and belongs to the
-- caller.

-- Everything in schema eventlog must belong to the log's owner, or to the former one while create_log()
-- changes it: a table that somebody else created there would be taken for the log's.
CREATE FUNCTION eventlog._check_objects(owner oid, former_owner oid) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    strange record;
BEGIN
    SELECT c.oid::regclass AS relation, c.relowner::regrole AS role,
           CASE c.relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END AS kind
      INTO strange
      FROM pg_class c
     WHERE c.relnamespace = 'eventlog'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
       AND c.relowner <> owner AND c.relowner IS DISTINCT FROM former_owner
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
     ORDER BY c.relkind <> 'p', 1 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% belongs to %, not to the log''s owner %', strange.relation, strange.role, owner::regrole
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'Everything in schema eventlog must belong to the log''s owner.',
                  HINT = format('if it is the log''s, a superuser types: ALTER %s %s OWNER TO %s;', strange.kind,
                                strange.relation, owner::regrole);
    END IF;
    IF EXISTS (SELECT FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
                WHERE n.nspname = 'eventlog' AND NOT r.rolsuper AND r.oid <> owner) THEN
        RAISE EXCEPTION 'schema eventlog belongs to %, not to the log''s owner %',
                (SELECT n.nspowner::regrole FROM pg_namespace n WHERE n.nspname = 'eventlog'), owner::regrole
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('a superuser types: ALTER SCHEMA eventlog OWNER TO %s;', owner::regrole);
    END IF;
END
$$;

-- Raises 55000 if create_log() has not been called.
CREATE FUNCTION eventlog._require_log() RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regclass('eventlog.event_types') IS NULL THEN
        RAISE EXCEPTION 'there is no log in this database yet'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'SELECT eventlog.create_log();';
    END IF;
END
$$;

-- Raises 55000 without a log, 22004 without a role, and 42501 for a caller without the rights of the log's
-- owner, where PostgreSQL itself would only warn that nothing was granted.
CREATE FUNCTION eventlog._require_owner(role regrole) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    owner regrole;
BEGIN
    PERFORM eventlog._require_log();
    IF role IS NULL THEN
        RAISE EXCEPTION 'role must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    owner := (SELECT relowner FROM pg_class WHERE oid = 'eventlog.events'::regclass);
    IF NOT pg_has_role(current_user, owner, 'USAGE') THEN
        RAISE EXCEPTION 'permission denied: the log belongs to %', owner
            USING ERRCODE = 'insufficient_privilege', HINT = format('SET ROLE %s;', owner);
    END IF;
END
$$;

CREATE FUNCTION eventlog._layout_version() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS 'SELECT 2';

-- Returns the layout of this log, or null if log_config is missing.
CREATE FUNCTION eventlog._log_layout() RETURNS integer
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regclass('eventlog.log_config') IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN (SELECT layout_version FROM eventlog.log_config);
END
$$;

-- Raises 55000 if the log is older than the caller needs, or was created by a newer version.
CREATE FUNCTION eventlog._require_layout(needed integer) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    has integer;
BEGIN
    PERFORM eventlog._require_log();
    has := eventlog._log_layout();
    IF has < needed THEN
        RAISE EXCEPTION 'the log has layout %, this needs %', has, needed
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'SELECT eventlog.migrate_log();';
    ELSIF has > eventlog._layout_version() THEN
        RAISE EXCEPTION 'the log has layout %, this version of the extension knows %', has, eventlog._layout_version()
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'ALTER EXTENSION eventlog UPDATE;';
    END IF;
END
$$;
