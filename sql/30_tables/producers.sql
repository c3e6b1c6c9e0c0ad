-- Writers that number their batches.
--
-- A row belongs to a role (role_oid, cluster), not to a name. On another server, where oids differ, the row
-- goes to the role of that name, if it existed when the dump was made. The evidence is a privilege that is
-- of no use to its holder, the mark of a writer: a dump includes it, and it is dropped with the role. A role
-- created later under the same name gets a mark of its own, and then the rows of that name end.

CREATE FUNCTION eventlog_private.create_producers() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('producers') THEN
        CREATE TABLE eventlog.producers (
            role_name    name        NOT NULL,
            producer     uuid        NOT NULL,
            batch_number bigint,
            written      bigint      NOT NULL DEFAULT 0,
            duplicate    bigint      NOT NULL DEFAULT 0,
            sampled      bigint      NOT NULL DEFAULT 0,
            rejected     bigint      NOT NULL DEFAULT 0,
            batches      bigint      NOT NULL DEFAULT 0,
            gaps         bigint      NOT NULL DEFAULT 0,
            created_at   timestamptz NOT NULL DEFAULT now(),
            updated_at   timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT producers_pkey PRIMARY KEY (role_name, producer)
        );
        PERFORM eventlog_private.secure('eventlog.producers');
    END IF;
    -- Since layout 2. Sessions that still have the library of 0.1.0 write rows without the two.
    IF eventlog_private.lacks_column('producers', 'role_oid', 'oid') THEN
        ALTER TABLE eventlog.producers
            ADD COLUMN role_oid oid NOT NULL DEFAULT 0,
            ADD COLUMN cluster bigint NOT NULL DEFAULT 0;
        PERFORM eventlog_private.note_producers_roles();
        ALTER TABLE eventlog.producers
            DROP CONSTRAINT IF EXISTS producers_pkey,
            ADD CONSTRAINT producers_pkey PRIMARY KEY (producer, role_oid, cluster);
    END IF;
    COMMENT ON TABLE eventlog.producers IS
        'Writers that number their batches, so that a batch that is sent again is written once.';
    COMMENT ON COLUMN eventlog.producers.role_name IS 'The role that the writer connects as, by its name when its last batch arrived.';
    COMMENT ON COLUMN eventlog.producers.producer IS 'UUID that the writer chose for itself.';
    COMMENT ON COLUMN eventlog.producers.batch_number IS 'Number of its last batch.';
    COMMENT ON COLUMN eventlog.producers.written IS 'Events of that batch that were written.';
    COMMENT ON COLUMN eventlog.producers.duplicate IS 'Events of that batch whose idempotency key had been used.';
    COMMENT ON COLUMN eventlog.producers.sampled IS 'Events of that batch that sampling left out.';
    COMMENT ON COLUMN eventlog.producers.rejected IS 'Events of that batch that were quarantined.';
    COMMENT ON COLUMN eventlog.producers.batches IS 'Number of batches so far.';
    COMMENT ON COLUMN eventlog.producers.gaps IS 'Number of batch numbers that were skipped so far.';
    COMMENT ON COLUMN eventlog.producers.created_at IS 'When the first batch arrived.';
    COMMENT ON COLUMN eventlog.producers.updated_at IS 'When the last batch arrived.';
    COMMENT ON COLUMN eventlog.producers.role_oid IS 'Oid of the role: a role created later under the same name is another one, with producers of its own.';
    COMMENT ON COLUMN eventlog.producers.cluster IS 'System identifier of the server of role_oid. On another server the row goes to the role of that name, if it was a writer when the dump was made.';
END
$$;

-- Assigns the rows of a log of layout 1, which has names only, to the roles that have these names now, and
-- deletes those of names that no role has.
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

-- Marks a role as a writer. If it had no mark, rows under its name belong to others: to a role of this server
-- that was renamed or dropped, or to one of another server.
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

-- Marks the roles that were allowed to write before the mark existed.
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
