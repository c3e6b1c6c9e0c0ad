-- Keys of the gateway, `eventlog serve`. The command `eventlog key` creates, lists and revokes them; it
-- writes here as the log's owner.

-- The text of a key is el_w_<id>_<secret> for writing and el_r_<id>_<secret> for reading, where the secret
-- is 32 random bytes. Only the SHA-256 of the secret is stored. A slow salted hash would add nothing: it
-- protects passwords, which can be guessed, while 256 random bits cannot.
CREATE FUNCTION eventlog_private.create_api_keys() RETURNS void
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
            tenant_ids  uuid[],
            can_replay  boolean     NOT NULL DEFAULT false,
            CONSTRAINT api_keys_id_check CHECK (id ~ '^[0-9a-f]{16}$'),
            CONSTRAINT api_keys_kind_check CHECK (kind IN ('write', 'read')),
            CONSTRAINT api_keys_event_names_check CHECK (event_names IS NULL OR kind = 'write'),
            CONSTRAINT api_keys_secret_hash_check CHECK (octet_length(secret_hash) = 32),
            CONSTRAINT api_keys_rate_limit_check CHECK (rate_limit > 0),
            CONSTRAINT api_keys_actor_check CHECK (
                (actor IS NULL OR kind = 'write' AND NOT no_actor AND octet_length(actor) BETWEEN 1 AND 512)
                AND (NOT no_actor OR kind = 'write')),
            CONSTRAINT api_keys_tenant_ids_check CHECK (
                tenant_ids IS NULL
                OR kind = 'read' AND cardinality(tenant_ids) BETWEEN 2 AND 1000 AND tenant_ids[1] = tenant_id
                   AND array_position(tenant_ids, NULL) IS NULL),
            CONSTRAINT api_keys_all_tenants_check CHECK (
                'ffffffff-ffff-ffff-ffff-ffffffffffff' <> ALL (coalesce(tenant_ids, '{}'))
                AND (tenant_id <> 'ffffffff-ffff-ffff-ffff-ffffffffffff' OR kind = 'read')),
            CONSTRAINT api_keys_can_replay_check CHECK (NOT can_replay OR kind = 'read')
        );
        PERFORM eventlog_private.secure('eventlog.api_keys');
    END IF;
    COMMENT ON TABLE eventlog.api_keys IS
        'API keys of the gateway. Managed by the command eventlog key.';
    COMMENT ON COLUMN eventlog.api_keys.id IS 'The public part of the key: 16 hexadecimal digits.';
    COMMENT ON COLUMN eventlog.api_keys.tenant_id IS 'The tenant whose events the key writes or reads: the first of several, or eventlog.all_tenants() for a key that reads all.';
    COMMENT ON COLUMN eventlog.api_keys.kind IS 'write or read; a key does only one of the two.';
    COMMENT ON COLUMN eventlog.api_keys.event_names IS 'Names of events that a write key may log; null for all.';
    COMMENT ON COLUMN eventlog.api_keys.secret_hash IS 'SHA-256 of the secret, which is 32 random bytes.';
    COMMENT ON COLUMN eventlog.api_keys.rate_limit IS
        'Limit per minute, of events (write key) or requests (read key); null for the gateway''s limit.';
    COMMENT ON COLUMN eventlog.api_keys.description IS 'What the key is for.';
    COMMENT ON COLUMN eventlog.api_keys.created_at IS 'When the key was created.';
    COMMENT ON COLUMN eventlog.api_keys.expires_at IS 'When the key expires; null for never.';
    COMMENT ON COLUMN eventlog.api_keys.revoked_at IS 'When the key was revoked; null if it was not.';
    COMMENT ON COLUMN eventlog.api_keys.actor IS
        'The actor of every event of the key, which must name no other; null to take the actor from each event.';
    COMMENT ON COLUMN eventlog.api_keys.no_actor IS 'True if the events of the key must not name an actor.';
    COMMENT ON COLUMN eventlog.api_keys.tenant_ids IS 'The tenants of a read key of several; null for a key of one or of all.';
    COMMENT ON COLUMN eventlog.api_keys.can_replay IS 'True if the key may replay rejected events.';
END
$$;
