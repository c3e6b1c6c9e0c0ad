-- Receipts: sealed events that were deleted, how many, when and by which call.

CREATE FUNCTION eventlog_private.create_seal_receipts() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('seal_receipts') THEN
        CREATE TABLE eventlog.seal_receipts (
            id        bigint      CONSTRAINT seal_receipts_pkey PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
            tenant_id uuid        NOT NULL,
            first_day date        NOT NULL,
            last_day  date        NOT NULL,
            events    bigint      NOT NULL,
            call      text        NOT NULL,
            role_name name        NOT NULL DEFAULT session_user,
            at        timestamptz NOT NULL DEFAULT clock_timestamp(),
            erasure   uuid,
            digest    bigint
        );
        PERFORM eventlog_private.secure('eventlog.seal_receipts');
    END IF;
    IF to_regclass('eventlog.seal_receipts_tenant_id_idx') IS NULL THEN
        CREATE INDEX seal_receipts_tenant_id_idx ON eventlog.seal_receipts (tenant_id);
    END IF;
    IF to_regclass('eventlog.seal_receipts_digest_idx') IS NULL THEN
        CREATE INDEX seal_receipts_digest_idx ON eventlog.seal_receipts (digest);
    END IF;
    PERFORM eventlog_private.secure('eventlog.seal_receipts_id_seq');
    COMMENT ON TABLE eventlog.seal_receipts IS
        'Receipts of sealed events that retention or erasure deleted, kept for ever. The digest of their day covers them.';
    COMMENT ON COLUMN eventlog.seal_receipts.id IS 'Number of the receipt.';
    COMMENT ON COLUMN eventlog.seal_receipts.tenant_id IS 'The tenant.';
    COMMENT ON COLUMN eventlog.seal_receipts.first_day IS 'The first day of the events, in UTC.';
    COMMENT ON COLUMN eventlog.seal_receipts.last_day IS 'The last day of the events.';
    COMMENT ON COLUMN eventlog.seal_receipts.events IS 'Number of events.';
    COMMENT ON COLUMN eventlog.seal_receipts.call IS 'What deleted them, such as forget_actor() or retention of the log.';
    COMMENT ON COLUMN eventlog.seal_receipts.role_name IS 'The role that had logged in.';
    COMMENT ON COLUMN eventlog.seal_receipts.at IS 'When the first of them was deleted.';
    COMMENT ON COLUMN eventlog.seal_receipts.erasure IS 'Id of the receipt of the erasure, in erasures; null for a retention.';
    COMMENT ON COLUMN eventlog.seal_receipts.digest IS 'Number of the digest that covers the receipt; null until then, while more events may be added to it.';
END
$$;
