-- Seals: one for each tenant and day, and one for each supplement of late events.

CREATE FUNCTION eventlog_private.create_seals() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('seals') THEN
        CREATE TABLE eventlog.seals (
            tenant_id uuid        NOT NULL,
            number    bigint      NOT NULL,
            day       date        NOT NULL,
            part      integer     NOT NULL,
            events    bigint      NOT NULL,
            gone      bigint      NOT NULL DEFAULT 0,
            root      bytea       NOT NULL,
            previous  bytea       NOT NULL,
            digest    bigint      NOT NULL,
            sealed_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT seals_pkey PRIMARY KEY (tenant_id, number),
            CONSTRAINT seals_day_key UNIQUE (tenant_id, day, part)
        );
        PERFORM eventlog_private.secure('eventlog.seals');
    END IF;
    IF to_regclass('eventlog.seals_digest_idx') IS NULL THEN
        CREATE INDEX seals_digest_idx ON eventlog.seals (digest);
    END IF;
    COMMENT ON TABLE eventlog.seals IS
        'Seals of tenants'' days, kept for ever. Check them with verify_seals().';
    COMMENT ON COLUMN eventlog.seals.tenant_id IS 'The tenant whose events are sealed.';
    COMMENT ON COLUMN eventlog.seals.number IS 'Number of the seal among those of its tenant, from 1.';
    COMMENT ON COLUMN eventlog.seals.day IS 'The day in UTC on which the events were created.';
    COMMENT ON COLUMN eventlog.seals.part IS '0 for the seal of the day, 1 and more for supplements of events that came late.';
    COMMENT ON COLUMN eventlog.seals.events IS 'Number of events that were sealed.';
    COMMENT ON COLUMN eventlog.seals.gone IS 'How many of them retention or erasure has deleted since.';
    COMMENT ON COLUMN eventlog.seals.root IS 'Root of the Merkle tree over the events, SHA-256.';
    COMMENT ON COLUMN eventlog.seals.previous IS 'Hash of the tenant''s previous seal; 32 zero bytes for the first.';
    COMMENT ON COLUMN eventlog.seals.digest IS 'Number of the digest that covers the seal, in seal_digests.';
    COMMENT ON COLUMN eventlog.seals.sealed_at IS 'When it was sealed.';
END
$$;
