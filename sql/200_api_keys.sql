-- Keys of the gateway, `eventlog serve`. Made, listed and revoked by `eventlog key`, which writes
-- here as the log's owner.

-- A key's text is el_w_<id>_<secret>, el_r_… for reading, with 32 random bytes as its secret. Only
-- the SHA-256 of the secret is kept. That is enough, and a slow hash with a salt would add nothing:
-- those are for passwords, which can be guessed; 256 random bits cannot, however fast the guessing.
CREATE FUNCTION eventlog_private.create_api_key_tables() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('api_keys') THEN
        CREATE TABLE eventlog.api_keys (
            id          text        CONSTRAINT api_keys_pkey PRIMARY KEY,
            tenant_id   uuid        NOT NULL,
            kind        text        NOT NULL,
            event_names text[],
            secret_hash bytea       NOT NULL,
            rate_limit  integer,
            description text,
            created_at  timestamptz NOT NULL DEFAULT now(),
            expires_at  timestamptz,
            revoked_at  timestamptz,
            actor       text,
            no_actor    boolean     NOT NULL DEFAULT false,
            CONSTRAINT api_keys_id_check CHECK (id ~ '^[0-9a-f]{16}$'),
            CONSTRAINT api_keys_kind_check CHECK (kind IN ('write', 'read')),
            CONSTRAINT api_keys_event_names_check CHECK (event_names IS NULL OR kind = 'write'),
            CONSTRAINT api_keys_secret_hash_check CHECK (octet_length(secret_hash) = 32),
            CONSTRAINT api_keys_rate_limit_check CHECK (rate_limit > 0),
            CONSTRAINT api_keys_actor_check CHECK (
                (actor IS NULL OR kind = 'write' AND NOT no_actor AND octet_length(actor) BETWEEN 1 AND 512)
                AND (NOT no_actor OR kind = 'write'))
        );
        PERFORM eventlog_private.close('eventlog.api_keys');
    END IF;
    COMMENT ON TABLE eventlog.api_keys IS
        'Keys of the gateway. Change them with the command eventlog key.';
    COMMENT ON COLUMN eventlog.api_keys.id IS 'The part of the key that is no secret: 16 hexadecimal digits.';
    COMMENT ON COLUMN eventlog.api_keys.tenant_id IS 'Whose events the key writes or reads.';
    COMMENT ON COLUMN eventlog.api_keys.kind IS 'write or read; a key does one of the two.';
    COMMENT ON COLUMN eventlog.api_keys.event_names IS 'The names that a key to write may log; null for every name.';
    COMMENT ON COLUMN eventlog.api_keys.secret_hash IS 'SHA-256 of the 32 random bytes that are the secret.';
    COMMENT ON COLUMN eventlog.api_keys.rate_limit IS
        'Events (of a key to write) or requests (of a key to read) in a minute; null for the gateway''s own limit.';
    COMMENT ON COLUMN eventlog.api_keys.description IS 'What the key is for.';
    COMMENT ON COLUMN eventlog.api_keys.created_at IS 'When it was made.';
    COMMENT ON COLUMN eventlog.api_keys.expires_at IS 'From when on it is refused; null for never.';
    COMMENT ON COLUMN eventlog.api_keys.revoked_at IS 'When it was revoked; null for a key that is not.';
    COMMENT ON COLUMN eventlog.api_keys.actor IS
        'The actor of every event of the key, which may name no other; null for whom the events name.';
    COMMENT ON COLUMN eventlog.api_keys.no_actor IS 'Whether the events of the key may name no actor at all.';
    -- Whoever was granted SELECT may look a key up; that is the gateway alone. The condition goes
    -- with the extension, and leaves the table closed.
    PERFORM eventlog_private.ensure_policy('eventlog.api_keys', 'api_keys_select',
        'FOR SELECT USING (eventlog.any_tenant())');
END
$$;

-- A gateway logs for every tenant, but reads as the tenant of a request's key: a policy on each table
-- of tenants' rows says so, beside and against that of the service that it is too. What it put into the
-- quarantine has no caller's tenant, only the key's, which it names.
--
-- The tenant is eventlog.tenant_id, whatever eventlog.tenant_source is for others: a gateway has no
-- row in tenant_roles and no token, and a role that may read every tenant forges nothing by saying
-- which one it means. Where it says none, current_tenant() answers, most often with an error.
--
-- Its roles are those that may look keys up. DROP EXTENSION … CASCADE takes these policies together
-- with those of services.
CREATE FUNCTION eventlog_private.ensure_gateways() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted oid[] := (SELECT array_agg(DISTINCT acl.grantee) FROM pg_attribute a, aclexplode(a.attacl) acl
                      WHERE a.attrelid = to_regclass('eventlog.api_keys') AND a.attname = 'secret_hash'
                        AND acl.privilege_type = 'SELECT' AND acl.grantee <> 0);
    roles  text  := (SELECT string_agg(w.r::regrole::text, ', ' ORDER BY w.r) FROM unnest(wanted) AS w (r));
    tenant text  := 'CASE WHEN coalesce(current_setting(''eventlog.tenant_id'', true), '''') = '''' THEN eventlog.current_tenant()
                          ELSE current_setting(''eventlog.tenant_id'')::uuid END';
    policy record;
BEGIN
    FOR policy IN
        SELECT p.*, (SELECT polroles FROM pg_policy WHERE polrelid = p.relation AND polname = p.name) AS has
          FROM (SELECT format('eventlog.%I', t)::regclass, t || '_gateway_select',
                       CASE t WHEN 'late_events' THEN 'tenant_id IS NULL OR tenant_id = ' || tenant
                              WHEN 'rejected_events' THEN 'coalesce(tenant_id, claimed_tenant_id) = ' || tenant
                              ELSE 'tenant_id = ' || tenant END
                  FROM eventlog_private.tenants_tables() t WHERE to_regclass(format('eventlog.%I', t)) IS NOT NULL
        ) AS p (relation, name, condition)
    LOOP
        IF policy.has IS NOT NULL AND wanted IS NULL THEN
            EXECUTE format('DROP POLICY %I ON %s', policy.name, policy.relation);
        ELSIF policy.has IS NOT NULL AND NOT (policy.has @> wanted AND wanted @> policy.has) THEN
            EXECUTE format('ALTER POLICY %I ON %s TO %s', policy.name, policy.relation, roles);
        ELSIF policy.has IS NULL AND wanted IS NOT NULL THEN
            EXECUTE format('CREATE POLICY %I ON %s AS RESTRICTIVE FOR SELECT TO %s USING (%s)', policy.name,
                           policy.relation, roles, policy.condition);
        END IF;
    END LOOP;
END
$$;

CREATE FUNCTION eventlog.grant_gateway(role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog._require_owner(role);
    IF to_regclass('eventlog.api_keys') IS NULL THEN
        RAISE EXCEPTION 'the log has no api_keys'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'SELECT eventlog.migrate_log();';
    END IF;
    -- What judging a key needs. Not when it was last used: that would take a right to write here.
    EXECUTE format('GRANT SELECT (id, tenant_id, kind, event_names, secret_hash, rate_limit, expires_at, revoked_at,
                                  actor, no_actor)
                        ON TABLE eventlog.api_keys TO %s', role);
    PERFORM eventlog.grant_service(role);
END
$$;

COMMENT ON FUNCTION eventlog.grant_gateway(regrole) IS
'For the role of eventlog serve: lets it log events of every tenant, read what its connection''s tenant may read, and look up API keys, of which only hashes are kept.';
