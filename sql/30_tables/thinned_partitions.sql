-- Partitions that lost rows, and whose space maintain() gives back.

CREATE FUNCTION eventlog_private.create_thinned_partitions() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('thinned_partitions') THEN
        CREATE TABLE eventlog.thinned_partitions (
            partition_name name        CONSTRAINT thinned_partitions_pkey PRIMARY KEY,
            deleted_rows   bigint      NOT NULL DEFAULT 0,
            sealed_until   timestamptz NOT NULL DEFAULT '-infinity',
            rewritten_at   timestamptz
        );
        PERFORM eventlog_private.secure('eventlog.thinned_partitions');
    END IF;
    COMMENT ON TABLE eventlog.thinned_partitions IS
        'Partitions that lost rows to retention or erasure.';
    COMMENT ON COLUMN eventlog.thinned_partitions.partition_name IS 'The partition of events.';
    COMMENT ON COLUMN eventlog.thinned_partitions.deleted_rows IS 'Number of rows deleted since the last rewrite.';
    COMMENT ON COLUMN eventlog.thinned_partitions.sealed_until IS
        'Rows created before this time may have been deleted, while the rollups still count them.';
    COMMENT ON COLUMN eventlog.thinned_partitions.rewritten_at IS 'When maintain() last rewrote it to free the space of deleted rows.';
END
$$;
