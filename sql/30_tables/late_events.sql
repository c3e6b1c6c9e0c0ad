-- Events that came below the watermark and are not counted yet.

CREATE FUNCTION eventlog_private.create_late_events() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('late_events') THEN
        CREATE TABLE eventlog.late_events (
            tenant_id  uuid,
            id         bigint,
            created_at timestamptz,
            CONSTRAINT late_events_pkey PRIMARY KEY (id, created_at)
        );
        PERFORM eventlog_private.secure('eventlog.late_events');
    END IF;
    IF eventlog_private.lacks_column('late_events', 'is_sealed', 'boolean') THEN
        ALTER TABLE eventlog.late_events ADD COLUMN is_sealed boolean NOT NULL DEFAULT false;
    END IF;
    COMMENT ON TABLE eventlog.late_events IS
        'Events that were logged below the watermark, by a long transaction or an import, until maintain() adds them to the rollups.';
    COMMENT ON COLUMN eventlog.late_events.tenant_id IS 'The tenant; null after a plain INSERT of a service.';
    COMMENT ON COLUMN eventlog.late_events.id IS 'Id of the event.';
    COMMENT ON COLUMN eventlog.late_events.created_at IS 'created_at of the event.';
    COMMENT ON COLUMN eventlog.late_events.is_sealed IS
        'True if a seal has the event already, or unsealed_events: it is only to be counted again.';
END
$$;
