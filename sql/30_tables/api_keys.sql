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
END
$$;
