-- Whose a producer is: a role's, and not a name's.
--
-- A row belongs to (role_oid, cluster). On another server, where oids are others, it is taken over by the
-- role of its name, but only by one that was there when the dump was made. What tells that is a grant
-- which lets its holder do nothing, the mark of a writer: a dump brings it along, and it goes with the
-- role. A namesake that is made later gets a mark of its own, and with it the rows of that name end.

-- What a log of layout 1 knows by name becomes the role's that has the name now. Rows of names that no
-- role has are nobody's.
CREATE FUNCTION eventlog_private.note_producers_roles() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE eventlog.producers p SET role_oid = r.oid, cluster = s.system_identifier
      FROM pg_roles r, pg_control_system() s
     WHERE r.rolname = p.role_name;
    DELETE FROM eventlog.producers WHERE role_oid = 0;
END
$$;

-- Gives a role the mark of a writer. Where it had none, rows under its name are of others: of a role of
-- this server that has another name by now, or is gone, or of one of another server.
CREATE FUNCTION eventlog_private.mark_writer(role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    here    bigint := (SELECT system_identifier FROM pg_control_system());
    its_name name   := (SELECT rolname FROM pg_roles WHERE oid = role);
BEGIN
    IF EXISTS (SELECT FROM pg_attribute a, aclexplode(a.attacl) acl
                WHERE a.attrelid = 'eventlog.producers'::regclass AND a.attname = 'producer'
                  AND acl.privilege_type = 'REFERENCES' AND acl.grantee = role) THEN
        RETURN;
    END IF;
    EXECUTE format('GRANT REFERENCES (producer) ON TABLE eventlog.producers TO %s', role);
    IF coalesce(eventlog._log_layout(), 1) < 2 THEN
        RETURN;
    END IF;
    UPDATE eventlog.producers p SET role_name = r.rolname
      FROM pg_roles r
     WHERE p.role_name = its_name AND p.role_oid <> role AND p.cluster = here AND r.oid = p.role_oid;
    DELETE FROM eventlog.producers p WHERE p.role_name = its_name AND (p.role_oid <> role OR p.cluster <> here);
END
$$;

-- Roles that were granted the right to write before there was the mark.
CREATE FUNCTION eventlog_private.mark_writers() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    writer regrole;
BEGIN
    FOR writer IN
        SELECT acl.grantee
          FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) acl
         WHERE c.oid = 'eventlog.events'::regclass AND acl.privilege_type = 'INSERT' AND acl.grantee NOT IN (0, c.relowner)
         UNION
        SELECT acl.grantee
          FROM pg_attribute a CROSS JOIN LATERAL aclexplode(a.attacl) acl
         WHERE a.attrelid = 'eventlog.events'::regclass AND a.attname = 'tenant_id'
           AND acl.privilege_type = 'INSERT' AND acl.grantee <> 0
         ORDER BY 1
    LOOP
        EXECUTE format('GRANT REFERENCES (producer) ON TABLE eventlog.producers TO %s', writer);
    END LOOP;
END
$$;
