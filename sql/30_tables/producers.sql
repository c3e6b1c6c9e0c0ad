-- Writers that number their batches.

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
    COMMENT ON TABLE eventlog.producers IS
        'Writers that number their batches, so that a batch that is sent again is written once.';
    COMMENT ON COLUMN eventlog.producers.role_name IS 'The role that the writer connects as.';
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
END
$$;
