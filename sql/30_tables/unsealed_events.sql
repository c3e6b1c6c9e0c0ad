-- Late events of sealed days, until their supplement is sealed.

CREATE FUNCTION eventlog_private.create_unsealed_events() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('unsealed_events') THEN
        CREATE TABLE eventlog.unsealed_events (
            tenant_id  uuid        NOT NULL,
            id         bigint,
            created_at timestamptz,
            CONSTRAINT unsealed_events_pkey PRIMARY KEY (id, created_at)
        );
        PERFORM eventlog_private.secure('eventlog.unsealed_events');
    END IF;
    COMMENT ON TABLE eventlog.unsealed_events IS
        'Events that came to a day after it was sealed, until maintain() seals them in a supplement.';
    COMMENT ON COLUMN eventlog.unsealed_events.tenant_id IS 'The tenant.';
    COMMENT ON COLUMN eventlog.unsealed_events.id IS 'Id of the event.';
    COMMENT ON COLUMN eventlog.unsealed_events.created_at IS 'created_at of the event.';
END
$$;
