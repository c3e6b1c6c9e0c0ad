-- Consumers: who reads the log from an id on, and how far.

CREATE FUNCTION eventlog_private.create_consumers() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('consumers') THEN
        CREATE TABLE eventlog.consumers (
            tenant_id       uuid        NOT NULL,
            consumer        text        NOT NULL,
            names           text[],
            acknowledged_id bigint      NOT NULL DEFAULT 0,
            acknowledged_at timestamptz,
            created_at      timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT consumers_pkey PRIMARY KEY (tenant_id, consumer),
            CONSTRAINT consumers_consumer_check CHECK (char_length(consumer) BETWEEN 1 AND 100)
        );
        PERFORM eventlog_private.secure('eventlog.consumers');
    END IF;
    COMMENT ON TABLE eventlog.consumers IS
        'Consumers of the log and how far each has acknowledged. Use create_consumer(), read_events_after() and acknowledge().';
    COMMENT ON COLUMN eventlog.consumers.tenant_id IS 'The tenant whose events it reads; all_tenants() for those of every tenant.';
    COMMENT ON COLUMN eventlog.consumers.consumer IS 'Its name, one of its tenant.';
    COMMENT ON COLUMN eventlog.consumers.names IS 'The names of the events that it reads; null for all.';
    COMMENT ON COLUMN eventlog.consumers.acknowledged_id IS 'It has what it reads up to this id.';
    COMMENT ON COLUMN eventlog.consumers.acknowledged_at IS 'When it last acknowledged.';
    COMMENT ON COLUMN eventlog.consumers.created_at IS 'When it was created.';
END
$$;
