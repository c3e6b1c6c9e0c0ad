-- Digests: one a day over the seals of all tenants, to be anchored outside.

CREATE FUNCTION eventlog_private.create_seal_digests() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('seal_digests') THEN
        CREATE TABLE eventlog.seal_digests (
            number    bigint      CONSTRAINT seal_digests_pkey PRIMARY KEY,
            day       date        NOT NULL,
            root      bytea       NOT NULL,
            previous  bytea       NOT NULL,
            digest    bytea       NOT NULL,
            sealed_at timestamptz NOT NULL DEFAULT now()
        );
        PERFORM eventlog_private.secure('eventlog.seal_digests');
    END IF;
    COMMENT ON TABLE eventlog.seal_digests IS
        'One digest a day over the seals of all tenants, kept for ever. `eventlog anchor` writes them to where the owner of the log cannot change them.';
    COMMENT ON COLUMN eventlog.seal_digests.number IS 'Number of the digest, from 1.';
    COMMENT ON COLUMN eventlog.seal_digests.day IS 'The day in UTC.';
    COMMENT ON COLUMN eventlog.seal_digests.root IS 'Root of the tree over the hashes of seals and receipts that have this number.';
    COMMENT ON COLUMN eventlog.seal_digests.previous IS 'The digest before; 32 zero bytes for the first.';
    COMMENT ON COLUMN eventlog.seal_digests.digest IS 'SHA-256 over number, day, root and previous.';
    COMMENT ON COLUMN eventlog.seal_digests.sealed_at IS 'When it was made.';
END
$$;
