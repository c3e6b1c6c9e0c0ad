-- Rollup: when an actor's first event was logged, by tenant and name.

CREATE FUNCTION eventlog_private.create_first_events() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('first_events') THEN
        CREATE TABLE eventlog.first_events (
            tenant_id uuid,
            name      text,
            actor     text,
            first_at  timestamptz NOT NULL,
            CONSTRAINT first_events_pkey PRIMARY KEY (tenant_id, name, actor) INCLUDE (first_at)
        );
        PERFORM eventlog_private.secure('eventlog.first_events');
    END IF;
    COMMENT ON TABLE eventlog.first_events IS
        'Rollup: when the first event of an actor was logged, by tenant and name. Stays when retention deletes the event; erasing the actor deletes it.';
    COMMENT ON COLUMN eventlog.first_events.tenant_id IS 'The tenant.';
    COMMENT ON COLUMN eventlog.first_events.name IS 'Name of the events; empty for all names together.';
    COMMENT ON COLUMN eventlog.first_events.actor IS 'The actor; never empty.';
    COMMENT ON COLUMN eventlog.first_events.first_at IS 'created_at of the first event.';
END
$$;
