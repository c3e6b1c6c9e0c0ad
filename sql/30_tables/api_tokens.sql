-- What the gateway made from a key to read: sessions of browsers, and share links.

-- The text of a token is el_s_<id>_<secret> for a session and el_v_<id>_<secret> for a share link. As with
-- keys, only the SHA-256 of the secret is stored, so that a copy of this table opens nothing. A token is
-- good only as long as its key is.
CREATE FUNCTION eventlog_private.create_api_tokens() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('api_tokens') THEN
        CREATE TABLE eventlog.api_tokens (
            id          text        CONSTRAINT api_tokens_pkey PRIMARY KEY,
            key_id      text        NOT NULL,
            kind        text        NOT NULL,
            secret_hash bytea       NOT NULL,
            tenant_id   uuid,
            scope       jsonb,
            description text,
            created_at  timestamptz NOT NULL DEFAULT now(),
            expires_at  timestamptz NOT NULL,
            revoked_at  timestamptz,
            CONSTRAINT api_tokens_id_check CHECK (id ~ '^[0-9a-f]{16}$'),
            CONSTRAINT api_tokens_kind_check CHECK (kind IN ('session', 'share')),
            CONSTRAINT api_tokens_secret_hash_check CHECK (octet_length(secret_hash) = 32),
            -- A share link without a scope would be a key.
            CONSTRAINT api_tokens_scope_check CHECK (
                CASE kind WHEN 'share' THEN tenant_id IS NOT NULL AND jsonb_typeof(scope) = 'object' AND octet_length(scope::text) <= 131072
                          ELSE tenant_id IS NULL AND scope IS NULL END IS TRUE)
        );
        PERFORM eventlog_private.secure('eventlog.api_tokens');
    END IF;
    IF to_regclass('eventlog.api_tokens_key_id_created_at_idx') IS NULL THEN
        CREATE INDEX api_tokens_key_id_created_at_idx ON eventlog.api_tokens (key_id, created_at DESC);
    END IF;
    COMMENT ON TABLE eventlog.api_tokens IS
        'Sessions of browsers and share links, made by the gateway from keys to read.';
    COMMENT ON COLUMN eventlog.api_tokens.id IS 'The public part of the token: 16 hexadecimal digits.';
    COMMENT ON COLUMN eventlog.api_tokens.key_id IS 'The key that it was made from, and ends with.';
    COMMENT ON COLUMN eventlog.api_tokens.kind IS 'session or share.';
    COMMENT ON COLUMN eventlog.api_tokens.secret_hash IS 'SHA-256 of the secret, which is 32 random bytes.';
    COMMENT ON COLUMN eventlog.api_tokens.tenant_id IS 'The tenant that a share link shows; null for a session.';
    COMMENT ON COLUMN eventlog.api_tokens.scope IS
        'What a share link shows: page, filters, names, span, and whether it shows people; null for a session.';
    COMMENT ON COLUMN eventlog.api_tokens.description IS 'What the share link is for.';
    COMMENT ON COLUMN eventlog.api_tokens.created_at IS 'When it was created.';
    COMMENT ON COLUMN eventlog.api_tokens.expires_at IS 'When it expires; never after its key.';
    COMMENT ON COLUMN eventlog.api_tokens.revoked_at IS 'When it was ended before that; null if it was not.';
END
$$;
