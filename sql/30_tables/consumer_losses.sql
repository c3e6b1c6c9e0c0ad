-- What retention deleted before a consumer had read it.

CREATE FUNCTION eventlog_private.create_consumer_losses() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Apart from the consumers, so that maintain() does not wait for a reader's transaction.
    IF eventlog_private.is_missing('consumer_losses') THEN
        CREATE TABLE eventlog.consumer_losses (
            tenant_id   uuid        NOT NULL,
            consumer    text        NOT NULL,
            lost_events bigint      NOT NULL,
            lost_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
            CONSTRAINT consumer_losses_pkey PRIMARY KEY (tenant_id, consumer)
        );
        PERFORM eventlog_private.secure('eventlog.consumer_losses');
    END IF;
    COMMENT ON TABLE eventlog.consumer_losses IS
        'Events that retention deleted before a consumer had read them, after it had waited for consumer_wait.';
    COMMENT ON COLUMN eventlog.consumer_losses.tenant_id IS 'The tenant of the consumer.';
    COMMENT ON COLUMN eventlog.consumer_losses.consumer IS 'Its name.';
    COMMENT ON COLUMN eventlog.consumer_losses.lost_events IS 'Number of events.';
    COMMENT ON COLUMN eventlog.consumer_losses.lost_at IS 'When the last were deleted.';
END
$$;
