-- The secrets that sign what webhooks get, in a table of their own that only the owner reads. They are stored
-- as they are, since `eventlog deliver` has to sign unattended: a key beside it would protect them from
-- nobody who can read this table, which is who can read every event. A dump can leave the rows out.

CREATE FUNCTION eventlog_private.create_webhook_secrets() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('webhook_secrets') THEN
        CREATE TABLE eventlog.webhook_secrets (
            webhook_id        uuid        CONSTRAINT webhook_secrets_pkey PRIMARY KEY,
            tenant_id         uuid        NOT NULL,
            secrets           text[]      NOT NULL,
            old_secrets_until timestamptz,
            CONSTRAINT webhook_secrets_secrets_check CHECK (cardinality(secrets) BETWEEN 1 AND 3)
        );
        PERFORM eventlog_private.secure('eventlog.webhook_secrets');
    END IF;
    COMMENT ON TABLE eventlog.webhook_secrets IS
        'Secrets of webhooks, which sign what they get. A dump leaves them out with --exclude-table-data=eventlog.webhook_secrets.';
    COMMENT ON COLUMN eventlog.webhook_secrets.webhook_id IS 'The webhook.';
    COMMENT ON COLUMN eventlog.webhook_secrets.tenant_id IS 'The tenant of the webhook.';
    COMMENT ON COLUMN eventlog.webhook_secrets.secrets IS 'Its secrets, the newest first; each is whsec_ and 32 random bytes in base64.';
    COMMENT ON COLUMN eventlog.webhook_secrets.old_secrets_until IS 'Until then all of them sign, afterwards the newest alone.';
END
$$;
